package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// ask sends a request of either era and returns its answer.
func ask(t *testing.T, st *site, modern bool, token, method, params string) reply {
	t.Helper()
	if !modern {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, method, params)
		return st.send(t, "POST", "/mcp", body, "Authorization", "Bearer "+token)
	}
	var named struct{ Name, URI string }
	if err := json.Unmarshal([]byte("{"+params+"}"), &named); err != nil {
		t.Fatal(err)
	}
	if params != "" {
		params += ","
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, params, modernMeta)
	headers := []string{"Authorization", "Bearer " + token, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method}
	if name := named.Name + named.URI; name != "" {
		headers = append(headers, "Mcp-Name", name)
	}
	return st.send(t, "POST", "/mcp", body, headers...)
}

func TestResources(t *testing.T) {
	t.Parallel()
	const (
		absent = `"message":"there is no such resource","data":{"uri":"%s"}}}`
		memo   = "---\\nid: memo_1\\ntitle: \\\"t\\\"\\ndeleted: "
	)
	tests := []struct {
		name, token, uri string
		status           int
		// want is in the answers of both eras, legacy and modern in one of them.
		want, legacy, modern string
	}{
		{"a memo", aliceToken, "memo://memo_1", 200, memo, `"mimeType":"text/markdown"`, `"ttlMs":0`},
		{"its text", aliceToken, "memo://memo_1", 200, `---\n\nfirst \"line\"\n\nthird \u003cb\u003e\n`, "", `"cacheScope":"private"`},
		{"no such memo", aliceToken, "memo://memo_x", 0, fmt.Sprintf(absent, "memo://memo_x"), `"code":-32002`, `"code":-32602`},
		{"no id", aliceToken, "memo://%20", 0, fmt.Sprintf(absent, "memo://%20"), `"code":-32002`, `"code":-32602`},
		{"another scheme", aliceToken, "file:///etc/passwd", 0, fmt.Sprintf(absent, "file:///etc/passwd"), `"code":-32002`, `"code":-32602`},
		{"recent memos", aliceToken, "memo://recent", 200, `# Recent memos\n\n- [acct_alice](memo://memo_01k), 2023-11-14\n`, "", ""},
		{"recent memos of another", bobToken, "memo://recent", 200, `[acct_bob]`, "", ""},
		{"categories", readerToken, "memo://categories", 200, `# Categories\n\n- Go (2)\n`, "", ""},
		{"without the scope", captureToken, "memo://recent", 403, `"message":"this needs the scope paput.read, which the access token does not have"`, "", ""},
	}
	st := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, modern := range []bool{false, true} {
				res := ask(t, st, modern, test.token, "resources/read", fmt.Sprintf(`"uri":%q`, test.uri))
				status, want := test.status, test.legacy
				if modern {
					want = test.modern
				}
				if status == 0 {
					status = map[bool]int{false: 200, true: 400}[modern]
				}
				if res.status != status || !strings.Contains(res.body, test.want) || !strings.Contains(res.body, want) {
					t.Errorf("modern %t: got %d %s\nwant %d, %s and %s", modern, res.status, res.body, status, test.want, want)
				}
				if challenge := res.header.Get("WWW-Authenticate"); (status == 403) != strings.Contains(challenge, `scope="paput.read"`) {
					t.Errorf("got the challenge %q", challenge)
				}
			}
		})
	}
	t.Run("templates", func(t *testing.T) {
		t.Parallel()
		if res := ask(t, st, true, aliceToken, "resources/templates/list", ""); !strings.Contains(res.body, `"uriTemplate":"memo://{id}"`) {
			t.Errorf("got %s", res.body)
		}
	})
	t.Run("revoked meanwhile", func(t *testing.T) {
		t.Parallel()
		st := start(t)
		close(st.revoked)
		if res := ask(t, st, false, aliceToken, "resources/read", `"uri":"memo://recent"`); res.status != 401 {
			t.Errorf("got %d, want 401", res.status)
		}
	})
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	prompt := func(name, argument, value string) string {
		return fmt.Sprintf(`"ref":{"type":"ref/prompt","name":%q},"argument":{"name":%q,"value":%q}`, name, argument, value)
	}
	memo := func(value string) string {
		return fmt.Sprintf(`"ref":{"type":"ref/resource","uri":"memo://{id}"},"argument":{"name":"id","value":%q}`, value)
	}
	tests := []struct{ name, token, params, want string }{
		{"words of a title", aliceToken, memo("full"), `{"values":["memo_01k",""]`},
		{"the beginning of an id", aliceToken, memo("memo_0"), `{"values":["memo_01k"]`},
		{"of another id", aliceToken, memo("memo_9"), `{"values":[]`},
		{"nothing found", aliceToken, memo("nothing"), `{"values":[]`},
		{"a category", aliceToken, prompt("weekly_digest", "category", "g"), `{"values":["Go"],"total":1}`},
		{"another category", aliceToken, prompt("weekly_digest", "category", "x"), `{"values":[]`},
		{"a project", aliceToken, prompt("recall_before_deciding", "project", ""), `{"values":[]`},
		{"a topic", bobToken, prompt("recall_before_deciding", "topic", "auth"), `{"values":["acct_bob "]`},
		{"what cannot be completed", aliceToken, prompt("weekly_digest", "days", "7"), `{"values":[]`},
		{"another template", aliceToken, `"ref":{"type":"ref/resource","uri":"file://{id}"},"argument":{"name":"id","value":""}`, `"code":-32602`},
		{"without the scope", captureToken, memo("a"), `this needs the scope paput.read`},
	}
	st := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, modern := range []bool{false, true} {
				if res := ask(t, st, modern, test.token, "completion/complete", test.params); !strings.Contains(res.body, test.want) {
					t.Errorf("modern %t: got %s, want in it %s", modern, res.body, test.want)
				}
			}
		})
	}
}

