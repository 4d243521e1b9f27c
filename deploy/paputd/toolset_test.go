package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestToolsets follows a client to the addresses of parts of the tools: each has metadata, tokens and tools of its own.
func TestToolsets(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	aiko := newVisitor(server)
	client, err := aiko.Register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(path, token, message string) answered {
		return server.ask(t, "127.0.0.1", http.MethodPost, path, message, "Content-Type", asJSON, "Accept", asJSON, "Authorization", "Bearer "+token)
	}
	all := logIn(t, aiko, "paput.read", "paput.write")
	for _, test := range []struct {
		path, scopes string
		has, lacks   []string
	}{
		{"/mcp/readonly", "paput.read", []string{"paput_search_memo", "paput_get_note", "paput_get_capture_policy"}, []string{"paput_create_memos", "paput_update_note"}},
		{"/mcp/x/memos", "paput.read paput.write", []string{"paput_search_memo", "paput_create_memos"}, []string{"paput_get_note", "paput_get_capture_policy"}},
		{"/mcp/x/notes", "paput.read paput.write", []string{"paput_search_memo", "paput_create_note"}, []string{"paput_create_memos"}},
		{"/mcp/x/capture", "paput.read paput.write", []string{"paput_search_memo", "paput_add_knowledge_candidates"}, []string{"paput_delete_memos"}},
	} {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			stranger := server.ask(t, "127.0.0.1", http.MethodPost, test.path, ping, "Content-Type", asJSON)
			document := server.url + "/.well-known/oauth-protected-resource" + test.path
			if challenge := stranger.header.Get("WWW-Authenticate"); stranger.status != http.StatusUnauthorized ||
				challenge != `Bearer resource_metadata="`+document+`", scope="`+test.scopes+`"` {
				t.Errorf("got %d %s", stranger.status, challenge)
			}
			var about struct {
				Resource string   `json:"resource"`
				Scopes   []string `json:"scopes_supported"`
			}
			_, body := knock(t, http.MethodGet, document, "")
			if err := json.Unmarshal([]byte(body), &about); err != nil || about.Resource != server.url+test.path || strings.Join(about.Scopes, " ") != test.scopes {
				t.Errorf("got %s (%v)", body, err)
			}
			token, err := aiko.Grant(t.Context(), client, about.Resource, about.Scopes...)
			if err != nil {
				t.Fatal(err)
			}
			if got := send("/mcp", token.Access, ping); got.status != http.StatusUnauthorized {
				t.Errorf("its token at /mcp: got %d %s, want 401", got.status, got.body)
			}
			for _, bearer := range []string{token.Access, all} {
				var list struct {
					Result struct{ Tools []struct{ Name string } }
				}
				got := send(test.path, bearer, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
				if err := json.Unmarshal([]byte(got.body), &list); err != nil {
					t.Fatalf("got %d %s", got.status, got.body)
				}
				var names []string
				for _, tool := range list.Result.Tools {
					names = append(names, tool.Name)
				}
				for _, name := range test.has {
					if !slices.Contains(names, name) {
						t.Errorf("%s is not in %v", name, names)
					}
				}
				for _, name := range test.lacks {
					call := send(test.path, bearer, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":{}}}`)
					if slices.Contains(names, name) || !strings.Contains(call.body, `"code":-32602,"message":"there is no tool \"`+name+`\""`) {
						t.Errorf("%s is in %v, or can be called: %s", name, names, call.body)
					}
				}
			}
			if got := send(test.path, token.Access, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"paput_search_memo","arguments":{}}}`); !strings.Contains(got.body, `"structuredContent"`) {
				t.Errorf("a search: got %s", got.body)
			}
		})
	}
	if got := server.ask(t, "127.0.0.1", http.MethodPost, "/mcp/x/nothing", ping, "Content-Type", asJSON); got.status != http.StatusNotFound {
		t.Errorf("no such set: got %d, want 404", got.status)
	}
	// A token for the memos is none for the notes.
	memos, err := aiko.Grant(t.Context(), client, server.url+"/mcp/x/memos", "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	if got := send("/mcp/x/notes", memos.Access, ping); got.status != http.StatusUnauthorized {
		t.Errorf("a token of another set: got %d, want 401", got.status)
	}
}
