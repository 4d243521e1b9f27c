package mcp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/paput/paput/edge/mcp"
)

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// rpcFailure is the body of a JSON-RPC error.
func rpcFailure(id string, code int, text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%q}}`, id, code, text)
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	const (
		root    = `resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource", scope="paput.read paput.write"`
		sub     = `resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource/mcp", scope="paput.read paput.write"`
		needed  = `{"error":"unauthorized","error_description":"an access token is needed"}`
		invalid = `error="invalid_token", error_description="the access token is unknown, expired or revoked", `
		scope   = "this needs the scope paput.write, which the access token does not have"
		inURL   = "a token does not belong in the URL: send it in the Authorization header"
		small   = `error="insufficient_scope", error_description="` + scope + `", resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource", scope="paput.write"`
	)
	body := func(code, text string) string {
		return fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, text)
	}
	gone := body("invalid_token", "the access token is unknown, expired or revoked")
	tests := []struct {
		name, method, path, message string
		headers                     []string
		status                      int
		challenge, want             string
	}{
		{"no token", "POST", "/", ping, []string{"Authorization", ""}, 401, root, needed},
		{"no token at /mcp", "POST", "/mcp", ping, []string{"Authorization", ""}, 401, sub, needed},
		{"no token at /mcp/", "POST", "/mcp/", ping, []string{"Authorization", ""}, 401, strings.Replace(sub, "/mcp", "/mcp/", 1), needed},
		{"no token, GET", "GET", "/mcp", "", []string{"Authorization", "", "Mcp-Protocol-Version", "2024-11-05", "Accept", "*/*"}, 401, sub, needed},
		{"no token, HEAD", "HEAD", "/", "", []string{"Authorization", ""}, 401, root, ""},
		{"no token, DELETE", "DELETE", "/", "", []string{"Authorization", ""}, 401, root, needed},
		{"no token, PUT", "PUT", "/", "", []string{"Authorization", ""}, 401, root, needed},
		{"no token, no JSON", "POST", "/", "{", []string{"Authorization", "", "Content-Type", "text/plain"}, 401, root, needed},
		{"another scheme", "POST", "/", ping, []string{"Authorization", "Basic YTpi"}, 401, root, needed},
		{"unknown token", "POST", "/", ping, []string{"Authorization", "Bearer paput_at_nobody"}, 401, invalid + root, gone},
		{"unknown token, GET", "GET", "/", "", []string{"Authorization", "Bearer paput_at_nobody"}, 401, invalid + root, gone},
		{"empty token", "POST", "/", ping, []string{"Authorization", "Bearer "}, 401, invalid + root, gone},
		{"malformed token", "POST", "/", ping, []string{"Authorization", "Bearer " + oddToken}, 401, invalid + root, gone},
		{"token of another resource", "POST", "/", ping, []string{"Authorization", "Bearer " + otherToken}, 401, invalid + root, gone},
		{"the scheme in capitals", "POST", "/", ping, []string{"Authorization", "BEARER " + aliceToken}, 200, "", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"token in the URL", "POST", "/?access_token=" + aliceToken, ping, nil, 400, `error="invalid_request", error_description="` + inURL + `", ` + root, body("invalid_request", inURL)},
		{"scope too small", "POST", "/", call("paput_delete_memos", `{"ids":["a"]}`), []string{"Authorization", "Bearer " + readerToken}, 403, small, ""},
		{"scope too small, arguments wrong", "POST", "/", call("paput_delete_memos", `{"x":1}`), []string{"Authorization", "Bearer " + readerToken}, 403, small, ""},
		{"write implies read", "POST", "/mcp", call("paput_get_categories", `{}`), []string{"Authorization", "Bearer " + bobToken}, 200, "", ""},
	}
	st := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := st.send(t, test.method, test.path, test.message, test.headers...)
			challenge := ""
			if test.challenge != "" {
				challenge = "Bearer " + test.challenge
			}
			if got := res.header.Get("WWW-Authenticate"); res.status != test.status || got != challenge {
				t.Errorf("got %d %s\nwant %d %s", res.status, got, test.status, challenge)
			}
			if test.want != "" && res.body != test.want {
				t.Errorf("got the body %s\nwant %s", res.body, test.want)
			}
		})
	}
	t.Run("two tokens", func(t *testing.T) {
		t.Parallel()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, st.url, strings.NewReader(ping))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"] = []string{"Bearer " + aliceToken, "Bearer " + bobToken}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		want := `Bearer error="invalid_request", error_description="send one Authorization header", ` + root
		if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != http.StatusBadRequest || got != want {
			t.Errorf("got %d %s\nwant 400 %s", res.StatusCode, got, want)
		}
	})
	t.Run("tokens cannot be checked", func(t *testing.T) {
		t.Parallel()
		res := start(t).send(t, "POST", "/", ping, "Authorization", "Bearer "+brokenToken)
		want := rpcFailure("null", -32603, "Paput cannot check tokens right now. Try again in a moment (error err_1).")
		if res.status != 503 || res.header.Get("Retry-After") == "" || res.body != want {
			t.Errorf("got %d %s, want 503 %s", res.status, res.body, want)
		}
	})
}

