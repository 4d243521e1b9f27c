package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	protocol "github.com/mark3labs/mcp-go/mcp"

	"github.com/paput/paput/edge/mcp"
)

// asking adds a tool that asks its caller for a name and greets by it.
func asking(c *mcp.Config) {
	c.Extend = func(_ *mcp.Server, registry *mcp.Registry) {
		tool := protocol.NewTool("greet", protocol.WithDescription("Greet somebody."))
		registry.AddTool(tool, func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
			said, err := registry.RequestElicitation(ctx, protocol.ElicitationRequest{Params: protocol.ElicitationParams{
				Message: "Who are you?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}},
			}})
			if err != nil {
				return protocol.NewToolResultError(err.Error()), nil
			}
			return protocol.NewToolResultText(fmt.Sprintf("%s %v", said.Action, said.Content)), nil
		})
	}
}

// beginSession makes the handshake of Alice's client with capabilities and returns the session's id.
func beginSession(t *testing.T, st *site, capabilities string) string {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":%s,"clientInfo":{"name":"t","version":"1"}}}`, capabilities)
	return st.send(t, "POST", "/", body).header.Get("Mcp-Session-Id")
}

func TestSessionsOfClientsThatCanBeAsked(t *testing.T) {
	t.Parallel()
	st := start(t)
	for capabilities, want := range map[string]bool{
		`{}`: false, `{"experimental":{}}`: false, `{"elicitation":{}}`: true, `{"elicitation":{"form":{},"url":{}}}`: true,
		`{"elicitation":{"url":{}}}`: false, `{"extensions":{}}`: false, showing: true, `{"elicitation":true}`: false, `{"sampling":{}}`: true, `{"roots":{}}`: true,
	} {
		if got := beginSession(t, st, capabilities); (got != "") != want {
			t.Errorf("%s: got the session %q, want one: %t", capabilities, got, want)
		}
	}
	first, second := beginSession(t, st, `{"roots":{}}`), beginSession(t, st, `{"roots":{}}`)
	if first == second {
		t.Error("two sessions have one id")
	}
}