// TestPrompts checks that each prompt says what was filled in and names tools that exist.
func TestPrompts(t *testing.T) {
	t.Parallel()
	st := start(t)
	tools := listedTools(t, st)
	var list struct {
		Result struct {
			Prompts []struct {
				Name, Title, Description string
				Arguments                []struct {
					Name, Description string
					Required          bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(ask(t, st, true, aliceToken, "prompts/list", "").body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Result.Prompts) != 4 {
		t.Errorf("got %d prompts, want 4", len(list.Result.Prompts))
	}
	for _, p := range list.Result.Prompts {
		if p.Title == "" || p.Description == "" {
			t.Errorf("%s has no title or description", p.Name)
		}
		filled := map[string]string{}
		for _, a := range p.Arguments {
			if filled[a.Name] = "文 \"" + a.Name + "\""; a.Description == "" {
				t.Errorf("%s: %s has no description", p.Name, a.Name)
			}
		}
		for _, arguments := range []map[string]string{filled, {"topic": "文 \"topic\""}} {
			params, err := json.Marshal(map[string]any{"name": p.Name, "arguments": arguments})
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Result struct {
					Messages []struct {
						Role    string
						Content struct{ Type, Text string }
					}
				}
			}
			res := ask(t, st, false, aliceToken, "prompts/get", string(params[1:len(params)-1]))
			if err := json.Unmarshal([]byte(res.body), &got); err != nil || len(got.Result.Messages) != 1 {
				t.Fatalf("got %s", res.body)
			}
			text := got.Result.Messages[0].Content.Text
			for _, a := range p.Arguments {
				if said := strings.Contains(text, a.Name+`"`) || strings.Contains(text, a.Name+`\"`); said != (arguments[a.Name] != "") {
					t.Errorf("%s says %s: %t\n%s", p.Name, a.Name, said, text)
				}
			}
			for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
				if strings.HasPrefix(word, "paput_") && !tools[word] {
					t.Errorf("%s names the tool %s, which there is not", p.Name, word)
				}
			}
		}
	}
	for params, want := range map[string]string{
		`"name":"recall_before_deciding"`:                           `"code":-32602,"message":"the argument topic is needed: What is to be decided or done."`,
		`"name":"recall_before_deciding","arguments":{"topic":" "}`: `"code":-32602`,
		`"name":"weekly_digest","arguments":{"days":7}`:             `"code":-32602`,
		`"name":"nothing"`: `"code":-32602`,
		`"name":"weekly_digest","arguments":{"days":"` + strings.Repeat("x", 5000) + `"}`: `"code":-32602,"message":"the argument days has 5000 bytes, at most 4096"`,
	} {
		if res := ask(t, st, true, aliceToken, "prompts/get", params); res.status != 400 || !strings.Contains(res.body, want) {
			t.Errorf("%.60s: got %d %s, want %s", params, res.status, res.body, want)
		}
	}
}

// listedTools are the names of all tools.
func listedTools(t *testing.T, st *site) map[string]bool {
	t.Helper()
	var list struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(st.send(t, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).body), &list); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, tool := range list.Result.Tools {
		names[tool.Name] = true
	}
	return names
}
