package memo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// note creates a note that must be accepted and gives it.
func (w *world) note(tb tester, person, title string, memos ...string) *memov1.NoteEntry {
	tb.Helper()
	res, err := w.CreateNote(as(tb, person), &memov1.CreateNoteRequest{Title: title, MemoIds: memos})
	if err != nil {
		tb.Fatal(err)
	}
	if res.GetNote() == nil {
		tb.Fatalf("create the note: got %v", res)
	}
	return res.GetNote()
}

// memosIn gives the memos of a note of alice's on all pages; one in the trash has a minus sign.
func (w *world) memosIn(tb tester, id string) []string {
	tb.Helper()
	ids := []string{}
	req := &memov1.GetNoteRequest{Id: id, PageSize: 3}
	for {
		res, err := w.GetNote(as(tb, "alice"), req)
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range res.GetMemos() {
			name := m.GetId()
			if m.GetDeleteTime() != nil {
				name = "-" + name
			}
			ids = append(ids, name)
		}
		if len(ids) > maxNoteMemos {
			tb.Fatalf("the pages of %s do not end", id)
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			if n := int(res.GetNote().GetMemoCount()); n != len(ids) {
				tb.Fatalf("%s has %d memos, and memo_count is %d", id, len(ids), n)
			}
			return ids
		}
	}
}

// update changes a note of alice's and gives what was refused.
func (w *world) update(tb testing.TB, req *memov1.UpdateNoteRequest) string {
	tb.Helper()
	res, err := w.UpdateNote(as(tb, "alice"), req)
	if err != nil {
		tb.Fatal(err)
	}
	return refused(tb, res.GetResults())
}

func refused(tb testing.TB, results []*memov1.NoteMemoResult) string {
	tb.Helper()
	var out []string
	for i, r := range results {
		if int(r.GetIndex()) != i {
			tb.Errorf("result %d has the index %d", i, r.GetIndex())
		}
		if e := r.GetError(); e != nil {
			out = append(out, fmt.Sprintf("%d %s: %s", i, e.GetCode(), e.GetMessage()))
		}
	}
	return strings.Join(out, "; ")
}

func TestNoteReadsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", &memov1.MemoDraft{Title: "認証の方針", Summary: "不透明なトークン", Body: "本文"}, draftOf("Refresh", ""))
	note := w.note(t, "alice", " 認証について ", ids[1], ids[0], ids[1])
	if note.GetTitle() != "認証について" || note.GetMemoCount() != 2 || note.GetRevision() != 1 || note.GetEtag() == "" || note.GetCreateTime() == nil {
		t.Errorf("got %v", note)
	}
	res, err := w.GetNote(as(t, "alice"), &memov1.GetNoteRequest{Id: note.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := protojson.Format(res.GetNote()), protojson.Format(note); got != want {
		t.Errorf("the note: got %s, want %s", got, want)
	}
	if m := res.GetMemos(); len(m) != 2 || m[0].GetId() != ids[1] || m[1].GetTitle() != "認証の方針" || m[1].GetSummary() != "不透明なトークン" || res.GetNextPageToken() != "" {
		t.Errorf("the memos: got %v", res)
	}
	empty := w.note(t, "alice", "Empty")
	if got := w.memosIn(t, empty.GetId()); len(got) != 0 {
		t.Errorf("an empty note: got %v", got)
	}
	for title, text := range map[string]string{"": "title is required", " ": "title is empty", "a\nb": "title must be on one line", strings.Repeat("長", 201): "title is 201 characters, at most 200"} {
		_, err := w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: title})
		wantCode(t, err, connect.CodeInvalidArgument, text)
	}
	_, err = w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: "x", MemoIds: slices.Repeat(ids, 251)})
	wantCode(t, err, connect.CodeInvalidArgument, "memo_ids has 502 items, at most 500")
	_, err = w.CreateNote(bearing(t.Context(), "alice:c:paput.read"), &memov1.CreateNoteRequest{Title: "x"})
	wantCode(t, err, connect.CodePermissionDenied, "paput.write")
}

