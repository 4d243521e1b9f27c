package memo

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/rpc"
)

// sent is one call that can be repeated.
type sent struct {
	name string
	call func(ctx context.Context, key string) (proto.Message, error)
}

// sending is a call of an RPC with a request, whatever its types.
func sending[R keyed, A proto.Message](name string, call func(context.Context, R) (A, error), req R) sent {
	return sent{name, func(ctx context.Context, key string) (proto.Message, error) {
		return call(ctx, withKey(req, key))
	}}
}

func withKey[R keyed](req R, key string) R {
	req, _ = proto.Clone(req).(R)
	m := req.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("idempotency_key"), protoreflect.ValueOfString(key))
	return req
}

// writes are calls of every RPC that changes something, each of which succeeds and would do something else, or fail, the
// second time; and another call of the same RPC that would succeed as well.
func (w *world) writes(t *testing.T) [][2]sent {
	t.Helper()
	memos := w.create(t, "alice", draftOf("一", ""), draftOf("二", ""), draftOf("三", ""), draftOf("四", ""))
	alice := publishing(t, "alice")
	if _, err := w.DeleteMemos(alice, &memov1.DeleteMemosRequest{Ids: memos[2:3]}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PublishMemos(alice, &memov1.PublishMemosRequest{Ids: memos[3:]}); err != nil {
		t.Fatal(err)
	}
	var notes []string
	for range 3 {
		res, err := w.CreateNote(alice, &memov1.CreateNoteRequest{Title: "束"})
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, res.GetNote().GetId())
	}
	queue := w.propose(t, "alice", proposed("候補一", "甲"), proposed("候補二", "乙"), proposed("候補三", "丙"), proposed("候補四", "丁"))
	edits := func(id, title string) []*memov1.CandidateEdit { return []*memov1.CandidateEdit{{Id: id, Title: title}} }
	return [][2]sent{
		{
			sending("CreateMemos", w.CreateMemos, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("新", "本文"), draftOf("", "")}}),
			sending("", w.CreateMemos, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("新", "別の本文"), draftOf("", "")}}),
		},
		{
			sending("UpdateMemo", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: memos[0], Title: "壱", Etag: etag(memos[0], 1)}),
			sending("", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: memos[0], Title: "壱"}),
		},
		{
			sending("DeleteMemos", w.DeleteMemos, &memov1.DeleteMemosRequest{Ids: []string{memos[1], "memo_none"}}),
			sending("", w.DeleteMemos, &memov1.DeleteMemosRequest{Ids: []string{memos[1]}}),
		},
		{
			sending("RestoreMemos", w.RestoreMemos, &memov1.RestoreMemosRequest{Ids: []string{memos[2], "memo_none"}}),
			sending("", w.RestoreMemos, &memov1.RestoreMemosRequest{Ids: []string{memos[2]}}),
		},
		{
			sending("PublishMemos", w.PublishMemos, &memov1.PublishMemosRequest{Ids: []string{memos[0], "memo_none"}}),
			sending("", w.PublishMemos, &memov1.PublishMemosRequest{Ids: []string{memos[0]}}),
		},
		{
			sending("UnpublishMemos", w.UnpublishMemos, &memov1.UnpublishMemosRequest{Ids: []string{memos[3], "memo_none"}}),
			sending("", w.UnpublishMemos, &memov1.UnpublishMemosRequest{Ids: []string{memos[3]}}),
		},
		{
			sending("CreateNote", w.CreateNote, &memov1.CreateNoteRequest{Title: "束", MemoIds: []string{memos[0], "memo_none"}}),
			sending("", w.CreateNote, &memov1.CreateNoteRequest{Title: "束", MemoIds: []string{memos[0]}}),
		},
		{
			sending("UpdateNote", w.UpdateNote, &memov1.UpdateNoteRequest{Id: notes[0], Title: "新しい束", Etag: etag(notes[0], 1)}),
			sending("", w.UpdateNote, &memov1.UpdateNoteRequest{Id: notes[0], Title: "新しい束"}),
		},
		{
			sending("DeleteNote", w.DeleteNote, &memov1.DeleteNoteRequest{Id: notes[1]}),
			sending("", w.DeleteNote, &memov1.DeleteNoteRequest{Id: notes[2]}),
		},
		{
			sending("AddCandidates", w.AddCandidates, &memov1.AddCandidatesRequest{Source: "codex", SessionId: "s", Candidates: []*memov1.CandidateDraft{proposed("候補五", "戊"), proposed("", "")}}),
			sending("", w.AddCandidates, &memov1.AddCandidatesRequest{Source: "codex", Candidates: []*memov1.CandidateDraft{proposed("候補六", "己")}}),
		},
		{
			sending("UpdateCandidates", w.UpdateCandidates, &memov1.UpdateCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: queue[0], Title: "壱", Etag: etag(queue[0], 1)}}}),
			sending("", w.UpdateCandidates, &memov1.UpdateCandidatesRequest{Candidates: edits(queue[0], "弐")}),
		},
		{
			sending("DiscardCandidates", w.DiscardCandidates, &memov1.DiscardCandidatesRequest{Ids: queue[1:2], Reason: "理由"}),
			sending("", w.DiscardCandidates, &memov1.DiscardCandidatesRequest{Ids: queue[1:2]}),
		},
		{
			sending("SaveCandidates", w.SaveCandidates, &memov1.SaveCandidatesRequest{Candidates: edits(queue[2], "参")}),
			sending("", w.SaveCandidates, &memov1.SaveCandidatesRequest{Candidates: edits(queue[3], "参")}),
		},
		{
			sending("MarkProcessedSessions", w.MarkProcessedSessions, &memov1.MarkProcessedSessionsRequest{Source: "claude", SessionIds: []string{"t", ""}}),
			sending("", w.MarkProcessedSessions, &memov1.MarkProcessedSessionsRequest{Source: "claude", SessionIds: []string{"u"}}),
		},
		{
			sending("UpdateCapturePolicy", w.UpdateCapturePolicy, &memov1.UpdateCapturePolicyRequest{Text: proto.String("方針"), Etag: etag("policy", 0)}),
			sending("", w.UpdateCapturePolicy, &memov1.UpdateCapturePolicyRequest{Text: proto.String("別の方針")}),
		},
		{
			sending("UpdateCaptureApproval", w.UpdateCaptureApproval, &memov1.UpdateCaptureApprovalRequest{PersonApproves: proto.Bool(true)}),
			sending("", w.UpdateCaptureApproval, &memov1.UpdateCaptureApprovalRequest{PersonApproves: proto.Bool(false)}),
		},
	}
}

