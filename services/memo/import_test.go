package memo

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// revision is the first revision of a memo, changed as it should be.
func revision(id string, change func(m *memov1.ArchivedMemo)) *memov1.ArchiveRecord {
	at := timestamppb.New(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC))
	m := &memov1.ArchivedMemo{Id: id, Revision: 1, Action: "created", Time: at, CreateTime: at, Title: "題", ClientId: "client_old"}
	if change != nil {
		change(m)
	}
	return &memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Memo{Memo: m}}
}

// next is a further revision.
func next(r *memov1.ArchiveRecord, action string, change func(m *memov1.ArchivedMemo)) *memov1.ArchiveRecord {
	r = proto.CloneOf(r)
	m := r.GetMemo()
	m.Revision++
	m.Action, m.Time, m.CandidateId = action, timestamppb.New(m.GetTime().AsTime().Add(time.Hour)), ""
	if change != nil {
		change(m)
	}
	return r
}

func noteRecord(id string, memoIDs ...string) *memov1.ArchiveRecord {
	at := timestamppb.New(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC))
	return &memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Note{Note: &memov1.ArchivedNote{Id: id, Title: "ノート", MemoIds: memoIDs, CreateTime: at, UpdateTime: at}}}
}

func candidateRecord(change func(m *memov1.ArchivedCandidate)) *memov1.ArchiveRecord {
	at := timestamppb.New(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC))
	c := &memov1.ArchivedCandidate{Id: "cand_1", Status: "pending", Source: "codex", Title: "候補", CreateTime: at, AddTime: at, UpdateTime: at}
	if change != nil {
		change(c)
	}
	return &memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Candidate{Candidate: c}}
}

func documentRecord(d *memov1.ArchivedDocument) *memov1.ArchiveRecord {
	return &memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Document{Document: d}}
}

