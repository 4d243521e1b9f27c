package oauth_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

// TestEveryEventStillApplies appends a history that has every kind of event, as they may stand in anyone's log, and
// compares the tables that come of it with those that always came of it.
func TestEveryEventStillApplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]bool{}
	file, err := os.Open(filepath.Join("testdata", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			Stream string
			Event  json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(line.Stream, "/")
		event := newEvent(t, kind)
		if err := protojson.Unmarshal(line.Event, event); err != nil {
			t.Fatalf("%s: %v", line.Event, err)
		}
		if err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(line.Stream, event) }); err != nil {
			t.Fatalf("%s: %v", line.Event, err)
		}
		name, _ := eventlog.Case(event)
		seen[kind+"."+name] = true
	}
	for _, kind := range oauth.Kinds() {
		cases := kind.Event.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
		for i := range cases.Len() {
			if name := kind.Name + "." + string(cases.Get(i).Name()); !seen[name] {
				t.Errorf("testdata/events.jsonl has no %s", name)
			}
		}
	}

	got := w.dump()
	golden := filepath.Join("testdata", "tables.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := w.dump(); again != got {
		t.Errorf("after a rebuild: got\n%s\nwant\n%s", again, got)
	}
}

func newEvent(tb testing.TB, kind string) proto.Message {
	tb.Helper()
	for _, k := range oauth.Kinds() {
		if k.Name == kind {
			return k.Event.ProtoReflect().New().Interface()
		}
	}
	tb.Fatalf("there is no kind %q", kind)
	return nil
}

// dump is everything in the tables, a line for each row.
func (w *world) dump() string {
	w.Helper()
	var b strings.Builder
	for _, table := range oauth.Projections()[0].Tables {
		rows, err := w.log.DB().QueryContext(w.Context(), `SELECT * FROM `+table+` ORDER BY 1`)
		if err != nil {
			w.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			w.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				w.Fatal(err)
			}
			b.WriteString(table)
			for i, v := range values {
				if blob, ok := (*v.(*any)).([]byte); ok {
					fmt.Fprintf(&b, " %s=%x", columns[i], blob)
					continue
				}
				fmt.Fprintf(&b, " %s=%q", columns[i], fmt.Sprint(*v.(*any)))
			}
			b.WriteByte('\n')
		}
		if err := rows.Err(); err != nil {
			w.Fatal(err)
		}
		rows.Close()
	}
	return b.String()
}

// TestHashesAreMarked keeps what could be tried against stolen tokens out of the published events.
func TestHashesAreMarked(t *testing.T) {
	t.Parallel()
	var check func(m protoreflect.MessageDescriptor)
	check = func(m protoreflect.MessageDescriptor) {
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Kind() == protoreflect.BytesKind && !f.Options().(*descriptorpb.FieldOptions).GetDebugRedact() {
				t.Errorf("%s is not marked debug_redact", f.FullName())
			}
			if f.Kind() == protoreflect.MessageKind && f.Message().ParentFile() == m.ParentFile() {
				check(f.Message())
			}
		}
	}
	check((&oauthv1.ClientEvent{}).ProtoReflect().Descriptor())
	check((&oauthv1.GrantEvent{}).ProtoReflect().Descriptor())
}

// TestRebuildEqualsLive compares the tables after a life with those made anew of its events.
func TestRebuildEqualsLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	for range 40 {
		w.advance(20 * 60e9)
		a.token(a.refreshForm(tokens.refresh))
		tokens = a.token(a.refreshForm(tokens.refresh)).tokens(t)
	}
	a.call("/revoke", map[string][]string{"token": {a.login("acct_2").access}})
	live := w.dump()
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.dump(); got != live || live == "" {
		t.Errorf("got\n%s\nwant\n%s", got, live)
	}
}