// TestEveryWriteTakesAKey holds that no RPC that changes something is left out, here and in the proto files.
func TestEveryWriteTakesAKey(t *testing.T) {
	t.Parallel()
	var tested []string
	for _, calls := range newWorld(t).writes(t) {
		tested = append(tested, calls[0].name)
	}
	methods := memov1.File_paput_memo_v1_memo_service_proto.Services().ByName("MemoService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		options, _ := m.Options().(*descriptorpb.MethodOptions)
		// ImportAccount knows what it has imported by what there is.
		if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS || m.Name() == "ImportAccount" {
			continue
		}
		f := m.Input().Fields().ByName("idempotency_key")
		if f == nil {
			t.Errorf("%s has no idempotency_key", m.Name())
			continue
		}
		rules, _ := proto.GetExtension(f.Options(), toolv1.E_Field).(*toolv1.Field)
		if f.Kind() != protoreflect.StringKind || rules.GetMaxLength() != 128 {
			t.Errorf("%s: idempotency_key is a %s of at most %d characters, want a string of at most 128", m.Name(), f.Kind(), rules.GetMaxLength())
		}
		if !slices.Contains(tested, string(m.Name())) {
			t.Errorf("%s is not tested with keys", m.Name())
		}
	}
}

// TestAnswersAreGivenAgain repeats every write, asks for another thing with its key, and repeats it again after the read
// models were rebuilt.
func TestAnswersAreGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := w.writes(t)
	for i, c := range calls {
		t.Run(c[0].name, func(t *testing.T) {
			ctx := func() context.Context { return bearing(t.Context(), "alice:client_a:paput.publish,paput.account") }
			key := fmt.Sprintf("key %d", i)
			first, err := c[0].call(ctx(), key)
			if err != nil {
				t.Fatal(err)
			}
			last := w.log.Last()
			again := func(when string) {
				t.Helper()
				got, err := c[0].call(ctx(), key)
				if err != nil || !bytes.Equal(marshal(t, got), marshal(t, first)) {
					t.Errorf("%s: got %v, %v, want the first answer %v", when, got, err, first)
				}
			}
			again("again")
			_, err = c[1].call(ctx(), key)
			wantCode(t, err, connect.CodeInvalidArgument, "idempotency_key was used for another call, "+c[0].name+", in the last 24 hours, and nothing was done")
			_, err = calls[(i+1)%len(calls)][0].call(ctx(), key)
			wantCode(t, err, connect.CodeInvalidArgument, "used for another call, "+c[0].name)
			if err := w.log.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			again("after a rebuild")
			if now := w.log.Last(); now != last {
				t.Errorf("the log went on from %d to %d", last, now)
			}
			if _, err := c[1].call(ctx(), key+"'"); err != nil {
				t.Errorf("the other request with a key of its own: %v", err)
			}
		})
	}
}

