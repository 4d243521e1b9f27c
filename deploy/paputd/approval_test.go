package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestOnlyThePersonApproves decides so with a log-in of the person's own, and then has an assistant try, one with that very
// log-in as `paput mcp` has it among them.
func TestOnlyThePersonApproves(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	aiko := newVisitor(server)
	assistant, own := logIn(t, aiko, "paput.publish"), logIn(t, aiko, "paput.write", "paput.account")
	added := callTool(t, server.url, assistant, "paput_add_knowledge_candidates", `{"source":"codex","candidates":[{"title":"候補"}]}`)
	results, _ := added["results"].([]any)
	id, _ := results[0].(map[string]any)["id"].(string)

	status, body := server.rawCall(t, assistant, "UpdateCaptureApproval", `{"personApproves":true}`)
	if status != http.StatusForbidden || !strings.Contains(string(body), "this needs the scope paput.account") {
		t.Errorf("an assistant decides: got %d %s", status, body)
	}
	if status, body := server.rawCall(t, own, "UpdateCaptureApproval", `{"personApproves":true}`); status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	policy, _ := callTool(t, server.url, assistant, "paput_get_capture_policy", `{}`)["policy"].(map[string]any)
	if policy["person_approves"] != true {
		t.Errorf("the assistant is told the policy %v", policy)
	}
	for token, arguments := range map[string]string{
		assistant: `{"candidates":[{"id":"` + id + `"}]}`, own: `{"candidates":[{"id":"` + id + `"}]}`,
	} {
		said := server.callRefused(t, token, "paput_save_pending_candidates", arguments)
		if !strings.Contains(said, "only the person saves proposals: ask them to run paput capture approve") {
			t.Errorf("got %s", said)
		}
		said = server.callRefused(t, token, "paput_save_pending_candidates", strings.TrimSuffix(arguments, "}")+`,"by_person":true}`)
		if !strings.Contains(said, "unknown argument by_person") {
			t.Errorf("got %s", said)
		}
	}
	call := `{"candidates":[{"id":"` + id + `"}],"byPerson":true}`
	if status, body := server.rawCall(t, assistant, "SaveCandidates", call); status != http.StatusForbidden {
		t.Errorf("an assistant says that the person approves: got %d %s", status, body)
	}
	if status, body := server.rawCall(t, own, "SaveCandidates", call); status != http.StatusOK || !strings.Contains(string(body), "memo_") {
		t.Errorf("the person approves: got %d %s", status, body)
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		if _, said := knock(t, http.MethodGet, server.url+path, ""); strings.Contains(said, "paput.account") || !strings.Contains(said, "paput.write") {
			t.Errorf("%s offers the scopes in %s", path, said)
		}
	}
	refused, _ := knock(t, http.MethodPost, server.url+"/mcp", pingMessage)
	if got := parseChallenge(t, refused.Header)["scope"]; strings.Contains(got, "paput.account") || got == "" {
		t.Errorf("the challenge asks for %q", got)
	}
}
