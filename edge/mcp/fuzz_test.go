package mcp

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// FuzzArguments reads arguments for each tool. What its schema accepts must be read, and what is read must come out of the
// writer as JSON that means the same.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"query":"あ \"x\" \u3042 \ud83d\ude00","page_size":2e1,"ids":["a","b"],"include_deleted":true}`,
		`{"memos":[{"title":"t","create_time":"2026-01-31T09:00:00+09:00","memo_types":["decision"]},{"title":""}]}`,
		`{"id":"m","categories":[]}`, `{"query":"a","query":"b"}`, `{"ids":[[[]]]}`, `{"page_size":-0.0}`, `{"created_after":"2016-12-31T23:59:60Z"}`, `{"":{}}`,
	} {
		f.Add([]byte(seed))
	}
	methods := memov1.File_paput_memo_v1_memo_service_proto.Services().ByName("MemoService").Methods()
	var tools []*tool
	var schemas []*jsonschema.Schema
	for i := range methods.Len() {
		t, err := newTool(methods.Get(i))
		if err != nil {
			f.Fatal(err)
		}
		if t != nil {
			tools, schemas = append(tools, t), append(schemas, schemaOf(f, t.definition.RawInputSchema))
		}
	}
	f.Fuzz(func(t *testing.T, arguments []byte) {
		if !json.Valid(arguments) || !utf8.Valid(arguments) {
			return
		}
		arguments = arguments[skipSpace(arguments, 0):]
		if !isObject(arguments) {
			return
		}
		for i, tool := range tools {
			m := tool.request.New()
			err := tool.in.read(m, arguments)
			if err == nil {
				checkWriter(t, tool, m)
				continue
			}
			doc, bad := jsonschema.UnmarshalJSON(bytes.NewReader(arguments))
			// A schema cannot forbid a name that is given twice, and leap seconds are no times to Go.
			if bad == nil && schemas[i].Validate(doc) == nil && !strings.Contains(err.Error(), "twice") && !bytes.Contains(arguments, []byte(":60")) {
				t.Errorf("%s: the schema accepts what is refused with %q: %s", tool.name, err, arguments)
			}
		}
	})
}

func schemaOf(t testing.TB, schema []byte) *jsonschema.Schema {
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
	return c.MustCompile("schema.json")
}

// checkWriter writes a request as if it were a response and reads it again.
func checkWriter(t *testing.T, tool *tool, m protoreflect.Message) {
	t.Helper()
	// The writer leaves nothing out, and the reader takes no empty word of a closed list.
	for _, f := range tool.in.fields {
		if words := f.rules.GetOneOf(); !f.list && len(words) > 0 && !m.Has(f.desc) {
			m.Set(f.desc, protoreflect.ValueOfString(words[0]))
		}
	}
	text, err := tool.in.appendJSON(nil, m)
	if err != nil || !json.Valid(text) || !utf8.Valid(text) {
		t.Fatalf("%s: wrote %q, %v", tool.name, text, err)
	}
	if outline := tool.in.appendOutline(nil, m, ""); !utf8.Valid(outline) {
		t.Errorf("%s: outlined %q", tool.name, outline)
	}
	again := tool.request.New()
	if err := tool.in.read(again, text); err != nil {
		t.Fatalf("%s: read %s: %v", tool.name, text, err)
	}
	tool.in.clearMasks(m)
	tool.in.clearMasks(again)
	if !proto.Equal(m.Interface(), again.Interface()) {
		t.Errorf("%s: got %v\nwant %v", tool.name, again, m)
	}
}

// clearMasks clears what names the fields that are present: the writer leaves nothing out.
func (s *shape) clearMasks(m protoreflect.Message) {
	if s.mask != nil {
		m.Clear(s.mask)
	}
	for _, f := range s.fields {
		if f.of == nil || !f.list {
			continue
		}
		list := m.Get(f.desc).List()
		for i := range list.Len() {
			f.of.clearMasks(list.Get(i).Message())
		}
	}
}

// FuzzParse reads messages. A valid one must be read as encoding/json reads it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,{"b":"\\\""}]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		` [ ] `, `{"jsonrpc":"2.0","method":"a"}`, `{"jsonrpc":"2.0","id":"\u0000","result":null}`, "{\"\\u006dethod\" : \"x\" , \"jsonrpc\":\"2.0\",\"id\":-1e-7}", `"`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, fault := parse(body)
		if fault != nil {
			if answer := appendError(nil, m.id, fault); !json.Valid(answer) {
				t.Errorf("answered %q", answer)
			}
			return
		}
		var want struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatalf("read %q, which is not an object: %v", body, err)
		}
		if err := json.Unmarshal(members["id"], &want.ID); members["id"] != nil && err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.id, bytes.TrimSpace(want.ID)) {
			t.Errorf("got the id %s, want %s", m.id, want.ID)
		}
		if err := json.Unmarshal(members["method"], &want.Method); !m.response && (err != nil || m.method != want.Method) {
			t.Errorf("got the method %q, want %q", m.method, want.Method)
		}
		if !m.response && !json.Valid(m.params) {
			t.Errorf("got the params %q", m.params)
		}
	})
}

// FuzzWalk walks any bytes: no walk may leave them or go on for ever, and of valid JSON none may miss a member.
func FuzzWalk(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":[true,null,"}"]},"d":"\\"}`))
	f.Add([]byte(`[1,[2],{}]`))
	f.Add([]byte(`{"a`))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, elements := 0, 0
		_ = eachMember(b, func(_, _ []byte) error { names++; return nil })
		_ = eachElement(b, func(_ int, _ []byte) error { elements++; return nil })
		var object map[string]json.RawMessage
		if json.Unmarshal(b, &object) == nil && object != nil && names < len(object) {
			t.Errorf("got %d members of %q, want %d", names, b, len(object))
		}
		var array []json.RawMessage
		if json.Unmarshal(b, &array) == nil && array != nil && elements != len(array) {
			t.Errorf("got %d elements of %q, want %d", elements, b, len(array))
		}
		var back string
		quoted := appendQuoted(nil, string(b))
		if err := json.Unmarshal(quoted, &back); err != nil || back != strings.ToValidUTF8(string(b), "\uFFFD") && utf8.Valid(b) {
			t.Errorf("quoted %q as %s: %v", b, quoted, err)
		}
	})
}
