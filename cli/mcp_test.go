package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
)

// converse sends messages to `paput mcp` and returns its answers by id.
func converse(p *person, messages ...string) (map[int]string, outcome) {
	p.t.Helper()
	p.in = strings.Join(messages, "\n") + "\n"
	o := p.run("mcp")
	answers := map[int]string{}
	for line := range strings.Lines(o.out) {
		var m struct{ ID int }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			p.t.Errorf("got %q on standard output, want JSON-RPC", line)
		}
		answers[m.ID] = line
	}
	return answers, o
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

func call(id int, tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, tool, arguments)
}

func TestMCP(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.expireAccess() // refreshed on the way
	got, o := converse(p, hello, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
		call(3, "paput_create_memos", `{"memos":[{"title":"標準入出力から","body":"本文"}]}`))
	if o.code != 0 || o.err != "" {
		t.Errorf("got exit code %d, %q", o.code, o.err)
	}
	has(t, got[1], `"name":"paput"`)
	has(t, got[2], `"paput_search_memo"`, `"paput_create_memos"`, `"paput_delete_memos"`)
	has(t, got[3], memo1)
	if strings.Contains(got[3], `"isError":true`) || len(s.memos) != 1 || s.memos[0].Title != "標準入出力から" {
		t.Errorf("got %s and %d memos", got[3], len(s.memos))
	}
	got, _ = converse(p, hello, call(2, "paput_search_memo", `{"ids":["`+memo1+`"]}`))
	has(t, got[2], "本文")
}

func TestMCPSaysWhatToDo(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	p.env["PAPUT_SERVER"] = s.URL
	got, o := converse(p, hello, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, call(3, "paput_search_memo", `{}`))
	has(t, got[2], "paput_search_memo")
	has(t, got[3], `"isError":true`, "not logged in to "+s.URL+"; run: paput login "+s.URL)
	if o.code != 0 {
		t.Errorf("got exit code %d: %s", o.code, o.err)
	}

	p.ok("login")
	s.now(func() { s.pass = connect.CodeUnauthenticated })
	clear(s.refresh)
	got, _ = converse(p, hello, call(3, "paput_search_memo", `{}`))
	has(t, got[3], `"isError":true`, "has ended; run: paput login")

	p.ok("login")
	s.Close()
	got, o = converse(p, hello, call(3, "paput_search_memo", `{}`))
	has(t, got[3], `"isError":true`, "cannot be reached")
	noSecrets(t, o.out+o.err)
}
