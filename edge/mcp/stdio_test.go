package mcp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/paput/paput/edge/mcp"
)

// stdioServer is a server whose client adds a token itself.
func stdioServer(t testing.TB, token string) *mcp.Server {
	t.Helper()
	return stdioServerOf(t, &far{revoked: make(chan struct{})}, token)
}

// stdioServerOf is stdioServer with services of the test's own.
func stdioServerOf(t testing.TB, f *far, token string) *mcp.Server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	inner := f.client(log)
	s, err := mcp.New(mcp.Config{Services: services(), Version: "1.2.3", Now: time.Now, Log: log, Client: connect.NewClient(through{inner}, func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, spec)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// through is the transport of a client.
type through struct{ c *connect.Client }

func (t through) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	return t.c.CallClientStream(ctx, spec)
}

func TestStdio(t *testing.T) {
	t.Parallel()
	in := strings.Join([]string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		``,
		`{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"paput_search_memo","arguments":{"query":"wait:50ms"}}}`,
		`{"jsonrpc":"2.0","id":"d","method":"tools/call","params":{"name":"paput_delete_memos","arguments":{"ids":["a"]}}}`,
		`{"jsonrpc":"2.0","id":"l","method":"tools/list","params":{` + modernMeta + `}}`,
		`{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{},` + modernMeta + `}}`,
		`{"jsonrpc":"2.0","id":"v","method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}}}`,
		`{"jsonrpc":"2.0","id":5,"result":{}}`,
		`not JSON`,
		`{"jsonrpc":"2.0","id":"last","method":"ping"}`, // without a line feed
	}, "\n")
	var out strings.Builder
	if err := stdioServer(t, readerToken).ServeStdio(t.Context(), strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	wants := []string{
		`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"`,
		`{"jsonrpc":"2.0","id":9007199254740993,"result":{"content":[{"type":"text","text":"entries:\n- id: memo_01k\n  title: acct_reader 50ms`,
		`{"jsonrpc":"2.0","id":"d","result":{"content":[{"type":"text","text":"this needs the scope paput.write, which the access token does not have"}],"isError":true}}`,
		`{"jsonrpc":"2.0","id":"l","result":{"_meta"`,
		`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"s"},"notifications":{}}}`,
		`{"jsonrpc":"2.0","id":"v","error":{"code":-32022,`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the body is not JSON"}}`,
		`{"jsonrpc":"2.0","id":"last","result":{}}`,
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(wants) {
		t.Errorf("got %d lines, want %d:\n%s", len(lines), len(wants), out.String())
	}
	for _, want := range wants {
		if !strings.Contains("\n"+out.String(), "\n"+want) {
			t.Errorf("got no line that begins with %s\n%s", want, out.String())
		}
	}
	if !strings.Contains(out.String(), "paput_delete_memos") {
		t.Error("a tool is not listed")
	}
}

func TestStdioWithoutLogin(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := stdioServer(t, "paput_at_nobody").ServeStdio(t.Context(), strings.NewReader(call("paput_get_categories", "{}")), &out); err != nil {
		t.Fatal(err)
	}
	want := `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"the access token is unknown, expired or revoked"}],"isError":true}}` + "\n"
	if out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

func TestStdioCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, feed := io.Pipe()
		out, sink := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- stdioServer(t, aliceToken).ServeStdio(t.Context(), in, sink)
			sink.Close()
		}()
		began := time.Now()
		for id := range 3 {
			fmt.Fprintf(feed, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"paput_search_memo","arguments":{"query":"wait:%ds"}}}`+"\n", id, 10+id)
		}
		fmt.Fprintln(feed, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}`)
		fmt.Fprintln(feed, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}`)
		feed.Close()
		var got []string
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			got = append(got, scanner.Text()[:23])
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(got) != 2 || got[0] != `{"jsonrpc":"2.0","id":1` || got[1] != `{"jsonrpc":"2.0","id":2` || time.Since(began) != 12*time.Second {
			t.Errorf("got %q after %s, want the answers to 1 and 2 after 12s", got, time.Since(began))
		}
	})
}

func TestStdioEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	in, feed := io.Pipe()
	defer feed.Close()
	go fmt.Fprintln(feed, call("paput_search_memo", `{"query":"wait:1h"}`))
	var out strings.Builder
	if err := stdioServer(t, aliceToken).ServeStdio(ctx, in, &out); !errors.Is(err, context.DeadlineExceeded) || out.String() != "" {
		t.Errorf("got %v and %q, want the end of the context and no answer", err, out.String())
	}
	broken, end := io.Pipe()
	end.CloseWithError(io.ErrClosedPipe)
	if err := stdioServer(t, aliceToken).ServeStdio(t.Context(), broken, &out); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
	broken.CloseWithError(io.ErrClosedPipe)
	if err := stdioServer(t, aliceToken).ServeStdio(t.Context(), strings.NewReader(ping), end); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}