func TestRequestsRefused(t *testing.T) {
	t.Parallel()
	const deep = 20_000
	tests := []struct {
		name, method, path, message string
		headers                     []string
		status                      int
		want                        string
	}{
		{"another path", "POST", "/mcpx", ping, nil, 404, "404 page not found\n"},
		{"GET", "GET", "/", "", nil, 405, rpcFailure("null", -32600, "send messages by POST")},
		{"DELETE", "DELETE", "/mcp", "", nil, 405, rpcFailure("null", -32600, "send messages by POST")},
		{"text", "POST", "/", ping, []string{"Content-Type", "text/plain"}, 415, rpcFailure("null", -32600, "the Content-Type must be application/json")},
		{"no type", "POST", "/", ping, []string{"Content-Type", ""}, 415, rpcFailure("null", -32600, "the Content-Type must be application/json")},
		{"too large", "POST", "/", ping + strings.Repeat(" ", 5<<20), nil, 413, rpcFailure("null", -32600, "a message may have at most 5242880 bytes")},
		{"as large as may be", "POST", "/", ping + strings.Repeat(" ", 5<<20-len(ping)), nil, 200, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"no JSON", "POST", "/", `{"jsonrpc":`, nil, 400, rpcFailure("null", -32700, "the body is not JSON")},
		{"empty", "POST", "/", ``, nil, 400, rpcFailure("null", -32700, "the body is not JSON")},
		{"not UTF-8", "POST", "/", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", nil, 400, rpcFailure("null", -32700, "the body is not JSON")},
		{"nested without end", "POST", "/", strings.Repeat("[", deep) + strings.Repeat("]", deep), nil, 400, rpcFailure("null", -32700, "the body is not JSON")},
		{"a batch", "POST", "/", "[" + ping + "]", nil, 400, rpcFailure("null", -32600, "batches are not supported: send one message in each request")},
		{"a word", "POST", "/", `true`, nil, 400, rpcFailure("null", -32600, "the body is not a JSON-RPC message")},
		{"another version", "POST", "/", `{"jsonrpc":"1.0","id":"a","method":"ping"}`, nil, 400, rpcFailure(`"a"`, -32600, "jsonrpc must be \"2.0\"")},
		{"no method", "POST", "/", `{"jsonrpc":"2.0","id":1}`, nil, 400, rpcFailure("1", -32600, "method must be a string")},
		{"id null", "POST", "/", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, nil, 400, rpcFailure("null", -32600, "id must be a string or a number, not null")},
		{"id twice", "POST", "/", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, nil, 400, rpcFailure("1", -32600, "id is given twice")},
		{"params are a list", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, nil, 400, rpcFailure("1", -32602, "params must be an object, not a list")},
		{"_meta is a string", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":""}}`, nil, 400, rpcFailure("1", -32602, "_meta must be an object, not a string")},
		{"no tool", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, nil, 400, rpcFailure("1", -32602, "params.name must be a string, the name of a tool")},
		{"arguments are a string", "POST", "/", call("paput_search_memo", `"query"`), nil, 400, rpcFailure("7", -32602, "params.arguments must be an object, not a string")},
		{"unknown tool", "POST", "/", call("paput_drop_tables", `{}`), nil, 200, rpcFailure("7", -32602, `there is no tool "paput_drop_tables"`)},
		{"unknown method", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"memos/list"}`, nil, 200, rpcFailure("1", -32601, "Method memos/list not found")},
		{"smuggled method", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{}}`, nil, 200, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"no log", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`, nil, 200, rpcFailure("1", -32601, "logging not supported")},
		{"a cursor", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"?"}}`, nil, 200, rpcFailure("1", -32602, "the list has one page: leave the cursor out")},
		{"initialize of the wrong shape", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":5}}`, nil, 200, rpcFailure("1", -32602, "the params of initialize have the wrong shape")},
		{"unknown old version", "POST", "/", ping, []string{"Mcp-Protocol-Version", "2020-01-01"}, 400,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"protocol version \"2020-01-01\" is not supported","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"2020-01-01"}}}`},
	}
	st := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := st.send(t, test.method, test.path, test.message, test.headers...)
			if res.status != test.status || res.body != test.want {
				t.Errorf("got %d %s\nwant %d %s", res.status, res.body, test.status, test.want)
			}
			if test.status == 405 && res.header.Get("Allow") != "POST, OPTIONS" {
				t.Errorf("got Allow: %q, want POST, OPTIONS", res.header.Get("Allow"))
			}
		})
	}
}