func marshal(tb tester, m proto.Message) []byte {
	tb.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestKeysBelongToAnRPC asks two RPCs whose requests are the same bytes.
func TestKeysBelongToAnRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("x", ""))
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids, IdempotencyKey: "key"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.RestoreMemos(as(t, "alice"), &memov1.RestoreMemosRequest{Ids: ids, IdempotencyKey: "key"})
	wantCode(t, err, connect.CodeInvalidArgument, "idempotency_key was used for another call, DeleteMemos")
	if w.read(t, ids[0]).GetDeleteTime() == nil {
		t.Error("the memo was restored")
	}
}

// TestKeysBelongToAGrant gives one key to everyone.
func TestKeysBelongToAGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create := sending("", w.CreateMemos, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", "")}})
	seen := map[string]string{}
	for _, token := range []string{"alice:a:paput.write", "alice:b:paput.write", "alice:service:paput.write", "bob:service:paput.write", "alice:service2:paput.write"} {
		for range 2 {
			answer, err := create.call(bearing(t.Context(), token), "key")
			if err != nil {
				t.Fatal(err)
			}
			id := answer.(*memov1.CreateMemosResponse).GetResults()[0].GetMemo().GetId()
			if who := seen[id]; who != "" && who != token {
				t.Errorf("%s got the answer of %s", token, who)
			}
			seen[id] = token
		}
	}
	if len(seen) != 5 {
		t.Errorf("got %d memos, want one for each grant, and for each service and account: %v", len(seen), seen)
	}
}

func TestKeysOfFailedCallsStayUnused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, "alice", draftOf("x", ""))[0]
	for _, tt := range []struct {
		req  *memov1.UpdateMemoRequest
		code connect.Code
	}{
		{&memov1.UpdateMemoRequest{Id: "memo_none", Title: "y"}, connect.CodeNotFound},
		{&memov1.UpdateMemoRequest{Id: id, Title: "y", Etag: "0-x"}, connect.CodeAborted},
		{&memov1.UpdateMemoRequest{Id: id, Title: "\n"}, connect.CodeInvalidArgument},
	} {
		_, err := w.UpdateMemo(as(t, "alice"), withKey(tt.req, "key"))
		wantCode(t, err, tt.code, "")
	}
	if _, err := w.UpdateMemo(as(t, "alice"), withKey(&memov1.UpdateMemoRequest{Id: id, Title: "y"}, "key")); err != nil {
		t.Error(err)
	}
}

func TestKeysAreCheckedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for key, want := range map[string]string{
		strings.Repeat("k", 129): "idempotency_key is 129 characters, at most 128",
		"鍵":                      "idempotency_key must be printable ASCII",
		"a\x7f":                  "idempotency_key must be printable ASCII",
		"a\nb":                   "idempotency_key must be printable ASCII",
	} {
		_, err := w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", "")}, IdempotencyKey: key})
		wantCode(t, err, connect.CodeInvalidArgument, want)
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(got) != 0 {
		t.Errorf("got %d memos, want none", len(got))
	}
	w.create(t, "alice", draftOf("x", ""))
	for _, key := range []string{strings.Repeat("~", 128), " "} {
		if _, err := w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", "")}, IdempotencyKey: key}); err != nil {
			t.Error(err)
		}
	}
}

// TestAnswersAreForgotten lets a day pass: to the millisecond whether or not the answers were cleared away.
func TestAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := &machine{world: w}
	create := func(key string) string {
		res, err := w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", "")}, IdempotencyKey: key})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetResults()[0].GetMemo().GetId()
	}
	first := create("key")
	w.clock.advance(answerTime - time.Second)
	if got := create("key"); got != first {
		t.Errorf("a second before the end: got %s, want %s", got, first)
	}
	w.clock.advance(time.Second)
	second := create("key")
	if second == first {
		t.Error("at the end: got the first answer")
	}
	if err := w.service.forgetAnswers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, kept := create("key"), m.dumpTable(t, "memo_answers"); got != second || len(kept) != 1 {
		t.Errorf("got %s, want the second answer %s, and %d answers kept, want 1", got, second, len(kept))
	}
	for i := range 2*forgetBatch + 1 {
		create(fmt.Sprint(i))
	}
	w.clock.advance(answerTime - time.Minute)
	third := create("late")
	w.clock.advance(time.Minute)
	if err := w.service.forgetAnswers(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := m.dumpTable(t, "memo_answers")
	if len(left) != 1 {
		t.Errorf("got %d answers left, want that of a minute ago: %v", len(left), left)
	}
	if records, err := w.log.Read(t.Context(), answerStream(rpc.Caller{GrantID: "grant_client_a"}, "key")); err != nil || len(records) != 2 {
		t.Errorf("got %d records of the key, %v, want 2", len(records), err)
	} else if e := records[1].Event.(*memov1.AnswerEvent); e.GetKept().GetRequest() == "" || len(e.GetKept().GetRequestDigest()) != 0 || len(e.GetKept().GetAnswer()) != 0 {
		t.Errorf("the log has %v, want neither what was asked for nor the answer", e)
	}
	if got := create("late"); got != third {
		t.Errorf("got %s, want %s", got, third)
	}
	last := w.log.Last()
	if err := w.service.forgetAnswers(t.Context()); err != nil || w.log.Last() != last {
		t.Errorf("with nothing to forget: got %v and the log at %d, want it at %d", err, w.log.Last(), last)
	}
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rebuilt := m.dumpTable(t, "memo_answers"); !slices.Equal(left, rebuilt) {
		t.Errorf("live %v, rebuilt %v", left, rebuilt)
	}
}

// TestCallsAtOnce makes the same call from many places at the same time, and other calls with the same key.
func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 32
	w := newWorld(t)
	for round := range 5 {
		answers, problems := make([]*memov1.CreateMemosResponse, n), make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				req := &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", fmt.Sprint(i%2))}, IdempotencyKey: fmt.Sprint("round ", round)}
				answers[i], problems[i] = w.CreateMemos(as(t, "alice"), req)
			})
		}
		all.Wait()
		// Either of the two requests was first; the other is refused.
		first := 0
		if problems[0] != nil {
			first = 1
		}
		for i := range n {
			if i%2 != first {
				wantCode(t, problems[i], connect.CodeInvalidArgument, "idempotency_key was used for another call, CreateMemos")
			} else if problems[i] != nil || !proto.Equal(answers[i], answers[first]) {
				t.Errorf("call %d: got %v, %v, want %v", i, answers[i], problems[i], answers[first])
			}
		}
		if got := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(got) != round+1 {
			t.Fatalf("got %d memos after round %d, want %d", len(got), round, round+1)
		}
	}
}

