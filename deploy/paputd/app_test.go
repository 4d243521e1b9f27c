package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/paput/paput/deploy/visitor"
	healthv1 "github.com/paput/paput/proto/gen/grpc/health/v1"
	"github.com/paput/paput/proto/gen/grpc/health/v1/healthv1connect"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// running is a paputd in this process, seen from outside: by its address and what it prints.
type running struct {
	url     string
	console string
	stop    func() error
	logs    func() string
	app     *app
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs the whole program on free ports and stops it when the test ends.
func start(t *testing.T, data string, split bool, change ...func(*config)) *running {
	t.Helper()
	cfg := config{
		listen: "127.0.0.1:0", data: data, natsListen: "127.0.0.1:0", logFormat: "text",
		accessTTL: 15 * time.Minute, split: split,
	}
	for _, f := range change {
		f(&cfg)
	}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	var logs lockedBuffer
	a, err := newApp(t.Context(), cfg, slog.New(slog.NewTextHandler(&logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	greeted := make(chan string, 1)
	go func() {
		done <- a.run(ctx, func(ctx context.Context) error {
			var console strings.Builder
			err := a.greet(ctx, &console)
			greeted <- console.String()
			return err
		})
	}()
	r := &running{url: a.cfg.publicURL, logs: logs.String, app: a}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop: got %v, want nil", err)
		}
		if t.Failed() {
			t.Logf("server log:\n%s", logs.String())
		}
	})
	select {
	case r.console = <-greeted:
	case err := <-done:
		t.Fatalf("the server ended: %v", err)
	}
	return r
}

// newVisitor returns the person whom these tests are about.
func newVisitor(server *running) *visitor.Visitor {
	return visitor.New(server.url, "aiko@example.com", "correct horse battery")
}

func logIn(t *testing.T, v *visitor.Visitor, scopes ...string) (accessToken string) {
	t.Helper()
	token, err := v.LogIn(t.Context(), scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return token.Access
}

// callTool calls a tool in the legacy era and returns its structured content.
func callTool(t *testing.T, endpoint, token, tool, arguments string) map[string]any {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", "2025-11-25")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	var reply struct {
		Result struct {
			IsError           bool           `json:"isError"`
			StructuredContent map[string]any `json:"structuredContent"`
		} `json:"result"`
	}
	if i := bytes.Index(answer, []byte("data: ")); i >= 0 {
		answer = answer[i+len("data: "):]
	}
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(&reply); err != nil || reply.Result.IsError || reply.Result.StructuredContent == nil {
		t.Fatalf("%s: got status %d, %v: %s", tool, res.StatusCode, err, answer)
	}
	return reply.Result.StructuredContent
}

// TestWriteAndReadBack goes from an empty directory to a memo read back through each door, in process and split.
func TestWriteAndReadBack(t *testing.T) {
	t.Parallel()
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split=%v", split), func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			server := start(t, data, split)
			aiko := newVisitor(server)
			if err := aiko.SetUp(t.Context(), server.console); err != nil {
				t.Fatal(err)
			}
			token := logIn(t, aiko, "paput.read", "paput.write")

			for _, endpoint := range []string{server.url, server.url + "/mcp"} {
				callTool(t, endpoint, token, "paput_create_memos", `{"memos":[{"title":"認証の方針","body":"トークンは不透明にする。\n\nBecause a leak is then revocable."}]}`)
			}
			found := callTool(t, server.url, token, "paput_search_memo", `{"query":"不透明"}`)
			entries, _ := found["entries"].([]any)
			if len(entries) != 2 {
				t.Fatalf("got %v, want 2 entries", found)
			}

			client := memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, server.url)))
			ctx, info := connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Authorization", "Bearer "+token)
			id, _ := entries[0].(map[string]any)["id"].(string)
			res, err := client.SearchMemos(ctx, &memov1.SearchMemosRequest{Ids: []string{id}})
			if err != nil || len(res.GetMemos()) != 1 || !strings.Contains(res.GetMemos()[0].GetBody(), "Because a leak") {
				t.Fatalf("got %v, %v, want the memo with its body", res, err)
			}

			if err := server.stop(); err != nil {
				t.Fatalf("stop: got %v, want nil", err)
			}
			again := start(t, data, split)
			if strings.Contains(again.console, "/setup") {
				t.Errorf("got a set-up link although there is an account:\n%s", again.console)
			}
			found = callTool(t, again.url, logIn(t, newVisitor(again), "paput.read"), "paput_search_memo", `{"query":"revocable"}`)
			if entries, _ := found["entries"].([]any); len(entries) != 2 {
				t.Errorf("after a restart: got %v, want 2 entries", found)
			}
		})
	}
}

