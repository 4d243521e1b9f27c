package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/paput/paput/edge/mcp"
)

// listen opens a stream and returns its lines.
func (st *site) listen(t *testing.T, ctx context.Context, id string) (reply, <-chan string) { //nolint:revive // t goes first in tests
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///1"]},%s}}`, id, modernMeta)
	res, err := st.try(ctx, "POST", "/", body, //nolint:bodyclose // closed below
		"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		defer res.Body.Close()
		for scanner := bufio.NewScanner(res.Body); scanner.Scan(); {
			if scanner.Text() != "" {
				lines <- scanner.Text()
			}
		}
	}()
	return reply{status: res.StatusCode, header: res.Header, protocol: res.ProtoMajor}, lines
}

// next returns the next line, "" when the stream has ended.
func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

// TestListenOutlivesTheBoundsOfTheServer takes signs of life for as long as several of the server's time-outs.
func TestListenOutlivesTheBoundsOfTheServer(t *testing.T) {
	t.Parallel()
	st := start(t)
	h, err := st.s.Handler(mcp.HTTPConfig{PublicURL: "http://localhost:8080", KeepAlive: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(h)
	web.Config.ReadTimeout, web.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(st.s.Shutdown)
	st.url = web.URL
	_, lines := st.listen(t, t.Context(), "1")
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
		if next(t, lines) == "" {
			t.Fatal("the stream has ended")
		}
	}
}

// TestStreamsOfAnAccount opens as many streams as an account may have, which leaves others theirs.
func TestStreamsOfAnAccount(t *testing.T) {
	t.Parallel()
	const most = 3
	st := start(t, func(c *mcp.HTTPConfig) { c.MaxStreams, c.KeepAlive = most, time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	var opened []<-chan string
	for range most {
		res, lines := st.listen(t, ctx, "1")
		if res.status != 200 {
			t.Fatalf("got %d, want 200", res.status)
		}
		next(t, lines)
		opened = append(opened, lines)
	}
	listen := fmt.Sprintf(`{"jsonrpc":"2.0","id":"x","method":"subscriptions/listen","params":{"notifications":{},%s}}`, modernMeta)
	headers := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}
	res := st.send(t, "POST", "/mcp", listen, headers...)
	want := rpcFailure(`"x"`, -32000, "3 streams of this account are open, and there may be no more: close one, or do without")
	if res.status != 429 || res.header.Get("Retry-After") != "3631" || res.header.Get("Content-Type") != "application/json" || res.body != want {
		t.Errorf("one more: got %d %v %s, want 429 %s", res.status, res.header, res.body, want)
	}
	if res := st.send(t, "POST", "/", ping); res.status != 200 {
		t.Errorf("a call of the same account: got %d, want 200", res.status)
	}
	other, err := st.try(ctx, "POST", "/", listen, append(headers, "Authorization", "Bearer "+bobToken)...)
	if err != nil || other.StatusCode != http.StatusOK {
		t.Fatalf("another account: got %v %v, want 200", other, err)
	}
	other.Body.Close()

	cancel()
	for _, lines := range opened {
		for range lines { //nolint:revive // to its end
		}
	}
	// The server learns of it a little later.
	for range 200 {
		res, err := st.try(t.Context(), "POST", "/", listen, headers...)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("no stream can be opened after all were closed")
}

// TestListenerThatDoesNotRead holds a stream open and leaves unread what comes, on a connection that holds nothing back: the
// signs of life, or what follows the last message of the stream.
func TestListenerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	for name, readUntil := range map[string]string{"signs of life": "data: ", "the end": `data: {"jsonrpc":"2.0","id":1,"result"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := start(t)
			h, err := st.s.Handler(mcp.HTTPConfig{
				PublicURL: "http://localhost:8080", KeepAlive: 10 * time.Millisecond, Patience: 200 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := net.Pipe()
			closed := make(chan struct{})
			web := &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					close(closed)
				}
			}}
			pipe := make(pipeListener, 1)
			pipe <- theirs
			go func() { _ = web.Serve(pipe) }()
			t.Cleanup(func() { _ = web.Close() })

			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},%s}}`, modernMeta)
			_ = ours.SetDeadline(time.Now().Add(5 * time.Second))
			fmt.Fprintf(ours, "POST / HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
				"Accept: text/event-stream\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: %d\r\n\r\n%s", aliceToken, len(body), body)
			if name == "the end" {
				time.AfterFunc(50*time.Millisecond, st.s.Shutdown)
			}
			lines := bufio.NewScanner(ours)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), readUntil) { //nolint:revive // until then
			}
			select {
			case <-closed:
			case <-time.After(5 * time.Second):
				t.Error("the connection is held open")
			}
		})
	}
}

