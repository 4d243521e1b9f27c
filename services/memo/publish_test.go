package memo

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func published() *memov1.MemoEvent {
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Published{Published: &memov1.MemoPublished{}}}
}

func TestDecidePublish(t *testing.T) {
	t.Parallel()
	unpublished := &memov1.MemoEvent{Event: &memov1.MemoEvent_Unpublished{Unpublished: &memov1.MemoUnpublished{}}}
	tests := []struct {
		name    string
		given   []*memov1.MemoEvent
		publish string // the event that publish decides on, or its error
		private string // the event that unpublish decides on
		update  error  // of an update by a caller who may not publish
	}{
		{"a private memo", []*memov1.MemoEvent{created()}, "published", "", nil},
		{"a public one", []*memov1.MemoEvent{created(), published()}, "", "unpublished", ErrPublic},
		{"private again", []*memov1.MemoEvent{created(), published(), unpublished}, "published", "", nil},
		{"in the trash", []*memov1.MemoEvent{created(), deleted()}, "memo_1 is in the trash; restore it first with paput_restore_memos", "", ErrInTrash},
		{"public, then in the trash", []*memov1.MemoEvent{created(), published(), deleted()}, "memo_1 is in the trash; restore it first with paput_restore_memos", "", ErrInTrash},
		{"public, then out of the trash", []*memov1.MemoEvent{created(), published(), deleted(), restored()}, "published", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := given(tt.given...)
			e, err := publish(s)
			if got := outcome(e, err); got != tt.publish {
				t.Errorf("publish: got %q, want %q", got, tt.publish)
			}
			if got := outcome(unpublish(s), nil); got != tt.private {
				t.Errorf("unpublish: got %q, want %q", got, tt.private)
			}
			c := change{fields: []string{fieldTitle}, content: content{title: "x"}}
			if _, err := update(s, c, false); !errors.Is(err, tt.update) {
				t.Errorf("update without the scope: got %v, want %v", err, tt.update)
			}
			if _, err := update(s, c, true); errors.Is(err, ErrPublic) {
				t.Errorf("update with the scope: got %v", err)
			}
			c.title = s.title
			if _, err := update(s, c, false); errors.Is(err, ErrPublic) {
				t.Errorf("update that changes nothing: got %v", err)
			}
		})
	}
}

// outcome is a decision in a word.
func outcome(e *memov1.MemoEvent, err error) string {
	if err != nil {
		return err.Error()
	}
	action, _ := describe(e, state{}, state{})
	return action
}

func TestPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice",
		&memov1.MemoDraft{Title: "公開する判断", Body: "# 理由\n", Summary: "要約", MemoTypes: []string{"decision"}, Categories: []string{"社内"}, Projects: []string{"secret-project"}},
		draftOf("private", "x"), draftOf("gone", "x"))
	hers, private, gone := ids[0], ids[1], ids[2]
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: []string{gone}}); err != nil {
		t.Fatal(err)
	}
	for _, scope := range []string{"paput.read", "paput.capture", "paput.write", "paput.account"} {
		_, err := w.PublishMemos(bearing(t.Context(), "alice:client_a:"+scope), &memov1.PublishMemosRequest{Ids: []string{hers}})
		wantCode(t, err, connect.CodePermissionDenied, "paput.publish")
	}
	_, err := w.PublishMemos(publishing(t, "alice"), &memov1.PublishMemosRequest{})
	wantCode(t, err, connect.CodeInvalidArgument, "ids is required")

	// Each id stands alone, and nobody publishes for another.
	const address = "https://paput.example.com/m/"
	res, err := w.PublishMemos(publishing(t, "alice"), &memov1.PublishMemosRequest{Ids: []string{"memo_none", gone, hers, hers}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range res.GetResults() {
		if int(r.GetIndex()) != i {
			t.Errorf("result %d: got index %d", i, r.GetIndex())
		}
		got = append(got, r.GetId()+" "+r.GetPublicUrl()+" "+r.GetError().GetCode())
	}
	if want := []string{"memo_none  not_found", gone + "  failed_precondition", hers + " " + address + hers + " ", hers + " " + address + hers + " "}; !slices.Equal(got, want) {
		t.Errorf("publish: got %q, want %q", got, want)
	}
	stranger, err := w.PublishMemos(publishing(t, "bob"), &memov1.PublishMemosRequest{Ids: []string{hers, private}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range stranger.GetResults() {
		if r.GetError().GetCode() != "not_found" || r.GetPublicUrl() != "" {
			t.Errorf("publish for another: got %v, want not_found", r)
		}
	}
	taken, err := w.UnpublishMemos(as(t, "bob"), &memov1.UnpublishMemosRequest{Ids: []string{hers}})
	if err != nil || taken.GetResults()[0].GetError().GetCode() != "not_found" {
		t.Errorf("unpublish for another: got %v, %v", taken, err)
	}

	mine := w.read(t, hers)
	if !mine.GetIsPublic() || mine.GetPublicUrl() != address+hers || mine.GetRevision() != 2 || len(mine.GetCategories()) != 1 {
		t.Errorf("its owner reads %v", mine)
	}
	want := &memov1.Memo{
		Id: hers, Title: "公開する判断", Body: "# 理由\n", Summary: "要約", MemoTypes: []string{"decision"},
		CreateTime: mine.GetCreateTime(), UpdateTime: mine.GetUpdateTime(), IsPublic: true, PublicUrl: address + hers,
	}
	for _, account := range []string{"bob", "carol"} {
		read, err := w.SearchMemos(as(t, account), &memov1.SearchMemosRequest{Ids: []string{private, hers, gone}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]*memov1.Memo{want}, read.GetMemos(), protocmp.Transform()); diff != "" || !slices.Equal(read.GetMissingIds(), []string{private, gone}) {
			t.Errorf("%s reads, without %v (-want +got):\n%s", account, read.GetMissingIds(), diff)
		}
		if found := w.find(t, account, &memov1.SearchMemosRequest{Query: "公開"}); len(found) != 0 {
			t.Errorf("%s finds %v, want nothing", account, found)
		}
		_, err = w.ListMemoRevisions(as(t, account), &memov1.ListMemoRevisionsRequest{Id: hers})
		wantCode(t, err, connect.CodeNotFound, "not found; search first")
		_, err = w.UpdateMemo(publishing(t, account), &memov1.UpdateMemoRequest{Id: hers, Title: "mine"})
		wantCode(t, err, connect.CodeNotFound, "not found; search first")
	}
	anyone, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: hers})
	if diff := cmp.Diff(want, anyone.GetMemo(), protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("without a token: got %v (-want +got):\n%s", err, diff)
	}
	refusals := map[string]bool{}
	for _, id := range []string{private, gone, "memo_none", "' OR 1=1"} {
		_, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: id})
		wantCode(t, err, connect.CodeNotFound, "no public memo")
		refusals[err.Error()] = true
	}
	if len(refusals) != 1 {
		t.Errorf("got the answers %v, want one for all", refusals)
	}
}

