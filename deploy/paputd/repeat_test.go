package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

// rawCall posts JSON to an RPC and returns the status and the very bytes of the answer.
func (r *running) rawCall(t *testing.T, token, method, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/paput.memo.v1.MemoService/"+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// callRefused calls a tool that must fail, and returns all that was answered.
func (r *running) callRefused(t *testing.T, token, tool, arguments string) string {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
	_, said := knock(t, http.MethodPost, r.url, body, "Content-Type", "application/json", "Accept", "application/json, text/event-stream",
		"MCP-Protocol-Version", "2025-11-25", "Authorization", "Bearer "+token)
	if !strings.Contains(said, `"isError":true`) {
		t.Errorf("%s: got %s, want an error", tool, said)
	}
	return said
}

// TestRepeatedCalls makes calls with an idempotency key again: through the RPC and the tool, after a restart, and by others.
func TestRepeatedCalls(t *testing.T) {
	t.Parallel()
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split=%v", split), func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			server := start(t, data, split)
			aiko := newVisitor(server)
			if err := aiko.SetUp(t.Context(), server.console); err != nil {
				t.Fatal(err)
			}
			token, other := logIn(t, aiko, "paput.write"), logIn(t, aiko, "paput.write")
			const call = `{"memos":[{"title":"鍵","body":"本文"},{"title":""}],"idempotencyKey":"key 1"}`
			status, first := server.rawCall(t, token, "CreateMemos", call)
			if status != http.StatusOK || !bytes.Contains(first, []byte("title is required")) {
				t.Fatalf("got %d %s", status, first)
			}
			if _, again := server.rawCall(t, token, "CreateMemos", call); !bytes.Equal(again, first) {
				t.Errorf("again: got %s, want %s", again, first)
			}
			if _, others := server.rawCall(t, other, "CreateMemos", call); bytes.Equal(others, first) {
				t.Errorf("another grant got the same answer %s", others)
			}
			status, refused := server.rawCall(t, token, "CreateMemos", strings.Replace(call, "本文", "別", 1))
			if status != http.StatusBadRequest || !bytes.Contains(refused, []byte("idempotency_key was used for another call, CreateMemos")) {
				t.Errorf("another request: got %d %s", status, refused)
			}
			const tool = `{"memos":[{"title":"道具"}],"idempotency_key":"key 2"}`
			made := callTool(t, server.url, token, "paput_create_memos", tool)
			if again := callTool(t, server.url, token, "paput_create_memos", tool); toJSON(t, again) != toJSON(t, made) {
				t.Errorf("the tool again: got %v, want %v", again, made)
			}

			if err := server.stop(); err != nil {
				t.Fatal(err)
			}
			server = start(t, data, split, func(c *config) { c.listen = "127.0.0.1" + strings.TrimPrefix(server.url, "http://localhost") })
			if _, again := server.rawCall(t, token, "CreateMemos", call); !bytes.Equal(again, first) {
				t.Errorf("after a restart: got %s, want %s", again, first)
			}
			entries, _ := callTool(t, server.url, token, "paput_search_memo", `{}`)["entries"].([]any)
			if len(entries) != 3 {
				t.Errorf("got %d memos, want 3", len(entries))
			}
		})
	}
}

// TestServicesRepeatCalls makes a call of a service again when it has another token, which is another grant.
func TestServicesRepeatCalls(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	var all []string
	for _, a := range server.accounts(t) {
		all = append(all, a.GetId())
	}
	reports := server.service(t, &oauthv1.Client{Name: "Reports", GrantTypes: []string{"client_credentials"}, Scopes: []string{"paput.write"}, AccountIds: all})
	create := func(account string) *memov1.CreateMemosResponse {
		t.Helper()
		client := with(reports, url.Values{"account": {account}}).Client(t.Context()) // with a token of its own
		res, err := server.memosAs(client).CreateMemos(t.Context(), &memov1.CreateMemosRequest{
			Memos: []*memov1.MemoDraft{{Title: "Sales of May"}}, IdempotencyKey: "sales-2026-05",
		})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	first := create(all[0])
	if again := create(all[0]); !proto.Equal(again, first) {
		t.Errorf("with another token: got %v, want %v", again, first)
	}
	if other := create(all[1]); proto.Equal(other, first) {
		t.Errorf("for another account: got the same answer %v", other)
	}
	jobs := server.service(t, &oauthv1.Client{Name: "Jobs", GrantTypes: []string{"client_credentials"}, Scopes: []string{"paput.write"}, AccountIds: all})
	client := server.memosAs(with(jobs, url.Values{"account": {all[0]}}).Client(t.Context()))
	res, err := client.UpdateMemo(t.Context(), &memov1.UpdateMemoRequest{Id: first.GetResults()[0].GetMemo().GetId(), Title: "Sales", IdempotencyKey: "sales-2026-05"})
	if err != nil || res.GetMemo().GetRevision() != 2 {
		t.Errorf("another service: got %v, %v (%v), want the memo at revision 2", res, err, connect.CodeOf(err))
	}
}
