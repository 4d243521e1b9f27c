package memo

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
)

// filed is a world whose log is in files.
func filed(t *testing.T) (w *world, dir string, closeLog func()) {
	t.Helper()
	dir = t.TempDir()
	backend, err := sqlite.Open(t.Context(), filepath.Join(dir, "paput.db"))
	if err != nil {
		t.Fatal(err)
	}
	w = &world{clock: newClock()}
	w.log, err = eventlog.Open(t.Context(), backend, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Caches: Caches(), Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.log.Run(ctx) }()
	w.serve(newIDs())
	return w, dir, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.log.Close(); err != nil {
			t.Error(err)
		}
	}
}

// inFiles lists which of the texts are somewhere in the files of a directory.
func inFiles(t *testing.T, dir string, texts ...string) (found []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	slices.Sort(found)
	return found
}

// secrets are texts of the account that is erased. The index shortens what its tokens begin with.
func secrets() []string {
	return []string{"鳳", "ylograph", "秘", "okapi", "quince", "vellum", "zwieback"}
}

// fill gives an account something of every kind, with the texts in it, and more memos than wait for the index.
func (w *world) fill(t *testing.T, person string, s []string) (memos []string) {
	t.Helper()
	ctx := as(t, person)
	memos = w.create(t, person, draftOf("鸞"+s[0], "x"+s[1]+strings.Repeat(" long", 3000)), &memov1.MemoDraft{Title: s[2], Summary: s[3], Projects: []string{s[3]}, Categories: []string{s[4]}},
		draftOf("public "+s[0], s[1]), draftOf("trashed "+s[0], s[1]))
	w.create(t, person, slices.Repeat([]*memov1.MemoDraft{draftOf("many x"+s[1], s[2])}, 3*maxWaiting)...)
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.UpdateMemo(ctx, &memov1.UpdateMemoRequest{Id: memos[0], Title: "updated " + s[5], Body: s[5]})
	fatal(err)
	_, err = w.PublishMemos(publishing(t, person), &memov1.PublishMemosRequest{Ids: memos[2:3]})
	fatal(err)
	_, err = w.DeleteMemos(ctx, &memov1.DeleteMemosRequest{Ids: memos[3:]})
	fatal(err)
	_, err = w.CreateNote(ctx, &memov1.CreateNoteRequest{Title: "note " + s[4], MemoIds: memos[:2]})
	fatal(err)
	ids := w.propose(t, person, proposed("saved "+s[5], s[1]), proposed("discarded "+s[5], s[2]), proposed("pending "+s[5], s[3]))
	_, err = w.SaveCandidates(ctx, &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: ids[0]}}})
	fatal(err)
	_, err = w.DiscardCandidates(ctx, &memov1.DiscardCandidatesRequest{Ids: ids[1:2], Reason: s[6]})
	fatal(err)
	_, err = w.UpdateCapturePolicy(ctx, &memov1.UpdateCapturePolicyRequest{Text: proto.String("policy " + s[6])})
	fatal(err)
	_, err = w.CreateMemos(ctx, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("answered "+s[5], "")}, IdempotencyKey: "key of " + person})
	fatal(err)
	_, err = w.MarkProcessedSessions(ctx, &memov1.MarkProcessedSessionsRequest{Source: "codex", SessionIds: []string{"s-" + s[6]}})
	fatal(err)
	return memos
}

// dumpAll gives the rows of every table that is made from the log, by table. When documents leave memo_waiting depends on
// their sizes, which are other ones once some are redacted.
func (w *world) dumpAll(t *testing.T) map[string][]string {
	t.Helper()
	m := &machine{world: w}
	tables := m.dump(t)
	delete(tables, "memo_waiting")
	for _, table := range []string{"candidates", "capture_policies", "capture_sessions"} {
		tables[table] = m.dumpTable(t, table)
	}
	return tables
}

