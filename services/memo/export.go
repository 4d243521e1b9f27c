package memo

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// exportPage is how many ids are in memory at a time; what they name is read one by one.
const exportPage = 100

// ExportAccount streams the account in sections. Memos, notes and candidates are made from the records up to the position at
// which the export began, which every cursor carries, so that they belong together even when a cut stream goes on much later.
// Sessions and the policy refer to nothing, and are as they are when their turn comes.
//
// No connection to the database is held while the caller reads. What is in memory is one memo with its history.
func (s *Service) ExportAccount(ctx context.Context, req *memov1.ExportAccountRequest, stream memov1connect.MemoServiceExportAccountServerStream) error {
	caller := rpc.CallerFrom(ctx)
	list := listOf(caller.AccountID, &memov1.ExportAccountRequest{})
	at, err := parseCursor(req.GetCursor(), list)
	if err != nil {
		return invalid("the cursor is not one that this account's export gave out; begin again without it")
	}
	if at == nil {
		at = &cursor{For: list, Pin: s.log.Last()}
	}
	e := &export{Service: s, ctx: ctx, caller: caller, at: *at, send: stream.Send}
	return e.run()
}

// export is one stream of ExportAccount. Its cursor is the place behind the record that was sent last: in the section of
// memos and in that of notes the record's create_time and id, and in that of memos its revision, 0 when the memo is done; in
// the others its n.
type export struct {
	*Service
	ctx    context.Context
	caller rpc.Caller
	at     cursor
	send   func(*memov1.ExportAccountResponse) error
}

func (e *export) run() error {
	sections := []func() (more bool, err error){e.memos, e.notes, e.candidates, e.sessions, e.policy}
	for e.at.Section < len(sections) {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		more, err := sections[max(e.at.Section, 0)]()
		if err != nil {
			return err
		}
		if !more {
			e.at = cursor{For: e.at.For, Pin: e.at.Pin, Section: e.at.Section + 1}
		}
	}
	return nil
}

func (e *export) give(r *memov1.ArchiveRecord) error {
	return e.send(&memov1.ExportAccountResponse{Record: r, Cursor: e.at.token()})
}

// known are the records of a stream that the export tells of. There are none when what the stream is of has ended since: what
// it said is then gone from its earlier records too.
func (e *export) known(stream string, ended func(all []eventlog.Record) bool) ([]eventlog.Record, error) {
	records, err := e.log.Read(e.ctx, stream)
	if err != nil || ended(records) {
		return nil, err
	}
	for i, r := range records {
		if r.Position > e.at.Pin {
			return records[:i], nil
		}
	}
	return records, nil
}

// place is what a page of memos or notes has of each.
type place struct {
	id         string
	createTime int64
}

func scanPlace(from interface{ Scan(...any) error }) (p place, err error) {
	err = from.Scan(&p.id, &p.createTime)
	return p, err
}

// behind adds to a clause that what is listed comes behind the cursor, or at it when that is in the midst of a memo.
func (e *export) behind(c *clause) {
	switch {
	case e.at.ID == "": // there is no such place before anything was sent
	case e.at.Revision > 0:
		c.and("(create_time, id) >= (?, ?)", e.at.Time, e.at.ID)
	default:
		c.and("(create_time, id) > (?, ?)", e.at.Time, e.at.ID)
	}
}

// places gives the next page of a table.
func (e *export) places(table string, c *clause) (page []place, err error) {
	e.behind(c)
	err = e.snapshot(e.ctx, func(q querier) error {
		page, err = scanAll(q, scanPlace, "SELECT id, create_time FROM "+table+" WHERE "+c.sql.String()+" ORDER BY create_time, id LIMIT ?", append(c.args, exportPage)...)
		return err
	})
	return page, err
}

func (e *export) memos() (more bool, err error) {
	var c clause
	c.and("account = (SELECT account FROM memo_accounts WHERE account_id = ? AND erased = 0)", e.caller.AccountID)
	page, err := e.places("memos", &c)
	if err != nil {
		return false, err
	}
	for _, p := range page {
		if err := e.memo(p); err != nil {
			return false, err
		}
	}
	return len(page) == exportPage, nil
}