// TestAnswersOutliveTheProcess repeats a call after the log was closed and opened again.
func TestAnswersOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path, clock, newID := filepath.Join(t.TempDir(), "paput.db"), newClock(), newIDs()
	var answers []proto.Message
	for range 2 {
		t.Run("", func(t *testing.T) {
			backend, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			w := &world{clock: clock}
			w.log = eventlogtest.Start(t, backend, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Now: clock.now})
			w.serve(newID)
			res, err := w.CreateMemos(as(t, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("x", "")}, IdempotencyKey: "key"})
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, res)
			if got := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(got) != 1 {
				t.Errorf("got %d memos, want 1", len(got))
			}
		})
	}
	if !proto.Equal(answers[0], answers[1]) {
		t.Errorf("got %v, want %v", answers[1], answers[0])
	}
}

// TestAnswerFixturesStillFold reads events as they were once written: testdata/answer_events/kept.binpb is the answer to a
// CreateMemos of alice's with the key "key", through client_01.
func TestAnswerFixturesStillFold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := &machine{world: w}
	for _, name := range casesOf(&memov1.AnswerEvent{}) {
		e := &memov1.AnswerEvent{}
		readFixture(t, filepath.Join("testdata", "answer_events"), name, e)
		stream := answerStream(rpc.Caller{GrantID: e.GetGrantId()}, "key")
		if name == "forgotten" {
			stream = answerKind + "/forgotten"
		}
		if err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(stream, e) }); err != nil {
			t.Fatal(err)
		}
		if rows := m.dumpTable(t, "memo_answers"); (len(rows) == 1) != (name == "kept") {
			t.Errorf("after %s: got %v", name, rows)
		}
	}
	res, err := w.CreateMemos(bearing(t.Context(), "alice:client_01:paput.write"), fixtureRequest())
	if err != nil || res.GetResults()[0].GetMemo().GetId() != "memo_00000001" || res.GetResults()[0].GetMemo().GetTitle() != "認証" {
		t.Errorf("got %v, %v, want the answer in the fixture", res, err)
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(got) != 0 {
		t.Errorf("got the memos %v, want none", got)
	}
}

func fixtureRequest() *memov1.CreateMemosRequest {
	return &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("認証", "本文")}, IdempotencyKey: "key"}
}

// TestWriteAnswerFixtures writes fixtures that do not exist; it never replaces one.
func TestWriteAnswerFixtures(t *testing.T) {
	if !*writeFixtures {
		t.Skip("only with -write-fixtures")
	}
	w := newWorld(t)
	if _, err := w.CreateMemos(bearing(t.Context(), "alice:client_01:paput.write"), fixtureRequest()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(answerTime)
	if err := w.service.forgetAnswers(t.Context()); err != nil {
		t.Fatal(err)
	}
	for r, err := range w.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := r.Event.(*memov1.AnswerEvent); ok {
			name, _ := eventlog.Case(e)
			writeFixture(t, "answer_events", name, e.ProtoReflect(), nil)
		}
	}
}

// BenchmarkKeys creates memos of about 500 characters one by one, durably, for 64 callers at once, without keys and with.
func BenchmarkKeys(b *testing.B) {
	for _, name := range []string{"without", "with"} {
		b.Run(name, func(b *testing.B) {
			w, _ := fileWorld(b, "keys-"+name)
			c := newCorpus(2)
			requests := make([]*memov1.CreateMemosRequest, b.N)
			for i := range requests {
				requests[i] = &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{c.draft(i)}}
				if name == "with" {
					requests[i].IdempotencyKey = rand.Text()
				}
			}
			b.ResetTimer()
			before := cpu(b)
			var next atomic.Int64
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if _, err := w.CreateMemos(as(b, "alice"), requests[i-1]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			reportCPU(b, before)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}