// unredacted lists the streams of an account that still have something to redact.
func (w *world) unredacted(t *testing.T, account string) (streams []string) {
	t.Helper()
	for r, err := range w.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		after := proto.Clone(r.Event)
		eventlog.Redact(after)
		if r.Event.(interface{ GetAccountId() string }).GetAccountId() == account && !proto.Equal(after, r.Event) && !slices.Contains(streams, r.Stream) {
			streams = append(streams, r.Stream)
		}
	}
	return streams
}

// beginErasure begins to erase what alice has.
func (w *world) beginErasure(t *testing.T) {
	t.Helper()
	if err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return w.service.BeginErasure(tx, "alice") }); err != nil {
		t.Fatal(err)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	w, dir, closeLog := filed(t)
	others := []string{"龗", "nectarine", "公", "walnut", "medlar", "parchment", "rusk"}
	public := w.fill(t, "alice", secrets())[2]
	bobs := w.fill(t, "bob", others)[2]
	if got := inFiles(t, dir, secrets()...); len(got) != len(secrets()) {
		t.Fatalf("the files have %v, want all", got)
	}

	w.beginErasure(t)
	_, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: public})
	wantCode(t, err, connect.CodeNotFound, "no public memo")
	res, err := w.SearchMemos(as(t, "bob"), &memov1.SearchMemosRequest{Ids: []string{public, bobs}})
	if err != nil || len(res.GetMemos()) != 1 || res.GetMemos()[0].GetId() != bobs {
		t.Errorf("bob reads %v, %v, want his own memo alone", res, err)
	}
	alice := as(t, "alice")
	if ids := w.find(t, "alice", &memov1.SearchMemosRequest{IncludeDeleted: true}); len(ids) > 0 {
		t.Errorf("alice finds %v", ids)
	}
	_, err = w.CreateMemos(alice, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("late", "")}})
	wantCode(t, err, connect.CodeNotFound, "the account was erased")
	_, err = w.CreateNote(alice, &memov1.CreateNoteRequest{Title: "late"})
	wantCode(t, err, connect.CodeNotFound, "the account was erased")
	_, err = w.AddCandidates(alice, &memov1.AddCandidatesRequest{Source: "codex", Candidates: []*memov1.CandidateDraft{proposed("late", "")}})
	wantCode(t, err, connect.CodeNotFound, "the account was erased")
	_, err = w.UpdateCapturePolicy(alice, &memov1.UpdateCapturePolicyRequest{Text: proto.String("late")})
	wantCode(t, err, connect.CodeNotFound, "the account was erased")

	// Interrupted, and begun again.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.service.Erase(ctx, "alice"); err == nil {
		t.Error("Erase with an ended context succeeded")
	}
	for range 2 {
		if err := w.service.Erase(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.unredacted(t, "alice"); len(got) > 0 {
		t.Errorf("%v say something", got)
	}
	if got := w.unredacted(t, "bob"); len(got) == 0 {
		t.Error("bob's streams were redacted")
	}
	if err := w.log.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := inFiles(t, dir, secrets()...); len(got) > 0 {
		t.Errorf("the files of the running log have %v", got)
	}
	live := w.dumpAll(t)
	for table, rows := range live {
		mayName := table == "memo_accounts" || table == "memo_answers" // for as long as an answer is kept, by a hash
		for _, row := range rows {
			if !mayName && strings.Contains(row, "alice") || slices.ContainsFunc(secrets(), func(s string) bool { return strings.Contains(row, s) }) {
				t.Errorf("%s has %s", table, row)
			}
		}
	}
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(live, w.dumpAll(t)); diff != "" {
		t.Errorf("the tables live and rebuilt (-live +rebuilt):\n%s", diff)
	}
	if ids := w.find(t, "bob", &memov1.SearchMemosRequest{Query: "nectarine", PageSize: 100}); len(ids) == 0 {
		t.Error("bob finds nothing")
	}
	closeLog()
	again, err := sqlite.Open(t.Context(), filepath.Join(dir, "paput.db"))
	if err != nil {
		t.Fatal(err)
	}
	var verdict string
	if err := again.Readers().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if got := inFiles(t, dir, secrets()...); len(got) > 0 {
		t.Errorf("the closed files have %v", got)
	}
	if got := inFiles(t, dir, others...); len(got) != len(others) {
		t.Errorf("of bob's texts the files have %v", got)
	}
}

// TestEraseAlone erases the only account: nothing is left to be merged, and the text index goes at once and works again.
func TestEraseAlone(t *testing.T) {
	t.Parallel()
	w, dir, closeLog := filed(t)
	defer closeLog()
	w.fill(t, "alice", secrets())
	w.beginErasure(t)
	if err := w.service.Erase(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if err := w.log.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := inFiles(t, dir, secrets()...); len(got) > 0 {
		t.Errorf("the files have %v", got)
	}
	w.create(t, "bob", slices.Repeat([]*memov1.MemoDraft{draftOf("nectarine", "")}, 2*maxWaiting)...)
	if ids := w.find(t, "bob", &memov1.SearchMemosRequest{Query: "nectarine", PageSize: 100}); len(ids) != 2*maxWaiting {
		t.Errorf("bob finds %d memos, want %d", len(ids), 2*maxWaiting)
	}
	w.mergesAsUsual(t)
}

func (w *world) mergesAsUsual(t *testing.T) {
	t.Helper()
	var merging int
	if err := w.log.DB().QueryRowContext(t.Context(), "SELECT v FROM memo_text_config WHERE k = 'automerge'").Scan(&merging); err != nil || merging != usualMerging {
		t.Errorf("automerge is %d, %v, want %d", merging, err, usualMerging)
	}
}

// TestMergesAsUsualAgain kills a process in the midst of an erasure: the next purge, which comes within the hour, the next start
// and the next scrub each leave the text index to be merged as usual.
func TestMergesAsUsualAgain(t *testing.T) {
	t.Parallel()
	w, _, closeLog := filed(t)
	defer closeLog()
	w.create(t, "bob", slices.Repeat([]*memov1.MemoDraft{draftOf("nectarine", "")}, 2*maxWaiting)...)
	for name, again := range map[string]func(context.Context) error{
		"a purge": w.service.Purge, "a start": w.service.sweep, "a scrub": w.log.Scrub,
	} {
		if err := w.service.merging(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if err := again(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Log(name)
		w.mergesAsUsual(t)
	}
}

// TestPurgeRedacts lets what was saved, discarded and deleted go the way of the memo.
func TestPurgeRedacts(t *testing.T) {
	t.Parallel()
	w, dir, closeLog := filed(t)
	defer closeLog()
	ids := w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("x"+secrets()[1], secrets()[0])}, 2*maxWaiting)...)
	candidates := w.propose(t, "alice", proposed("saved "+secrets()[3], ""), proposed("discarded "+secrets()[3], ""))
	saved, err := w.SaveCandidates(as(t, "alice"), &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: candidates[0]}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DiscardCandidates(as(t, "alice"), &memov1.DiscardCandidatesRequest{Ids: candidates[1:], Reason: secrets()[4]}); err != nil {
		t.Fatal(err)
	}
	note, err := w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: secrets()[5]})
	if err != nil {
		t.Fatal(err)
	}
	kept := w.create(t, "alice", draftOf("kept", ""))
	if _, err := w.DeleteNote(as(t, "alice"), &memov1.DeleteNoteRequest{Id: note.GetNote().GetId()}); err != nil {
		t.Fatal(err)
	}
	w.trash(t, append(ids, saved.GetResults()[0].GetMemoId())...)
	w.purgeAfter(t, trashTime)
	if got := w.unredacted(t, "alice"); !slices.Equal(got, []string{"candidate/" + candidates[1], "memo/" + kept[0]}) {
		t.Errorf("%v say something, want the memo that is kept and the candidate that was discarded", got)
	}
	_, err = w.UpdateCandidates(as(t, "alice"), &memov1.UpdateCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: candidates[0], Title: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.ListCandidates(as(t, "alice"), &memov1.ListCandidatesRequest{Ids: candidates})
	if err != nil || !slices.Equal(list.GetMissingIds(), candidates[:1]) {
		t.Errorf("the candidates are %v, %v, want the first missing", list, err)
	}
	w.purgeAfter(t, discardTime-trashTime)
	if got := w.unredacted(t, "alice"); !slices.Equal(got, []string{"memo/" + kept[0]}) {
		t.Errorf("%v say something, want the memo that is kept alone", got)
	}
	// The log scrubs by itself.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := inFiles(t, dir, secrets()...)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the files have %v", left)
		}
	}
	live := w.dumpAll(t)
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(live, w.dumpAll(t)); diff != "" {
		t.Errorf("the tables live and rebuilt (-live +rebuilt):\n%s", diff)
	}
}

