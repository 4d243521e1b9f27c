package memo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestHistoryNamesClients looks at a memo that three clients made, one of them by importing what a fourth had done elsewhere.
func TestHistoryNamesClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked [][]string
	w.service.clientNames = func(_ context.Context, ids []string) (map[string]string, error) {
		asked = append(asked, ids)
		return map[string]string{"client_a": "unverified: A", "client_i": "Importer", "client_b": "B"}, nil
	}
	id := w.create(t, "alice", draftOf("x", ""))[0]
	for i, client := range []string{"client_b", "client_b", "client_c"} {
		if _, err := w.UpdateMemo(bearing(t.Context(), "alice:"+client+":paput.write"), &memov1.UpdateMemoRequest{Id: id, Title: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	by := func(w *world, person, id string, revision int32) (names []string) {
		t.Helper()
		res, err := w.ListMemoRevisions(as(t, person), &memov1.ListMemoRevisionsRequest{Id: id, Revision: revision})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.GetRevisions() {
			names = append(names, r.GetClientId()+" "+r.GetClientName())
		}
		return names
	}
	if got, want := by(w, "alice", id, 0), []string{"client_c ", "client_b B", "client_b B", "client_a unverified: A"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := by(w, "alice", id, 1), []string{"client_a unverified: A"}; !slices.Equal(got, want) {
		t.Errorf("one revision: got %q, want %q", got, want)
	}
	if want := [][]string{{"client_c", "client_b", "client_a"}, {"client_a"}}; !cmp.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	there := newWorld(t)
	there.service.clientNames = w.service.clientNames
	there.mustImport(t, "bob", 100, &memov1.ImportAccountRequest{Records: recordsOf(w.export(t, "alice", ""))})
	if got, want := by(there, "bob", id, 0), []string{"client_c Importer, by import", "client_b Importer, by import", "client_b Importer, by import", "client_a Importer, by import"}; !slices.Equal(got, want) {
		t.Errorf("imported: got %q, want %q", got, want)
	}
	w.service.clientNames = func(context.Context, []string) (map[string]string, error) { return nil, errors.New("a secret") }
	_, err := w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: id})
	wantCode(t, err, connect.CodeInternal, "internal error")
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, "alice", draftOf("題", "一"))[0]
	other := bearing(t.Context(), "alice:client_b:paput.write")
	if _, err := w.UpdateMemo(other, &memov1.UpdateMemoRequest{Id: id, Body: "二", Summary: "s"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteMemos(other, &memov1.DeleteMemosRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RestoreMemos(as(t, "alice"), &memov1.RestoreMemosRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	res, err := w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.GetRevisions() {
		if r.GetMemo().GetBody() != "" || r.GetMemo().GetRevision() != r.GetRevision() || r.GetTime() == nil {
			t.Errorf("got %v, want no body, a time and the memo of that revision", r)
		}
		got = append(got, fmt.Sprintf("%d %s %s %s", r.GetRevision(), r.GetAction(), r.GetChangedFields(), r.GetClientId()))
	}
	want := []string{"4 restored [] client_a", "3 deleted [] client_b", "2 updated [body summary] client_b", "1 created [title body] client_a"}
	if diff := cmp.Diff(want, got); diff != "" || res.GetNextPageToken() != "" {
		t.Errorf("revisions (-want +got):\n%s\nnext page %q", diff, res.GetNextPageToken())
	}

	one, err := w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: id, Revision: 1})
	if err != nil || len(one.GetRevisions()) != 1 || one.GetRevisions()[0].GetMemo().GetBody() != "一" {
		t.Errorf("revision 1: got %v, %v, want its body", one, err)
	}
	_, err = w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: id, Revision: 5})
	wantCode(t, err, connect.CodeNotFound, "has no revision 5; its newest is 4")

	var paged []int32
	req := &memov1.ListMemoRevisionsRequest{Id: id, PageSize: 3}
	for {
		page, err := w.ListMemoRevisions(as(t, "alice"), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.GetRevisions() {
			paged = append(paged, r.GetRevision())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
		// What happens meanwhile is no part of later pages.
		if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: []string{id}}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(paged, []int32{4, 3, 2, 1}) {
		t.Errorf("by pages: got %v, want 4 to 1", paged)
	}
	_, err = w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: id, PageToken: "?"})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token is not one that was given out")
}

// TestEarlierRevision brings content back as one more revision; what is no content stays as it is.
func TestEarlierRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, "alice", &memov1.MemoDraft{Title: "最初", Body: "一", Summary: "s", MemoTypes: []string{"decision"}, Categories: []string{"Go"}, Projects: []string{"p"}})[0]
	alice := as(t, "alice")
	first := w.read(t, id)
	if _, err := w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, Title: "次", Body: "二", Categories: []string{"設計"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}}); err != nil {
		t.Fatal(err)
	}
	_, err := w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, FromRevision: 1, Etag: first.GetEtag()})
	wantCode(t, err, connect.CodeAborted, "revision 2")
	_, err = w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, FromRevision: 3})
	wantCode(t, err, connect.CodeNotFound, id+" has no revision 3; its newest is 2")
	_, err = w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, FromRevision: 1, Title: "x"})
	wantCode(t, err, connect.CodeInvalidArgument, "from_revision brings the whole memo back; leave out title")
	_, err = w.UpdateMemo(as(t, "bob"), &memov1.UpdateMemoRequest{Id: id, FromRevision: 7})
	wantCode(t, err, connect.CodeNotFound, id+" not found; search first")

	// A tool call has the argument in its mask.
	mask := &fieldmaskpb.FieldMask{Paths: []string{"from_revision"}}
	res, err := w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, FromRevision: 1, UpdateMask: mask})
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(first)
	want.Revision, want.Etag, want.UpdateTime = 3, etag(id, 3), res.GetMemo().GetUpdateTime()
	if diff := cmp.Diff(want, w.read(t, id), protocmp.Transform()); diff != "" {
		t.Errorf("the memo (-want +got):\n%s", diff)
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: "最初", Categories: []string{"Go"}}); !slices.Equal(got, []string{id}) {
		t.Errorf("search: got %v", got)
	}
	res, err = w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, FromRevision: 1, UpdateMask: mask})
	if err != nil || res.GetMemo().GetRevision() != 3 {
		t.Errorf("once more: got %v, %v, want revision 3", res, err)
	}
	_, err = w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, UpdateMask: mask})
	wantCode(t, err, connect.CodeInvalidArgument, "there is nothing to change")
	w.trash(t, id)
	_, err = w.UpdateMemo(alice, &memov1.UpdateMemoRequest{Id: id, FromRevision: 2})
	wantCode(t, err, connect.CodeFailedPrecondition, "is in the trash")
}
