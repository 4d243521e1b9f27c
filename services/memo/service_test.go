package memo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestCreateReadsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := timestamppb.New(time.Date(2025, 12, 31, 23, 59, 59, 123_456_789, time.UTC))
	res, err := w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{
		Title: " 題 ", Body: "# 本文\r\n\t改行\n", Summary: "要約", MemoTypes: []string{"decision", "decision"},
		Categories: []string{"Go", "ＧＯ", "設計"}, Projects: []string{"paput"}, CreateTime: at,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	entry := res.GetResults()[0].GetMemo()
	want := &memov1.Memo{
		Id: entry.GetId(), Title: "題", Body: "# 本文\r\n\t改行\n", Summary: "要約", MemoTypes: []string{"decision"},
		Categories: []string{"Go", "設計"}, Projects: []string{"paput"},
		CreateTime: timestamppb.New(at.AsTime().Truncate(time.Millisecond)), UpdateTime: entry.GetUpdateTime(), Revision: 1, Etag: etag(entry.GetId(), 1),
	}
	if diff := cmp.Diff(want, w.read(t, entry.GetId()), protocmp.Transform()); diff != "" {
		t.Errorf("the memo (-want +got):\n%s", diff)
	}
	found, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*memov1.MemoEntry{entry}, found.GetEntries(), protocmp.Transform()); diff != "" {
		t.Errorf("the entry that was created and the one found (-created +found):\n%s", diff)
	}
}

func TestCreateItemsStandAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	res, err := w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{
		draftOf("good", ""),
		draftOf("", "no title"),
		draftOf(strings.Repeat("長", 201), ""),
		draftOf("nul", "\x00"),
		{Title: "type", MemoTypes: []string{"opinion"}},
		{Title: "late", CreateTime: timestamppb.New(w.clock.now().Add(48 * time.Hour))},
		{Title: "many", Categories: slices.Repeat([]string{"a"}, 21)},
		draftOf("good too", strings.Repeat("字", 200_000)),
		draftOf("too much", strings.Repeat("字", 200_001)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"", "title is required", "title is 201 characters, at most 200", "U+0000", "must be one of knowledge", "more than a day in the future",
		"categories has 21 items, at most 20", "", "body is 200001 characters, at most 200000",
	}
	for i, r := range res.GetResults() {
		if int(r.GetIndex()) != i {
			t.Errorf("item %d: got index %d", i, r.GetIndex())
		}
		switch {
		case want[i] == "" && (r.GetMemo() == nil || r.GetError() != nil):
			t.Errorf("item %d: got %v, want a memo", i, r)
		case want[i] != "" && (r.GetMemo() != nil || r.GetError().GetCode() != "invalid_argument" || !strings.Contains(r.GetError().GetMessage(), want[i])):
			t.Errorf("item %d: got %v, want invalid_argument with %q", i, r, want[i])
		}
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(got) != 2 {
		t.Errorf("got %d memos, want 2", len(got))
	}
	_, err = w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{})
	wantCode(t, err, connect.CodeInvalidArgument, "memos is required")
	_, err = w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: slices.Repeat([]*memov1.MemoDraft{draftOf("x", "")}, 101)})
	wantCode(t, err, connect.CodeInvalidArgument, "memos has 101 items, at most 100")
}