// TestSweep finds what earlier versions purged and deleted without redacting it.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ended []eventlog.Record
	for range purgeBatch + 3 {
		ids := w.create(t, "alice", draftOf("old", "text"))
		ended = append(ended, eventlog.Record{Stream: stream(ids[0]), Event: state{accountID: "alice"}.purgedEvent()})
	}
	note, err := w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: "old"})
	if err != nil {
		t.Fatal(err)
	}
	ended = append(ended, eventlog.Record{Stream: noteStream(note.GetNote().GetId()), Event: deleteNote()})
	id := w.propose(t, "alice", proposed("old", ""))
	saved, err := w.SaveCandidates(as(t, "alice"), &memov1.SaveCandidatesRequest{Candidates: []*memov1.CandidateEdit{{Id: id[0]}}})
	if err != nil {
		t.Fatal(err)
	}
	ended = append(ended, eventlog.Record{Stream: stream(saved.GetResults()[0].GetMemoId()), Event: state{accountID: "alice"}.purgedEvent()})
	kept := w.create(t, "alice", draftOf("kept", ""))
	for _, r := range ended {
		if err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(r.Stream, r.Event) }); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := w.service.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.unredacted(t, "alice"); !slices.Equal(got, []string{"memo/" + kept[0]}) {
			t.Errorf("%d streams say something: %v, want the memo that is kept alone", len(got), got)
		}
	}
	var swept int64
	if err := w.log.DB().QueryRowContext(t.Context(), "SELECT position FROM memo_swept").Scan(&swept); err != nil || swept < w.log.Last()-1 {
		t.Errorf("the log was swept to %d, %v, of %d", swept, err, w.log.Last())
	}
}

