package memo

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// export gives what an export of a person's account gives behind a cursor.
func (w *world) export(tb tester, person, cursor string) []*memov1.ExportAccountResponse {
	tb.Helper()
	stream, err := w.ExportAccount(bearing(tb.Context(), person+":client_a:paput.account"), &memov1.ExportAccountRequest{Cursor: cursor})
	if err != nil {
		tb.Fatal(err)
	}
	defer stream.Close()
	var all []*memov1.ExportAccountResponse
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, res)
	}
}

func recordsOf(all []*memov1.ExportAccountResponse) []*memov1.ArchiveRecord {
	records := []*memov1.ArchiveRecord{}
	for _, res := range all {
		records = append(records, res.GetRecord())
	}
	return records
}

// doImport imports records, some at a time, which must not be refused as a whole.
func (w *world) doImport(tb tester, person string, atATime int, req *memov1.ImportAccountRequest) []*memov1.ImportResult {
	tb.Helper()
	scope := "paput.account"
	if req.GetPublish() {
		scope = "paput.account,paput.publish"
	}
	var all []*memov1.ImportResult
	for chunk := range slices.Chunk(req.GetRecords(), atATime) {
		call := proto.CloneOf(req)
		call.Records = chunk
		res, err := w.ImportAccount(bearing(tb.Context(), person+":client_i:"+scope), call)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, res.GetResults()...)
	}
	return all
}

// mustImport imports records none of which may be refused, and says how many changed something.
func (w *world) mustImport(tb tester, person string, atATime int, req *memov1.ImportAccountRequest) int {
	tb.Helper()
	n := 0
	for i, r := range w.doImport(tb, person, atATime, req) {
		if r.GetError() != nil {
			tb.Fatalf("%v: refused: %v", req.GetRecords()[i], r.GetError())
		}
		if r.GetImported() {
			n++
		}
	}
	return n
}

// fill makes an account that has a bit of everything, at random.
func (m *machine) fill(account string) {
	everything := bearing(m.Context(), account+":client_a:paput.publish")
	var memos, notes, pending []string
	some := func(ids []string) []string {
		if len(ids) == 0 {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 3, rapid.ID).Draw(m.T, "some")
	}
	must := func(err error) {
		switch connect.CodeOf(err) {
		case connect.CodeFailedPrecondition, connect.CodeInvalidArgument, connect.CodeNotFound:
		default:
			if err != nil {
				m.Fatal(err)
			}
		}
	}
	for range rapid.IntRange(0, 30).Draw(m.T, "steps") {
		switch rapid.IntRange(0, 11).Draw(m.T, "step") {
		case 0, 1:
			memos = append(memos, m.world.create(m.T, account, &memov1.MemoDraft{
				Title: m.text("title", 1), Body: m.text("body", 0), Categories: m.categories(), Projects: m.categories(), MemoTypes: []string{"decision"},
			})...)
		case 2:
			for _, id := range some(memos) {
				_, err := m.UpdateMemo(everything, &memov1.UpdateMemoRequest{
					Id: id, Title: m.text("title", 1), Categories: m.categories(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "categories"}},
				})
				must(err)
			}
		case 3:
			_, err := m.DeleteMemos(everything, &memov1.DeleteMemosRequest{Ids: some(memos)})
			must(err)
		case 4:
			_, err := m.RestoreMemos(everything, &memov1.RestoreMemosRequest{Ids: some(memos)})
			must(err)
		case 5:
			_, err := m.PublishMemos(everything, &memov1.PublishMemosRequest{Ids: some(memos)})
			must(err)
		case 6:
			_, err := m.UnpublishMemos(everything, &memov1.UnpublishMemosRequest{Ids: some(memos)})
			must(err)
		case 7:
			res, err := m.CreateNote(everything, &memov1.CreateNoteRequest{Title: m.text("title", 1), MemoIds: some(memos)})
			must(err)
			if id := res.GetNote().GetId(); id != "" {
				notes = append(notes, id)
			}
		case 8:
			for _, id := range some(notes) {
				_, err := m.UpdateNote(everything, &memov1.UpdateNoteRequest{Id: id, MemoIds: some(memos), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"memo_ids"}}})
				must(err)
			}
		case 9:
			sure := rapid.SampledFrom([]float64{0, 0.1, 0.75, 1}).Draw(m.T, "confidence")
			res, err := m.AddCandidates(everything, &memov1.AddCandidatesRequest{
				Source: "codex", SessionId: rapid.SampledFrom([]string{"", "s1", "セッション"}).Draw(m.T, "session"),
				Candidates: []*memov1.CandidateDraft{{Title: m.text("title", 1), Body: m.text("body", 0), Categories: m.categories(), Confidence: &sure}},
			})
			must(err)
			for _, r := range res.GetResults() {
				if r.GetId() != "" {
					pending = append(pending, r.GetId())
				}
			}
		case 10:
			_, err := m.DiscardCandidates(everything, &memov1.DiscardCandidatesRequest{Ids: some(pending), Reason: m.text("reason", 0)})
			must(err)
			var edits []*memov1.CandidateEdit
			for _, id := range some(pending) {
				edits = append(edits, &memov1.CandidateEdit{Id: id})
			}
			if len(edits) > 0 {
				saved, err := m.SaveCandidates(everything, &memov1.SaveCandidatesRequest{Candidates: edits})
				must(err)
				for _, r := range saved.GetResults() {
					if r.GetMemoId() != "" {
						memos = append(memos, r.GetMemoId())
					}
				}
			}
		default:
			text := m.text("policy", 0)
			_, err := m.UpdateCapturePolicy(everything, &memov1.UpdateCapturePolicyRequest{Text: &text})
			must(err)
			if rapid.Bool().Draw(m.T, "purge") {
				m.clock.advance(trashTime)
				must(m.service.Purge(m.Context()))
			}
		}
	}
}