// TestAsk lets a tool ask in the middle of a call of the handshake era.
func TestAsk(t *testing.T) {
	t.Parallel()
	const cannot = "the client did not say that it can be asked"
	st := startServer(t, asking, func(c *mcp.HTTPConfig) { c.KeepAlive = 10 * time.Millisecond })
	session := beginSession(t, st, `{"elicitation":{}}`)
	refused := map[string][]string{
		"no session":                  nil,
		"a session that is none":      {"Mcp-Session-Id", "x"},
		"a session without the skill": {"Mcp-Session-Id", beginSession(t, st, `{"roots":{}}`)},
		"another account's session":   {"Mcp-Session-Id", session, "Authorization", "Bearer " + bobToken},
		"no streams":                  {"Mcp-Session-Id", session, "Accept", "application/json"},
	}
	for name, headers := range refused {
		if got := resultOf(t, st.send(t, "POST", "/", call("greet", "{}"), headers...)); !got.IsError || got.Content[0].Text != cannot {
			t.Errorf("%s: got %v, want %s", name, got, cannot)
		}
	}
	for answer, want := range map[string]string{
		`"result":{"action":"accept","content":{"name":"Aiko"}}`: `"accept map[name:Aiko]"`,
		`"result":{"action":"decline"}`:                          `"decline \u003cnil\u003e"`,
		`"result":"x"`:                                           `"the answer to elicitation/create cannot be read"`,
		`"error":{"code":-1,"message":"secret"}`:                 `"the client refused elicitation/create"`,
	} {
		res, err := st.try(t.Context(), "POST", "/mcp", call("greet", "{}"), "Mcp-Session-Id", session)
		if err != nil {
			t.Fatal(err)
		}
		events := bufio.NewScanner(res.Body)
		id := question(t, events)
		post := func(token string) {
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,%s}`, id, answer)
			if res := st.send(t, "POST", "/", body, "Authorization", "Bearer "+token); res.status != 202 {
				t.Errorf("an answer: got %d, want 202", res.status)
			}
		}
		post(bobToken)
		if !events.Scan() || !strings.HasPrefix(events.Text(), ": alive") {
			t.Fatalf("after another account's answer: got %q, want a sign of life", events.Text())
		}
		post(aliceToken)
		post(aliceToken)
		rest, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		said := events.Text() + string(rest)
		for events.Scan() {
			said += events.Text()
		}
		res.Body.Close()
		if !strings.Contains(said, want) {
			t.Errorf("%s: got %s, want %s", answer, said, want)
		}
	}
}

// question reads events to the first request and returns its id.
func question(t *testing.T, events *bufio.Scanner) string {
	t.Helper()
	for events.Scan() {
		data, ok := strings.CutPrefix(events.Text(), "data: ")
		if !ok {
			continue
		}
		var asked struct{ ID, Method string }
		if err := json.Unmarshal([]byte(data), &asked); err != nil || asked.Method != "elicitation/create" {
			t.Fatalf("got %s, want elicitation/create", data)
		}
		events.Scan() // the end of the event
		return asked.ID
	}
	t.Fatal("the stream ended without a question")
	return ""
}

// TestAskedAndGone checks that a call does not wait for the answer of a client that has hung up.
func TestAskedAndGone(t *testing.T) {
	t.Parallel()
	ended := make(chan string, 1)
	st := startServer(t, func(c *mcp.Config) {
		c.Extend = func(_ *mcp.Server, registry *mcp.Registry) {
			registry.AddTool(protocol.NewTool("greet", protocol.WithDescription("d")), func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
				_, err := registry.RequestElicitation(ctx, protocol.ElicitationRequest{Params: protocol.ElicitationParams{Message: "?", RequestedSchema: map[string]any{"type": "object"}}})
				ended <- fmt.Sprint(err)
				return protocol.NewToolResultText(""), nil
			})
		}
	}, func(c *mcp.HTTPConfig) { c.KeepAlive = 10 * time.Millisecond })
	session := beginSession(t, st, `{"elicitation":{}}`)
	ctx, cancel := context.WithCancel(t.Context())
	res, err := st.try(ctx, "POST", "/", call("greet", "{}"), "Mcp-Session-Id", session)
	if err != nil {
		t.Fatal(err)
	}
	question(t, bufio.NewScanner(res.Body))
	cancel()
	res.Body.Close()
	select {
	case got := <-ended:
		if got != "the client has gone" {
			t.Errorf("got %s, want the client has gone", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the call still waits")
	}
}

func TestAskOverStdio(t *testing.T) {
	t.Parallel()
	s := newServer(t, &far{}, io.Discard, asking)
	in, client := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- s.ServeStdio(t.Context(), in, answers) }()
	lines := bufio.NewScanner(out)
	exchange := func(message string) string {
		if _, err := io.WriteString(client, message+"\n"); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		return lines.Text()
	}
	if got := exchange(call("greet", "{}")); !strings.Contains(got, "did not say that it can be asked") {
		t.Errorf("before the handshake: got %s", got)
	}
	exchange(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}}`)
	var asked struct{ ID, Method string }
	if err := json.Unmarshal([]byte(exchange(call("greet", "{}"))), &asked); err != nil || asked.Method != "elicitation/create" {
		t.Fatalf("got %v, want elicitation/create", asked)
	}
	if got := exchange(fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"action":"accept","content":{"name":"Aiko"}}}`, asked.ID)); !strings.Contains(got, "accept map[name:Aiko]") {
		t.Errorf("got %s, want the name", got)
	}
	client.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestState checks whom and what a requestState is good for.
func TestState(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type opened struct {
		state string
		ok    bool
	}
	var sealed string
	var got opened
	st := startServer(t, func(c *mcp.Config) {
		c.Now = func() time.Time { return now }
		c.Extend = func(s *mcp.Server, registry *mcp.Registry) {
			add := func(name string, do func(ctx context.Context)) {
				registry.AddTool(protocol.NewTool(name, protocol.WithDescription("d")), func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
					do(ctx)
					return protocol.NewToolResultText(""), nil
				})
			}
			open := func(ctx context.Context, purpose string) {
				state, ok := s.UnsealState(ctx, purpose, sealed)
				got = opened{string(state), ok}
			}
			add("seal", func(ctx context.Context) { sealed = s.SealState(ctx, "a", []byte("state")) })
			add("open", func(ctx context.Context) { open(ctx, "a") })
			add("other", func(ctx context.Context) { open(ctx, "b") })
			add("alter", func(ctx context.Context) {
				for i := range sealed {
					for _, with := range []string{"A", "B", ""} {
						whole := sealed
						if sealed = whole[:i] + with + whole[i+1:]; sealed != whole {
							if open(ctx, "a"); got.ok {
								t.Errorf("opens with character %d altered", i)
							}
						}
						sealed = whole
					}
				}
			})
		}
	})
	do := func(tool, token string) opened {
		got = opened{}
		st.send(t, "POST", "/", call(tool, "{}"), "Authorization", "Bearer "+token)
		return got
	}
	key, next := []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("n", 32))
	use := func(current []byte, earlier ...[]byte) {
		if err := st.s.UseKeys(current, earlier...); err != nil {
			t.Fatal(err)
		}
	}
	use(key)
	do("seal", aliceToken)
	do("alter", aliceToken)
	good := opened{"state", true}
	for _, test := range []struct {
		name, tool, token string
		before            func()
		want              opened
	}{
		{"by the same account", "open", aliceToken, func() {}, good},
		{"for another purpose", "other", aliceToken, func() {}, opened{}},
		{"by another account", "open", bobToken, func() {}, opened{}},
		{"after the key was replaced", "open", aliceToken, func() { use(next, key) }, good},
		{"after the key was forgotten", "open", aliceToken, func() { use(next) }, opened{}},
		{"just in time", "open", aliceToken, func() { use(key); now = now.Add(10*time.Minute - time.Second) }, good},
		{"too late", "open", aliceToken, func() { now = now.Add(time.Second) }, opened{}},
	} {
		if test.before(); do(test.tool, test.token) != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
