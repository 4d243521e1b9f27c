package memo

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestSearchNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for _, title := range []string{"認証基盤の移行", "OAuth redirect_uri の検証", "Deploying サーバー", "認証と検証", "認証 again"} {
		ids = append(ids, w.note(t, "alice", title).GetId())
	}
	w.note(t, "bob", "認証")
	find := func(req *memov1.SearchNotesRequest) (found []string) {
		for {
			res, err := w.SearchNotes(as(t, "alice"), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range res.GetNotes() {
				found = append(found, n.GetTitle())
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				return found
			}
			if len(found) > 10 {
				t.Fatal("the pages do not end")
			}
			w.note(t, "alice", "認証, written meanwhile")
		}
	}
	for _, tt := range []struct {
		query string
		want  string
	}{
		{"", "認証 again|認証と検証|Deploying サーバー|OAuth redirect_uri の検証|認証基盤の移行"},
		{"認証", "認証 again|認証と検証|認証基盤の移行"},
		{"検証 認証", "認証と検証"},
		{"REDIRECT", "OAuth redirect_uri の検証"},
		{"redirectUri", "OAuth redirect_uri の検証"},
		{"さーば", "Deploying サーバー"},
		{"deploy", ""},
		{"移", "認証基盤の移行"},
		{"?!", ""},
		{`" OR "`, ""},
	} {
		if got := strings.Join(find(&memov1.SearchNotesRequest{Query: tt.query}), "|"); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.query, got, tt.want)
		}
	}
	if got := find(&memov1.SearchNotesRequest{Query: "認証", PageSize: 1}); strings.Join(got, "|") != "認証 again|認証と検証|認証基盤の移行" {
		t.Errorf("by pages, while notes are written: got %v", got)
	}
	page, err := w.SearchNotes(as(t, "alice"), &memov1.SearchNotesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.SearchNotes(as(t, "bob"), &memov1.SearchNotesRequest{PageToken: page.GetNextPageToken()})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
	// The title counts as it is.
	w.update(t, &memov1.UpdateNoteRequest{Id: ids[0], Title: "Moving"})
	if got := find(&memov1.SearchNotesRequest{Query: "移行"}); len(got) != 0 {
		t.Errorf("the old title: got %v", got)
	}
	if got := find(&memov1.SearchNotesRequest{Query: "moving"}); !slices.Equal(got, []string{"Moving"}) {
		t.Errorf("the new title: got %v", got)
	}
}

// TestNotePagesWhileItChanges changes a note between its first page and the rest.
func TestNotePagesWhileItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("1", ""), draftOf("2", ""), draftOf("3", ""), draftOf("4", ""), draftOf("5", ""))
	for _, tt := range []struct {
		name   string
		change *memov1.UpdateNoteRequest
		want   []string
	}{
		{"nothing", nil, ids[2:4]},
		{"one before is taken out", &memov1.UpdateNoteRequest{RemoveMemoIds: ids[:1]}, ids[2:4]},
		{"the last one is taken out", &memov1.UpdateNoteRequest{RemoveMemoIds: ids[1:2]}, ids[2:4]},
		{"one is put in front", &memov1.UpdateNoteRequest{MemoIds: []string{ids[4], ids[0], ids[1], ids[2], ids[3]}}, ids[2:4]},
	} {
		id := w.note(t, "alice", tt.name, ids[:4]...).GetId()
		first, err := w.GetNote(as(t, "alice"), &memov1.GetNoteRequest{Id: id, PageSize: 2})
		if err != nil || len(first.GetMemos()) != 2 {
			t.Fatalf("%s: got %v, %v", tt.name, first, err)
		}
		if tt.change != nil {
			tt.change.Id = id
			w.update(t, tt.change)
		}
		rest, err := w.GetNote(as(t, "alice"), &memov1.GetNoteRequest{Id: id, PageSize: 5, PageToken: first.GetNextPageToken()})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range rest.GetMemos() {
			got = append(got, m.GetId())
		}
		if !slices.Equal(got, tt.want) || rest.GetNextPageToken() != "" {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		_, err = w.GetNote(as(t, "alice"), &memov1.GetNoteRequest{Id: "note_x", PageToken: first.GetNextPageToken()})
		wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
	}
}