func newMachine(t *testing.T, r *rapid.T) *machine {
	return &machine{T: r, world: newWorld(t), memos: map[string]*model{}, notes: map[string]*modelNote{}}
}

// later gives a world whose clock has not been passed by that of another.
func later(t *testing.T, other *world) *world {
	w := newWorld(t)
	w.clock.at = other.clock.now()
	return w
}

// TestExportImportExport moves random accounts to another server, interrupted wherever it may be, and back.
func TestExportImportExport(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := newMachine(t, r)
		m.fill("alice")
		all := m.export(r, "alice", "")
		archive := recordsOf(all)
		for _, cut := range []int{rapid.IntRange(0, len(all)).Draw(r, "cut")} {
			if cut == 0 {
				continue
			}
			resumed := append(recordsOf(all[:cut]), recordsOf(m.export(r, "alice", all[cut-1].GetCursor()))...)
			if diff := cmp.Diff(archive, resumed, protocmp.Transform()); diff != "" {
				r.Fatalf("an export that was cut behind record %d (-whole +resumed):\n%s", cut, diff)
			}
		}

		to := later(t, m.world)
		publish := rapid.Bool().Draw(r, "publish")
		atATime := rapid.SampledFrom([]int{1, 2, 7, 500}).Draw(r, "at a time")
		checked := to.mustImport(r, "anna", 500, &memov1.ImportAccountRequest{Records: archive, Publish: publish, ValidateOnly: true})
		if got := to.export(r, "anna", ""); len(got) != 0 {
			r.Fatalf("validate_only has imported %v", got)
		}
		part := archive[:rapid.IntRange(0, len(archive)).Draw(r, "interrupted")]
		did := to.mustImport(r, "anna", atATime, &memov1.ImportAccountRequest{Records: part, Publish: publish})
		did += to.mustImport(r, "anna", atATime, &memov1.ImportAccountRequest{Records: archive, Publish: publish})
		if did != len(archive) || checked != did {
			r.Fatalf("imported %d and validated %d of %d", did, checked, len(archive))
		}
		if again := to.mustImport(r, "anna", 500, &memov1.ImportAccountRequest{Records: archive, Publish: publish}); again != 0 {
			r.Fatalf("%d records were imported twice", again)
		}
		if diff := cmp.Diff(archive, recordsOf(to.export(r, "anna", "")), protocmp.Transform()); diff != "" {
			r.Fatalf("exported, imported and exported (-first +second):\n%s", diff)
		}
		if !publish {
			if ids := to.find(r, "anna", &memov1.SearchMemosRequest{IsPublic: proto.Bool(true)}); len(ids) > 0 {
				r.Fatalf("the import made %v public", ids)
			}
		}
		them, here := &machine{T: r, world: to}, m
		if diff := cmp.Diff(here.surface("alice", publish), them.surface("anna", publish), protocmp.Transform()); diff != "" {
			r.Fatalf("what can be read there and here (-there +here):\n%s", diff)
		}

		tables := them.dump(t)
		if err := to.log.Rebuild(t.Context()); err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(tables, them.dump(t)); diff != "" {
			r.Fatalf("the tables live and rebuilt (-live +rebuilt):\n%s", diff)
		}

		// Where the ids are in use by another account, everything gets others, which name each other as before.
		used := to.mustImport(r, "bea", atATime, &memov1.ImportAccountRequest{Records: archive, Publish: publish})
		if used != len(archive) {
			r.Fatalf("imported %d of %d beside another account", used, len(archive))
		}
		if again := to.mustImport(r, "bea", 500, &memov1.ImportAccountRequest{Records: archive, Publish: publish}); again != 0 {
			r.Fatalf("%d records were imported twice beside another account", again)
		}
		if diff := cmp.Diff(numbered(archive), numbered(recordsOf(to.export(r, "bea", ""))), protocmp.Transform()); diff != "" {
			r.Fatalf("exported, imported beside another account, and exported (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(archive, recordsOf(to.export(r, "anna", "")), protocmp.Transform()); diff != "" {
			r.Fatalf("another's import has changed this account (-before +after):\n%s", diff)
		}
	})
}

