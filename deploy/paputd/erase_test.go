package main

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

// kept are the kinds of streams with something to redact that an erased account leaves as they are, and why.
func kept() map[string]string {
	return map[string]string{
		"grant":  "hashes of random tokens, all of them void, and the account's id: nothing of the person",
		"client": "apps are not an account's",
	}
}

// hides says whether a message has a field marked debug_redact, at any depth.
func hides(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[m.FullName()] {
		return false
	}
	seen[m.FullName()] = true
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if o, ok := f.Options().(*descriptorpb.FieldOptions); ok && o.GetDebugRedact() {
			return true
		}
		if f.Message() != nil && hides(f.Message(), seen) {
			return true
		}
	}
	return false
}

// hasWord looks for words in all files below a directory.
func hasWord(t *testing.T, dir string, words ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // the test's own
		for _, word := range words {
			if bytes.Contains(data, []byte(word)) {
				found = append(found, word+" in "+filepath.Base(path))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// as calls RPCs with an access token.
func (r *running) as(t *testing.T, token string) *http.Client {
	t.Helper()
	return oauth2.NewClient(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{}), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
}

// TestEraseAccount fills an account with something of every kind, erases it, and looks everywhere for what it was.
func TestEraseAccount(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := start(t, data, false)
	aiko := newVisitor(server)
	if err := aiko.SetUp(t.Context(), server.console); err != nil {
		t.Fatal(err)
	}
	id := server.accounts(t)[0].GetId()
	token := logIn(t, aiko, "paput.publish", "paput.read", "paput.write", "paput.capture")
	credentials := server.service(t, &oauthv1.Client{Name: "nightly", GrantTypes: []string{"client_credentials"}, Scopes: []string{"paput.read"}, AccountIds: []string{id}})
	servant := tokenOf(t, credentials)

	memos := server.memosAs(server.as(t, token))
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const word = "zyxwvut"
	created, err := memos.CreateMemos(t.Context(), &memov1.CreateMemosRequest{IdempotencyKey: "k", Memos: []*memov1.MemoDraft{{Title: "公開 " + word, Body: word}, {Title: word}}})
	must(created, err)
	public := created.GetResults()[0].GetMemo().GetId()
	must(memos.PublishMemos(t.Context(), &memov1.PublishMemosRequest{Ids: []string{public}}))
	must(memos.CreateNote(t.Context(), &memov1.CreateNoteRequest{Title: "note " + word}))
	must(memos.AddCandidates(t.Context(), &memov1.AddCandidatesRequest{Source: "codex", SessionId: word, Candidates: []*memov1.CandidateDraft{{Title: "candidate " + word}}}))
	must(memos.UpdateCapturePolicy(t.Context(), &memov1.UpdateCapturePolicyRequest{Text: proto.String("policy " + word)}))
	if got := status(t, server.url+"/m/"+public); got != http.StatusOK {
		t.Fatalf("the public memo: got %d", got)
	}
	if len(hasWord(t, data, word)) == 0 {
		t.Fatal("the word is nowhere")
	}
	// Every kind of stream that has something to redact must be in use here, so that what follows means something.
	used := map[string]bool{}
	for r, err := range server.app.events.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(r.Stream, "/")
		after := proto.Clone(r.Event)
		eventlog.Redact(after)
		used[kind] = used[kind] || !proto.Equal(after, r.Event)
	}
	for _, k := range kinds() {
		if kept()[k.Name] == "" && !used[k.Name] && hides(k.Event.ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{}) {
			t.Errorf("streams of the kind %s have something to redact, and this test makes none: make one, and see that it is erased", k.Name)
		}
	}

	// An everyday token may not erase, another person's address does not confirm it.
	modest := accountv1connect.NewAccountServiceClient(connect.NewClient(connecthttp.NewTransport(server.as(t, token), server.url)))
	if _, err := modest.EraseAccount(t.Context(), &accountv1.EraseAccountRequest{Email: aiko.Email}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("with an everyday token: got %v, want permission_denied", err)
	}
	mighty := logIn(t, aiko, "paput.account")
	own := accountv1connect.NewAccountServiceClient(connect.NewClient(connecthttp.NewTransport(server.as(t, mighty), server.url)))
	if _, err := own.EraseAccount(t.Context(), &accountv1.EraseAccountRequest{Email: "ken@example.com"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("another address: got %v, want invalid_argument", err)
	}
	if _, err := own.EraseAccount(t.Context(), &accountv1.EraseAccountRequest{Email: aiko.Email}); err != nil {
		t.Fatal(err)
	}

	// At once, everywhere.
	for name, token := range map[string]string{"the app's": token, "the one that erased": mighty, "a service's": servant} {
		if _, err := server.memosAs(server.as(t, token)).SearchMemos(t.Context(), &memov1.SearchMemosRequest{}); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%s token: got %v, want unauthenticated", name, err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := server.as(t, token).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s token at the MCP endpoint: got %d, want 401", name, res.StatusCode)
		}
	}
	if _, err := credentials.Token(t.Context()); err == nil {
		t.Error("the service still gets tokens for the account")
	}
	for _, path := range []string{"/m/" + public, "/m/" + public + ".md"} {
		if got := status(t, server.url+path); got != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, got)
		}
	}
	if got := server.accounts(t); len(got) != 0 {
		t.Errorf("the accounts are %v", got)
	}

	// Soon, for good.
	deadline := time.Now().Add(time.Minute)
	for len(server.recorded(t, "content_removed")) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the content is not removed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	gone := []string{word, aiko.Email, "公開 "}
	if got := hasWord(t, data, gone...); len(got) > 0 {
		t.Errorf("the running server has %v", got)
	}
	for r, err := range server.app.events.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(r.Stream, "/")
		after := proto.Clone(r.Event)
		eventlog.Redact(after)
		if kept()[kind] == "" && !proto.Equal(after, r.Event) {
			t.Errorf("%s version %d says something", r.Stream, r.Version)
		}
	}
	if n := len(server.recorded(t, "revoked")); n < 3 {
		t.Errorf("%d grants were revoked, want the app's, the one that erased and the service's", n)
	}
	if logs := server.logs(); strings.Contains(logs, word) || strings.Contains(logs, aiko.Email) {
		t.Errorf("the log tells of the person:\n%s", logs)
	}
	if err := server.stop(); err != nil {
		t.Fatal(err)
	}
	if got := hasWord(t, data, gone...); len(got) > 0 {
		t.Errorf("the stopped server has %v", got)
	}
}

// recorded lists the records of one case.
func (r *running) recorded(t *testing.T, name string) (records []eventlog.Record) {
	t.Helper()
	for record, err := range r.app.events.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if happened, _ := eventlog.Case(record.Event); happened == name {
			records = append(records, record)
		}
	}
	return records
}