func TestSecondServerOnTheSameDirectory(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	start(t, data, false)
	cfg := config{listen: "127.0.0.1:0", data: data, natsListen: "127.0.0.1:0", logFormat: "text", accessTTL: time.Hour}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	_, err := newApp(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if !errors.Is(err, errInUse) {
		t.Errorf("got %v, want %v", err, errInUse)
	}
}

// TestDirectoryOfNoUse sees to it that a directory that cannot serve is refused before anything is said to run.
func TestDirectoryOfNoUse(t *testing.T) {
	t.Parallel()
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "paput.db"), bytes.Repeat([]byte("no database "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{
		filepath.Join(t.TempDir(), strings.Repeat("d", 120)): "is too long for a socket; choose a shorter directory with --data",
		damaged: "the event log cannot be used: open " + filepath.Join(damaged, "paput.db") + ": file is not a database",
	} {
		cfg := config{listen: "127.0.0.1:0", data: data, natsListen: "127.0.0.1:0", logFormat: "text", accessTTL: time.Hour}
		if err := cfg.check(); err != nil {
			t.Fatal(err)
		}
		if _, err := newApp(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRebuildMakesNoDirectory(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "mistyped")
	cmd := rebuildCommand()
	cmd.SetArgs([]string{"--data", data})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no data directory "+data) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

// awaitReady waits until the server can do all of its work: it answers before it has looked at JetStream.
func (r *running) awaitReady(t *testing.T) {
	t.Helper()
	for range 500 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server does not get ready")
}

// TestSlowRequestEnds sends a body that never comes to its end.
func TestSlowRequestEnds(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false, func(c *config) { c.readTime = 100 * time.Millisecond })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.Replace(server.url, "http://localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(conn, "POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("got %v, want the server to hang up", err)
	}
}

// TestReaderThatStops asks for pages on one connection for as long as the server takes requests, and reads none.
func TestReaderThatStops(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false, func(c *config) { c.writeTime = 200 * time.Millisecond })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.Replace(server.url, "http://localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	requests := strings.Repeat("GET /assets/paput.css HTTP/1.1\r\nHost: localhost\r\n\r\n", 100)
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	for err == nil {
		_, err = io.WriteString(conn, requests)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server waits for its reader for ever")
	}
}

// TestStreamingRPCOutlivesTheBoundOnAnswers watches the server's health, which does not change, for several times as long as
// an answer may take.
func TestStreamingRPCOutlivesTheBoundOnAnswers(t *testing.T) {
	t.Parallel()
	const bound = 150 * time.Millisecond
	server := start(t, t.TempDir(), false, func(c *config) { c.writeTime = bound })
	http2 := new(http.Protocols)
	http2.SetUnencryptedHTTP2(true)
	for name, client := range map[string]*connect.Client{
		"Connect, HTTP/1.1": connect.NewClient(connecthttp.NewTransport(http.DefaultClient, server.url)),
		"gRPC, HTTP/2": connect.NewClient(connecthttp.NewTransport(
			&http.Client{Transport: &http.Transport{Protocols: http2}}, server.url, connecthttp.WithGRPC())),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 4*bound)
			defer cancel()
			stream, err := healthv1connect.NewHealthClient(client).Watch(ctx, &healthv1.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Receive(); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Receive(); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
				t.Errorf("got %v, want nothing until this side gives up", err)
			}
		})
	}
}

func TestFrontDoor(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	server.awaitReady(t)
	for _, test := range []struct {
		name, method, path, accept, language string
		wantStatus                           int
		wantHeader, wantValue                string
		wantBody                             string
	}{
		{name: "a person sees the landing page", method: "GET", path: "/", accept: "text/html", wantStatus: 200, wantBody: "claude mcp add --transport http paput " + server.url},
		{name: "in Japanese too", method: "GET", path: "/", accept: "text/html", language: "ja,en;q=0.5", wantStatus: 200, wantBody: `<html lang="ja">`},
		{name: "a program that probes is challenged", method: "GET", path: "/", accept: "*/*", wantStatus: 401, wantHeader: "WWW-Authenticate", wantValue: `Bearer resource_metadata="` + server.url + `/.well-known/oauth-protected-resource", scope="paput.read paput.write"`},
		{name: "and so is one that asks for the head", method: "HEAD", path: "/mcp", wantStatus: 401, wantHeader: "WWW-Authenticate", wantValue: `Bearer resource_metadata="` + server.url + `/.well-known/oauth-protected-resource/mcp", scope="paput.read paput.write"`},
		{name: "health", method: "GET", path: "/healthz", wantStatus: 200, wantBody: "ok"},
		{name: "readiness", method: "GET", path: "/readyz", wantStatus: 200, wantBody: "ready"},
		{name: "resource metadata", method: "GET", path: "/.well-known/oauth-protected-resource/mcp", wantStatus: 200, wantBody: `"resource":"` + server.url + `/mcp"`},
		{name: "authorization server metadata", method: "GET", path: "/.well-known/oauth-authorization-server", wantStatus: 200, wantBody: `"issuer":"` + server.url + `"`},
		{name: "the stylesheet", method: "GET", path: "/assets/paput.css", wantStatus: 200, wantHeader: "Content-Type", wantValue: "text/css; charset=utf-8"},
		{name: "no list of assets", method: "GET", path: "/assets/", wantStatus: 404},
		{name: "administration is not served here", method: "POST", path: "/paput.account.v1.AccountAdminService/ListAccounts", wantStatus: 404},
		{name: "nothing else", method: "GET", path: "/wp-login.php", wantStatus: 404, wantBody: "There is nothing at this address."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), test.method, server.url+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", test.accept)
			req.Header.Set("Accept-Language", test.language)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != test.wantStatus || !strings.Contains(string(body), test.wantBody) {
				t.Errorf("got %d %s, want %d with %q", res.StatusCode, body, test.wantStatus, test.wantBody)
			}
			if got := res.Header.Get(test.wantHeader); test.wantHeader != "" && got != test.wantValue {
				t.Errorf("got %s %q, want %q", test.wantHeader, got, test.wantValue)
			}
		})
	}
}
