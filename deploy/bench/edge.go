package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	modernVersion = "2026-07-28"
	modernMeta    = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + modernVersion + `","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	// openStreams are held at once, streamsOfOne by one account, which may hold no more.
	openStreams  = 1000
	streamsOfOne = 32
)

// measureEdge is edgeFigures for a server of its own.
func measureEdge(ctx context.Context, bin, dir string, duration time.Duration) error {
	paputd, err := startPaputd(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer paputd.stop()
	echo, err := startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.stop()
	fmt.Printf("\n%-22s %7s %9s %8s %8s %10s %9s %9s\n", "", "callers", "per s", "p50 ms", "p99 ms", "cpu µs/op", "× echo", "allocs/op")
	return edgeFigures(ctx, paputd, echo, duration)
}

// edgeFigures measures what the MCP edge costs: a call of a tool that costs the service next to nothing, with the look-up
// of its token, in both eras of the protocol, and the streams of clients that listen.
func edgeFigures(ctx context.Context, paputd, echo *process, duration time.Duration) error {
	for _, n := range callers {
		legacy, err := categoryCalls(ctx, paputd, n)
		if err != nil {
			return err
		}
		got, err := alternate(ctx, n, duration, []load{{echo, echoCalls(echo.url, n)}, {paputd, legacy}, {paputd, modernCalls(paputd, n)}})
		if err != nil {
			return err
		}
		got[0].print("bare JSON echo", n, 0)
		got[1].print("categories, 2025-11-25", n, got[0].perSecond)
		got[2].print("categories, "+modernVersion, n, got[0].perSecond)
	}
	return measureStreams(ctx, paputd)
}

// modernCalls is categoryCalls in the stateless era.
func modernCalls(p *process, n int) []func(context.Context) error {
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"paput_get_categories","arguments":{},` + modernMeta + `}}`)
	return same(n, func(ctx context.Context) error {
		res, err := modernRequest(ctx, p, p.token.Access, "tools/call", "paput_get_categories", body)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err == nil && !bytes.Contains(answer, []byte(`"structuredContent"`)) {
			err = fmt.Errorf("answered %d: %s", res.StatusCode, answer)
		}
		return err
	})
}

func modernRequest(ctx context.Context, p *process, token, method, name string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/mcp", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for header, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + token,
		"MCP-Protocol-Version": modernVersion, "Mcp-Method": method, "Mcp-Name": name,
	} {
		if value != "" {
			req.Header.Set(header, value)
		}
	}
	return client.Do(req)
}

// measureStreams holds many streams open, and says what each costs the server in memory that it did not have before, when
// it had just been started.
func measureStreams(ctx context.Context, p *process) error {
	var tokens []string
	for i := range (openStreams + streamsOfOne - 1) / streamsOfOne {
		token, err := p.visitor(i).LogIn(ctx, "paput.read")
		if err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		tokens = append(tokens, token.Access)
	}
	for _, about := range []struct{ name, notifications string }{
		{"a stream about nothing", `{}`}, {"a stream about memos", `{"resourceSubscriptions":["memo://recent"]}`},
	} {
		p.stop()
		if err := p.serve(ctx); err != nil {
			return err
		}
		// What the first one needs and others share is there before.
		first, err := listen(ctx, p, tokens[len(tokens)-1], about.notifications)
		if err != nil {
			return err
		}
		before, err := p.memory()
		if err != nil {
			return err
		}
		open := []io.Closer{first}
		for i := range openStreams {
			stream, err := listen(ctx, p, tokens[i/streamsOfOne], about.notifications)
			if err != nil {
				return fmt.Errorf("stream %d: %w", i, err)
			}
			open = append(open, stream)
		}
		after, err := p.memory()
		if err != nil {
			return err
		}
		fmt.Printf("%-22s %7d streams %9.1f kB each\n", about.name, openStreams, float64(after-before)/openStreams/1024)
		for _, stream := range open {
			_ = stream.Close()
		}
	}
	return nil
}

// listen opens a stream and waits for its first message.
func listen(ctx context.Context, p *process, token, notifications string) (io.Closer, error) {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":%s,%s}}`, notifications, modernMeta)
	res, err := modernRequest(ctx, p, token, "subscriptions/listen", "", []byte(body))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("answered %d", res.StatusCode)
	}
	events := bufio.NewScanner(res.Body)
	for events.Scan() {
		if strings.Contains(events.Text(), "acknowledged") {
			return res.Body, nil
		}
	}
	res.Body.Close()
	return nil, errors.New("the stream ended")
}
