package memo

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// queueFixtures are the events that the fixtures were made from, by case.
func queueFixtures(t *testing.T) map[string]*memov1.CandidateEvent {
	t.Helper()
	sure := 0.75
	first := content{
		title: "認証基盤の移行", body: "# 決定\n\nOIDC に移る。\n", summary: "OIDC に移る", types: []string{"decision"}, categories: []string{"認証"}, projects: []string{"paput"},
	}
	added := propose(proposal{
		id: "cand_01", content: first, confidence: &sure, similar: []similar{{"memo_01", 0.62}}, createTime: &timestamppb.Timestamp{Seconds: 1_600_000_000},
	}, "codex", "セッション 1")
	updated, err := amend(queued{status: statusPending, state: state{id: "cand_01", revision: 1, content: first}}, change{fields: []string{fieldTitle}, content: content{title: "認証の移行"}})
	if err != nil {
		t.Fatal(err)
	}
	discarded, err := discard(queued{status: statusPending}, "細かすぎる")
	if err != nil {
		t.Fatal(err)
	}
	imported := &memov1.CandidateEvent{Event: &memov1.CandidateEvent_Imported{Imported: &memov1.CandidateImported{
		Memo: added.GetAdded().GetMemo(), Status: statusDiscarded, Source: "codex", SessionId: "セッション 1", Confidence: &sure,
		SimilarMemos: added.GetAdded().GetSimilarMemos(), DiscardReason: "細かすぎる",
		AddTime: &timestamppb.Timestamp{Seconds: 1_610_000_000}, UpdateTime: &timestamppb.Timestamp{Seconds: 1_620_000_000},
	}}}
	events := map[string]*memov1.CandidateEvent{"added": added, "updated": updated, "discarded": discarded, "saved": savedAs("memo_02"), "imported": imported,
		"purged": {Event: &memov1.CandidateEvent_Purged{Purged: &memov1.CandidatePurged{}}}}
	for _, e := range events {
		e.AccountId, e.ClientId, e.GrantId = "acct_01", "client_01", "grant_01"
	}
	return events
}

func queueRecords(added, e *memov1.CandidateEvent) []eventlog.Record {
	records := []eventlog.Record{{Version: 1, Time: time.UnixMilli(1_700_000_000_001).UTC(), Event: added}}
	if e.GetAdded() == nil {
		records = append(records, eventlog.Record{Version: 2, Time: time.UnixMilli(1_700_000_000_002).UTC(), Event: e})
	}
	return records
}

// TestCandidateFixturesStillFold is TestFixturesStillFold for candidates.
func TestCandidateFixturesStillFold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "candidate_events")
	for _, name := range casesOf(&memov1.CandidateEvent{}) {
		added, e := &memov1.CandidateEvent{}, &memov1.CandidateEvent{}
		readFixture(t, dir, "added", added)
		readFixture(t, dir, name, e)
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		want := &memov1.Candidate{}
		if err := protojson.Unmarshal(data, want); err != nil {
			t.Fatal(err)
		}
		q := foldQueued("cand_01", queueRecords(added, e))
		if diff := cmp.Diff(want, q.proto(), protocmp.Transform()); diff != "" || q.accountID != "acct_01" {
			t.Errorf("the candidate of %q after %s (-want +got):\n%s", q.accountID, name, diff)
		}
	}
}