// surface is what a person reads of their account.
func (m *machine) surface(account string, public bool) map[string]proto.Message {
	ctx := bearing(m.Context(), account+":client_a:paput.write")
	out := map[string]proto.Message{}
	put := func(name string, message proto.Message, err error) {
		if err != nil {
			m.Fatal(err)
		}
		out[name] = message
	}
	memos, err := m.SearchMemos(ctx, &memov1.SearchMemosRequest{IncludeDeleted: true, PageSize: 100})
	put("memos", memos, err)
	for _, e := range memos.GetEntries() {
		history, err := m.ListMemoRevisions(ctx, &memov1.ListMemoRevisionsRequest{Id: e.GetId(), PageSize: 100})
		put(e.GetId(), history, err)
		if !public {
			e.IsPublic = false
			for _, rev := range history.GetRevisions() {
				rev.Memo.IsPublic = false
			}
		}
	}
	notes, err := m.SearchNotes(ctx, &memov1.SearchNotesRequest{})
	for _, n := range notes.GetNotes() {
		n.Revision, n.Etag = 0, ""
	}
	put("notes", notes, err)
	for _, status := range []string{statusPending, statusSaved, statusDiscarded} {
		list, err := m.ListCandidates(ctx, &memov1.ListCandidatesRequest{Status: status, PageSize: 100})
		for _, c := range list.GetCandidates() {
			c.Etag = ""
		}
		put(status, list, err)
	}
	sessions, err := m.ListProcessedSessions(ctx, &memov1.ListProcessedSessionsRequest{})
	put("sessions", sessions, err)
	categories, err := m.ListCategories(ctx, &memov1.ListCategoriesRequest{})
	put("categories", categories, err)
	return out
}

// numbered puts the numbers 1, 2, … in place of ids, in the order in which records define them, and sorts records that only
// their ids have put in order.
func numbered(records []*memov1.ArchiveRecord) []string {
	names := map[string]string{}
	for _, r := range records {
		for _, id := range []string{r.GetMemo().GetId(), r.GetNote().GetId(), r.GetCandidate().GetId()} {
			if id != "" && names[id] == "" {
				// Times are all different, so they say which one it is.
				names[id] = "x_" + strings.Join([]string{
					fmt.Sprint(r.GetMemo().GetTime().AsTime().UnixMilli()), fmt.Sprint(r.GetNote().GetCreateTime().AsTime().UnixMilli()), fmt.Sprint(r.GetCandidate().GetAddTime().AsTime().UnixMilli()), fmt.Sprint(len(names)),
				}, "_")
			}
		}
	}
	var out []string
	for _, r := range records {
		text := cmpText(r)
		for _, id := range slices.Sorted(maps.Keys(names)) {
			text = strings.ReplaceAll(text, `"`+id+`"`, names[id])
		}
		out = append(out, text)
	}
	return out
}

