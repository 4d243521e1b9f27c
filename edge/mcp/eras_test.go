package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// capabilities are what the server can do.
const capabilities = `{"extensions":{"io.modelcontextprotocol/ui":{}},"prompts":{},"resources":{},"tools":{},"completions":{}}`

func TestHandshakeEra(t *testing.T) {
	t.Parallel()
	st := start(t)
	for asked, want := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": "2025-11-25", "1999-01-01": "2025-11-25",
	} {
		res := st.send(t, "POST", "/", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, asked))
		var got struct {
			Result struct {
				ProtocolVersion string          `json:"protocolVersion"`
				Capabilities    json.RawMessage `json:"capabilities"`
				ServerInfo      struct{ Name, Version, Title string }
				Instructions    string
			}
		}
		if err := json.Unmarshal([]byte(res.body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Result.ProtocolVersion != want || string(got.Result.Capabilities) != capabilities || got.Result.ServerInfo.Version != "1.2.3" {
			t.Errorf("asked %s: got %s, want %s", asked, res.body, want)
		}
		if got.Result.Instructions == "" || len(got.Result.Instructions) > 1024 {
			t.Errorf("got %d bytes of instructions, want 1 to 1024", len(got.Result.Instructions))
		}
		if res.header.Get("Mcp-Session-Id") != "" {
			t.Error("a session was begun")
		}
	}
	for _, version := range []string{"", "2025-03-26", "2025-06-18", "2025-11-25"} {
		res := st.send(t, "POST", "/", call("paput_get_categories", "{}"), "Mcp-Protocol-Version", version)
		if res.status != 200 || strings.Contains(res.body, "resultType") {
			t.Errorf("version %q: got %d %s, want a result of the handshake era", version, res.status, res.body)
		}
	}
	if res := st.send(t, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`); !strings.Contains(res.body, `"code":-32601`) {
		t.Errorf("server/discover of no version: got %s, want -32601", res.body)
	}
}

func TestStatelessEra(t *testing.T) {
	t.Parallel()
	request := func(method, params string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, params, modernMeta)
	}
	version := func(more ...string) []string {
		return append([]string{"Mcp-Protocol-Version", "2026-07-28"}, more...)
	}
	future := strings.ReplaceAll(request("tools/list", ""), "2026-07-28", "2027-01-01")
	const supported = `"data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"2027-01-01"}}}`
	tests := []struct {
		name, message string
		headers       []string
		status        int
		want          string // what the body holds
	}{
		{"discover", request("server/discover", ""), version("Mcp-Method", "server/discover"), 200, `"ttlMs":300000,"cacheScope":"public","supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"extensions":{"io.modelcontextprotocol/ui":{}},"prompts":{},"resources":{"subscribe":true},"tools":{},"completions":{}}`},
		{"list", request("tools/list", ""), version("Mcp-Method", "tools/list"), 200, `"ttlMs":300000}}`},
		{"call", request("tools/call", `"name":"paput_get_categories",`), version("Mcp-Method", "tools/call", "Mcp-Name", "paput_get_categories"), 200, `"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"paput","version":"1.2.3","title":"Paput"}}}}`},
		{"a name in base64", request("tools/call", `"name":"paput_get_categories",`), version("Mcp-Method", "tools/call", "Mcp-Name", "=?base64?cGFwdXRfZ2V0X2NhdGVnb3JpZXM=?="), 200, `"resultType":"complete"`},
		{"what other tools are answered with", request("tools/call", `"name":"paput_get_categories","inputResponses":{},"requestState":"x","task":{},`), version("Mcp-Method", "tools/call", "Mcp-Name", "paput_get_categories"), 200, `"resultType":"complete"`},
		{"version in the body alone", request("tools/list", ""), []string{"Mcp-Method", "tools/list"}, 400, `"code":-32020,"message":"the header Mcp-Protocol-Version is missing"`},
		{"version in the header alone", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, version("Mcp-Method", "tools/list"), 400, `"code":-32602,"message":"_meta has no io.modelcontextprotocol/protocolVersion"`},
		{"two versions", request("tools/list", ""), []string{"Mcp-Protocol-Version", "2025-11-25", "Mcp-Method", "tools/list"}, 400, `"code":-32020`},
		{"version of the future", future, []string{"Mcp-Protocol-Version", "2027-01-01", "Mcp-Method", "tools/list"}, 400, `"code":-32022,"message":"protocol version \"2027-01-01\" is not supported",` + supported},
		{"no capabilities", strings.Replace(request("tools/list", ""), "clientCapabilities", "other", 1), version("Mcp-Method", "tools/list"), 400, `"code":-32602,"message":"_meta has no io.modelcontextprotocol/clientCapabilities"`},
		{"no Mcp-Method", request("tools/list", ""), version(), 400, `"code":-32020,"message":"header mismatch: Mcp-Method: missing required header"`},
		{"another Mcp-Method", request("tools/list", ""), version("Mcp-Method", "tools/call"), 400, `"code":-32020`},
		{"no Mcp-Name", request("tools/call", `"name":"paput_get_categories",`), version("Mcp-Method", "tools/call"), 400, `"code":-32020`},
		{"another Mcp-Name", request("tools/call", `"name":"paput_delete_memos",`), version("Mcp-Method", "tools/call", "Mcp-Name", "paput_get_categories"), 400, `"code":-32020`},
		{"initialize is gone", request("initialize", ""), version("Mcp-Method", "initialize"), 404, `"code":-32601`},
		{"ping is gone", request("ping", ""), version("Mcp-Method", "ping"), 404, `"code":-32601`},
		{"unknown method", request("memos/list", ""), version("Mcp-Method", "memos/list"), 404, `"code":-32601`},
		{"unknown tool", request("tools/call", `"name":"paput_nothing",`), version("Mcp-Method", "tools/call", "Mcp-Name", "paput_nothing"), 400, `"code":-32602,"message":"there is no tool \"paput_nothing\""`},
	}
	st := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := st.send(t, "POST", "/mcp", test.message, test.headers...)
			if res.status != test.status || !strings.Contains(res.body, test.want) {
				t.Errorf("got %d %s\nwant %d and in it %s", res.status, res.body, test.status, test.want)
			}
		})
	}
}
