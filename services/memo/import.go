package memo

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// What one transaction of an import takes at most, so that others get their turn: indexing text takes most of its time.
const (
	importBatch      = 50
	importBatchBytes = 256 << 10
)

// ImportAccount imports records, some at a time in one transaction. What a cancelled call has imported stays, and is left
// alone when it is sent again.
func (s *Service) ImportAccount(ctx context.Context, req *memov1.ImportAccountRequest) (*memov1.ImportAccountResponse, error) {
	caller := rpc.CallerFrom(ctx)
	if req.GetPublish() && !caller.Has(scopePublish) {
		return nil, &fault{ErrPublic, "publish makes memos public, which needs the scope paput.publish"}
	}
	res := &memov1.ImportAccountResponse{}
	for i := range req.GetRecords() {
		res.Results = append(res.Results, &memov1.ImportResult{Index: int32(i)}) //nolint:gosec // at most 500
	}
	items := importItems(req.GetRecords(), res.GetResults(), s.now())
	for len(items) > 0 {
		batch := nextBatch(items)
		items = items[len(batch):]
		err := s.log.Do(ctx, func(tx *eventlog.Tx) error {
			i := importing{tx: tx, caller: caller, req: req}
			for _, item := range batch {
				if err := i.item(item); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

// importItem is what is imported whole or not at all: a record, or the revisions of a memo.
type importItem struct {
	records []*memov1.ArchiveRecord
	results []*memov1.ImportResult
}

// importItems checks the records and puts those that belong together into one item. Records that break the rules get their
// result here.
func importItems(records []*memov1.ArchiveRecord, results []*memov1.ImportResult, now time.Time) []importItem {
	var items []importItem
	for from := 0; from < len(records); {
		to := from + 1
		for to < len(records) && belongs(records[to-1], records[to]) {
			to++
		}
		item := importItem{results: results[from:to]}
		var err error
		for _, r := range records[from:to] {
			var checked *memov1.ArchiveRecord
			if checked, err = checkRecord(r, now); err != nil {
				break
			}
			item.records = append(item.records, checked)
		}
		if err != nil {
			item.refuse("invalid_argument", err.Error())
		} else {
			items = append(items, item)
		}
		from = to
	}
	return items
}

// belongs says whether a record is the next revision of the memo that the one before is of.
func belongs(before, r *memov1.ArchiveRecord) bool {
	return r.GetMemo() != nil && r.GetMemo().GetRevision() > 1 && r.GetMemo().GetId() == before.GetMemo().GetId()
}

// nextBatch takes from the front as much as one transaction should do.
func nextBatch(items []importItem) []importItem {
	records, size := 0, 0
	for i, item := range items {
		records += len(item.records)
		for _, r := range item.records {
			size += proto.Size(r)
		}
		if i > 0 && (records > importBatch || size > importBatchBytes) {
			return items[:i]
		}
	}
	return items
}

func (i importItem) refuse(code, text string) {
	for _, r := range i.results {
		r.Id, r.Imported, r.Error = "", false, &toolv1.ItemError{Code: code, Message: text}
	}
}

// importing is the import of some items in one transaction.
type importing struct {
	tx     *eventlog.Tx
	caller rpc.Caller
	req    *memov1.ImportAccountRequest
}

// item imports one item, or says in its results why not.
func (i *importing) item(item importItem) error {
	var (
		id  string
		did bool
		err error
	)
	switch r := item.records[0].GetRecord().(type) {
	case *memov1.ArchiveRecord_Memo:
		return i.refused(item, i.memo(item))
	case *memov1.ArchiveRecord_Note:
		id, did, err = i.note(r.Note)
	case *memov1.ArchiveRecord_Candidate:
		id, did, err = i.candidate(r.Candidate)
	case *memov1.ArchiveRecord_Session:
		did, err = i.session(r.Session)
	case *memov1.ArchiveRecord_Policy:
		did, err = i.policy(r.Policy)
	case *memov1.ArchiveRecord_Document:
		id, did, err = i.document(r.Document)
	}
	if err != nil {
		return i.refused(item, err)
	}
	item.results[0].Id, item.results[0].Imported, item.results[0].Error = id, did, nil
	return nil
}

// refused turns a domain error into the item's result.
func (i *importing) refused(item importItem, err error) error {
	refusal, err := itemError(err)
	if refusal != nil {
		item.refuse(refusal.GetCode(), refusal.GetMessage())
	}
	return err
}

// append records an event, unless the call is only to say what it would do.
func (i *importing) append(stream string, e proto.Message) error {
	if i.req.GetValidateOnly() {
		return nil
	}
	if err := admit(i.tx, i.caller.AccountID); err != nil {
		return err
	}
	return i.tx.Append(stream, e)
}

// memo imports the revisions of one memo that the account does not have.
func (i *importing) memo(item importItem) error {
	revisions := make([]*memov1.ArchivedMemo, len(item.records))
	for n, r := range item.records {
		revisions[n] = r.GetMemo()
		var err error
		if revisions[n].CandidateId, err = i.reference(queueKind, revisions[n].GetCandidateId()); err != nil {
			return err
		}
	}
	to, err := i.place(kindName, revisions[0].GetId(), func(id string, records []eventlog.Record) (bool, error) {
		_, same := compareRevisions(id, records, revisions)
		return same, nil
	})
	if err != nil {
		return err
	}
	if to.is == other {
		return conflict(to.id, "the account has this memo with another history")
	}
	rest, _ := compareRevisions(to.id, to.records, revisions)
	s := fold(to.id, to.records)
	events := make([]*memov1.MemoEvent, len(rest))
	for n, m := range rest {
		e, err := importRevision(s, m)
		if err != nil {
			return err
		}
		events[n] = i.sign(imported(e, m, i.req.GetPublish()))
		s = evolve(s, eventlog.Record{Version: s.revision + 1, Event: events[n]})
	}
	for _, e := range events {
		if err := i.append(stream(to.id), e); err != nil {
			return err
		}
	}
	known := len(revisions) - len(rest)
	for n, r := range item.results {
		r.Id, r.Imported, r.Error = to.id, n >= known, nil
	}
	return nil
}

func (i *importing) sign(e *memov1.MemoEvent) *memov1.MemoEvent {
	e.AccountId, e.ClientId, e.GrantId = i.caller.AccountID, i.caller.ClientID, i.caller.GrantID
	return e
}

// compareRevisions compares revisions of a memo with the records that there are. Same says that none differs that both have;
// rest are those that come behind the records.
func compareRevisions(id string, records []eventlog.Record, revisions []*memov1.ArchivedMemo) (rest []*memov1.ArchivedMemo, same bool) {
	has := archiveMemo(id, records)
	for n, m := range revisions {
		at := int(m.GetRevision()) - 1
		if at >= len(has) {
			return revisions[n:], true
		}
		if there := has[at]; !proto.Equal(withID(m, id), there) {
			return nil, false
		}
	}
	return nil, true
}

func withID(m *memov1.ArchivedMemo, id string) *memov1.ArchivedMemo {
	if m.GetId() == id {
		return m
	}
	m = proto.CloneOf(m)
	m.Id = id
	return m
}

// conflict refuses what the account has with other content.
func conflict(id, text string) error {
	return &fault{ErrExists, id + ": " + text + ", and that is left as it is; keep_both imports this one beside it"}
}

// note imports a note, or finds it there.
func (i *importing) note(m *memov1.ArchivedNote) (id string, did bool, err error) {
	ids, missing, err := i.memosHere(m.GetMemoIds())
	if err != nil {
		return "", false, err
	}
	if len(missing) > 0 {
		return "", false, invalid("memo_ids names %s, which is not in the account; import it first", missing[0])
	}
	content := noteContent{m.GetTitle(), ids}
	to, err := i.place(kindNote, m.GetId(), func(id string, records []eventlog.Record) (bool, error) {
		s := foldNote(id, records)
		known, err := readKnown(i.tx, i.caller.AccountID, s.memoIDs)
		wanted := &memov1.ArchivedNote{Id: id, Title: m.GetTitle(), MemoIds: ids, CreateTime: m.GetCreateTime(), UpdateTime: m.GetUpdateTime()}
		return proto.Equal(wanted, archiveNote(s, known.living(s.memoIDs))), err
	})
	switch {
	case err != nil:
		return "", false, err
	case to.is == same:
		return to.id, false, nil
	case to.is == other:
		return "", false, conflict(to.id, "the account has this note with another title, other memos or at another time")
	}
	return to.id, true, i.append(noteStream(to.id), &memov1.NoteEvent{
		AccountId: i.caller.AccountID, ClientId: i.caller.ClientID, GrantId: i.caller.GrantID,
		Event: &memov1.NoteEvent_Imported{Imported: &memov1.NoteImported{
			Title: content.title, MemoIds: content.memoIDs, Digest: content.digest(to.id),
			CreateTime: m.GetCreateTime(), UpdateTime: m.GetUpdateTime(),
		}},
	})
}

// candidate imports a candidate, or finds it there.
func (i *importing) candidate(m *memov1.ArchivedCandidate) (id string, did bool, err error) {
	m, kept, err := i.candidateHere(m)
	if err != nil {
		return "", false, err
	}
	to, err := i.place(queueKind, m.GetId(), func(id string, records []eventlog.Record) (bool, error) {
		there := archiveCandidate(foldQueued(id, records), kept)
		there.Id = m.GetId()
		return proto.Equal(m, there), nil
	})
	switch {
	case err != nil:
		return "", false, err
	case to.is == same:
		return to.id, false, nil
	case to.is == other:
		return "", false, conflict(to.id, "the account has this candidate with other content or another status")
	}
	c := contentOf(m)
	imported := &memov1.CandidateImported{
		Memo:   create(to.id, c, m.GetCreateTime()).GetCreated(),
		Status: m.GetStatus(), Source: m.GetSource(), SessionId: m.GetSessionId(), Confidence: m.Confidence,
		DiscardReason: m.GetDiscardReason(), SavedMemoId: m.GetSavedMemoId(), AddTime: m.GetAddTime(), UpdateTime: m.GetUpdateTime(),
	}
	for _, s := range m.GetSimilarMemos() {
		imported.SimilarMemos = append(imported.SimilarMemos, &memov1.SimilarMemoFound{MemoId: s.GetId(), Score: s.GetScore()})
	}
	return to.id, true, i.append(queueStream(to.id), &memov1.CandidateEvent{
		AccountId: i.caller.AccountID, ClientId: i.caller.ClientID, GrantId: i.caller.GrantID,
		Event: &memov1.CandidateEvent_Imported{Imported: imported},
	})
}

// candidateHere gives a candidate with the ids that memos have here, without similar memos that are not, and those that are.
func (i *importing) candidateHere(m *memov1.ArchivedCandidate) (*memov1.ArchivedCandidate, knownMemos, error) {
	m = proto.CloneOf(m)
	var asked []string
	for _, s := range m.GetSimilarMemos() {
		asked = append(asked, s.GetId())
	}
	here, err := i.memosByID(append(asked, m.GetSavedMemoId()))
	if err != nil {
		return nil, nil, err
	}
	kept := knownMemos{}
	var similar []*memov1.ArchivedSimilarMemo
	for _, s := range m.GetSimilarMemos() {
		if id, exists := here[s.GetId()]; exists {
			kept[id] = false
			similar = append(similar, &memov1.ArchivedSimilarMemo{Id: id, Score: s.GetScore()})
		}
	}
	m.SimilarMemos = similar
	if id, exists := here[m.GetSavedMemoId()]; exists {
		m.SavedMemoId = id
	}
	return m, kept, nil
}

// session imports a reviewed session, or finds it there.
func (i *importing) session(m *memov1.ArchivedSession) (did bool, err error) {
	known, err := scanAll(i.tx, scanID, "SELECT session_id FROM capture_sessions WHERE account_id = ? AND source = ? AND session_id = ?",
		i.caller.AccountID, m.GetSource(), m.GetSessionId())
	if err != nil || len(known) > 0 {
		return false, err
	}
	return true, i.capture(&memov1.CaptureEvent{Event: &memov1.CaptureEvent_SessionsImported{SessionsImported: &memov1.SessionsImported{
		Sessions: []*memov1.SessionImported{{Source: m.GetSource(), SessionId: m.GetSessionId(), ProcessTime: m.GetProcessTime()}},
	}}})
}

// policy imports the policy into an account without one.
func (i *importing) policy(m *memov1.ArchivedPolicy) (did bool, err error) {
	p, err := readPolicy(i.tx, i.caller.AccountID)
	switch {
	case err != nil:
		return false, err
	case p.text == m.GetText():
		return false, nil
	case p.text != "":
		return false, &fault{ErrExists, "the account has another capture policy, which is left as it is; merge them by hand"}
	}
	return true, i.capture(&memov1.CaptureEvent{Event: &memov1.CaptureEvent_PolicyImported{PolicyImported: &memov1.CapturePolicyImported{
		Text: m.GetText(), UpdateTime: m.GetUpdateTime(),
	}}})
}

func (i *importing) capture(e *memov1.CaptureEvent) error {
	if i.req.GetValidateOnly() {
		return nil
	}
	return recordCapture(i.tx, i.caller, e)
}

// document makes a memo of a text, unless the account has one that says the same.
func (i *importing) document(m *memov1.ArchivedDocument) (id string, did bool, err error) {
	c := contentOf(m)
	id = m.GetId()
	if id == "" {
		if id, err = memoWith(i.tx, i.caller.AccountID, c.fingerprint()); id != "" || err != nil {
			return id, false, err
		}
		id = idFor(kindName, timePart(m.GetCreateTime().AsTime()), i.caller.AccountID, c.fingerprint())
	}
	to, err := i.place(kindName, id, func(id string, records []eventlog.Record) (bool, error) {
		return saidOnce(id, records, c, m.GetId() != ""), nil
	})
	switch {
	case err != nil:
		return "", false, err
	case to.is == same:
		return to.id, false, nil
	case to.is == other:
		return "", false, conflict(to.id, "the account has this memo, and it never said this")
	}
	e, err := importRevision(state{id: to.id}, &memov1.ArchivedMemo{
		Revision: 1, Action: actionCreated, Time: m.GetUpdateTime(), CreateTime: m.GetCreateTime(),
		Title: c.title, Body: c.body, Summary: c.summary, MemoTypes: c.types, Categories: c.categories, Projects: c.projects,
	})
	if err != nil {
		return "", false, err
	}
	return to.id, true, i.append(stream(to.id), i.sign(imported(e, &memov1.ArchivedMemo{Time: m.GetUpdateTime()}, false)))
}

// saidOnce says whether a memo says what c does, or did at an earlier revision: to the number of spaces, and exactly also in
// all that is not title and body when the memo is known by its id.
func saidOnce(id string, records []eventlog.Record, c content, exactly bool) bool {
	s := state{id: id}
	for _, r := range records {
		s = evolve(s, r)
		text := content{title: c.title, body: c.body, summary: s.summary, types: s.types, categories: s.categories, projects: s.projects}
		if s.fingerprint() == c.fingerprint() && (!exactly || len(text.changes(c)) == 0) {
			return true
		}
	}
	return false
}

// importRevision decides on the next revision of a memo. It is what could have happened to the memo, or it is refused.
func importRevision(s state, m *memov1.ArchivedMemo) (*memov1.MemoEvent, error) {
	c := contentOf(m)
	if int64(m.GetRevision()) != s.revision+1 {
		return nil, invalid("revision is %d, but revision %d is not there; import all revisions of a memo, the oldest first", m.GetRevision(), s.revision+1)
	}
	if m.GetAction() == actionCreated {
		at := m.GetCreateTime()
		if proto.Equal(at, m.GetTime()) {
			at = nil
		}
		e := create(s.id, c, at)
		e.GetCreated().CandidateId = m.GetCandidateId()
		return e, nil
	}
	if !m.GetCreateTime().AsTime().Equal(s.createTime) {
		return nil, invalid("revision %d has another create_time than the one before", m.GetRevision())
	}
	var (
		e   *memov1.MemoEvent
		err error
	)
	changed := s.changes(c)
	switch m.GetAction() {
	case "updated":
		e, err = update(s, change{fields: fieldNames(), content: c}, true)
		changed = nil
	case "deleted":
		e = remove(s)
	case "restored":
		e = restore(s)
	case "published":
		if !s.withheld {
			e, err = publish(s)
		}
	case "unpublished":
		e = unpublish(s)
	}
	switch {
	case err != nil || e == nil:
		return nil, invalid("revision %d says %q, which cannot follow the revision before", m.GetRevision(), m.GetAction())
	case len(changed) > 0:
		return nil, invalid("revision %d says %q and changes %s; only \"updated\" does", m.GetRevision(), m.GetAction(), strings.Join(changed, ", "))
	}
	return e, nil
}
