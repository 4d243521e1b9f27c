package main

import (
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
