package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestProjectHeader puts what an app creates into the project that it is configured with.
func TestProjectHeader(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	token := logIn(t, newVisitor(server), "paput.write")
	tool := func(name, arguments string, headers ...string) answered {
		message := fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, name, arguments)
		return server.ask(t, "127.0.0.1", http.MethodPost, "/mcp", message, append(headers, "Content-Type", asJSON, "Accept", asJSON, "Authorization", "Bearer "+token)...)
	}
	tests := []struct{ name, tool, arguments, header, want string }{
		{"a memo", "paput_create_memos", `{"memos":[{"title":"one","body":"1"}]}`, "paput", `"projects":["paput"]`},
		{"a memo of a project", "paput_create_memos", `{"memos":[{"title":"two","body":"2","projects":["billing"]}]}`, "paput", `"projects":["billing","paput"]`},
		{"a memo of that project", "paput_create_memos", `{"memos":[{"title":"three","body":"3","projects":["paput"]}]}`, "paput", `"projects":["paput"]`},
		{"candidates", "paput_add_knowledge_candidates", `{"source":"other","session_id":"s","candidates":[{"title":"four","body":"4"}]}`, "abc", `"index":0,"id":"cand_`},
		{"the candidates again", "paput_list_pending_candidates", `{}`, "abc", `"projects":["abc"]`},
		{"a search is not narrowed", "paput_search_memo", `{"query":"two"}`, "abc", `"title":"two"`},
	}
	for _, test := range tests {
		if got := tool(test.tool, test.arguments, "X-PaPut-Project-Alias", test.header); got.status != http.StatusOK || !strings.Contains(got.body, test.want) {
			t.Errorf("%s: got %d %s\nwant in it %s", test.name, got.status, got.body, test.want)
		}
	}
	const wrong = `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"the header X-PaPut-Project-Alias must be one name of 3 to 40 characters, a to z and 0 to 9"}}`
	for _, alias := range []string{"ab", strings.Repeat("a", 41), "Paput", "pa-put", "認証認証", "", "abc def"} {
		if got := tool("paput_get_categories", `{}`, "X-PaPut-Project-Alias", alias); got.status != http.StatusBadRequest || got.body != wrong {
			t.Errorf("%q: got %d %s", alias, got.status, got.body)
		}
	}
}