func TestLengthOfABody(t *testing.T) {
	t.Parallel()
	s := newServer(t, &far{}, io.Discard)
	h, err := s.Handler(mcp.HTTPConfig{PublicURL: "http://localhost:8080", MaxBody: 100})
	if err != nil {
		t.Fatal(err)
	}
	post := func(body io.Reader, length int64) int {
		r := httptest.NewRequest(http.MethodPost, "http://localhost:8080/", body)
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+aliceToken)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := post(iotest.ErrReader(errors.New("it was read")), 101); got != 413 {
		t.Errorf("a length that is too large: got %d, want 413 before the body is read", got)
	}
	if got := post(strings.NewReader(ping+strings.Repeat(" ", 100)), -1); got != 413 {
		t.Errorf("no length and too large: got %d, want 413", got)
	}
	if got := post(strings.NewReader(ping), -1); got != 200 {
		t.Errorf("no length: got %d, want 200", got)
	}
	if got := post(iotest.ErrReader(errors.New("it broke")), 50); got != 400 {
		t.Errorf("a body that breaks off: got %d, want 400", got)
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	st := start(t)
	for _, id := range []string{`1`, `-0`, `9007199254740993`, `1e3`, `1.50`, `"a\u0062"`, `""`} {
		res := st.send(t, "POST", "/", `{"method":"ping", "id":`+id+` ,"jsonrpc":"2.0","extra":{"id":2}}`)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"result":{}}`; res.status != 200 || res.body != want {
			t.Errorf("got %d %s, want %s", res.status, res.body, want)
		}
		res = st.send(t, "POST", "/", `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"paput_get_categories"}}`)
		if !strings.HasPrefix(res.body, `{"jsonrpc":"2.0","id":`+id+`,"result":{"content"`) {
			t.Errorf("got %s, want the id %s", res.body, id)
		}
	}
	for _, note := range []string{
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`,
		`{"jsonrpc":"2.0","method":"notifications/of/nothing"}`, `{"jsonrpc":"2.0","id":3,"result":{}}`, `{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"no"}}`,
	} {
		if res := st.send(t, "POST", "/", note); res.status != 202 || res.body != "" {
			t.Errorf("%s: got %d %s, want 202 and nothing", note, res.status, res.body)
		}
	}
	accepts := map[string]string{
		"": "application/json", "*/*": "application/json", "text/html": "application/json", "application/*": "application/json",
		"application/json;q=0.5, text/event-stream": "application/json", "Text/Event-Stream": "text/event-stream",
	}
	for accept, want := range accepts {
		res := st.send(t, "POST", "/", ping, "Accept", accept)
		if got := res.header.Get("Content-Type"); got != want {
			t.Errorf("Accept: %s: got %s, want %s", accept, got, want)
		}
		if want == "text/event-stream" && res.body != "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n" {
			t.Errorf("got the stream %q", res.body)
		}
	}
}