// TestNoteRefusesEachMemoByItself names memos of another account, unknown ones and one in the trash. The first two look the
// same.
func TestNoteRefusesEachMemoByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("a", ""), draftOf("b", ""), draftOf("c", ""))
	his := w.create(t, "bob", draftOf("秘密", ""))[0]
	w.trash(t, ids[1])
	bad := []string{his, "memo_none", ids[1]}
	res, err := w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: "n", MemoIds: append(slices.Clone(bad), ids[0])})
	if err != nil {
		t.Fatal(err)
	}
	want := "0 not_found: " + his + " not found; search first; 1 not_found: memo_none not found; search first; 2 failed_precondition: " +
		ids[1] + " is in the trash; restore it first with paput_restore_memos"
	if got := refused(t, res.GetResults()); got != want {
		t.Errorf("create: got %s, want %s", got, want)
	}
	id := res.GetNote().GetId()
	if got := w.memosIn(t, id); !slices.Equal(got, ids[:1]) {
		t.Errorf("got %v, want %v", got, ids[:1])
	}
	none, err := w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: "none", MemoIds: bad})
	if err != nil || none.GetNote() != nil || refused(t, none.GetResults()) != want {
		t.Errorf("all refused: got %v, %v, want no note", none, err)
	}
	if got := w.update(t, &memov1.UpdateNoteRequest{Id: id, Title: "changed", AddMemoIds: bad}); got != want {
		t.Errorf("add: got %s, want %s", got, want)
	}
	if got := w.update(t, &memov1.UpdateNoteRequest{Id: id, Title: "changed", MemoIds: bad}); got != want {
		t.Errorf("replace: got %s, want %s", got, want)
	}
	found, err := w.SearchNotes(as(t, "alice"), &memov1.SearchNotesRequest{})
	if err != nil || len(found.GetNotes()) != 1 || found.GetNotes()[0].GetRevision() != 1 || found.GetNotes()[0].GetTitle() != "n" {
		t.Errorf("where all was refused, nothing is done: got %v, %v", found, err)
	}
	if got := w.update(t, &memov1.UpdateNoteRequest{Id: id, AddMemoIds: append([]string{ids[2]}, bad[0])}); !strings.HasPrefix(got, "1 not_found") {
		t.Errorf("add one of two: got %s", got)
	}
	if got := w.memosIn(t, id); !slices.Equal(got, []string{ids[0], ids[2]}) {
		t.Errorf("add one of two: got %v", got)
	}
}

