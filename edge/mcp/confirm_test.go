package mcp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/edge/mcp"
)

const (
	manyIDs = `"ids":["memo_1","b","c","d","e","f"]`
	asks    = `Move these memos to the trash?\n- memo_1\n- b\n- c\n- d\n- e\n- f`
	byModel = asks + `\nNothing was done. Ask the person exactly this; if they agree, call again with confirm: true."}],"isError":true`
	done    = `"structuredContent":{"results":[{"index":0,"id":"memo_1"}`
	no      = "The person did not agree. Nothing was done; do not try again unless they ask for it."
)

// TestConfirmByArgument has the model ask where the client cannot.
func TestConfirmByArgument(t *testing.T) {
	t.Parallel()
	st := start(t)
	for _, test := range []struct{ name, arguments, want string }{
		{"unasked", `{` + manyIDs + `}`, byModel},
		{"not agreed", `{` + manyIDs + `,"confirm":false}`, byModel},
		{"agreed", `{` + manyIDs + `,"confirm":true}`, done},
		{"agreed in a word", `{` + manyIDs + `,"confirm":"yes"}`, "confirm must be a boolean, not a string"},
		{"few", `{"ids":["memo_1","b","c","d","e"]}`, done},
		{"more than the RPC takes", `{"ids":["x"` + strings.Repeat(`,"a"`, 100) + `],"confirm":true}`, "ids has 101 items, at most 100"},
	} {
		modern, headers := modernCall("paput_delete_memos", test.arguments)
		for _, res := range []reply{st.send(t, "POST", "/", call("paput_delete_memos", test.arguments)), st.send(t, "POST", "/", modern, headers...)} {
			if got := strings.ReplaceAll(res.body, "- t\\n", "- memo_1\\n"); res.status != 200 || !strings.Contains(got, test.want) {
				t.Errorf("%s: got %d %s\nwant in it %s", test.name, res.status, got, test.want)
			}
		}
	}
	if res := st.send(t, "POST", "/", call("paput_update_memo", `{"id":"memo_1","confirm":true}`)); !strings.Contains(res.body, "there is no argument") && !strings.Contains(res.body, "confirm") {
		t.Errorf("a tool that is not confirmed: got %s", res.body)
	}
}

