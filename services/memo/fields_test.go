package memo

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/rpc"
)

// TestEveryTextIsBounded looks at what every RPC takes: each string has a length, a list of words or a form of its own, and
// each list a length.
func TestEveryTextIsBounded(t *testing.T) {
	t.Parallel()
	methods := memov1.File_paput_memo_v1_memo_service_proto.Services().ByName("MemoService").Methods()
	for i := range methods.Len() {
		if m := methods.Get(i); !m.IsStreamingClient() { // an archive is bounded as it is read
			checkBounds(t, m.Input(), string(m.Name()))
		}
	}
}

func checkBounds(t *testing.T, m protoreflect.MessageDescriptor, path string) {
	t.Helper()
	if strings.HasPrefix(string(m.FullName()), "google.protobuf.") {
		return
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		name := path + "." + string(f.Name())
		rules, _ := proto.GetExtension(f.Options(), toolv1.E_Field).(*toolv1.Field)
		if f.IsList() && rules.GetMaxItems() == 0 {
			t.Errorf("%s may have any number of items", name)
		}
		switch f.Kind() {
		case protoreflect.StringKind, protoreflect.BytesKind:
			if rules.GetMaxLength() == 0 && len(rules.GetOneOf()) == 0 {
				t.Errorf("%s may have any length", name)
			}
		case protoreflect.MessageKind:
			checkBounds(t, f.Message(), name)
		}
	}
}

// keepers are calls that put a text into a field, and give what was said of it.
func (w *world) keepers(memo, note, candidate string) map[string]func(ctx context.Context, text string) error {
	item := func(err error, e *toolv1.ItemError) error {
		if err == nil && e != nil {
			err = fmt.Errorf("%s: %s", e.GetCode(), e.GetMessage())
		}
		return err
	}
	create := func(change func(m *memov1.MemoDraft, s string)) func(context.Context, string) error {
		return func(ctx context.Context, s string) error {
			m := draftOf("title", "body")
			change(m, s)
			res, err := w.CreateMemos(ctx, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{m}})
			if err != nil {
				return err
			}
			return item(nil, res.GetResults()[0].GetError())
		}
	}
	propose := func(change func(c *memov1.CandidateDraft, s string)) func(context.Context, string) error {
		return func(ctx context.Context, s string) error {
			c := &memov1.CandidateDraft{Title: "title"}
			change(c, s)
			res, err := w.AddCandidates(ctx, &memov1.AddCandidatesRequest{Source: "other", Candidates: []*memov1.CandidateDraft{c}})
			if err != nil {
				return err
			}
			return item(nil, res.GetResults()[0].GetError())
		}
	}
	update := func(change func(m *memov1.UpdateMemoRequest, s string)) func(context.Context, string) error {
		return func(ctx context.Context, s string) error {
			m := &memov1.UpdateMemoRequest{Id: memo}
			change(m, s)
			_, err := w.UpdateMemo(ctx, m)
			return err
		}
	}
	amend := func(change func(c *memov1.CandidateEdit, s string)) func(context.Context, string) error {
		return func(ctx context.Context, s string) error {
			c := &memov1.CandidateEdit{Id: candidate}
			change(c, s)
			res, err := w.UpdateCandidates(ctx, &memov1.UpdateCandidatesRequest{Candidates: []*memov1.CandidateEdit{c}})
			if err != nil {
				return err
			}
			return item(nil, res.GetResults()[0].GetError())
		}
	}
	save := func(ctx context.Context, s string) error {
		res, err := w.SaveCandidates(ctx, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: candidate, Title: s}}})
		if err != nil {
			return err
		}
		return item(nil, res.GetResults()[0].GetError())
	}
	return map[string]func(context.Context, string) error{
		"CreateMemos title":      create(func(m *memov1.MemoDraft, s string) { m.Title = s }),
		"CreateMemos body":       create(func(m *memov1.MemoDraft, s string) { m.Body = s }),
		"CreateMemos summary":    create(func(m *memov1.MemoDraft, s string) { m.Summary = s }),
		"CreateMemos categories": create(func(m *memov1.MemoDraft, s string) { m.Categories = []string{"fine", s} }),
		"CreateMemos projects":   create(func(m *memov1.MemoDraft, s string) { m.Projects = []string{s} }),
		"CreateMemos memo_types": create(func(m *memov1.MemoDraft, s string) { m.MemoTypes = []string{s} }),
		"UpdateMemo title":       update(func(m *memov1.UpdateMemoRequest, s string) { m.Title = s }),
		"UpdateMemo body":        update(func(m *memov1.UpdateMemoRequest, s string) { m.Body = s }),
		"UpdateMemo summary":     update(func(m *memov1.UpdateMemoRequest, s string) { m.Summary = s }),
		"UpdateMemo categories":  update(func(m *memov1.UpdateMemoRequest, s string) { m.Categories = []string{s} }),
		"UpdateMemo projects":    update(func(m *memov1.UpdateMemoRequest, s string) { m.Projects = []string{s} }),
		"CreateNote title": func(ctx context.Context, s string) error {
			_, err := w.CreateNote(ctx, &memov1.CreateNoteRequest{Title: s, MemoIds: []string{memo}})
			return err
		},
		"UpdateNote title": func(ctx context.Context, s string) error {
			_, err := w.UpdateNote(ctx, &memov1.UpdateNoteRequest{Id: note, Title: s})
			return err
		},
		"AddCandidates title":      propose(func(c *memov1.CandidateDraft, s string) { c.Title = s }),
		"AddCandidates body":       propose(func(c *memov1.CandidateDraft, s string) { c.Body = s }),
		"AddCandidates summary":    propose(func(c *memov1.CandidateDraft, s string) { c.Summary = s }),
		"AddCandidates categories": propose(func(c *memov1.CandidateDraft, s string) { c.Categories = []string{s} }),
		"AddCandidates projects":   propose(func(c *memov1.CandidateDraft, s string) { c.Projects = []string{s} }),
		"AddCandidates session_id": func(ctx context.Context, s string) error {
			_, err := w.AddCandidates(ctx, &memov1.AddCandidatesRequest{Source: "other", SessionId: s, Candidates: []*memov1.CandidateDraft{{Title: "t"}}})
			return err
		},
		"AddCandidates source": func(ctx context.Context, s string) error {
			_, err := w.AddCandidates(ctx, &memov1.AddCandidatesRequest{Source: s, Candidates: []*memov1.CandidateDraft{{Title: "t"}}})
			return err
		},
		"UpdateCandidates title":      amend(func(c *memov1.CandidateEdit, s string) { c.Title = s }),
		"UpdateCandidates body":       amend(func(c *memov1.CandidateEdit, s string) { c.Body = s }),
		"UpdateCandidates summary":    amend(func(c *memov1.CandidateEdit, s string) { c.Summary = s }),
		"UpdateCandidates categories": amend(func(c *memov1.CandidateEdit, s string) { c.Categories = []string{s} }),
		"SaveCandidates title":        save,
		"DiscardCandidates reason": func(ctx context.Context, s string) error {
			_, err := w.DiscardCandidates(ctx, &memov1.DiscardCandidatesRequest{Ids: []string{candidate}, Reason: s})
			return err
		},
		"MarkProcessedSessions session_ids": func(ctx context.Context, s string) error {
			res, err := w.MarkProcessedSessions(ctx, &memov1.MarkProcessedSessionsRequest{Source: "other", SessionIds: []string{s}})
			if err != nil {
				return err
			}
			return item(nil, res.GetResults()[0].GetError())
		},
		"UpdateCapturePolicy text": func(ctx context.Context, s string) error {
			_, err := w.UpdateCapturePolicy(ctx, &memov1.UpdateCapturePolicyRequest{Text: &s})
			return err
		},
	}
}