func TestHostsAndOrigins(t *testing.T) {
	t.Parallel()
	loopback := start(t)
	public := start(t, func(c *mcp.HTTPConfig) {
		c.PublicURL = "https://mcp.example.com/"
		c.Hosts = []string{"paput:8080"}
		c.Origins = []string{"https://inspector.example.com/"}
	})
	tests := []struct {
		st           *site
		host, origin string
		status       int
	}{
		{loopback, "localhost:8080", "", 200},
		{loopback, "127.0.0.1:9999", "", 200},
		{loopback, "[::1]:8080", "", 200},
		{loopback, "LOCALHOST", "", 200},
		{loopback, "evil.example", "", 403},
		{loopback, "localhost.evil.example:8080", "", 403},
		{loopback, "localhost:8080", "http://localhost:6274", 200},
		{loopback, "localhost:8080", "http://127.0.0.1", 200},
		{loopback, "localhost:8080", "https://evil.example", 403},
		{loopback, "localhost:8080", "http://localhost.evil.example", 403},
		{loopback, "localhost:8080", "http://localhost@evil.example", 403},
		{loopback, "localhost:8080", "null", 403},
		{public, "mcp.example.com", "", 401},
		{public, "mcp.example.com:443", "", 401},
		{public, "MCP.example.com", "https://mcp.example.com", 401},
		{public, "paput:8080", "https://inspector.example.com", 401},
		{public, "mcp.example.com:8443", "", 403},
		{public, "localhost:8080", "", 403},
		{public, "mcp.example.com", "http://mcp.example.com", 403},
		{public, "mcp.example.com", "http://localhost:6274", 403},
		{public, "mcp.example.com", "https://sub.mcp.example.com", 403},
	}
	for _, test := range tests {
		res := test.st.send(t, "POST", "/", ping, "Host", test.host, "Origin", test.origin)
		if res.status != test.status {
			t.Errorf("Host %s, Origin %s: got %d %s, want %d", test.host, test.origin, res.status, res.body, test.status)
		}
		allowed := res.header.Get("Access-Control-Allow-Origin")
		if want := test.origin; res.status != 403 && allowed != want || res.status == 403 && allowed != "" {
			t.Errorf("Host %s, Origin %s: got Access-Control-Allow-Origin %q", test.host, test.origin, allowed)
		}
		if res.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	st := start(t)
	res := st.send(t, "OPTIONS", "/mcp", "", "Authorization", "", "Origin", "http://localhost:6274",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,mcp-method,mcp-param-region,x-evil")
	want := map[string]string{
		"Access-Control-Allow-Origin":   "http://localhost:6274",
		"Access-Control-Allow-Methods":  "POST, OPTIONS",
		"Access-Control-Allow-Headers":  "Authorization, Content-Type, Accept, Last-Event-Id, X-Paput-Project-Alias, Mcp-Method, Mcp-Param-Region",
		"Access-Control-Expose-Headers": "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, Retry-After",
		"Vary":                          "Origin",
	}
	for name, value := range want {
		if got := res.header.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	if res.status != 204 {
		t.Errorf("got %d, want 204", res.status)
	}
	if res := st.send(t, "OPTIONS", "/", "", "Authorization", "", "Origin", "https://evil.example"); res.status != 403 {
		t.Errorf("a foreign page: got %d, want 403", res.status)
	}
}

func TestMetadataOfAPath(t *testing.T) {
	t.Parallel()
	st := start(t, func(c *mcp.HTTPConfig) { c.PublicURL = "http://localhost:8080/paput/" })
	for path, want := range map[string]string{
		"/paput": "/paput", "/paput/": "/paput/", "/paput/mcp": "/paput/mcp", "/": "", "/mcp": "",
	} {
		res := st.send(t, "POST", path, ping, "Authorization", "")
		want401 := `resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource` + want + `",`
		if got := res.header.Get("WWW-Authenticate"); want != "" && !strings.Contains(got, want401) || want == "" && res.status != 404 {
			t.Errorf("%s: got %d %s, want %s", path, res.status, got, want)
		}
	}
}
