package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/oauth2"

	"github.com/paput/paput/deploy/visitor"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// way is a way to the RPCs of a server.
type way struct {
	name    string
	http    http.RoundTripper
	options []connecthttp.Option
}

func ways() []way {
	http2 := new(http.Protocols)
	http2.SetUnencryptedHTTP2(true)
	h2c := func() http.RoundTripper { return &http.Transport{Protocols: http2} }
	return []way{
		{"Connect, HTTP/1.1", &http.Transport{}, nil},
		{"Connect, HTTP/2", h2c(), nil},
		{"Connect in JSON, HTTP/1.1", &http.Transport{}, []connecthttp.Option{connecthttp.WithProtoJSON()}},
		{"gRPC, HTTP/2", h2c(), []connecthttp.Option{connecthttp.WithGRPC()}},
		{"gRPC-Web, HTTP/1.1", &http.Transport{}, []connecthttp.Option{connecthttp.WithGRPCWeb()}},
		{"gRPC-Web, HTTP/2", h2c(), []connecthttp.Option{connecthttp.WithGRPCWeb()}},
	}
}

// memosBy gives a client that presents a token on this way.
func (r *running) memosBy(w way, token string) memov1connect.MemoServiceClient {
	base := &oauth2.Transport{Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}), Base: w.http}
	return r.memosAs(&http.Client{Transport: base}, w.options...)
}

// settled returns the person who has made the first account.
func (r *running) settled(t *testing.T) *visitor.Visitor {
	t.Helper()
	v := newVisitor(r)
	if err := v.SetUp(t.Context(), r.console); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWatchOverEveryProtocol sees a change come, on a connection that lives longer than a request or an answer may take, and the
// stream end with its grant.
func TestWatchOverEveryProtocol(t *testing.T) {
	t.Parallel()
	const bound = 2 * time.Second // to sign in takes a while
	server := start(t, t.TempDir(), false, func(c *config) { c.readTime, c.writeTime = bound, bound })
	v := server.settled(t)
	writer := server.memosBy(ways()[0], logIn(t, v, "paput.write"))
	for _, w := range ways() {
		token, err := v.LogIn(t.Context(), "paput.read")
		if err != nil {
			t.Fatal(err)
		}
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			memos := server.memosBy(w, token.Access)
			stream, err := memos.WatchMemos(t.Context(), &memov1.WatchMemosRequest{NewOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			first, err := stream.Receive()
			if err != nil || first.GetChange() != nil {
				t.Fatalf("got %v, %v, want nothing new", first, err)
			}
			time.Sleep(bound + bound/2)
			if _, err := writer.CreateMemos(t.Context(), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{Title: w.name}}}); err != nil {
				t.Fatal(err)
			}
			for title := ""; title != w.name; {
				m, err := stream.Receive()
				if err != nil {
					t.Fatalf("got %v, want the memo", err)
				}
				title = m.GetMemo().GetTitle()
			}
			form := url.Values{"token": {token.Refresh}, "client_id": {token.ClientID}}.Encode()
			if r := server.ask(t, "127.0.0.1", http.MethodPost, "/revoke", form, "Content-Type", asForm); r.status != http.StatusOK {
				t.Fatalf("revoke: got %d %s", r.status, r.body)
			}
			began := time.Now()
			for err == nil {
				_, err = stream.Receive() // the others write too
			}
			if connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("the grant was revoked: got %v, want unauthenticated", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the stream of a revoked grant ended after %s", took)
			}

			refused, err := memos.WatchMemos(t.Context(), &memov1.WatchMemosRequest{})
			if err == nil {
				_, err = refused.Receive()
			}
			if connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("again: got %v, want unauthenticated", err)
			}
		})
	}
}

// TestWatchErrors asks for what cannot be, on every way.
func TestWatchErrors(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	token := logIn(t, server.settled(t), "paput.read")
	clients := map[string]memov1connect.MemoServiceClient{}
	for _, w := range ways() {
		clients[w.name] = server.memosBy(w, token)
	}
	for name, memos := range clients {
		for after, want := range map[string]connect.Code{
			"1000000-abcdefabcdef":   connect.CodeOutOfRange,
			"x":                      connect.CodeInvalidArgument,
			strings.Repeat("1", 101): connect.CodeInvalidArgument,
		} {
			stream, err := memos.WatchMemos(t.Context(), &memov1.WatchMemosRequest{After: after})
			if err == nil {
				_, err = stream.Receive()
			}
			if connect.CodeOf(err) != want {
				t.Errorf("%s, after %.20s: got %v, want %v", name, after, err, want)
			}
		}
	}
}

// TestStopEndsStreams stops a server that is being watched on every way.
func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	token := logIn(t, server.settled(t), "paput.read")
	ended := make(chan error)
	for _, w := range ways() {
		stream, err := server.memosBy(w, token).WatchMemos(t.Context(), &memov1.WatchMemosRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Receive(); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := stream.Receive()
			ended <- err
		}()
	}
	began := time.Now()
	if err := server.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= drainTime {
		t.Errorf("stopping took %s, want no waiting for streams", took)
	}
	for range ways() {
		if err := <-ended; connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "connect again") {
			t.Errorf("got %v, want unavailable", err)
		}
	}
}