// redactSome redacts streams in which nothing has ended. Nobody does that, but it must not make the log unreadable.
func (m *machine) redactSome(t *testing.T) {
	t.Helper()
	var streams []string
	for r, err := range m.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(streams, r.Stream) && len(r.Stream)%3 != len(streams)%2 {
			streams = append(streams, r.Stream)
		}
	}
	for _, stream := range streams {
		if err := m.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Redact(stream) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.log.Rebuild(t.Context()); err != nil {
		m.Fatalf("rebuild after redacting %v: %v", streams, err)
	}
	m.observe()
}

// eraseAlice erases one of the two accounts, which must leave the other as it was.
func (m *machine) eraseAlice(t *testing.T) {
	t.Helper()
	before := m.observe()
	m.beginErasure(t)
	if err := m.service.Erase(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if got := m.unredacted(t, "alice"); len(got) > 0 {
		m.Fatalf("%v say something", got)
	}
	mine := func(s seen) map[string][]string {
		maps.DeleteFunc(s.Found, func(query string, _ []string) bool { return strings.HasPrefix(query, "alice") })
		return s.Found
	}
	live := m.dumpAll(t)
	if diff := cmp.Diff(mine(before), mine(m.observe())); diff != "" {
		m.Fatalf("what bob finds (-before +after):\n%s", diff)
	}
	if err := m.log.Rebuild(t.Context()); err != nil {
		m.Fatal(err)
	}
	if diff := cmp.Diff(live, m.dumpAll(t)); diff != "" {
		m.Fatalf("the tables live and rebuilt (-live +rebuilt):\n%s", diff)
	}
}