// memo sends the revisions of a memo that come behind the cursor.
func (e *export) memo(p place) error {
	done := int64(0)
	if p.id == e.at.ID {
		done = e.at.Revision
	}
	records, err := e.known(stream(p.id), func(all []eventlog.Record) bool { return fold(p.id, all).purged })
	if err != nil {
		return err
	}
	e.at.Time, e.at.ID = p.createTime, p.id
	for _, m := range archiveMemo(p.id, records) {
		if e.at.Revision = int64(m.GetRevision()); e.at.Revision <= done {
			continue
		}
		if err := e.give(&memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Memo{Memo: m}}); err != nil {
			return err
		}
	}
	e.at.Revision = 0
	return nil
}

func (e *export) notes() (more bool, err error) {
	var c clause
	c.and("account_id = ?", e.caller.AccountID)
	page, err := e.places("notes", &c)
	if err != nil {
		return false, err
	}
	for _, p := range page {
		records, err := e.known(noteStream(p.id), func(all []eventlog.Record) bool { return foldNote(p.id, all).deleted })
		if err != nil {
			return false, err
		}
		e.at.Time, e.at.ID = p.createTime, p.id
		note := foldNote(p.id, records)
		if note.revision == 0 {
			continue
		}
		kept, err := e.kept(note.memoIDs)
		if err != nil {
			return false, err
		}
		archived := archiveNote(note, kept.living(note.memoIDs))
		if err := e.give(&memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Note{Note: archived}}); err != nil {
			return false, err
		}
	}
	return len(page) == exportPage, nil
}

// kept finds those memos that were not purged since the export began. It has sent them all.
func (e *export) kept(ids []string) (kept knownMemos, err error) {
	err = e.snapshot(e.ctx, func(q querier) error {
		kept, err = readKnown(q, e.caller.AccountID, ids)
		return err
	})
	return kept, err
}

// rowPlace is a place in a table whose rows are numbered.
type rowPlace struct {
	id string
	n  int64
}

func scanRowPlace(from interface{ Scan(...any) error }) (p rowPlace, err error) {
	err = from.Scan(&p.id, &p.n)
	return p, err
}

func (e *export) candidates() (more bool, err error) {
	var page []rowPlace
	err = e.snapshot(e.ctx, func(q querier) error {
		page, err = scanAll(q, scanRowPlace, "SELECT id, n FROM candidates WHERE account_id = ? AND n > ? ORDER BY n LIMIT ?", e.caller.AccountID, e.at.N, exportPage)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, p := range page {
		records, err := e.known(queueStream(p.id), func(all []eventlog.Record) bool { return foldQueued(p.id, all).status == statusPurged })
		if err != nil {
			return false, err
		}
		e.at.N = p.n
		q := foldQueued(p.id, records)
		if q.revision == 0 {
			continue
		}
		var ids []string
		for _, m := range q.similar {
			ids = append(ids, m.ID)
		}
		kept, err := e.kept(ids)
		if err != nil {
			return false, err
		}
		if err := e.give(&memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Candidate{Candidate: archiveCandidate(q, kept)}}); err != nil {
			return false, err
		}
	}
	return len(page) == exportPage, nil
}

func (e *export) sessions() (more bool, err error) {
	var page []sessionRow
	err = e.snapshot(e.ctx, func(q querier) error {
		page, err = scanAll(q, scanSession, "SELECT n, source, session_id, process_time FROM capture_sessions WHERE account_id = ? AND n > ? ORDER BY n LIMIT ?",
			e.caller.AccountID, e.at.N, exportPage)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, r := range page {
		e.at.N = r.n
		session := &memov1.ArchivedSession{Source: r.source, SessionId: r.id, ProcessTime: timestamppb.New(fromMillis(r.processMillis))}
		if err := e.give(&memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Session{Session: session}}); err != nil {
			return false, err
		}
	}
	return len(page) == exportPage, nil
}

func (e *export) policy() (more bool, err error) {
	if e.at.N > 0 {
		return false, nil
	}
	var p policy
	err = e.snapshot(e.ctx, func(q querier) error {
		p, err = readPolicy(q, e.caller.AccountID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("export the policy: %w", err)
	}
	e.at.N = 1
	if p.text == "" {
		return false, nil
	}
	archived := &memov1.ArchivedPolicy{Text: p.text, UpdateTime: timestamppb.New(p.updateTime)}
	return false, e.give(&memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Policy{Policy: archived}})
}