// TestImportRefuses gives records that no export gives. The error names what is wrong, and nothing is left behind.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	const id = "memo_00000007"
	good := revision(id, nil)
	second := next(good, "updated", func(m *memov1.ArchivedMemo) { m.Title = "題 2" })
	broken := func(change func(m *memov1.ArchivedMemo)) []*memov1.ArchiveRecord {
		return []*memov1.ArchiveRecord{revision(id, change)}
	}
	tests := []struct {
		name    string
		records []*memov1.ArchiveRecord
		want    string
	}{
		{"no client", broken(func(m *memov1.ArchivedMemo) { m.ClientId = "" }), "memo.client_id is required"},
		{"nothing", []*memov1.ArchiveRecord{{}}, "the record is empty"},
		{"no id", broken(func(m *memov1.ArchivedMemo) { m.Id = "" }), "memo.id is required"},
		{"an id with a path", broken(func(m *memov1.ArchivedMemo) { m.Id = "memo_../../x" }), `id "memo_../../x" is not "memo_"`},
		{"an id of another kind", broken(func(m *memov1.ArchivedMemo) { m.Id = "note_1" }), `id "note_1" is not "memo_"`},
		{"half an id", broken(func(m *memov1.ArchivedMemo) { m.Id = "memo" }), `id "memo" is not "memo_"`},
		{"an id that is too long", broken(func(m *memov1.ArchivedMemo) { m.Id = "memo_" + strings.Repeat("x", 41) }), "memo.id is 46 characters, at most 45"},
		{"no revision", broken(func(m *memov1.ArchivedMemo) { m.Revision = 0 }), "memo.revision is required"},
		{"a negative revision", broken(func(m *memov1.ArchivedMemo) { m.Revision = -1 }), "memo.revision is -1, at least 1"},
		{"an unknown action", broken(func(m *memov1.ArchivedMemo) { m.Action = "purged" }), `memo.action is "purged", must be one of`},
		{"no time", broken(func(m *memov1.ArchivedMemo) { m.Time = nil }), "memo.time is required"},
		{"a time out of range", broken(func(m *memov1.ArchivedMemo) { m.Time = &timestamppb.Timestamp{Seconds: math.MaxInt64} }), "time must lie in the years 1 to 9999"},
		{"a time to come", broken(func(m *memov1.ArchivedMemo) { m.CreateTime = &timestamppb.Timestamp{Seconds: 4e9} }), "create_time 2096-10-02T07:06:40Z is more than a day in the future"},
		{"no title", broken(func(m *memov1.ArchivedMemo) { m.Title = " " }), "title is empty"},
		{"a title of two lines", broken(func(m *memov1.ArchivedMemo) { m.Title = "a\nb" }), "title must be on one line"},
		{"a title that turns around", broken(func(m *memov1.ArchivedMemo) { m.Title = "a\u202eb" }), "title has the control character U+202E"},
		{"a body that is too long", broken(func(m *memov1.ArchivedMemo) { m.Body = strings.Repeat("字", 200_001) }), "memo.body is 200001 characters, at most 200000"},
		{"a body with NUL", broken(func(m *memov1.ArchivedMemo) { m.Body = "\x00" }), "body has the control character U+0000"},
		{"too many categories", broken(func(m *memov1.ArchivedMemo) { m.Categories = slices.Repeat([]string{"x"}, 1000) }), "memo.categories has 1000 items, at most 20"},
		{"an unknown type", broken(func(m *memov1.ArchivedMemo) { m.MemoTypes = []string{"idea"} }), `memo.memo_types[0] is "idea"`},
		{"a client with a line end", broken(func(m *memov1.ArchivedMemo) { m.ClientId = "a\nb" }), "client_id must be on one line"},
		{"a first revision that updates", broken(func(m *memov1.ArchivedMemo) { m.Action = "updated" }), `revision 1 says "updated"`},
		{"a later revision alone", []*memov1.ArchiveRecord{second}, "revision is 2, but revision 1 is not there"},
		{"revisions out of order", []*memov1.ArchiveRecord{good, next(second, "deleted", nil), second}, "revision is 3, but revision 2 is not there"},
		{"a revision twice", []*memov1.ArchiveRecord{good, second, second}, "revision is 2, but revision 3 is not there"},
		{"created twice over", []*memov1.ArchiveRecord{good, next(good, "created", nil)}, `revision 2 says "created"`},
		{"an update of nothing", []*memov1.ArchiveRecord{good, next(good, "updated", nil)}, `revision 2 says "updated", which cannot follow`},
		{"a restore of what is not deleted", []*memov1.ArchiveRecord{good, next(good, "restored", nil)}, `revision 2 says "restored", which cannot follow`},
		{"published twice", []*memov1.ArchiveRecord{good, next(good, "published", nil), next(next(good, "published", nil), "published", nil)}, `revision 3 says "published", which cannot`},
		{"unpublished and never published", []*memov1.ArchiveRecord{good, next(good, "unpublished", nil)}, `revision 2 says "unpublished", which cannot`},
		{"an update in the trash", []*memov1.ArchiveRecord{good, next(good, "deleted", nil), next(next(good, "deleted", nil), "updated", func(m *memov1.ArchivedMemo) { m.Title = "x" })}, `revision 3 says "updated", which cannot`},
		{"a deletion that changes the text", []*memov1.ArchiveRecord{good, next(good, "deleted", func(m *memov1.ArchivedMemo) { m.Body = "x" })}, `revision 2 says "deleted" and changes body`},
		{"another create_time", []*memov1.ArchiveRecord{good, next(good, "updated", func(m *memov1.ArchivedMemo) { m.Title, m.CreateTime = "x", &timestamppb.Timestamp{} })}, "another create_time"},
		{"a candidate of a later revision", []*memov1.ArchiveRecord{good, next(good, "deleted", func(m *memov1.ArchivedMemo) { m.CandidateId = "cand_1" })}, "revision 2 has a candidate_id"},
		{"a note of what is not there", []*memov1.ArchiveRecord{noteRecord("note_1", "memo_nowhere")}, "memo_ids names memo_nowhere, which is not in the account"},
		{"a note of itself", []*memov1.ArchiveRecord{noteRecord("note_1", "note_1")}, `memo_ids "note_1" is not "memo_"`},
		{"a note of too many", []*memov1.ArchiveRecord{noteRecord("note_1", slices.Repeat([]string{"memo_1"}, 501)...)}, "note.memo_ids has 501 items, at most 500"},
		{"a candidate that became nothing", []*memov1.ArchiveRecord{candidateRecord(func(m *memov1.ArchivedCandidate) { m.Status = "saved" })}, `saved_memo_id "" is not "memo_"`},
		{"a pending candidate with a reason", []*memov1.ArchiveRecord{candidateRecord(func(m *memov1.ArchivedCandidate) { m.DiscardReason = "x" })}, "discard_reason is given"},
		{"a pending candidate that became a memo", []*memov1.ArchiveRecord{candidateRecord(func(m *memov1.ArchivedCandidate) { m.SavedMemoId = "memo_1" })}, "saved_memo_id is given"},
		{"a score that is no number", []*memov1.ArchiveRecord{candidateRecord(func(m *memov1.ArchivedCandidate) {
			m.SimilarMemos = []*memov1.ArchivedSimilarMemo{{Id: "memo_1", Score: math.NaN()}}
		})}, "candidate.similar_memos[0].score is NaN"},
		{"an unknown source", []*memov1.ArchiveRecord{{Record: &memov1.ArchiveRecord_Session{Session: &memov1.ArchivedSession{Source: "x", SessionId: "s", ProcessTime: &timestamppb.Timestamp{}}}}}, `session.source is "x"`},
		{"a session without a name", []*memov1.ArchiveRecord{{Record: &memov1.ArchiveRecord_Session{Session: &memov1.ArchivedSession{Source: "codex", SessionId: "\u200b", ProcessTime: &timestamppb.Timestamp{}}}}}, "session_id is empty"},
		{"a policy with NUL", []*memov1.ArchiveRecord{{Record: &memov1.ArchiveRecord_Policy{Policy: &memov1.ArchivedPolicy{Text: "\x00", UpdateTime: &timestamppb.Timestamp{}}}}}, "text has the control character"},
		{"a document without a title", []*memov1.ArchiveRecord{documentRecord(&memov1.ArchivedDocument{Body: "x"})}, "document.title is required"},
		{"a document with a foreign id", []*memov1.ArchiveRecord{documentRecord(&memov1.ArchivedDocument{Id: "20240101", Title: "x"})}, `id "20240101" is not "memo_"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			other := revision("memo_00000008", nil)
			results := w.doImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: append(slices.Clone(tt.records), other)})
			for _, r := range results[:len(results)-1] {
				if e := r.GetError(); e.GetCode() != "invalid_argument" || !strings.Contains(e.GetMessage(), tt.want) || r.GetImported() || r.GetId() != "" {
					t.Errorf("got %v, want invalid_argument with %q", r, tt.want)
				}
			}
			if diff := cmp.Diff([]*memov1.ArchiveRecord{other}, recordsOf(w.export(t, "alice", "")), protocmp.Transform()); diff != "" {
				t.Errorf("what is in the account (-the good record +got):\n%s", diff)
			}
		})
	}
	w := newWorld(t)
	caller := bearing(t.Context(), "alice:client_i:paput.account")
	_, err := w.ImportAccount(caller, &memov1.ImportAccountRequest{})
	wantCode(t, err, connect.CodeInvalidArgument, "records is required")
	_, err = w.ImportAccount(caller, &memov1.ImportAccountRequest{Records: slices.Repeat([]*memov1.ArchiveRecord{good}, 501)})
	wantCode(t, err, connect.CodeInvalidArgument, "records has 501 items, at most 500")
	_, err = w.ImportAccount(caller, &memov1.ImportAccountRequest{Records: []*memov1.ArchiveRecord{good}, Publish: true})
	wantCode(t, err, connect.CodePermissionDenied, "needs the scope paput.publish")
}

// TestImportIntoAUsedAccount meets memos that the account has, in one state or another.
func TestImportIntoAUsedAccount(t *testing.T) {
	t.Parallel()
	first := revision("memo_00000007", nil)
	archive := []*memov1.ArchiveRecord{first, next(first, "updated", func(m *memov1.ArchivedMemo) { m.Title = "題 2" })}
	archive = append(archive, noteRecord("note_7", "memo_00000007"))
	edit := func(t *testing.T, w *world) {
		if _, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: "memo_00000007", Body: "mine"}); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name     string
		before   []*memov1.ArchiveRecord
		then     func(t *testing.T, w *world)
		keepBoth bool
		want     string // of each record
		memos    int
	}{
		{"nothing of it", nil, nil, false, "new new new", 1},
		{"all of it", archive, nil, false, "known known known", 1},
		{"an earlier revision", archive[:1], nil, false, "known new new", 1},
		{"a later revision", archive, edit, false, "known known known", 1},
		{"another history", archive[:1], edit, false, "already_exists already_exists new", 1},
		{"another history, and both are wanted", archive[:1], edit, true, "new new new", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if len(tt.before) > 0 {
				w.mustImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: tt.before})
			}
			if tt.then != nil {
				tt.then(t, w)
			}
			before := w.export(t, "alice", "")
			req := &memov1.ImportAccountRequest{Records: archive, KeepBoth: tt.keepBoth}
			var got []string
			results := w.doImport(t, "alice", 500, req)
			for _, r := range results {
				switch {
				case r.GetError() != nil:
					got = append(got, r.GetError().GetCode())
				case r.GetImported():
					got = append(got, "new")
				default:
					got = append(got, "known")
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %s, want %s", strings.Join(got, " "), tt.want)
			}
			after := recordsOf(w.export(t, "alice", ""))
			for _, r := range recordsOf(before) {
				if !slices.ContainsFunc(after, func(a *memov1.ArchiveRecord) bool { return proto.Equal(a, r) }) {
					t.Errorf("%v was there, and is not afterwards", r)
				}
			}
			if ids := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(ids) != tt.memos {
				t.Errorf("got the memos %v, want %d", ids, tt.memos)
			}
			// A note names the memo that came with it.
			if note := after[len(after)-1].GetNote(); !slices.Equal(note.GetMemoIds(), []string{idOr(results[0], "memo_00000007")}) {
				t.Errorf("the note names %v, want %s", note.GetMemoIds(), results[0].GetId())
			}
			w.doImport(t, "alice", 500, req)
			if diff := cmp.Diff(after, recordsOf(w.export(t, "alice", "")), protocmp.Transform()); diff != "" {
				t.Errorf("imported again (-once +twice):\n%s", diff)
			}
		})
	}
}

func idOr(r *memov1.ImportResult, otherwise string) string {
	if r.GetId() == "" {
		return otherwise
	}
	return r.GetId()
}

// TestImportDocuments imports texts, twice.
func TestImportDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := timestamppb.New(time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC))
	mine := w.create(t, "alice", &memov1.MemoDraft{Title: "Known", Body: "text", Categories: []string{"a"}})[0]
	docs := []*memov1.ArchiveRecord{
		documentRecord(&memov1.ArchivedDocument{Title: "Fresh", Body: "a", CreateTime: at, UpdateTime: timestamppb.New(at.AsTime().Add(time.Hour))}),
		documentRecord(&memov1.ArchivedDocument{Title: "Fresh", Body: "a\n"}),                                                         // the same, but for spaces
		documentRecord(&memov1.ArchivedDocument{Title: "Known", Body: "text"}),                                                        // as it was written here
		documentRecord(&memov1.ArchivedDocument{Id: mine, Title: "Known", Body: "text\n", Categories: []string{"a"}}),                 // as it was exported
		documentRecord(&memov1.ArchivedDocument{Id: mine, Title: "Known", Body: "text", Categories: []string{"b"}}),                   // and filed elsewhere
		documentRecord(&memov1.ArchivedDocument{Id: "memo_01kd0000000000000000000000", Title: "From elsewhere", Body: "with its id"}), // of another server
	}
	want := []string{"new", "known", "known", "known", "already_exists", "new"}
	for round := range 2 {
		for i, r := range w.doImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: docs}) {
			got := "known"
			if r.GetImported() {
				got = "new"
			} else if r.GetError() != nil {
				got = r.GetError().GetCode()
			}
			expected := want[i]
			if round == 1 && expected == "new" {
				expected = "known"
			}
			if got != expected {
				t.Errorf("round %d, document %d: got %s %v, want %s", round, i, got, r, expected)
			}
		}
		if round == 0 {
			continue
		}
		if ids := w.find(t, "alice", &memov1.SearchMemosRequest{}); len(ids) != 3 {
			t.Errorf("got %v, want 3 memos", ids)
		}
	}
	fresh := w.read(t, w.find(t, "alice", &memov1.SearchMemosRequest{Query: "Fresh"})[0])
	if !fresh.GetCreateTime().AsTime().Equal(at.AsTime()) || !fresh.GetUpdateTime().AsTime().Equal(at.AsTime().Add(time.Hour)) {
		t.Errorf("got the times of %v, want those of the document", fresh)
	}
	if m := w.read(t, "memo_01kd0000000000000000000000"); m.GetTitle() != "From elsewhere" {
		t.Errorf("got %v, want the memo under its id", m)
	}
	// What was changed here since, or thrown away, does not come back.
	if _, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: fresh.GetId(), Body: "edited"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: []string{"memo_01kd0000000000000000000000"}}); err != nil {
		t.Fatal(err)
	}
	for i, r := range w.doImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: []*memov1.ArchiveRecord{docs[0], docs[5]}}) {
		if r.GetImported() || r.GetError() != nil {
			t.Errorf("document %d: got %v, want it left alone", i, r)
		}
	}
	history, err := w.ListMemoRevisions(as(t, "alice"), &memov1.ListMemoRevisionsRequest{Id: fresh.GetId()})
	if err != nil || history.GetRevisions()[1].GetClientId() != "client_i" {
		t.Errorf("got %v, %v, want the client that imported it", history, err)
	}
}

// TestImportedIsPublicOnlyWhenAsked imports a public memo in both ways, and makes sure that a person can settle that it is
// private.
func TestImportedIsPublicOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := revision("memo_00000007", nil)
	archive := []*memov1.ArchiveRecord{first, next(first, "published", nil)}
	w.mustImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: archive})
	_, err := w.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: "memo_00000007"})
	wantCode(t, err, connect.CodeNotFound, "there is no public memo")
	if diff := cmp.Diff(archive, recordsOf(w.export(t, "alice", "")), protocmp.Transform()); diff != "" {
		t.Errorf("exported again (-archive +export):\n%s", diff)
	}
	if _, err := w.UnpublishMemos(publishing(t, "alice"), &memov1.UnpublishMemosRequest{Ids: []string{"memo_00000007"}}); err != nil {
		t.Fatal(err)
	}
	settled := recordsOf(w.export(t, "alice", ""))
	if len(settled) != 3 || settled[2].GetMemo().GetAction() != "unpublished" {
		t.Errorf("got %v, want a revision that makes it private", settled)
	}
	to := later(t, w)
	to.mustImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: settled, Publish: true})
	_, err = to.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: "memo_00000007"})
	wantCode(t, err, connect.CodeNotFound, "there is no public memo")

	public := later(t, w)
	public.mustImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: archive, Publish: true})
	if _, err := public.GetPublicMemo(t.Context(), &memov1.GetPublicMemoRequest{Id: "memo_00000007"}); err != nil {
		t.Errorf("with publish: %v", err)
	}
}

// TestImportTakesTurns makes sure that a long import does not hold the log for all of its time.
func TestImportTakesTurns(t *testing.T) {
	t.Parallel()
	var records []*memov1.ArchiveRecord
	for n := range 120 {
		records = append(records, revision(fmt.Sprintf("memo_%08d", n), nil))
	}
	long := revision("memo_long", nil)
	records = append(records, long)
	for n := range 100 {
		long = next(long, "updated", func(m *memov1.ArchivedMemo) { m.Body = fmt.Sprint(n) })
		records = append(records, long)
	}
	results := make([]*memov1.ImportResult, len(records))
	for i := range results {
		results[i] = &memov1.ImportResult{}
	}
	items := importItems(records, results, time.Now())
	var sizes []int
	for len(items) > 0 {
		batch := nextBatch(items)
		items = items[len(batch):]
		n := 0
		for _, item := range batch {
			n += len(item.records)
		}
		sizes = append(sizes, n)
	}
	if want := []int{50, 50, 20, 101}; !slices.Equal(sizes, want) {
		t.Errorf("got transactions of %v records, want %v: a memo is never cut", sizes, want)
	}
}

// FuzzImport imports what nobody would export. Whatever was taken is exported again, and can be imported elsewhere.
func FuzzImport(f *testing.F) {
	for _, r := range []*memov1.ArchiveRecord{
		revision("memo_1", nil), next(revision("memo_1", nil), "deleted", nil), noteRecord("note_1", "memo_1"), candidateRecord(nil),
		documentRecord(&memov1.ArchivedDocument{Title: "x"}),
		{Record: &memov1.ArchiveRecord_Session{Session: &memov1.ArchivedSession{Source: "codex", SessionId: "s", ProcessTime: &timestamppb.Timestamp{}}}},
		{Record: &memov1.ArchiveRecord_Policy{Policy: &memov1.ArchivedPolicy{Text: "x", UpdateTime: &timestamppb.Timestamp{}}}},
	} {
		data, err := protojson.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), string(data))
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		var records []*memov1.ArchiveRecord
		for _, text := range []string{first, second} {
			r := &memov1.ArchiveRecord{}
			if protojson.Unmarshal([]byte(text), r) != nil {
				return
			}
			records = append(records, r)
		}
		w := newWorld(t)
		w.doImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: records})
		archive := recordsOf(w.export(t, "alice", ""))
		to := later(t, w)
		to.mustImport(t, "anna", 500, &memov1.ImportAccountRequest{Records: archive})
		if diff := cmp.Diff(archive, recordsOf(to.export(t, "anna", "")), protocmp.Transform()); diff != "" {
			t.Errorf("exported, imported and exported (-first +second):\n%s", diff)
		}
	})
}

// TestImportKeepsReferences imports what names each other where all of the ids are in use by somebody else.
func TestImportKeepsReferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	memo := revision("memo_00000007", func(m *memov1.ArchivedMemo) { m.CandidateId = "cand_1" })
	archive := []*memov1.ArchiveRecord{memo, noteRecord("note_1", "memo_00000007"), candidateRecord(func(m *memov1.ArchivedCandidate) {
		m.Status, m.SavedMemoId = "saved", "memo_00000007"
		m.SimilarMemos = []*memov1.ArchivedSimilarMemo{{Id: "memo_00000007", Score: 0.5}, {Id: "memo_gone", Score: 0.25}}
	})}
	w.mustImport(t, "bob", 500, &memov1.ImportAccountRequest{Records: archive})
	w.mustImport(t, "alice", 1, &memov1.ImportAccountRequest{Records: archive})
	got := recordsOf(w.export(t, "alice", ""))
	m, n, c := got[0].GetMemo(), got[1].GetNote(), got[2].GetCandidate()
	if m.GetId() == "memo_00000007" || n.GetId() == "note_1" || c.GetId() == "cand_1" {
		t.Errorf("got ids that are another's: %v", got)
	}
	if m.GetCandidateId() != c.GetId() || !slices.Equal(n.GetMemoIds(), []string{m.GetId()}) || c.GetSavedMemoId() != m.GetId() {
		t.Errorf("got %v, want them to name each other", got)
	}
	if s := c.GetSimilarMemos(); len(s) != 1 || s[0].GetId() != m.GetId() {
		t.Errorf("got the similar memos %v, want the one that is there", s)
	}
	if again := w.mustImport(t, "alice", 500, &memov1.ImportAccountRequest{Records: archive}); again != 0 {
		t.Errorf("%d were imported twice", again)
	}
	if diff := cmp.Diff(recordsOf(w.export(t, "bob", ""))[:2], archive[:2], protocmp.Transform()); diff != "" {
		t.Errorf("what is bob's has changed:\n%s", diff)
	}
}
