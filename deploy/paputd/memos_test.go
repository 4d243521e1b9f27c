package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestMemosAsResources reads memos as resources, and completes from them, as two people.
func TestMemosAsResources(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	aiko, eve := newVisitor(server), newVisitor(server)
	eve.Email = "eve@example.com"
	tokens := map[string]string{"aiko": logIn(t, aiko, "paput.read", "paput.write"), "eve": logIn(t, eve, "paput.read", "paput.write")}
	created := callTool(t, server.url, tokens["aiko"], "paput_create_memos", `{"memos":[{"title":"Refresh tokens rotate","body":"理由: 再利用の検出","categories":["認証"],"projects":["paput"],"memo_types":["decision"]}]}`)
	id, _ := created["results"].([]any)[0].(map[string]any)["memo"].(map[string]any)["id"].(string)

	const complete = `"ref":{"type":"ref/%s"},"argument":{"name":%q,"value":%q}`
	prompt := func(argument, value string) string {
		return fmt.Sprintf(complete, `prompt","name":"recall_before_deciding`, argument, value)
	}
	tests := []struct{ method, params, aiko, eve string }{
		{
			"resources/read", `"uri":"memo://` + id + `"`,
			`---\nid: ` + id + `\ntitle: \"Refresh tokens rotate\"\ntypes:\n  - \"decision\"\ncategories:\n  - \"認証\"\nprojects:\n  - \"paput\"\ncreated: `, `"data":{"uri":"memo://` + id + `"}`,
		},
		{"resources/read", `"uri":"memo://` + id + `"`, `---\n\n理由: 再利用の検出\n"`, `"code":-32002`},
		{"resources/read", `"uri":"memo://recent"`, `[Refresh tokens rotate](memo://` + id + `)`, "There are no memos yet."},
		{"resources/read", `"uri":"memo://categories"`, `- 認証 (1)`, "There are no categories yet."},
		{"completion/complete", fmt.Sprintf(complete, `resource","uri":"memo://{id}`, "id", "rotate"), `"values":["` + id + `"]`, `"values":[]`},
		{"completion/complete", fmt.Sprintf(complete, `resource","uri":"memo://{id}`, "id", id[:12]), `"values":["` + id + `"]`, `"values":[]`},
		{"completion/complete", prompt("topic", "refresh"), `"values":["Refresh tokens rotate"]`, `"values":[]`},
		{"completion/complete", prompt("project", "pa"), `"values":["paput"]`, `"values":[]`},
		{"completion/complete", prompt("category", "認"), `"values":["認証"]`, `"values":[]`},
	}
	for _, test := range tests {
		for name, want := range map[string]string{"aiko": test.aiko, "eve": test.eve} {
			message := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, test.method, test.params)
			got := server.ask(t, "127.0.0.1", http.MethodPost, "/", message, "Content-Type", asJSON, "Accept", asJSON, "Authorization", "Bearer "+tokens[name])
			if !strings.Contains(got.body, want) {
				t.Errorf("%s: %s %s: got %s\nwant in it %s", name, test.method, test.params, got.body, want)
			}
		}
	}
}

// TestHintThroughTool shows an assistant what to try when a search finds nothing.
func TestHintThroughTool(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	token := logIn(t, newVisitor(server), "paput.read", "paput.write")
	callTool(t, server.url, token, "paput_create_memos", `{"memos":[{"title":"Refresh tokens rotate","categories":["OAuth"]}]}`)
	for arguments, want := range map[string]string{
		`{"query":"tokens","categories":["Oath"]}`:         "There is no category “Oath”; like it: “OAuth”.",
		`{"query":"tokens","memo_types":["decision"]}`:     "Without memo_types the same search finds 1 memo.",
		`{"query":"quokka"}`:                               "No memo has “quokka”: try another word for it, in Japanese or English, or a part of it.",
		`{"query":"tokens","categories":["no_such_name"]}`: "There is no category “no_such_name”: leave it out, or look at the categories of what is found without.",
	} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"paput_search_memo","arguments":%s}}`, arguments)
		got := server.ask(t, "127.0.0.1", http.MethodPost, "/", body, "Content-Type", asJSON, "Accept", asJSON, "Authorization", "Bearer "+token)
		var answer struct {
			Result struct {
				Content           []struct{ Text string }
				StructuredContent struct{ Hint string }
			}
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil || len(answer.Result.Content) != 1 {
			t.Fatalf("%s: got %s, %v", arguments, got.body, err)
		}
		if text := answer.Result.Content[0].Text; !strings.Contains(text, want) || answer.Result.StructuredContent.Hint != want {
			t.Errorf("%s: got the text %q and the hint %q, want %q in both", arguments, text, answer.Result.StructuredContent.Hint, want)
		}
	}
}

// TestResourceUpdates tells a client of a memo that changes elsewhere, and of nothing else.
func TestResourceUpdates(t *testing.T) {
	t.Parallel()
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split=%v", split), func(t *testing.T) {
			t.Parallel()
			server := startWithAccounts(t, func(c *config) { c.split = split })
			token := logIn(t, newVisitor(server), "paput.read", "paput.write")
			eve := newVisitor(server)
			eve.Email = "eve@example.com"
			eves := logIn(t, eve, "paput.write")
			create := func(token string) string {
				created := callTool(t, server.url, token, "paput_create_memos", `{"memos":[{"title":"認証","body":"1"}]}`)
				return created["results"].([]any)[0].(map[string]any)["memo"].(map[string]any)["id"].(string)
			}
			id := create(token)
			const version = "2026-07-28"
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["memo://%s"]},`+
				`"_meta":{"io.modelcontextprotocol/protocolVersion":%q,"io.modelcontextprotocol/clientCapabilities":{}}}}`, id, version)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/mcp", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"Content-Type": asJSON, "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + token,
				"MCP-Protocol-Version": version, "Mcp-Method": "subscriptions/listen",
			} {
				req.Header.Set(name, value)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			events := bufio.NewScanner(res.Body)
			next := func() string {
				for events.Scan() {
					if said, ok := strings.CutPrefix(events.Text(), "data: "); ok {
						return said
					}
				}
				return "the end"
			}
			if got := next(); !strings.Contains(got, `"resourceSubscriptions":["memo://`+id+`"]`) {
				t.Fatalf("got %s", got)
			}
			create(eves)
			create(token)
			updated := `"method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"uri":"memo://` + id + `"}`
			for _, change := range []struct{ tool, arguments string }{
				{"paput_update_memo", `{"id":"` + id + `","title":"認可"}`}, {"paput_delete_memos", `{"ids":["` + id + `"]}`},
			} {
				callTool(t, server.url, token, change.tool, change.arguments)
				if got := next(); !strings.Contains(got, updated) {
					t.Errorf("%s: got %s", change.tool, got)
				}
			}
		})
	}
}