// TestBadTextIsRefused puts texts that are none, or not what they look like, into every field that keeps one. The refusal names
// the field, and nothing is written.
func TestBadTextIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	memo := w.create(t, "alice", draftOf("a", "b"))[0]
	note, err := w.CreateNote(alice, &memov1.CreateNoteRequest{Title: "n", MemoIds: []string{memo}})
	if err != nil {
		t.Fatal(err)
	}
	added, err := w.AddCandidates(alice, &memov1.AddCandidatesRequest{Source: "other", Candidates: []*memov1.CandidateDraft{{Title: "c"}}})
	if err != nil {
		t.Fatal(err)
	}
	before := w.log.Last()
	for call, do := range w.keepers(memo, note.GetNote().GetId(), added.GetResults()[0].GetId()) {
		_, field, _ := strings.Cut(call, " ")
		isText := field == "body" || field == "text"
		isWord := field == "memo_types" || field == "source"
		for name, text := range map[string]string{
			"invalid UTF-8": "a\xffb", "a NUL": "a\x00b", "an escape sequence": "a\x1b[31mb", "an override": "abc\u202egpj", "an isolate": "a\u2067b",
			"two lines": "a\nb", "a separator of lines": "a\u2028b", "too long": strings.Repeat("認", 200_001), "a word of no list": "idea",
		} {
			switch {
			case isText && strings.ContainsAny(text, "\n\u2028\u202e\u2067"):
				continue // of many lines, which are shown as such
			case name == "a word of no list" && !isWord, name == "invalid UTF-8" && isWord:
				continue
			}
			err := do(alice, text)
			if err == nil || !strings.Contains(err.Error(), "invalid_argument") && connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), field) {
				t.Errorf("%s, %s: got %v, want a refusal that names %s", call, name, err, field)
				continue
			}
			if name == "too long" && !isWord && !strings.Contains(err.Error(), "is 200001 characters, at most ") {
				t.Errorf("%s, %s: got %v, want the length and the limit", call, name, err)
			}
			if strings.ContainsAny(err.Error(), "\x00\x1b\u202e\u2067\u2028") {
				t.Errorf("%s, %s: the error %q repeats what it refuses", call, name, err)
			}
		}
	}
	if after := w.log.Last(); after != before {
		t.Errorf("%d events were written", after-before)
	}
}

