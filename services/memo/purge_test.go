package memo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestDecidePurge(t *testing.T) {
	t.Parallel()
	deleted := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		s    state
		at   time.Time
		want bool
	}{
		{"outside the trash", state{}, deleted.Add(2 * trashTime), false},
		{"a millisecond too early", state{inTrash: true, deleteTime: deleted}, deleted.Add(trashTime - time.Millisecond), false},
		{"when its time is over", state{inTrash: true, deleteTime: deleted}, deleted.Add(trashTime), true},
		{"gone already", state{purged: true, deleteTime: deleted}, deleted.Add(2 * trashTime), false},
	} {
		if e := purge(tt.s, tt.at); (e.GetPurged() != nil) != tt.want {
			t.Errorf("%s: got %v, want an event: %v", tt.name, e, tt.want)
		}
	}
}

// purgeAfter lets time pass and purges.
func (w *world) purgeAfter(tb testing.TB, d time.Duration) {
	tb.Helper()
	w.clock.advance(d)
	if err := w.service.Purge(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// trash moves memos of alice's to the trash.
func (w *world) trash(tb testing.TB, ids ...string) {
	tb.Helper()
	if _, err := w.DeleteMemos(as(tb, "alice"), &memov1.DeleteMemosRequest{Ids: ids}); err != nil {
		tb.Fatal(err)
	}
}

// rows counts the rows of every table that has one for each memo.
func (w *world) rows(tb testing.TB) string {
	tb.Helper()
	var counts []string
	for _, table := range []string{"memos", "memo_labels", "memo_categories", "memo_finds", "memo_waiting", "memo_text"} {
		n := 0
		if err := w.log.DB().QueryRowContext(tb.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			tb.Fatal(err)
		}
		counts = append(counts, fmt.Sprintf("%s %d", table, n))
	}
	return strings.Join(counts, ", ")
}

func TestPurgedMemoIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	ids := w.create(t, "alice", &memov1.MemoDraft{Title: "鍵の保管", Body: "secret", Categories: []string{"Security"}, Projects: []string{"p"}}, draftOf("鍵の交換", ""))
	// More memos than wait for the text index, so that one of each kind is purged.
	w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("他", "")}, maxWaiting)...)
	waiting := w.create(t, "alice", &memov1.MemoDraft{Title: "鍵の廃棄", Categories: []string{"Security"}})[0]
	gone := []string{ids[0], waiting}
	w.trash(t, gone...)
	w.purgeAfter(t, trashTime-time.Second)
	if m := w.read(t, ids[0]); m.GetBody() != "secret" {
		t.Errorf("a second early: got %v", m)
	}
	w.purgeAfter(t, time.Second)

	for _, req := range []*memov1.SearchMemosRequest{
		{Query: "鍵", IncludeDeleted: true}, {Query: "secret", IncludeDeleted: true}, {Categories: []string{"Security"}, IncludeDeleted: true},
		{Query: "鍵", Categories: []string{"Security"}, IncludeDeleted: true}, {Projects: []string{"p"}, IncludeDeleted: true}, {IncludeDeleted: true, PageSize: 100},
	} {
		for _, id := range w.find(t, "alice", req) {
			if slices.Contains(gone, id) {
				t.Errorf("search %v: found %s", req, id)
			}
		}
	}
	res, err := w.SearchMemos(alice, &memov1.SearchMemosRequest{Ids: gone})
	if err != nil || !slices.Equal(res.GetMissingIds(), gone) {
		t.Errorf("read: got %v, %v", res, err)
	}
	text := ids[0] + " was in the trash for 30 days and is gone for good"
	_, err = w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: ids[0], Title: "x"})
	wantCode(t, err, connect.CodeNotFound, text)
	_, err = w.ListMemoRevisions(alice, &memov1.ListMemoRevisionsRequest{Id: ids[0], Revision: 1})
	wantCode(t, err, connect.CodeNotFound, text)
	restored, err := w.RestoreMemos(alice, &memov1.RestoreMemosRequest{Ids: []string{ids[0], ids[1]}})
	if err != nil || restored.GetResults()[0].GetError().GetCode() != "not_found" || !strings.HasPrefix(restored.GetResults()[0].GetError().GetMessage(), text) || restored.GetResults()[1].GetError() != nil {
		t.Errorf("restore: got %v, %v, want not_found for the first", restored, err)
	}
	_, err = w.UpdateMemo(as(t, "bob"), &memov1.UpdateMemoRequest{Id: ids[0], Title: "x"})
	wantCode(t, err, connect.CodeNotFound, ids[0]+" not found; search first")
	if list, err := w.ListCategories(alice, &memov1.ListCategoriesRequest{}); err != nil || len(list.GetCategories()) != 0 {
		t.Errorf("categories: got %v, %v, want none", list, err)
	}

	const left = "memos 33, memo_labels 0, memo_categories 0, memo_finds 33, memo_waiting 2, memo_text 31"
	if got := w.rows(t); got != left {
		t.Errorf("got %s, want %s", got, left)
	}
	w.purgeAfter(t, trashTime)
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.rows(t); got != left {
		t.Errorf("rebuilt: got %s, want %s", got, left)
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: "鍵", IncludeDeleted: true}); !slices.Equal(got, ids[1:]) {
		t.Errorf("rebuilt: got %v, want %v", got, ids[1:])
	}
}

// TestRestoredInTime checks that days outside the trash do not count, nor those before an earlier restoration.
func TestRestoredInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("戻す", ""))
	w.trash(t, ids...)
	w.purgeAfter(t, trashTime-time.Hour)
	if _, err := w.RestoreMemos(as(t, "alice"), &memov1.RestoreMemosRequest{Ids: ids}); err != nil {
		t.Fatal(err)
	}
	w.purgeAfter(t, 2*trashTime)
	w.trash(t, ids...)
	w.purgeAfter(t, trashTime-time.Hour)
	if m := w.read(t, ids[0]); m.GetTitle() != "戻す" {
		t.Errorf("got %v", m)
	}
}

// TestPurgeKeepsPages purges the newest memo between two pages of a ranked search: one written later is no part of the
// second.
func TestPurgeKeepsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("token one", ""), draftOf("token two", ""), draftOf("token three", ""))
	w.trash(t, ids[2])
	w.clock.advance(trashTime)
	first, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: "token", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.purgeAfter(t, 0)
	w.create(t, "alice", draftOf("another token, which is a long title and so a worse match than the others", ""))
	second, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: "token", PageSize: 1, PageToken: first.GetNextPageToken()})
	if err != nil {
		t.Fatal(err)
	}
	if got := append(idsOf(first), idsOf(second)...); !slices.Equal(got, []string{ids[1], ids[0]}) || second.GetNextPageToken() != "" {
		t.Errorf("got %v and a token %q, want %s, %s and no more", got, second.GetNextPageToken(), ids[1], ids[0])
	}
}

func TestPurgeTakesAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("古い", "")}, 100)...)
	ids = append(ids, w.create(t, "alice", draftOf("古い", ""))...) // two batches and one
	w.trash(t, ids[:100]...)
	w.trash(t, ids[100])
	ctx, cancel := context.WithCancel(t.Context())
	w.clock.advance(trashTime)
	done := make(chan error, 1)
	go func() { done <- w.service.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); !strings.HasPrefix(w.rows(t), "memos 0,"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not everything was purged")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
