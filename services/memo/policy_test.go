package memo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	get := func(person string) *memov1.CapturePolicy {
		res, err := w.GetCapturePolicy(as(t, person), &memov1.GetCapturePolicyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetPolicy()
	}
	none := get("alice")
	if none.GetText() != "" || none.GetRevision() != 0 || none.GetUpdateTime() != nil || none.GetEtag() == "" {
		t.Errorf("without a policy: got %v", none)
	}
	for i, step := range []struct {
		text     *string
		etag     string
		revision int32
		code     connect.Code
		want     string
	}{
		{proto.String("# 残すもの\n\n決定と理由"), none.GetEtag(), 1, 0, ""},
		{proto.String("x"), none.GetEtag(), 0, connect.CodeAborted, "revision 1"},
		{proto.String("# 残すもの\n\n決定と理由"), "", 1, 0, ""},
		{nil, "", 0, connect.CodeInvalidArgument, "text is required"},
		{proto.String("a\x00"), "", 0, connect.CodeInvalidArgument, "text has the control character U+0000"},
		{proto.String(strings.Repeat("長", 20_001)), "", 0, connect.CodeInvalidArgument, "text is 20001 characters, at most 20000"},
		{proto.String(strings.Repeat("長", 20_000)), "", 2, 0, ""},
		{proto.String(""), "", 3, 0, ""},
	} {
		res, err := w.UpdateCapturePolicy(alice, &memov1.UpdateCapturePolicyRequest{Text: step.text, Etag: step.etag})
		if step.want != "" {
			wantCode(t, err, step.code, step.want)
			continue
		}
		if err != nil || res.GetPolicy().GetRevision() != step.revision || res.GetPolicy().GetText() != *step.text || !proto.Equal(res.GetPolicy(), get("alice")) {
			t.Errorf("step %d: got %v, %v, and %v afterwards, want revision %d", i, res, err, get("alice"), step.revision)
		}
	}
	if p := get("bob"); p.GetRevision() != 0 {
		t.Errorf("another account: got %v", p)
	}
}

func TestDiscardContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	if _, err := w.UpdateCapturePolicy(alice, &memov1.UpdateCapturePolicyRequest{Text: proto.String("方針")}); err != nil {
		t.Fatal(err)
	}
	ids := w.propose(t, "alice", &memov1.CandidateDraft{Title: "一", Summary: "s", MemoTypes: []string{"knowledge"}}, proposed("二", ""), proposed("三", ""), proposed("四", ""), proposed("五", ""))
	w.propose(t, "bob", proposed("his", ""))
	// Two at once have the same time.
	for _, list := range [][]string{ids[3:4], {ids[0], ids[2]}, ids[1:2]} {
		if _, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: list, Reason: "理由 " + list[0]}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	req := &memov1.GetDiscardContextRequest{PageSize: 2}
	for {
		page, err := w.GetDiscardContext(alice, req)
		if err != nil {
			t.Fatal(err)
		}
		if page.GetPolicy().GetText() != "方針" {
			t.Errorf("got the policy %v", page.GetPolicy())
		}
		for _, d := range page.GetDiscards() {
			got = append(got, fmt.Sprint(d.GetTitle(), d.GetSummary(), d.GetMemoTypes(), d.GetSource(), d.GetReason(), d.GetDiscardTime() != nil))
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	line := func(title, rest, reason string) string { return title + rest + "codex理由 " + reason + "true" }
	want := []string{line("二", "[]", ids[1]), line("三", "[]", ids[0]), line("一", "s[knowledge]", ids[0]), line("四", "[]", ids[3])}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	res, err := w.GetDiscardContext(as(t, "bob"), &memov1.GetDiscardContextRequest{})
	if err != nil || len(res.GetDiscards()) != 0 || res.GetPolicy().GetText() != "" {
		t.Errorf("another account: got %v, %v", res, err)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := as(t, "alice")
	mark := func(source string, ids ...string) string {
		res, err := w.MarkProcessedSessions(alice, &memov1.MarkProcessedSessionsRequest{Source: source, SessionIds: ids})
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for i, r := range res.GetResults() {
			if int(r.GetIndex()) != i {
				t.Errorf("result %d: got index %d", i, r.GetIndex())
			}
			codes = append(codes, became("x", r.GetError().GetCode()))
		}
		return strings.Join(codes, " ")
	}
	if got, want := mark("claude", "s1", " s2 ", "", "s1", "a\nb", strings.Repeat("長", 201), strings.Repeat("長", 200)), "done done invalid_argument done invalid_argument invalid_argument done"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	mark("codex", "s1")
	mark("claude", "s3", "s1")
	list := func(person string, req *memov1.ListProcessedSessionsRequest) string {
		var got []string
		for {
			page, err := w.ListProcessedSessions(as(t, person), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page.GetSessions() {
				got = append(got, fmt.Sprintf("%s/%.2s", s.GetSource(), s.GetSessionId()))
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				return strings.Join(got, " ")
			}
		}
	}
	for _, tt := range []struct {
		person string
		req    *memov1.ListProcessedSessionsRequest
		want   string
	}{
		{"alice", &memov1.ListProcessedSessionsRequest{}, "claude/s3 codex/s1 claude/長長 claude/s2 claude/s1"},
		{"alice", &memov1.ListProcessedSessionsRequest{PageSize: 2}, "claude/s3 codex/s1 claude/長長 claude/s2 claude/s1"},
		{"alice", &memov1.ListProcessedSessionsRequest{Source: "codex"}, "codex/s1"},
		{"alice", &memov1.ListProcessedSessionsRequest{SessionIds: []string{"s1", "s9"}}, "codex/s1 claude/s1"},
		{"bob", &memov1.ListProcessedSessionsRequest{}, ""},
	} {
		if got := list(tt.person, tt.req); got != tt.want {
			t.Errorf("%s, %v: got %s, want %s", tt.person, tt.req, got, tt.want)
		}
	}
	_, err := w.MarkProcessedSessions(alice, &memov1.MarkProcessedSessionsRequest{Source: "claude"})
	wantCode(t, err, connect.CodeInvalidArgument, "session_ids is required")
}

// TestCaptureRebuilds checks that the read models of capture are the same when they are made anew from the log.
func TestCaptureRebuilds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := &machine{world: w}
	ids := w.propose(t, "alice", proposed("一", "本文"), &memov1.CandidateDraft{Title: "二", Categories: []string{"Go"}, Confidence: proto.Float64(0)}, proposed("三", ""), proposed("四", ""))
	alice := as(t, "alice")
	for _, do := range []func() error{
		func() error {
			_, err := w.UpdateCandidates(alice, &memov1.UpdateCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: ids[0], Title: "壱"}}})
			return err
		},
		func() error {
			_, err := w.SaveCandidates(alice, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: ids[0]}, {Id: ids[1], Title: "弐"}}})
			return err
		},
		func() error {
			_, err := w.DiscardCandidates(alice, &memov1.DiscardCandidatesRequest{Ids: ids[2:3], Reason: "理由"})
			return err
		},
		func() error {
			_, err := w.AddCandidates(alice, &memov1.AddCandidatesRequest{Source: "claude", SessionId: "s", Candidates: []*memov1.CandidateDraft{proposed("壱", "本文。")}})
			return err
		},
		func() error {
			_, err := w.UpdateCapturePolicy(alice, &memov1.UpdateCapturePolicyRequest{Text: proto.String("方針")})
			return err
		},
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	tables := []string{"candidates", "capture_policies", "capture_sessions", "memos", "memo_waiting"}
	var live []string
	for _, table := range tables {
		rows := m.dumpTable(t, table)
		if len(rows) == 0 {
			t.Errorf("%s is empty", table)
		}
		live = append(live, rows...)
	}
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rebuilt []string
	for _, table := range tables {
		rebuilt = append(rebuilt, m.dumpTable(t, table)...)
	}
	if !slices.Equal(live, rebuilt) {
		t.Errorf("live\n%s\nrebuilt\n%s", strings.Join(live, "\n"), strings.Join(rebuilt, "\n"))
	}
}