// TestListenOverHTTP2 takes signs of life that are further apart than a client may take to read one: HTTP/2 ends a stream
// whose time is up though nothing is written.
func TestListenOverHTTP2(t *testing.T) {
	t.Parallel()
	st := start(t)
	h, err := st.s.Handler(mcp.HTTPConfig{
		PublicURL: "http://localhost:8080", KeepAlive: 900 * time.Millisecond, Patience: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(h)
	web.Config.WriteTimeout = 600 * time.Millisecond // the handshake is to take less
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(st.s.Shutdown)
	st.url, st.client = web.URL, web.Client()
	res, lines := st.listen(t, t.Context(), "1")
	if res.status != 200 || res.protocol != 2 {
		t.Fatalf("got %d over HTTP/%d", res.status, res.protocol)
	}
	for range 2 {
		for line := next(t, lines); line != ": alive"; line = next(t, lines) {
			if line == "" {
				t.Fatal("the stream has ended")
			}
		}
	}
}

// pipeListener accepts the connections sent to it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l pipeListener) Close() error   { close(l); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

func TestListen(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, ctx context.Context, st *site) <-chan string { //nolint:revive // t goes first in tests
		res, lines := st.listen(t, ctx, `"a\u0062"`)
		if res.status != 200 || res.header.Get("Content-Type") != "text/event-stream" || res.header.Get("X-Accel-Buffering") != "no" {
			t.Fatalf("got %d %v", res.status, res.header)
		}
		want := []string{"event: message", `data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a\u0062"},"notifications":{}}}`, ": alive", ": alive"}
		for _, want := range want {
			if got := next(t, lines); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		return lines
	}
	rest := func(t *testing.T, lines <-chan string) (last string) {
		for line := next(t, lines); line != ""; line = next(t, lines) {
			last = line
		}
		return last
	}
	t.Run("ends with the server", func(t *testing.T) {
		t.Parallel()
		st := start(t)
		lines := begin(t, t.Context(), st)
		st.s.Shutdown()
		st.s.Shutdown()
		want := `data: {"jsonrpc":"2.0","id":"a\u0062","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"a\u0062"}}}`
		if got := rest(t, lines); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if res := st.send(t, "POST", "/", ping); res.status != 200 {
			t.Errorf("a request after it: got %d, want 200", res.status)
		}
	})
	t.Run("ends with its token", func(t *testing.T) {
		t.Parallel()
		st := start(t)
		lines := begin(t, t.Context(), st)
		close(st.revoked)
		if got := rest(t, lines); strings.HasPrefix(got, "data") {
			t.Errorf("got %s, want the end", got)
		}
	})
	t.Run("ends with the client", func(t *testing.T) {
		t.Parallel()
		st := start(t)
		ctx, cancel := context.WithCancel(t.Context())
		lines := begin(t, ctx, st)
		cancel()
		rest(t, lines)
	})
	t.Run("is not of the handshake era", func(t *testing.T) {
		t.Parallel()
		res := start(t).send(t, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{}}}`)
		if !strings.Contains(res.body, `"code":-32601`) {
			t.Errorf("got %s, want -32601", res.body)
		}
	})
}

// TestProgress checks that every notification comes before the result, and in order.
func TestProgress(t *testing.T) {
	t.Parallel()
	const count = 20
	st := start(t)
	add := func(name string, handle func(context.Context, json.RawMessage) (string, error)) {
		t.Helper()
		if err := st.s.AddLocalTool(mcp.LocalTool{Name: name, Title: "t", Description: "d", Input: json.RawMessage(`{"type":"object"}`), Handle: handle}); err != nil {
			t.Fatal(err)
		}
	}
	add("report", func(ctx context.Context, _ json.RawMessage) (string, error) {
		for i := range count {
			err := server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", map[string]any{"progressToken": "p", "progress": i})
			if err != nil {
				return "", err
			}
		}
		return "done", nil
	})
	add("break", func(context.Context, json.RawMessage) (string, error) { panic("secret in a panic") })
	modern, headers := modernCall("report", "{}")
	for range 20 {
		for _, res := range []reply{st.send(t, "POST", "/", call("report", "{}")), st.send(t, "POST", "/", modern, headers...)} {
			events := strings.Split(strings.TrimSpace(res.body), "\n\n")
			if len(events) != count+1 || !strings.Contains(events[count], `"text":"done"`) || !strings.Contains(events[count], `"id":7`) {
				t.Fatalf("got %d events, want %d and the result:\n%s", len(events), count, res.body)
			}
			for i, event := range events[:count] {
				if !strings.Contains(event, fmt.Sprintf(`"progress":%d,`, i)) {
					t.Fatalf("event %d is %s", i, event)
				}
			}
		}
	}
	res := st.send(t, "POST", "/", call("report", "{}"), "Accept", "application/json")
	if res.header.Get("Content-Type") != "application/json" || resultOf(t, res).Content[0].Text != "done" {
		t.Errorf("without streams: got %s", res.body)
	}
	res = st.send(t, "POST", "/", call("break", "{}"))
	if !strings.Contains(res.body, `"code":-32603`) || strings.Contains(res.body, "secret") || !strings.Contains(res.body, "error err_1") {
		t.Errorf("a panic: got %s, want -32603 without its text", res.body)
	}
	if !strings.Contains(st.log.String(), "secret in a panic") {
		t.Error("the panic is not in the log")
	}
	if err := st.s.AddLocalTool(mcp.LocalTool{Name: "report"}); err == nil {
		t.Error("a name is taken twice")
	}
}

// TestLostConnection checks that a client that goes away cancels its call in the stateless era alone.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	for _, modern := range []bool{false, true} {
		st := start(t)
		ended := make(chan error, 1)
		if err := st.s.AddLocalTool(mcp.LocalTool{Name: "wait", Title: "t", Description: "d", Input: json.RawMessage(`{"type":"object"}`), Handle: func(ctx context.Context, _ json.RawMessage) (string, error) {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
			ended <- ctx.Err()
			return "", nil
		}}); err != nil {
			t.Fatal(err)
		}
		body, headers := call("wait", "{}"), []string(nil)
		if modern {
			body, headers = modernCall("wait", "{}")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if res, err := st.try(ctx, "POST", "/", body, headers...); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		cancel()
		if err := <-ended; (err != nil) != modern {
			t.Errorf("modern %t: got %v", modern, err)
		}
	}
}