// TestAccountsNeverMeet gives one account every way to reach a memo of another; each answer is the one for a memo that does
// not exist.
func TestAccountsNeverMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hers := w.create(t, "alice", &memov1.MemoDraft{Title: "秘密の鍵", Body: "secret", Categories: []string{"Alice"}, Projects: []string{"p"}})[0]
	his := w.create(t, "bob", &memov1.MemoDraft{Title: "秘密の話", Body: "public"})[0]
	bob := as(t, "bob")
	for _, id := range []string{hers, "memo_99999999", "memo_/../x", "x"} {
		_, err := w.UpdateMemo(bob, &memov1.UpdateMemoRequest{Id: id, Title: "mine"})
		wantCode(t, err, connect.CodeNotFound, id+" not found; search first")
		_, err = w.ListMemoRevisions(bob, &memov1.ListMemoRevisionsRequest{Id: id})
		wantCode(t, err, connect.CodeNotFound, id+" not found; search first")
		_, err = w.ListMemoRevisions(bob, &memov1.ListMemoRevisionsRequest{Id: id, Revision: 7})
		wantCode(t, err, connect.CodeNotFound, id+" not found; search first")
		deleted, err := w.DeleteMemos(bob, &memov1.DeleteMemosRequest{Ids: []string{id}})
		if e := deleted.GetResults()[0].GetError(); err != nil || e.GetCode() != "not_found" || e.GetMessage() != id+" not found; search first" {
			t.Errorf("delete %s: got %v, %v", id, e, err)
		}
		restored, err := w.RestoreMemos(bob, &memov1.RestoreMemosRequest{Ids: []string{id}})
		if e := restored.GetResults()[0].GetError(); err != nil || e.GetCode() != "not_found" || e.GetMessage() != id+" not found; search first" {
			t.Errorf("restore %s: got %v, %v", id, e, err)
		}
		read, err := w.SearchMemos(bob, &memov1.SearchMemosRequest{Ids: []string{id, his}})
		if err != nil || len(read.GetMemos()) != 1 || !slices.Equal(read.GetMissingIds(), []string{id}) {
			t.Errorf("read %s: got %v, %v", id, read, err)
		}
	}
	for _, req := range []*memov1.SearchMemosRequest{
		{Query: "鍵"}, {Query: "secret"}, {Categories: []string{"Alice"}}, {Projects: []string{"p"}}, {Query: "秘密", Categories: []string{"Alice"}}, {IncludeDeleted: true, Query: "secret"},
	} {
		if got := w.find(t, "bob", req); len(got) != 0 {
			t.Errorf("search %v: got %v, want nothing", req, got)
		}
	}
	if got := w.find(t, "bob", &memov1.SearchMemosRequest{Query: "秘密"}); !slices.Equal(got, []string{his}) {
		t.Errorf("search for a word of both: got %v, want %s", got, his)
	}
	if got := w.find(t, "bob", &memov1.SearchMemosRequest{}); !slices.Equal(got, []string{his}) {
		t.Errorf("the newest memos: got %v, want %s", got, his)
	}
	for _, query := range []string{"", "秘密"} {
		if got := w.find(t, "carol", &memov1.SearchMemosRequest{Query: query}); len(got) != 0 {
			t.Errorf("an account without memos: got %v, want nothing", got)
		}
	}
	categories, err := w.ListCategories(bob, &memov1.ListCategoriesRequest{})
	if err != nil || len(categories.GetCategories()) != 0 {
		t.Errorf("categories: got %v, %v, want none", categories, err)
	}
	// A page token is of no use to anyone else.
	w.create(t, "alice", draftOf("秘密 2", ""), draftOf("秘密 3", ""))
	w.create(t, "bob", draftOf("秘密 2", ""), draftOf("秘密 3", ""))
	page, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.SearchMemos(bob, &memov1.SearchMemosRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
	if m := w.read(t, hers); m.GetRevision() != 1 {
		t.Errorf("her memo is at revision %d, want 1", m.GetRevision())
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := bearing(t.Context(), "alice:c:paput.read")
	_, err := w.CreateMemos(reader, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", "")}})
	wantCode(t, err, connect.CodePermissionDenied, "paput.write")
	if _, err := w.SearchMemos(reader, &memov1.SearchMemosRequest{}); err != nil {
		t.Error(err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, "alice", &memov1.MemoDraft{Title: "古い題", Body: "本文", Summary: "要約", Categories: []string{"Go"}})[0]
	before := w.read(t, id)
	res, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Title: "新しい題", Categories: []string{"GO", "設計"}, Etag: before.GetEtag()})
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(before)
	want.Title, want.Categories, want.Revision, want.Etag, want.UpdateTime = "新しい題", []string{"Go", "設計"}, 2, etag(id, 2), res.GetMemo().GetUpdateTime()
	if diff := cmp.Diff(want, res.GetMemo(), protocmp.Transform()); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.read(t, id), protocmp.Transform()); diff != "" {
		t.Errorf("the memo (-want +got):\n%s", diff)
	}
	if !res.GetMemo().GetUpdateTime().AsTime().After(before.GetUpdateTime().AsTime()) {
		t.Error("update_time did not move")
	}
	for query, found := range map[string]bool{"古い": false, "新しい": true, "本文": true, "要約": true} {
		if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: query}); (len(got) == 1) != found {
			t.Errorf("search %q: got %v, want found %v", query, got, found)
		}
	}

	_, err = w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Title: "x", Etag: before.GetEtag()})
	wantCode(t, err, connect.CodeAborted, "revision 2")
	_, err = w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nonsense"}}})
	wantCode(t, err, connect.CodeInvalidArgument, `"nonsense"`)
	_, err = w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Title: "a\nb"})
	wantCode(t, err, connect.CodeInvalidArgument, "title must be on one line")

	same, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Title: "新しい題"})
	if err != nil || same.GetMemo().GetRevision() != 2 {
		t.Errorf("an update to what it is: got %v, %v, want revision 2", same, err)
	}

	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	_, err = w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Title: "x"})
	wantCode(t, err, connect.CodeFailedPrecondition, "is in the trash; restore it first")
}

func TestTrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("一つ", ""), draftOf("二つ", ""))
	alice := as(t, "alice")
	for range 2 {
		res, err := w.DeleteMemos(alice, &memov1.DeleteMemosRequest{Ids: []string{ids[0], "memo_x", ids[0]}})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range res.GetResults() {
			if int(r.GetIndex()) != i || (r.GetError() != nil) != (r.GetId() == "memo_x") {
				t.Errorf("result %d: got %v", i, r)
			}
		}
	}
	m := w.read(t, ids[0])
	if m.GetDeleteTime() == nil || m.GetRevision() != 2 {
		t.Errorf("got %v, want revision 2 in the trash", m)
	}
	for _, tt := range []struct {
		req  *memov1.SearchMemosRequest
		want []string
	}{
		{&memov1.SearchMemosRequest{}, ids[1:]},
		{&memov1.SearchMemosRequest{Query: "つ"}, ids[1:]},
		{&memov1.SearchMemosRequest{IncludeDeleted: true}, []string{ids[1], ids[0]}},
		{&memov1.SearchMemosRequest{Query: "つ", IncludeDeleted: true}, []string{ids[1], ids[0]}},
	} {
		if got := w.find(t, "alice", tt.req); !slices.Equal(got, tt.want) {
			t.Errorf("search %v: got %v, want %v", tt.req, got, tt.want)
		}
	}
	for range 2 {
		if _, err := w.RestoreMemos(alice, &memov1.RestoreMemosRequest{Ids: ids}); err != nil {
			t.Fatal(err)
		}
	}
	if m := w.read(t, ids[0]); m.GetDeleteTime() != nil || m.GetRevision() != 3 {
		t.Errorf("got %v, want revision 3 outside the trash", m)
	}
	if m := w.read(t, ids[1]); m.GetRevision() != 1 {
		t.Errorf("restore what was not deleted: got revision %d, want 1", m.GetRevision())
	}
	_, err := w.DeleteMemos(alice, &memov1.DeleteMemosRequest{})
	wantCode(t, err, connect.CodeInvalidArgument, "ids is required")
}

func TestCategories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := func(names ...string) *memov1.MemoDraft { return &memov1.MemoDraft{Title: "x", Categories: names} }
	ids := w.create(t, "alice", of("GitHub", "設計"), of("github"), of("ＧＩＴＨＵＢ", "a"), of("B"))
	list := func() string {
		res, err := w.ListCategories(as(t, "alice"), &memov1.ListCategoriesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, c := range res.GetCategories() {
			s = append(s, fmt.Sprintf("%s %d", c.GetName(), c.GetMemoCount()))
		}
		return strings.Join(s, ", ")
	}
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"most used first, then by name", func() error { return nil }, "GitHub 3, B 1, a 1, 設計 1"},
		{"without those in the trash", func() error {
			_, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[:1]})
			return err
		}, "GitHub 2, B 1, a 1"},
		{"a name is kept by the trash", func() error {
			w.create(t, "alice", of("github"))
			_, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[1:3]})
			return err
		}, "B 1, GitHub 1"},
		{"with those that come back", func() error {
			_, err := w.RestoreMemos(as(t, "alice"), &memov1.RestoreMemosRequest{Ids: ids[:1]})
			return err
		}, "GitHub 2, B 1, 設計 1"},
		{"a name that nothing has is forgotten", func() error {
			if _, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[3], Categories: []string{"c"}}); err != nil {
				return err
			}
			_, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[3], Categories: []string{"b"}})
			return err
		}, "GitHub 2, b 1, 設計 1"},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if got := list(); got != s.want {
			t.Errorf("%s: got %s, want %s", s.name, got, s.want)
		}
	}
	if got := w.read(t, ids[1]).GetCategories(); !slices.Equal(got, []string{"GitHub"}) {
		t.Errorf("a memo filed under github: got %v, want the first spelling", got)
	}
}