func TestUpdateNote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("一", ""), draftOf("二", ""), draftOf("三", ""), draftOf("四", ""))
	note := w.note(t, "alice", "題", ids[0], ids[1], ids[2])
	id := note.GetId()
	mask := func(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }
	for i, tt := range []struct {
		name     string
		req      *memov1.UpdateNoteRequest
		title    string
		memos    []string
		revision int32
	}{
		{"the title", &memov1.UpdateNoteRequest{Title: "新しい題", Etag: note.GetEtag()}, "新しい題", ids[:3], 2},
		{"reorder", &memov1.UpdateNoteRequest{MemoIds: []string{ids[2], ids[0], ids[1]}}, "新しい題", []string{ids[2], ids[0], ids[1]}, 3},
		{"add, one of them again", &memov1.UpdateNoteRequest{AddMemoIds: []string{ids[0], ids[3]}}, "新しい題", []string{ids[2], ids[0], ids[1], ids[3]}, 4},
		{"what it is already", &memov1.UpdateNoteRequest{AddMemoIds: []string{ids[0]}, RemoveMemoIds: []string{"memo_none"}, Title: "新しい題"}, "新しい題", []string{ids[2], ids[0], ids[1], ids[3]}, 4},
		{"remove", &memov1.UpdateNoteRequest{RemoveMemoIds: []string{ids[0], ids[3], "memo_none"}, Title: "二つ"}, "二つ", []string{ids[2], ids[1]}, 5},
		{"add and remove", &memov1.UpdateNoteRequest{AddMemoIds: ids[:1], RemoveMemoIds: ids[2:3]}, "二つ", []string{ids[1], ids[0]}, 6},
		{"only what the mask names", &memov1.UpdateNoteRequest{Title: "x", AddMemoIds: ids[3:], UpdateMask: mask("add_memo_ids")}, "二つ", []string{ids[1], ids[0], ids[3]}, 7},
		{"empty it", &memov1.UpdateNoteRequest{UpdateMask: mask("memo_ids")}, "二つ", []string{}, 8},
		{"everything", &memov1.UpdateNoteRequest{Title: "全部", MemoIds: ids, UpdateMask: mask("*")}, "全部", ids, 9},
	} {
		tt.req.Id = id
		res, err := w.UpdateNote(as(t, "alice"), tt.req)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if n := res.GetNote(); n.GetTitle() != tt.title || n.GetRevision() != tt.revision || int(n.GetMemoCount()) != len(tt.memos) {
			t.Errorf("%d %s: got %v", i, tt.name, n)
		}
		if got := w.memosIn(t, id); !slices.Equal(got, tt.memos) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.memos)
		}
	}
	for _, tt := range []struct {
		req  *memov1.UpdateNoteRequest
		code connect.Code
		text string
	}{
		{&memov1.UpdateNoteRequest{}, connect.CodeInvalidArgument, "there is nothing to change; give one of title, memo_ids"},
		{&memov1.UpdateNoteRequest{UpdateMask: mask("title")}, connect.CodeInvalidArgument, "title is empty"},
		{&memov1.UpdateNoteRequest{UpdateMask: mask("is_public")}, connect.CodeInvalidArgument, `"is_public"`},
		{&memov1.UpdateNoteRequest{MemoIds: ids, AddMemoIds: ids}, connect.CodeInvalidArgument, "memo_ids gives all memos"},
		{&memov1.UpdateNoteRequest{MemoIds: ids, RemoveMemoIds: ids}, connect.CodeInvalidArgument, "memo_ids gives all memos"},
		{&memov1.UpdateNoteRequest{AddMemoIds: ids, RemoveMemoIds: ids[:1]}, connect.CodeInvalidArgument, "is in add_memo_ids and in remove_memo_ids"},
		{&memov1.UpdateNoteRequest{Title: "x", Etag: note.GetEtag()}, connect.CodeAborted, id + " has changed since it was read: it is at revision 9"},
	} {
		tt.req.Id = id
		_, err := w.UpdateNote(as(t, "alice"), tt.req)
		wantCode(t, err, tt.code, tt.text)
	}
	if m := w.read(t, ids[0]); m.GetRevision() != 1 {
		t.Errorf("a memo of the note is at revision %d, want 1", m.GetRevision())
	}
}

func TestNoteIsBounded(t *testing.T) {
	t.Parallel()
	known := knownMemos{}
	var ids []string
	for i := range maxNoteMemos + 1 {
		ids = append(ids, fmt.Sprintf("memo_%d", i))
		known[ids[i]] = false
	}
	full := noteState{id: "note_1", revision: 1, noteContent: noteContent{"題", ids[:maxNoteMemos]}}
	add := noteChange{fields: []string{fieldAddMemoIDs}, add: ids[maxNoteMemos:]}
	_, _, err := updateNote(full, add, known)
	if err == nil || !strings.Contains(err.Error(), "note_1 would have 501 memos, at most 500") {
		t.Errorf("one too many: got %v", err)
	}
	add.remove = ids[:1]
	if e, _, err := updateNote(full, add, known); err != nil || !slices.Equal(e.GetUpdated().GetMemoIds(), ids[1:]) {
		t.Errorf("one in, one out: got %v, %v", e, err)
	}
	// One that was purged takes no place.
	delete(known, ids[7])
	add.remove = nil
	if e, _, err := updateNote(full, add, known); err != nil || len(e.GetUpdated().GetMemoIds()) != maxNoteMemos {
		t.Errorf("after a purge: got %v, %v", e, err)
	}
}

func TestNoteAndTrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("一", ""), draftOf("二", ""), draftOf("三", ""))
	id := w.note(t, "alice", "題", ids...).GetId()
	w.trash(t, ids[1])
	if got, want := w.memosIn(t, id), []string{ids[0], "-" + ids[1], ids[2]}; !slices.Equal(got, want) {
		t.Errorf("one in the trash: got %v, want %v", got, want)
	}
	// It may be moved within the note, and left out.
	if got := w.update(t, &memov1.UpdateNoteRequest{Id: id, MemoIds: []string{ids[1], ids[2], ids[0]}}); got != "" {
		t.Errorf("reorder: %s refused", got)
	}
	w.purgeAfter(t, trashTime)
	want := []string{ids[2], ids[0]}
	if got := w.memosIn(t, id); !slices.Equal(got, want) {
		t.Errorf("after the purge: got %v, want %v", got, want)
	}
	res, err := w.UpdateNote(as(t, "alice"), &memov1.UpdateNoteRequest{Id: id, Title: "二つ"})
	if err != nil || res.GetNote().GetMemoCount() != 2 {
		t.Errorf("the title after the purge: got %v, %v, want 2 memos", res, err)
	}
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.memosIn(t, id); !slices.Equal(got, want) {
		t.Errorf("rebuilt: got %v, want %v", got, want)
	}
}

// TestNotesNeverMeet gives one account every way to a note of another, and everyone the ways to a deleted one.
func TestNotesNeverMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	memo := w.create(t, "alice", draftOf("残る", ""))[0]
	hers, gone := w.note(t, "alice", "秘密", memo).GetId(), w.note(t, "bob", "消す").GetId()
	if _, err := w.DeleteNote(as(t, "bob"), &memov1.DeleteNoteRequest{Id: gone}); err != nil {
		t.Fatal(err)
	}
	bob := as(t, "bob")
	for _, id := range []string{hers, gone, "note_none", memo} {
		text := id + " not found; search first with paput_search_notes"
		_, err := w.GetNote(bob, &memov1.GetNoteRequest{Id: id})
		wantCode(t, err, connect.CodeNotFound, text)
		_, err = w.UpdateNote(bob, &memov1.UpdateNoteRequest{Id: id, Title: "mine", Etag: "1-x"})
		wantCode(t, err, connect.CodeNotFound, text)
		_, err = w.DeleteNote(bob, &memov1.DeleteNoteRequest{Id: id})
		wantCode(t, err, connect.CodeNotFound, text)
	}
	found, err := w.SearchNotes(bob, &memov1.SearchNotesRequest{})
	if err != nil || len(found.GetNotes()) != 0 {
		t.Errorf("search: got %v, %v", found, err)
	}
	if _, err := w.DeleteNote(as(t, "alice"), &memov1.DeleteNoteRequest{Id: hers}); err != nil {
		t.Fatal(err)
	}
	if m := w.read(t, memo); m.GetTitle() != "残る" || m.GetDeleteTime() != nil {
		t.Errorf("the memo of a deleted note: got %v", m)
	}
	for _, table := range []string{"notes", "note_memos"} {
		n := -1
		if err := w.log.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s has %d rows, %v, want none", table, n, err)
		}
	}
}

// TestNoteOf500 turns the largest note around.
func TestNoteOf500(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for range 5 {
		ids = append(ids, w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("x", "")}, 100)...)...)
	}
	id := w.note(t, "alice", "大きい", ids...).GetId()
	slices.Reverse(ids)
	w.update(t, &memov1.UpdateNoteRequest{Id: id, MemoIds: ids})
	if got := w.memosIn(t, id); !slices.Equal(got, ids) {
		t.Errorf("got %d memos in another order", len(got))
	}
}