// TestIDsOfOthers asks for what is another account's by its id, and for ids that are none: the answer is the same.
func TestIDsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	memo := w.create(t, "bob", draftOf("a", "b"))[0]
	note, err := w.CreateNote(as(t, "bob"), &memov1.CreateNoteRequest{Title: "n", MemoIds: []string{memo}})
	if err != nil {
		t.Fatal(err)
	}
	added, err := w.AddCandidates(as(t, "bob"), &memov1.AddCandidatesRequest{Source: "other", Candidates: []*memov1.CandidateDraft{{Title: "c"}}})
	if err != nil {
		t.Fatal(err)
	}
	foreign := map[string]string{"memo": memo, "note": note.GetNote().GetId(), "cand": added.GetResults()[0].GetId()}
	before := w.log.Last()
	alice := publishing(t, "alice")
	calls := map[string]func(id string) (*toolv1.ItemError, error){
		"memo update": func(id string) (*toolv1.ItemError, error) {
			_, err := w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, Title: "x"})
			return nil, err
		},
		"memo history": func(id string) (*toolv1.ItemError, error) {
			_, err := w.ListMemoRevisions(alice, &memov1.ListMemoRevisionsRequest{Id: id})
			return nil, err
		},
		"memo delete": func(id string) (*toolv1.ItemError, error) {
			res, err := w.DeleteMemos(alice, &memov1.DeleteMemosRequest{Ids: []string{id}})
			return res.GetResults()[0].GetError(), err
		},
		"memo restore": func(id string) (*toolv1.ItemError, error) {
			res, err := w.RestoreMemos(alice, &memov1.RestoreMemosRequest{Ids: []string{id}})
			return res.GetResults()[0].GetError(), err
		},
		"memo publish": func(id string) (*toolv1.ItemError, error) {
			res, err := w.PublishMemos(alice, &memov1.PublishMemosRequest{Ids: []string{id}})
			return res.GetResults()[0].GetError(), err
		},
		"memo into a note": func(id string) (*toolv1.ItemError, error) {
			res, err := w.CreateNote(alice, &memov1.CreateNoteRequest{Title: "x", MemoIds: []string{id}})
			return res.GetResults()[0].GetError(), err
		},
		"note read": func(id string) (*toolv1.ItemError, error) {
			_, err := w.GetNote(alice, &memov1.GetNoteRequest{Id: id})
			return nil, err
		},
		"note update": func(id string) (*toolv1.ItemError, error) {
			_, err := w.UpdateNote(alice, &memov1.UpdateNoteRequest{Id: id, Title: "x"})
			return nil, err
		},
		"note delete": func(id string) (*toolv1.ItemError, error) {
			_, err := w.DeleteNote(alice, &memov1.DeleteNoteRequest{Id: id})
			return nil, err
		},
		"cand save": func(id string) (*toolv1.ItemError, error) {
			res, err := w.SaveCandidates(alice, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: id}}})
			return res.GetResults()[0].GetError(), err
		},
		"cand update": func(id string) (*toolv1.ItemError, error) {
			res, err := w.UpdateCandidates(alice, &memov1.UpdateCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: id, Title: "x"}}})
			return res.GetResults()[0].GetError(), err
		},
		"cand discard": func(id string) (*toolv1.ItemError, error) {
			res, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: []string{id}})
			return res.GetResults()[0].GetError(), err
		},
	}
	for name, call := range calls {
		theirs := foreign[name[:4]]
		said := func(id string) string {
			e, err := call(id)
			text := e.GetCode() + " " + e.GetMessage()
			if err != nil {
				text = connect.CodeOf(err).String() + " " + err.Error()
			}
			return strings.ReplaceAll(text, id, "ID")
		}
		want := said(name[:4] + "_00009999")
		if got := said(theirs); got != want || !strings.Contains(got, "not_found") {
			t.Errorf("%s: got %q for another account's id, %q for one that is none", name, got, want)
		}
		for _, id := range []string{"x", "memo/../1", "'; DROP TABLE memos; --", "メモ", strings.Repeat("x", 64)} {
			if got := said(id); !strings.Contains(got, "not_found") {
				t.Errorf("%s of %q: got %q, want not_found", name, id, got)
			}
		}
	}
	if after := w.log.Last(); after != before {
		t.Errorf("%d events were written", after-before)
	}
}

func TestQueriesWithoutWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, "alice", draftOf("a", "b"))
	for _, query := range []string{"?!", "。、・「」", "\"", "(((", "*", "NEAR(", "-", "a\x00", "\u202e", "\u200b\u200d", "\u0301", "''", "--", "%_"} {
		res, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: query})
		if err != nil {
			t.Errorf("%q: %v", query, err)
		}
		if len(res.GetEntries()) > 0 && query != "a\x00" || len(res.GetEntries()) == 0 && res.GetHint() == "" {
			t.Errorf("%q: got %d memos and the hint %q", query, len(res.GetEntries()), res.GetHint())
		}
	}
	_, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: "\xff"})
	wantCode(t, err, connect.CodeInvalidArgument, "query is not valid UTF-8")
	if rpc.Validate(&memov1.SearchMemosRequest{Query: strings.Repeat("?", 501)}) == nil {
		t.Error("a query of 501 characters was taken")
	}
}