// TestConfirmByRounds asks the person by a result that requires input, as of 2026-07-28.
func TestConfirmByRounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	st := startServer(t, func(c *mcp.Config) { c.Now = func() time.Time { return now } })
	post := func(token, arguments, more string) reply {
		body, headers := modernCall("paput_delete_memos", arguments)
		body = strings.Replace(body, `clientCapabilities":{}`, `clientCapabilities":{"elicitation":{}}`, 1)
		body = strings.Replace(body, `"arguments":`, more+`"arguments":`, 1)
		return st.send(t, "POST", "/", body, append(headers, "Authorization", "Bearer "+token)...)
	}
	many := `{` + manyIDs + `,"confirm":true}` // what the model says does not count
	var asked struct {
		Result struct {
			ResultType    string
			RequestState  string
			InputRequests map[string]struct {
				Method string
				Params struct {
					Mode, Message   string
					RequestedSchema json.RawMessage
				}
			}
		}
	}
	res := post(aliceToken, many, "")
	if err := json.Unmarshal([]byte(res.body), &asked); err != nil || res.status != 200 {
		t.Fatalf("got %d %s", res.status, res.body)
	}
	question := asked.Result.InputRequests["confirm"]
	if asked.Result.ResultType != "input_required" || question.Method != "elicitation/create" || question.Params.Mode != "form" ||
		!strings.HasPrefix(question.Params.Message, "Move these memos to the trash?\n- t\n- b\n") || string(question.Params.RequestedSchema) != `{"type":"object","properties":{}}` {
		t.Errorf("got %s", res.body)
	}
	state := fmt.Sprintf(`"requestState":%q,`, asked.Result.RequestState)
	answer := func(action string) string { return fmt.Sprintf(`"inputResponses":{"confirm":{"action":%q}},`, action) }
	const refused = `"code":-32602,"message":"the requestState is not for this call, or too old: call again without it"`
	again := `"resultType":"input_required"`
	for _, test := range []struct {
		name, token, arguments, more string
		status                       int
		want                         string
	}{
		{"agreed", aliceToken, many, state + answer("accept"), 200, done},
		{"declined", aliceToken, many, state + answer("decline"), 200, no},
		{"cancelled", aliceToken, many, state + answer("cancel"), 200, no},
		{"not answered", aliceToken, many, state, 200, again},
		{"another question answered", aliceToken, many, state + `"inputResponses":{"other":{"action":"accept"}},`, 200, again},
		{"an answer to nothing", aliceToken, many, answer("accept"), 200, again},
		{"no answer", aliceToken, many, state + `"inputResponses":{"confirm":1},`, 400, `"code":-32602`},
		{"no answers", aliceToken, many, state + `"inputResponses":[1],`, 400, `"code":-32602`},
		{"for other arguments", aliceToken, strings.Replace(many, `"b"`, `"z"`, 1), state + answer("accept"), 400, refused},
		{"for another account", bobToken, many, state + answer("accept"), 400, refused},
		{"altered", aliceToken, many, strings.Replace(state, `":"`, `":"A`, 1) + answer("accept"), 400, refused},
		{"no state", aliceToken, many, `"requestState":7,` + answer("accept"), 400, refused},
		{"written otherwise", aliceToken, `{"confirm":false, ` + manyIDs + `}`, state + answer("accept"), 200, done},
	} {
		if res := post(test.token, test.arguments, test.more); res.status != test.status || !strings.Contains(res.body, test.want) {
			t.Errorf("%s: got %d %s\nwant %d and in it %s", test.name, res.status, res.body, test.status, test.want)
		}
	}
	now = now.Add(10 * time.Minute)
	if res := post(aliceToken, many, state+answer("accept")); res.status != 400 || !strings.Contains(res.body, refused) {
		t.Errorf("too late: got %d %s", res.status, res.body)
	}
}

// TestConfirmByQuestion asks the person on the call's own stream, as of the handshake era.
func TestConfirmByQuestion(t *testing.T) {
	t.Parallel()
	st := start(t)
	session := beginSession(t, st, `{"elicitation":{}}`)
	for said, want := range map[string]string{
		`"result":{"action":"accept"}`:       done,
		`"result":{"action":"decline"}`:      no,
		`"result":{}`:                        no,
		`"error":{"code":-1,"message":"no"}`: "The person could not be asked. Nothing was done.",
	} {
		res, err := st.try(t.Context(), "POST", "/mcp", call("paput_delete_memos", `{`+manyIDs+`,"confirm":true}`), "Mcp-Session-Id", session) //nolint:bodyclose // it is, below
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		pipe, writer := io.Pipe()
		go func() {
			_, err := io.Copy(writer, res.Body)
			writer.CloseWithError(err)
		}()
		id := question(t, bufio.NewScanner(&byteReader{pipe}))
		st.send(t, "POST", "/mcp", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,%s}`, id, said))
		rest, err := io.ReadAll(pipe)
		if err != nil || !strings.Contains(string(rest), want) {
			t.Errorf("%s: got %s (%v), want in it %s", said, rest, err, want)
		}
	}
	// Nobody is asked about little.
	if res := st.send(t, "POST", "/", call("paput_delete_memos", `{"ids":["memo_1"]}`), "Mcp-Session-Id", session); !strings.Contains(res.body, done) {
		t.Errorf("got %s", res.body)
	}
}

// byteReader reads a byte at a time, so that a scanner takes no more than it gives.
type byteReader struct{ r io.Reader }

func (b *byteReader) Read(p []byte) (int, error) { return b.r.Read(p[:1]) }
