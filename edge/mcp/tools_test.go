package mcp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/paput/paput/edge/mcp"
)

var update = flag.Bool("update", false, "write testdata anew")

// published is a tool as a client reads it.
type published struct {
	Name         string          `json:"name"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
	Annotations  struct {
		Title           string `json:"title"`
		ReadOnlyHint    *bool  `json:"readOnlyHint"`
		DestructiveHint *bool  `json:"destructiveHint"`
		IdempotentHint  *bool  `json:"idempotentHint"`
		OpenWorldHint   *bool  `json:"openWorldHint"`
	} `json:"annotations"`
	SecuritySchemes json.RawMessage `json:"securitySchemes"`
	Meta            struct {
		SecuritySchemes json.RawMessage `json:"securitySchemes"`
	} `json:"_meta"`
}

func list(t testing.TB, st *site, headers ...string) []published {
	t.Helper()
	res := st.send(t, "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, headers...)
	var answer struct {
		Result struct {
			Tools []published `json:"tools"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(res.body), &answer); err != nil {
		t.Fatalf("%v in %s", err, res.body)
	}
	return answer.Result.Tools
}

func TestToolsGolden(t *testing.T) {
	t.Parallel()
	res := start(t).send(t, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if n := len(res.body); n > 24_000 {
		t.Errorf("the list of tools has %d bytes, want at most 24000", n)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(res.body), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", "tools.json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the tools differ from %s: run go test ./edge/mcp -update and review the difference", path)
	}
}

func TestToolsAreFitForEveryClient(t *testing.T) {
	t.Parallel()
	for _, tool := range list(t, start(t)) {
		t.Run(tool.Name, func(t *testing.T) {
			t.Parallel()
			if n := utf8.RuneCountInString(tool.Description); n == 0 || n > 200 {
				t.Errorf("got a description of %d characters, want 1 to 200", n)
			}
			if a := tool.Annotations; a.Title == "" || a.Title != tool.Title || a.ReadOnlyHint == nil || a.DestructiveHint == nil || a.IdempotentHint == nil || a.OpenWorldHint == nil {
				t.Errorf("got annotations %+v, want all five", a)
			}
			for _, schema := range []json.RawMessage{tool.InputSchema, tool.OutputSchema} {
				compile(t, schema)
				for _, bad := range []string{`"$ref"`, `"oneOf"`, `"anyOf"`, `"allOf"`, `"null"`, `"type":[`} {
					if bytes.Contains(schema, []byte(bad)) {
						t.Errorf("a schema holds %s", bad)
					}
				}
			}
			var top struct {
				Type       string `json:"type"`
				Additional *bool  `json:"additionalProperties"`
			}
			if err := json.Unmarshal(tool.InputSchema, &top); err != nil || top.Type != "object" || top.Additional == nil || *top.Additional {
				t.Errorf("the input schema must be of a closed object: %s", tool.InputSchema)
			}
		})
	}
}

// TestListShowsWhatAPersonMayAllow checks that a person's client is told of all tools, whatever its token allows, and that
// of a service of those alone that its token allows.
func TestListShowsWhatAPersonMayAllow(t *testing.T) {
	t.Parallel()
	st := start(t)
	names := func(tools []published) string {
		var all []string
		for _, tool := range tools {
			all = append(all, strings.TrimPrefix(tool.Name, "paput_"))
		}
		return strings.Join(all, " ")
	}
	const all = "add_knowledge_candidates create_memos create_note delete_memos discard_pending_candidates get_capture_policy get_categories " +
		"get_discard_policy_context get_memo_history get_note list_pending_candidates list_processed_sessions mark_processed_sessions publish_memos " +
		"restore_memos save_pending_candidates search_memo search_notes unpublish_memos update_capture_policy update_memo update_note"
	// Each twice, because the second comes from the cache.
	for range 2 {
		for token, want := range map[string]string{
			aliceToken: all, bobToken: all, readerToken: all, serviceToken: "get_categories get_memo_history get_note search_memo search_notes",
		} {
			if got := names(list(t, st, "Authorization", "Bearer "+token)); got != want {
				t.Errorf("%s: got %s, want %s", token, got, want)
			}
		}
	}
}

// TestSecuritySchemes checks that each tool says what its calls are refused without.
func TestSecuritySchemes(t *testing.T) {
	t.Parallel()
	st := start(t)
	for _, tool := range list(t, st) {
		var schemes []struct {
			Type   string   `json:"type"`
			Scopes []string `json:"scopes"`
		}
		if err := json.Unmarshal(tool.SecuritySchemes, &schemes); err != nil || len(schemes) != 1 || schemes[0].Type != "oauth2" || len(schemes[0].Scopes) != 1 {
			t.Errorf("%s: got %s (%v), want one scheme of OAuth 2 with one scope", tool.Name, tool.SecuritySchemes, err)
			continue
		}
		if !bytes.Equal(tool.SecuritySchemes, tool.Meta.SecuritySchemes) {
			t.Errorf("%s: got %s in _meta, want %s", tool.Name, tool.Meta.SecuritySchemes, tool.SecuritySchemes)
		}
		res := st.send(t, "POST", "/", call(tool.Name, "{}"), "Authorization", "Bearer "+readerToken)
		if refused := res.status == 403; refused != (schemes[0].Scopes[0] != "paput.read") {
			t.Errorf("%s: got %d with paput.read, and it says %s", tool.Name, res.status, tool.SecuritySchemes)
		}
	}
}

// TestNoSecuritySchemesOverStdio lists the tools of one server both ways: over stdio there is nobody to ask for a token.
func TestNoSecuritySchemesOverStdio(t *testing.T) {
	t.Parallel()
	st := start(t)
	if over := list(t, st); over[0].SecuritySchemes == nil {
		t.Fatal("got no securitySchemes over HTTP")
	}
	for range 2 {
		var out bytes.Buffer
		if err := st.s.ServeStdio(t.Context(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "paput_create_memos") || strings.Contains(out.String(), "securitySchemes") {
			t.Errorf("got %s", out.String())
		}
	}
	if again := list(t, st); again[0].SecuritySchemes == nil {
		t.Error("got no securitySchemes over HTTP after stdio")
	}
}

// TestRefusedCall checks the result that the 403 of a call carries, in both eras.
func TestRefusedCall(t *testing.T) {
	t.Parallel()
	st := start(t)
	modern, headers := modernCall("paput_delete_memos", `{"ids":["a"]}`)
	reader := []string{"Authorization", "Bearer " + readerToken}
	for era, res := range map[string]reply{
		"handshake": st.send(t, "POST", "/mcp", call("paput_delete_memos", `{"ids":["a"]}`), reader...),
		"stateless": st.send(t, "POST", "/mcp", modern, append(headers, reader...)...),
	} {
		var answer struct {
			ID     int `json:"id"`
			Result struct {
				result
				Meta map[string]json.RawMessage `json:"_meta"`
			} `json:"result"`
		}
		if err := json.Unmarshal([]byte(res.body), &answer); err != nil {
			t.Fatalf("%s: %v in %s", era, err, res.body)
		}
		var challenges []string
		_ = json.Unmarshal(answer.Result.Meta["mcp/www_authenticate"], &challenges)
		if res.status != 403 || answer.ID != 7 || !answer.Result.IsError || len(challenges) != 1 || challenges[0] != res.header.Get("WWW-Authenticate") {
			t.Errorf("%s: got %d %s, want in it the challenge %s", era, res.status, res.body, res.header.Get("WWW-Authenticate"))
		}
		if stateless := era == "stateless"; (answer.Result.ResultType == "complete") != stateless ||
			(answer.Result.Meta["io.modelcontextprotocol/serverInfo"] != nil) != stateless {
			t.Errorf("%s: got %s", era, res.body)
		}
	}
}

// TestListIsTheSameForAll sends what mcp-go would read as the cursor of a page behind the last tool. The answer is cached.
func TestListIsTheSameForAll(t *testing.T) {
	t.Parallel()
	for _, params := range []string{
		`{"Cursor":"enp6"}`,
		`{"cur\u017for":"enp6"}`,
		`{"_Meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"CURSOR":"enp6"}`,
	} {
		st := start(t)
		st.send(t, "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":`+params+`}`)
		if tools := list(t, st); len(tools) == 0 {
			t.Errorf("after params %s: got no tools, want all", params)
		}
	}
}

// compile refuses an invalid schema and checks formats.
func compile(t testing.TB, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%v in %s", err, schema)
	}
	return compiled
}

// closed forbids, in every object of a schema, what it does not name.
func closed(t testing.TB, schema []byte) []byte {
	t.Helper()
	var doc any
	if err := json.Unmarshal(schema, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			// An object without properties is one that the schema does not describe.
			if node["type"] == "object" && node["properties"] != nil {
				node["additionalProperties"] = false
			}
			for _, child := range node {
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(doc)
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// result is that of a tools/call.
type result struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Structured json.RawMessage `json:"structuredContent"`
	IsError    bool            `json:"isError"`
	ResultType string          `json:"resultType"`
}

func resultOf(t testing.TB, res reply) result {
	t.Helper()
	var answer struct {
		Result *result `json:"result"`
	}
	if err := json.Unmarshal([]byte(res.body), &answer); err != nil || answer.Result == nil || len(answer.Result.Content) != 1 {
		t.Fatalf("got %d %s, want a result (%v)", res.status, res.body, err)
	}
	return *answer.Result
}

func TestResultsFitTheirSchemas(t *testing.T) {
	t.Parallel()
	st := start(t)
	schemas := make(map[string]*jsonschema.Schema)
	for _, tool := range list(t, st) {
		schemas[tool.Name] = compile(t, closed(t, tool.OutputSchema))
	}
	tests := []struct {
		name, tool, arguments string
		isError, structured   bool
		text                  string
	}{
		{"found", "paput_search_memo", `{"query":"say:hello"}`, false, true, "title: acct_alice hello"},
		{"found without arguments", "paput_search_memo", `{}`, false, true, "title: acct_alice"},
		{"nothing found", "paput_search_memo", `{"query":"nothing"}`, false, true, "Nothing found.\nsearch_mode: keyword\n"},
		{"everything set", "paput_search_memo", `{"query":"full"}`, false, true, "  body:\n    first \"line\"\n\n    third <b>\n"},
		{"all created", "paput_create_memos", `{"memos":[{"title":"a"},{"title":"b","body":"# b","create_time":"2026-01-31T09:00:00+09:00"}]}`, false, true, "results:\n- memo:\n"},
		{"some refused", "paput_create_memos", `{"memos":[{"title":"a"},{"body":"b"}]}`, true, true, "1 of 2 failed; the others were carried out.\n"},
		{"all refused", "paput_create_memos", `{"memos":[{"title":"` + strings.Repeat("字", 201) + `"}]}`, true, true, "Nothing was done: 1 of 1 failed.\nresults:\n- error:\n    code: invalid_argument\n    message: title is 201 characters, at most 200\n"},
		{"one not found", "paput_delete_memos", `{"ids":["memo_a","memo_x"]}`, true, true, "memo_x not found; search first"},
		{"proposed", "paput_add_knowledge_candidates", `{"candidates":[{"title":"題","confidence":0.5},{}],"source":"codex"}`, true, true, "already_exists"},
		{"proposed too surely", "paput_add_knowledge_candidates", `{"candidates":[{"title":"題","confidence":"x"}],"source":"codex"}`, true, false, "confidence must be a number"},
		{"pending", "paput_list_pending_candidates", `{}`, false, true, "cand_1"},
		{"updated", "paput_update_memo", `{"id":"memo_a","title":"t"}`, false, true, "memo:\n  id: memo_a\n  title: t\n"},
		{"a single thing and an empty list", "paput_get_note", `{"id":"note_a"}`, false, true, "note:\n  id: note_a\n  title: Empty\n"},
		{"counted", "paput_get_categories", `{}`, false, true, "categories:\n- name: Go\n  memo_count: 2\n"},
		{"not built", "paput_get_memo_history", `{"id":"memo_a"}`, true, false, "Something went wrong inside Paput (error err_"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			modern, headers := modernCall(test.tool, test.arguments)
			for _, res := range []reply{st.send(t, "POST", "/", call(test.tool, test.arguments)), st.send(t, "POST", "/mcp", modern, headers...)} {
				got := resultOf(t, res)
				if got.IsError != test.isError || (got.Structured != nil) != test.structured {
					t.Errorf("got %s, want isError %t, structured %t", res.body, test.isError, test.structured)
				}
				if !strings.Contains(got.Content[0].Text, test.text) {
					t.Errorf("got the text %q, want in it %q", got.Content[0].Text, test.text)
				}
				if nothing := "Nothing found."; strings.HasPrefix(got.Content[0].Text, nothing) != strings.HasPrefix(test.text, nothing) {
					t.Errorf("got the text %q, want %q", got.Content[0].Text, test.text)
				}
				if got.Structured == nil {
					continue
				}
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(got.Structured))
				if err != nil {
					t.Fatal(err)
				}
				if err := schemas[test.tool].Validate(doc); err != nil {
					t.Errorf("the result does not fit the schema: %v\n%s", err, got.Structured)
				}
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	client := (&far{}).client(log)
	twice := append(services(), services()...)
	tests := []struct {
		name string
		c    mcp.Config
		want string
	}{
		{"no client", mcp.Config{Log: log, Now: time.Now}, "mcp: Client, Now and Log are required"},
		{"no clock", mcp.Config{Client: client, Log: log}, "mcp: Client, Now and Log are required"},
		{"no log", mcp.Config{Client: client, Now: time.Now}, "mcp: Client, Now and Log are required"},
		{"a long lecture", mcp.Config{Client: client, Now: time.Now, Log: log, Instructions: strings.Repeat("x", 1025)}, "mcp: the instructions have 1025 bytes, at most 1024"},
		{"a name twice", mcp.Config{Client: client, Now: time.Now, Log: log, Services: twice}, "mcp: paput.memo.v1.MemoService.CreateMemos: the tool paput_create_memos exists already"},
	}
	for _, test := range tests {
		if _, err := mcp.New(test.c); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	s := newServer(t, &far{}, io.Discard)
	for _, url := range []string{"", "localhost:8080", "ftp://host", "https://"} {
		if _, err := s.Handler(mcp.HTTPConfig{PublicURL: url}); err == nil {
			t.Errorf("the public URL %q is taken, want an error", url)
		}
	}
}
