package memo

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestApproval decides that only the person approves, and then has everyone try.
func TestApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	person := func() context.Context { return bearing(t.Context(), "alice:cli:paput.write,paput.account") }
	decide := func(personApproves bool) {
		t.Helper()
		res, err := w.UpdateCaptureApproval(person(), &memov1.UpdateCaptureApprovalRequest{PersonApproves: &personApproves})
		if err != nil || res.GetPolicy().GetPersonApproves() != personApproves {
			t.Fatalf("got %v, %v", res, err)
		}
		read, err := w.GetCapturePolicy(as(t, "alice"), &memov1.GetCapturePolicyRequest{})
		if err != nil || !proto.Equal(read.GetPolicy(), res.GetPolicy()) || read.GetPolicy().GetRevision() != 0 {
			t.Errorf("got %v, %v, want %v at revision 0", read, err, res.GetPolicy())
		}
	}
	save := func(ctx context.Context, id string, byPerson bool) error {
		res, err := w.SaveCandidates(ctx, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: id}}, ByPerson: byPerson})
		if err == nil && res.GetResults()[0].GetMemoId() == "" {
			t.Errorf("got %v, want a memo", res)
		}
		return err
	}
	ids := w.propose(t, "alice", proposed("一", ""), proposed("二", ""), proposed("三", ""))
	his := w.propose(t, "bob", proposed("一", ""))
	if err := save(as(t, "alice"), ids[0], false); err != nil {
		t.Fatal(err)
	}
	decide(true)
	last := w.log.Last()
	decide(true)
	if w.log.Last() != last {
		t.Error("to decide the same again is an event")
	}
	for _, tt := range []struct {
		scopes   string
		byPerson bool
	}{
		{"paput.write", false}, {"paput.write", true}, {"paput.publish", true}, {"paput.write,paput.account", false},
	} {
		for _, id := range []string{ids[0], ids[1], "cand_none"} { // saved before, pending, unknown
			err := save(bearing(t.Context(), "alice:client_a:"+tt.scopes), id, tt.byPerson)
			wantCode(t, err, connect.CodePermissionDenied, "in this account only the person saves proposals: ask them to run paput capture approve")
		}
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(got) != 1 {
		t.Errorf("got %d memos, want the one from before", len(got))
	}
	if err := save(as(t, "bob"), his[0], false); err != nil {
		t.Errorf("another account: %v", err)
	}
	if err := save(person(), ids[1], true); err != nil {
		t.Error(err)
	}
	if _, err := w.UpdateCapturePolicy(as(t, "alice"), &memov1.UpdateCapturePolicyRequest{Text: proto.String("方針")}); err != nil {
		t.Fatal(err)
	}
	if err := save(as(t, "alice"), ids[2], false); err == nil {
		t.Error("a new policy has undone the decision")
	}
	for _, scope := range []string{"paput.write", "paput.publish", "paput.capture"} {
		_, err := w.UpdateCaptureApproval(bearing(t.Context(), "alice:client_a:"+scope), &memov1.UpdateCaptureApprovalRequest{PersonApproves: proto.Bool(false)})
		wantCode(t, err, connect.CodePermissionDenied, "paput.account")
	}
	_, err := w.UpdateCaptureApproval(person(), &memov1.UpdateCaptureApprovalRequest{})
	wantCode(t, err, connect.CodeInvalidArgument, "person_approves is required")

	m := &machine{world: w}
	live := m.dumpTable(t, "capture_approvals")
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rebuilt := m.dumpTable(t, "capture_approvals"); len(live) != 1 || strings.Join(live, "") != strings.Join(rebuilt, "") {
		t.Errorf("live %v, rebuilt %v", live, rebuilt)
	}
	p, err := w.UpdateCaptureApproval(person(), &memov1.UpdateCaptureApprovalRequest{PersonApproves: proto.Bool(false)})
	if err != nil || p.GetPolicy().GetPersonApproves() || p.GetPolicy().GetText() != "方針" {
		t.Errorf("got %v, %v", p, err)
	}
	if err := save(as(t, "alice"), ids[2], false); err != nil {
		t.Error(err)
	}
}