// TestPublicMemoVanishes ends a memo's life in public in each way there is.
func TestPublicMemoVanishes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, "alice", draftOf("題", "本文"))[0]
	publish := func() {
		t.Helper()
		if _, err := w.PublishMemos(publishing(t, "alice"), &memov1.PublishMemosRequest{Ids: []string{id}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	isGone := func() {
		t.Helper()
		_, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: id})
		wantCode(t, err, connect.CodeNotFound, "no public memo")
		read, err := w.SearchMemos(as(t, "bob"), &memov1.SearchMemosRequest{Ids: []string{id}})
		if err != nil || len(read.GetMemos()) != 0 {
			t.Errorf("another account reads %v, %v", read.GetMemos(), err)
		}
		if m := w.read(t, id); m.GetIsPublic() || m.GetPublicUrl() != "" {
			t.Errorf("its owner reads %v", m)
		}
	}
	publish()
	if res, err := w.UnpublishMemos(as(t, "alice"), &memov1.UnpublishMemosRequest{Ids: []string{id, "memo_none"}}); err != nil ||
		res.GetResults()[0].GetError() != nil || res.GetResults()[1].GetError().GetCode() != "not_found" {
		t.Errorf("unpublish: got %v, %v", res, err)
	}
	isGone()
	publish()
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	isGone()
	if _, err := w.RestoreMemos(as(t, "alice"), &memov1.RestoreMemosRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	isGone()
	history, err := w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, r := range history.GetRevisions() {
		actions = append(actions, r.GetAction())
	}
	if got, want := strings.Join(actions, " "), "restored deleted published unpublished published created"; got != want {
		t.Errorf("history: got %s, want %s", got, want)
	}
}

// TestUpdatePublicMemo changes a public memo with and without the scope that publishing needs.
func TestUpdatePublicMemo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, "alice", draftOf("題", "本文"))[0]
	if _, err := w.PublishMemos(publishing(t, "alice"), &memov1.PublishMemosRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	_, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Body: "書き換え"})
	wantCode(t, err, connect.CodePermissionDenied, id+" is public")
	for _, word := range []string{"unpublish", "paput.publish", "paput_publish_memos"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, want it to name %s", err, word)
		}
	}
	seen := func() string {
		res, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetMemo().GetBody()
	}
	if got := seen(); got != "本文" {
		t.Errorf("after the refusal the world sees %q", got)
	}
	res, err := w.UpdateMemo(publishing(t, "alice"), &memov1.UpdateMemoRequest{Id: id, Body: "訂正"})
	if err != nil || !res.GetMemo().GetIsPublic() || res.GetMemo().GetPublicUrl() == "" {
		t.Errorf("with the scope: got %v, %v", res, err)
	}
	if got := seen(); got != "訂正" {
		t.Errorf("after the update the world sees %q", got)
	}
}