func cmpText(m proto.Message) string { return fmt.Sprintf("%v", m) }

// TestExportWhileWriting exports an account while it changes: what comes is the account as it was at the beginning.
func TestExportWhileWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var drafts []*memov1.MemoDraft
	for i := range 90 {
		drafts = append(drafts, draftOf(fmt.Sprint("題 ", i), "本文"))
	}
	ids := w.create(t, "alice", drafts...)
	ids = append(ids, w.create(t, "alice", drafts...)...)
	note, err := w.CreateNote(as(t, "alice"), &memov1.CreateNoteRequest{Title: "全部", MemoIds: ids})
	if err != nil {
		t.Fatal(err)
	}
	before := recordsOf(w.export(t, "alice", ""))

	stream, err := w.ExportAccount(bearing(t.Context(), "alice:client_a:paput.account"), &memov1.ExportAccountRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Receive()
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	newer := w.create(t, "alice", draftOf("later", ""))
	if _, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[150], Title: "changed"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UpdateNote(as(t, "alice"), &memov1.UpdateNoteRequest{Id: note.GetNote().GetId(), AddMemoIds: newer}); err != nil {
		t.Fatal(err)
	}
	rest := recordsOf(w.export(t, "alice", first.GetCursor()))
	if diff := cmp.Diff(before[1:], rest, protocmp.Transform()); diff != "" {
		t.Errorf("the rest of the export (-as it began +as it went on):\n%s", diff)
	}

	// A memo that was purged meanwhile is in no note either.
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[100:101]}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(trashTime)
	if err := w.service.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	rest = recordsOf(w.export(t, "alice", first.GetCursor()))
	if n := len(rest); n != len(before)-2 {
		t.Errorf("got %d records, want %d", n, len(before)-2)
	}
	memoIDs := rest[len(rest)-1].GetNote().GetMemoIds()
	if len(memoIDs) != len(ids)-1 || slices.Contains(memoIDs, ids[100]) {
		t.Errorf("the note has %d memos, want %d without %s", len(memoIDs), len(ids)-1, ids[100])
	}

	// So is one that is purged between a page of ids and its turn: its earlier records then say nothing any more.
	live, err := w.ExportAccount(bearing(t.Context(), "alice:client_a:paput.account"), &memov1.ExportAccountRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := live.Receive(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[50:51]}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(trashTime)
	if err := w.service.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		res, err := live.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if m := res.GetRecord().GetMemo(); m != nil && (m.GetId() == ids[50] || m.GetTitle() == "") {
			t.Errorf("got %v, which was purged", m)
		}
		if slices.Contains(res.GetRecord().GetNote().GetMemoIds(), ids[50]) {
			t.Errorf("the note names %s, which was purged", ids[50])
		}
	}

	_, err = receive(w.ExportAccount(bearing(t.Context(), "bob:client_a:paput.account"), &memov1.ExportAccountRequest{Cursor: first.GetCursor()}))
	wantCode(t, err, connect.CodeInvalidArgument, "the cursor is not one that this account's export gave out")
	for _, scope := range []string{"paput.read", "paput.write", "paput.publish", "paput.audit"} {
		_, err = receive(w.ExportAccount(bearing(t.Context(), "alice:client_a:"+scope), &memov1.ExportAccountRequest{}))
		wantCode(t, err, connect.CodePermissionDenied, "this needs the scope paput.account")
		_, err := w.ImportAccount(bearing(t.Context(), "alice:client_a:"+scope), &memov1.ImportAccountRequest{Records: before[:1]})
		wantCode(t, err, connect.CodePermissionDenied, "this needs the scope paput.account")
	}
}

func receive[S interface {
	Receive() (*memov1.ExportAccountResponse, error)
}](stream S, err error) (*memov1.ExportAccountResponse, error) {
	if err != nil {
		return nil, err
	}
	return stream.Receive()
}