// TestCaptureFixturesStillApply puts events as they were once written into a log and reads what they made.
func TestCaptureFixturesStillApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	apply := func(name string) {
		e := &memov1.CaptureEvent{}
		readFixture(t, filepath.Join("testdata", "capture_events"), name, e)
		if err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append("capture/alice", e) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range casesOf(&memov1.CaptureEvent{}) {
		if name != "erased" {
			apply(name)
		}
	}
	p, err := w.GetCapturePolicy(as(t, "alice"), &memov1.GetCapturePolicyRequest{})
	if err != nil || p.GetPolicy().GetText() != "# 残すもの、もう一つ\n" || p.GetPolicy().GetRevision() != 2 ||
		p.GetPolicy().GetUpdateTime().GetSeconds() != 1_600_000_000 || !p.GetPolicy().GetPersonApproves() {
		t.Errorf("the policy: got %v, %v", p, err)
	}
	list, err := w.ListProcessedSessions(as(t, "alice"), &memov1.ListProcessedSessionsRequest{})
	if err != nil || len(list.GetSessions()) != 3 || list.GetSessions()[1].GetSessionId() != "s2" || list.GetSessions()[2].GetSource() != "claude" ||
		list.GetSessions()[0].GetProcessTime().GetSeconds() != 1_600_000_000 {
		t.Errorf("the sessions: got %v, %v", list, err)
	}
	apply("erased")
	p, err = w.GetCapturePolicy(as(t, "alice"), &memov1.GetCapturePolicyRequest{})
	if err != nil || p.GetPolicy().GetRevision() != 0 {
		t.Errorf("the policy of an erased account: got %v, %v", p, err)
	}
	list, err = w.ListProcessedSessions(as(t, "alice"), &memov1.ListProcessedSessionsRequest{})
	if err != nil || len(list.GetSessions()) != 0 {
		t.Errorf("the sessions of an erased account: got %v, %v", list, err)
	}
}

func casesOf(m proto.Message) []string {
	fields := m.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	var names []string
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	return names
}

func readFixture(t *testing.T, dir, name string, into proto.Message) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name+".binpb"))
	if err != nil {
		t.Fatalf("every case has a fixture; write one with -write-fixtures: %v", err)
	}
	if err := proto.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
	if which, _ := eventlog.Case(into); which != name {
		t.Fatalf("the fixture of %s is of the case %q", name, which)
	}
}

// TestWriteCandidateFixtures writes fixtures that do not exist; it never replaces one.
func TestWriteCandidateFixtures(t *testing.T) {
	if !*writeFixtures {
		t.Skip("only with -write-fixtures")
	}
	events := queueFixtures(t)
	for name, e := range events {
		want, err := protojson.MarshalOptions{Multiline: true}.Marshal(foldQueued("cand_01", queueRecords(events["added"], e)).proto())
		if err != nil {
			t.Fatal(err)
		}
		writeFixture(t, "candidate_events", name, e.ProtoReflect(), append(want, '\n'))
	}
	var none policy
	updated, err := rewrite(none, "# 残すもの\n", "")
	if err != nil {
		t.Fatal(err)
	}
	capture := map[string]*memov1.CaptureEvent{
		"policy_updated": updated, "approval_decided": decideApproval(none, true), "sessions_processed": processed("claude", []string{"s1", "s2"}, nil),
		"policy_imported": {Event: &memov1.CaptureEvent_PolicyImported{PolicyImported: &memov1.CapturePolicyImported{
			Text: "# 残すもの、もう一つ\n", UpdateTime: &timestamppb.Timestamp{Seconds: 1_600_000_000},
		}}},
		"sessions_imported": {Event: &memov1.CaptureEvent_SessionsImported{SessionsImported: &memov1.SessionsImported{
			Sessions: []*memov1.SessionImported{{Source: "codex", SessionId: "s3", ProcessTime: &timestamppb.Timestamp{Seconds: 1_600_000_000}}},
		}}},
		"erased": {Event: &memov1.CaptureEvent_Erased{Erased: &memov1.CaptureErased{}}},
	}
	for name, e := range capture {
		e.AccountId, e.ClientId, e.GrantId = "alice", "client_01", "grant_01"
		writeFixture(t, "capture_events", name, e.ProtoReflect(), nil)
	}
}

func writeFixture(t *testing.T, dir, name string, e protoreflect.Message, want []byte) {
	t.Helper()
	path := filepath.Join("testdata", dir, name)
	if _, err := os.Stat(path + ".binpb"); err == nil {
		return
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.Interface())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".binpb", data, 0o644); err != nil {
		t.Fatal(err)
	}
	if want == nil {
		return
	}
	if err := os.WriteFile(path+".json", want, 0o644); err != nil {
		t.Fatal(err)
	}
}
