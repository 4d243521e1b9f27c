package memo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// became says in a word what became of an item.
func became(id string, code string) string {
	if code != "" {
		return code
	}
	if id == "" {
		return "nothing"
	}
	return "done"
}

// propose adds candidates that must be accepted, from codex and without a session, and gives their ids.
func (w *world) propose(tb tester, person string, drafts ...*memov1.CandidateDraft) []string {
	tb.Helper()
	res, err := w.AddCandidates(as(tb, person), &memov1.AddCandidatesRequest{Candidates: drafts, Source: "codex"})
	if err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, r := range res.GetResults() {
		if r.GetError() != nil || !strings.HasPrefix(r.GetId(), "cand_") {
			tb.Fatalf("add candidate %d: %v", r.GetIndex(), r)
		}
		ids = append(ids, r.GetId())
	}
	return ids
}

func proposed(title, body string) *memov1.CandidateDraft {
	return &memov1.CandidateDraft{Title: title, Body: body}
}

// queue reads candidates of alice's whole.
func (w *world) queue(tb tester, ids ...string) []*memov1.Candidate {
	tb.Helper()
	res, err := w.ListCandidates(as(tb, "alice"), &memov1.ListCandidatesRequest{Ids: ids})
	if err != nil {
		tb.Fatal(err)
	}
	if len(res.GetMissingIds()) > 0 {
		tb.Fatalf("missing %v", res.GetMissingIds())
	}
	return res.GetCandidates()
}

func TestAddReadsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sure, at := 0.8, timestamppb.New(time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC))
	res, err := w.AddCandidates(as(t, "alice"), &memov1.AddCandidatesRequest{
		Source: "claude", SessionId: " s-1 ", Candidates: []*memov1.CandidateDraft{{
			Title: " 題 ", Body: "本文\n", Summary: "要約", MemoTypes: []string{"decision"}, Categories: []string{"Go", "ＧＯ"}, Projects: []string{"paput"}, CreateTime: at, Confidence: &sure,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := res.GetResults()[0].GetId()
	got := w.queue(t, id)[0]
	want := &memov1.Candidate{
		Id: id, Status: "pending", Title: "題", Body: "本文\n", Summary: "要約", MemoTypes: []string{"decision"}, Categories: []string{"Go"}, Projects: []string{"paput"},
		CreateTime: at, Source: "claude", SessionId: "s-1", Confidence: &sure, AddTime: got.GetAddTime(), UpdateTime: got.GetAddTime(), Etag: etag(id, 1),
		Fingerprint: content{title: "題", body: "本文"}.fingerprint(),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || got.GetAddTime() == nil {
		t.Errorf("the candidate (-want +got):\n%s", diff)
	}
	list, err := w.ListCandidates(as(t, "alice"), &memov1.ListCandidatesRequest{})
	want.Body = ""
	if diff := cmp.Diff([]*memov1.Candidate{want}, list.GetCandidates(), protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("the list, %v (-want +got):\n%s", err, diff)
	}
	sessions, err := w.ListProcessedSessions(as(t, "alice"), &memov1.ListProcessedSessionsRequest{})
	if err != nil || len(sessions.GetSessions()) != 1 || sessions.GetSessions()[0].GetSource() != "claude" || sessions.GetSessions()[0].GetSessionId() != "s-1" {
		t.Errorf("the sessions: got %v, %v, want s-1 of claude", sessions, err)
	}
	if found := w.find(t, "alice", &memov1.SearchMemosRequest{Query: "題"}); len(found) != 0 {
		t.Errorf("a search finds the candidate: %v", found)
	}
}

func TestAddItemsStandAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many := 1.5
	req := &memov1.AddCandidatesRequest{Source: "codex", SessionId: "s", Candidates: []*memov1.CandidateDraft{
		proposed("", "no title"), proposed("良い", ""), proposed("nul", "\x00"), {Title: "sure", Confidence: &many}, proposed(strings.Repeat("長", 201), ""),
		{Title: "late", CreateTime: timestamppb.New(w.clock.now().Add(48 * time.Hour))},
	}}
	res, err := w.AddCandidates(as(t, "alice"), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"title is required", "", "U+0000", "confidence is 1.5, at most 1", "title is 201 characters", "more than a day in the future"} {
		r := res.GetResults()[i]
		if int(r.GetIndex()) != i || (want == "") != (r.GetId() != "") || want != "" && r.GetError().GetCode() != "invalid_argument" || !strings.Contains(r.GetError().GetMessage(), want) {
			t.Errorf("item %d: got %v, want %q", i, r, want)
		}
	}
	for _, tt := range []struct {
		req  *memov1.AddCandidatesRequest
		want string
	}{
		{&memov1.AddCandidatesRequest{Source: "codex"}, "candidates is required"},
		{&memov1.AddCandidatesRequest{Candidates: req.GetCandidates()}, "source is required"},
		{&memov1.AddCandidatesRequest{Candidates: req.GetCandidates(), Source: "gpt"}, `source is "gpt", must be one of claude, codex, claude-ai, chatgpt, other`},
		{&memov1.AddCandidatesRequest{Candidates: req.GetCandidates(), Source: "codex", SessionId: "a\nb"}, "session_id must be on one line"},
	} {
		_, err := w.AddCandidates(as(t, "alice"), tt.req)
		wantCode(t, err, connect.CodeInvalidArgument, tt.want)
	}
	// A session of which nothing could be read is to be sent again.
	if _, err := w.AddCandidates(as(t, "bob"), &memov1.AddCandidatesRequest{Source: "codex", SessionId: "s", Candidates: req.GetCandidates()[:1]}); err != nil {
		t.Fatal(err)
	}
	for person, want := range map[string]int{"alice": 1, "bob": 0} {
		list, err := w.ListProcessedSessions(as(t, person), &memov1.ListProcessedSessionsRequest{})
		if err != nil || len(list.GetSessions()) != want {
			t.Errorf("sessions of %s: got %v, %v, want %d", person, list, err, want)
		}
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	same := func(title, body string) (string, string) {
		res, err := w.AddCandidates(alice, &memov1.AddCandidatesRequest{Source: "codex", Candidates: []*memov1.CandidateDraft{proposed(title, body)}})
		if err != nil {
			t.Fatal(err)
		}
		r := res.GetResults()[0]
		if r.GetDuplicateOf() != "" && (r.GetError().GetCode() != "already_exists" || !strings.HasPrefix(r.GetError().GetMessage(), r.GetDuplicateOf()+" says the same") || r.GetId() != "") {
			t.Errorf("got %v, want already_exists", r)
		}
		return r.GetDuplicateOf(), r.GetId()
	}
	memoID := w.create(t, "alice", draftOf("認証の鍵", "鍵は 90 日で\n替える。"))[0]
	w.create(t, "bob", draftOf("Bob の話", "x"))
	// Enough for the text index to be written, so that both ways to a memo are taken.
	for range maxWaiting {
		w.create(t, "alice", draftOf("他", "別の話"))
	}
	fresh := w.create(t, "alice", draftOf("git", "-v"))[0]
	_, pending := same("待つ", "候補")
	_, dropped := same("捨てる", "候補")
	if _, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: []string{dropped}}); err != nil {
		t.Fatal(err)
	}
	_, kept := same("残す", "候補")
	saved, err := w.SaveCandidates(alice, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: kept}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ title, body, want string }{
		{" 認証の鍵", "鍵は 90  日で\r\n替える。\n", memoID},
		{"認証の鍵", "鍵は 91 日で\n替える。", ""},
		{"git", "-v", fresh},
		{"git", "-V", ""},
		{"待つ", "候補", pending},
		{"捨てる", "候補", dropped},
		{"残す", "候補", kept},
		{"Bob の話", "x", ""},
	} {
		if got, _ := same(tt.title, tt.body); got != tt.want {
			t.Errorf("%s, %q: got a duplicate of %q, want %q", tt.title, tt.body, got, tt.want)
		}
	}
	// What is in the trash says nothing any more.
	gone := []string{memoID, fresh, saved.GetResults()[0].GetMemoId()}
	if _, err := w.DeleteMemos(alice, &memov1.DeleteMemosRequest{Ids: gone}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*memov1.CandidateDraft{proposed("認証の鍵", "鍵は 90 日で 替える。"), proposed("git", "-v"), proposed("残す", "候補")} {
		if got, _ := same(d.GetTitle(), d.GetBody()); got != "" {
			t.Errorf("%s: got a duplicate of %s, which is in the trash", d.GetTitle(), got)
		}
	}
	// Two of one call.
	res, err := w.AddCandidates(alice, &memov1.AddCandidatesRequest{Source: "other", Candidates: []*memov1.CandidateDraft{proposed("二度", ""), {Title: "二度", Summary: "別"}, proposed("二度", "")}})
	if err != nil || res.GetResults()[2].GetDuplicateOf() != res.GetResults()[0].GetId() || res.GetResults()[1].GetError() != nil {
		t.Errorf("twice in one call: got %v, %v", res, err)
	}
}

func TestSimilar(t *testing.T) {
	t.Parallel()
	const ja = "認証サーバーの署名鍵は九十日ごとに入れ替える。古い鍵は検証のために三十日だけ残し、その後で消す。"
	const en = "The relay publishes every event in order and resumes from the last sequence of the stream, so that a restart loses nothing."
	for _, waiting := range []bool{true, false} {
		w := newWorld(t)
		ids := w.create(t, "alice", draftOf("署名鍵の入れ替え", ja), draftOf("How the relay resumes", en), draftOf("昼食", "近所の蕎麦屋は十一時半に開く。"), draftOf("消した", ja))
		w.create(t, "bob", draftOf("署名鍵の入れ替え", ja))
		if !waiting {
			for i := range maxWaiting {
				w.create(t, "carol", draftOf(fmt.Sprint(i), ""))
			}
		}
		if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[3:]}); err != nil {
			t.Fatal(err)
		}
		drafts := []*memov1.CandidateDraft{
			proposed("署名鍵の交換", "認証サーバーの署名鍵は九十日ごとに交換する。古い鍵は検証のために三十日だけ残し、あとで消す。"),
			proposed("Relay resumption", strings.Replace(en, "loses nothing", "is harmless", 1)),
			proposed("夕食", "駅前の店は六時に開く。"),
		}
		res, err := w.AddCandidates(as(t, "alice"), &memov1.AddCandidatesRequest{Source: "codex", Candidates: drafts})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{ids[0] + " 署名鍵の入れ替え", ids[1] + " How the relay resumes", ""} {
			got := ""
			for _, s := range res.GetResults()[i].GetSimilarMemos() {
				got += s.GetId() + " " + s.GetTitle()
				if s.GetScore() < minSimilar || s.GetScore() >= 1 {
					t.Errorf("item %d: got the score %v", i, s.GetScore())
				}
			}
			if got != want {
				t.Errorf("item %d, waiting %v: got %q, want %q", i, waiting, got, want)
			}
			listed := w.queue(t, res.GetResults()[i].GetId())[0]
			if diff := cmp.Diff(res.GetResults()[i].GetSimilarMemos(), listed.GetSimilarMemos(), protocmp.Transform()); diff != "" {
				t.Errorf("item %d as listed (-added +listed):\n%s", i, diff)
			}
		}
		// A caller that may not read memos learns no title.
		capturer := bearing(t.Context(), "alice:c:paput.capture")
		more, err := w.AddCandidates(capturer, &memov1.AddCandidatesRequest{Source: "codex", Candidates: []*memov1.CandidateDraft{proposed("鍵", ja)}})
		if s := more.GetResults()[0].GetSimilarMemos(); err != nil || len(s) != 1 || s[0].GetId() != ids[0] || s[0].GetTitle() != "" {
			t.Errorf("with paput.capture: got %v, %v, want %s without a title", s, err, ids[0])
		}
		list, err := w.ListCandidates(capturer, &memov1.ListCandidatesRequest{})
		if s := list.GetCandidates()[0].GetSimilarMemos(); err != nil || len(s) != 1 || s[0].GetTitle() != "" {
			t.Errorf("the list with paput.capture: got %v, %v, want no title", s, err)
		}
		// A memo that is gone is listed no longer.
		if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[:1]}); err != nil {
			t.Fatal(err)
		}
		if s := w.queue(t, res.GetResults()[0].GetId())[0].GetSimilarMemos(); len(s) != 0 {
			t.Errorf("after the memo was deleted: got %v", s)
		}
	}
}

func TestListCandidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	var drafts []*memov1.CandidateDraft
	for i := range 5 {
		drafts = append(drafts, proposed(fmt.Sprintf("候補 %d", i), ""))
	}
	ids := w.propose(t, "alice", drafts...)
	his := w.propose(t, "bob", drafts...)
	if _, err := w.AddCandidates(alice, &memov1.AddCandidatesRequest{Source: "chatgpt", Candidates: []*memov1.CandidateDraft{proposed("other source", "")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: ids[1:2]}); err != nil {
		t.Fatal(err)
	}
	var got []string
	req := &memov1.ListCandidatesRequest{Source: "codex", PageSize: 2}
	for {
		page, err := w.ListCandidates(alice, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.GetCandidates() {
			got = append(got, c.GetId())
		}
		// What is added meanwhile is no part of later pages.
		w.propose(t, "alice", proposed(fmt.Sprintf("meanwhile %d", len(got)), ""))
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if want := []string{ids[4], ids[3], ids[2], ids[0]}; !slices.Equal(got, want) {
		t.Errorf("by pages: got %v, want %v", got, want)
	}
	for status, want := range map[string]int{"": 7, "pending": 7, "discarded": 1, "saved": 0} {
		res, err := w.ListCandidates(alice, &memov1.ListCandidatesRequest{Status: status})
		if err != nil || len(res.GetCandidates()) != want {
			t.Errorf("status %q: got %d, %v, want %d", status, len(res.GetCandidates()), err, want)
		}
	}
	res, err := w.ListCandidates(alice, &memov1.ListCandidatesRequest{Ids: []string{ids[1], his[0], "cand_x", ids[0]}})
	if err != nil || len(res.GetCandidates()) != 2 || res.GetCandidates()[0].GetId() != ids[1] || !slices.Equal(res.GetMissingIds(), []string{his[0], "cand_x"}) {
		t.Errorf("by ids: got %v, %v", res, err)
	}
	_, err = w.ListCandidates(alice, &memov1.ListCandidatesRequest{Ids: ids, Status: "saved"})
	wantCode(t, err, connect.CodeInvalidArgument, "leave out ids")
	page, err := w.ListCandidates(alice, &memov1.ListCandidatesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ListCandidates(as(t, "bob"), &memov1.ListCandidatesRequest{PageToken: page.GetNextPageToken()})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
}

func TestUpdateCandidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.propose(t, "alice", &memov1.CandidateDraft{Title: "古い題", Body: "本文", Summary: "要約"}, proposed("捨てる", ""))
	his := w.propose(t, "bob", proposed("his", ""))
	if _, err := w.DiscardCandidates(as(t, "alice"), &memov1.DiscardCandidatesRequest{Ids: ids[1:]}); err != nil {
		t.Fatal(err)
	}
	edit := func(e *memov1.CandidateEdit) string {
		res, err := w.UpdateCandidates(as(t, "alice"), &memov1.UpdateCandidatesRequest{Candidates: []*memov1.CandidateEdit{e}})
		if err != nil {
			t.Fatal(err)
		}
		r := res.GetResults()[0]
		return became(r.GetEtag(), r.GetError().GetCode())
	}
	for _, tt := range []struct {
		edit *memov1.CandidateEdit
		want string
	}{
		{&memov1.CandidateEdit{Id: ids[0], Title: "新しい題", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "summary"}}}, "done"},
		{&memov1.CandidateEdit{Id: ids[0], Title: "x", Etag: etag(ids[0], 1)}, "aborted"},
		{&memov1.CandidateEdit{Id: ids[0], Body: "新しい本文", Etag: etag(ids[0], 2)}, "done"},
		{&memov1.CandidateEdit{Id: ids[0], Body: "新しい本文"}, "done"},
		{&memov1.CandidateEdit{Id: ids[0]}, "invalid_argument"},
		{&memov1.CandidateEdit{Id: ids[0], Title: "a\nb"}, "invalid_argument"},
		{&memov1.CandidateEdit{Title: "x"}, "invalid_argument"},
		{&memov1.CandidateEdit{Id: ids[1], Title: "x"}, "failed_precondition"},
		{&memov1.CandidateEdit{Id: his[0], Title: "x"}, "not_found"},
		{&memov1.CandidateEdit{Id: "cand_x", Title: "x"}, "not_found"},
	} {
		if got := edit(tt.edit); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.edit, got, tt.want)
		}
	}
	c := w.queue(t, ids[0])[0]
	if c.GetTitle() != "新しい題" || c.GetSummary() != "" || c.GetBody() != "新しい本文" || c.GetEtag() != etag(ids[0], 3) {
		t.Errorf("got %v", c)
	}
	if want := (content{title: "新しい題", body: "新しい本文"}).fingerprint(); c.GetFingerprint() != want {
		t.Errorf("got the fingerprint %s, want %s", c.GetFingerprint(), want)
	}
	// The queue knows the candidate by what it says since.
	res, err := w.AddCandidates(as(t, "alice"), &memov1.AddCandidatesRequest{Source: "codex", Candidates: []*memov1.CandidateDraft{proposed("新しい題", "新しい本文"), proposed("古い題", "本文")}})
	if err != nil || res.GetResults()[0].GetDuplicateOf() != ids[0] || res.GetResults()[1].GetError() != nil {
		t.Errorf("the same again: got %v, %v", res, err)
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	ids := w.propose(t, "alice", proposed("一つ", ""), proposed("二つ", ""), proposed("三つ", ""))
	his := w.propose(t, "bob", proposed("his", ""))
	if _, err := w.SaveCandidates(alice, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: ids[2]}}}); err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{" 細かすぎる ", "別の理由"} {
		res, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: []string{ids[0], "cand_x", his[0], ids[2]}, Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"done", "not_found", "not_found", "failed_precondition"} {
			if r := res.GetResults()[i]; int(r.GetIndex()) != i || became(r.GetEtag(), r.GetError().GetCode()) != want {
				t.Errorf("result %d: got %v, want %s", i, r, want)
			}
		}
	}
	c := w.queue(t, ids[0])[0]
	if c.GetStatus() != "discarded" || c.GetDiscardReason() != "細かすぎる" || c.GetEtag() != etag(ids[0], 2) {
		t.Errorf("got %v, want it discarded once, for the first reason", c)
	}
	_, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Reason: "x"})
	wantCode(t, err, connect.CodeInvalidArgument, "ids is required")
	_, err = w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: ids, Reason: "a\nb"})
	wantCode(t, err, connect.CodeInvalidArgument, "reason must be on one line")
}

func TestSaveCandidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	w.create(t, "alice", &memov1.MemoDraft{Title: "古いメモ", Categories: []string{"GitHub"}})
	ids := w.propose(t, "alice",
		&memov1.CandidateDraft{Title: "そのまま", Body: "本文", Summary: "s", MemoTypes: []string{"decision"}, Categories: []string{"github"}, Projects: []string{"p"}},
		&memov1.CandidateDraft{Title: "直す", Body: "前", Summary: "消す"}, proposed("捨てる", ""), proposed("古い", ""))
	his := w.propose(t, "bob", proposed("his", ""))
	if _, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: ids[2:3]}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Hour)
	edits := []*memov1.CandidateEdit{
		{Id: ids[0]},
		{Id: ids[1], Body: "後", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"body", "summary"}}},
		{Id: ids[2]}, {Id: his[0]}, {Id: "cand_x"}, {Id: ids[3], Title: "a\nb"}, {Id: ids[3], Etag: etag(ids[3], 9)}, {},
	}
	res, err := w.SaveCandidates(alice, &memov1.SaveCandidatesRequest{Candidates: edits})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"done", "done", "failed_precondition", "not_found", "not_found", "invalid_argument", "aborted", "invalid_argument"} {
		if r := res.GetResults()[i]; int(r.GetIndex()) != i || became(r.GetMemoId(), r.GetError().GetCode()) != want {
			t.Errorf("result %d: got %v, want %s", i, r, want)
		}
	}
	before := w.queue(t, ids[:2]...)
	first, second := w.read(t, res.GetResults()[0].GetMemoId()), w.read(t, res.GetResults()[1].GetMemoId())
	want := &memov1.Memo{
		Id: first.GetId(), Title: "そのまま", Body: "本文", Summary: "s", MemoTypes: []string{"decision"}, Categories: []string{"GitHub"}, Projects: []string{"p"},
		CreateTime: before[0].GetAddTime(), UpdateTime: first.GetUpdateTime(), Revision: 1, Etag: etag(first.GetId(), 1),
	}
	if diff := cmp.Diff(want, first, protocmp.Transform()); diff != "" || first.GetUpdateTime().AsTime().Sub(first.GetCreateTime().AsTime()) < time.Hour {
		t.Errorf("the memo (-want +got):\n%s", diff)
	}
	if second.GetTitle() != "直す" || second.GetBody() != "後" || second.GetSummary() != "" {
		t.Errorf("the edited memo: got %v", second)
	}
	for i, c := range before {
		if c.GetStatus() != "saved" || c.GetSavedMemoId() != res.GetResults()[i].GetMemoId() {
			t.Errorf("the candidate: got %v, want it saved", c)
		}
	}
	history, err := w.ListMemoRevisions(alice, &memov1.ListMemoRevisionsRequest{Id: first.GetId()})
	if err != nil || history.GetRevisions()[0].GetCandidateId() != ids[0] {
		t.Errorf("history: got %v, %v, want the candidate %s", history, err, ids[0])
	}
	if found := w.find(t, "alice", &memov1.SearchMemosRequest{Query: "そのまま"}); !slices.Equal(found, []string{first.GetId()}) {
		t.Errorf("search: got %v", found)
	}

	again, err := w.SaveCandidates(alice, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: ids[0]}, {Id: ids[0], Title: "x"}}})
	if err != nil || again.GetResults()[0].GetMemoId() != first.GetId() || again.GetResults()[1].GetError().GetCode() != "failed_precondition" {
		t.Errorf("again: got %v, %v, want the same memo, and a refusal of the edit", again, err)
	}
	if all := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(all) != 3 {
		t.Errorf("got %d memos, want 3", len(all))
	}
	_, err = w.SaveCandidates(bearing(t.Context(), "alice:c:paput.capture"), &memov1.SaveCandidatesRequest{Candidates: edits[:1]})
	wantCode(t, err, connect.CodePermissionDenied, "paput.write")
	_, err = w.AddCandidates(bearing(t.Context(), "alice:c:paput.read"), &memov1.AddCandidatesRequest{})
	wantCode(t, err, connect.CodePermissionDenied, "paput.capture")
}
