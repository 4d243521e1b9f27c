package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// What one request of an import has: usually at most so much, and for the sake of a memo with a long history, which is
// imported whole or not at all, so much more. The server takes 500 records.
const (
	sendRecords    = 100
	sendBytes      = 1 << 20
	sendMaxRecords = 500
	sendMaxBytes   = 16 << 20
)

// maxRefusals is how many refusals the result in JSON names.
const maxRefusals = 1000

// sender sends records to the server, some at a time, and counts what became of them.
type sender struct {
	app     *app
	memos   memov1connect.MemoServiceClient
	server  string
	options importOptions
	bar     *progress

	waiting []found
	size    int
	sent    int64
	result  importSummary
	// last is the memo whose revisions came last, and what it counts as.
	last    string
	lastWas *int
}

// importSummary is the result of an import.
type importSummary struct {
	DryRun     bool            `json:"dry_run"`
	Memos      importCount     `json:"memos"`
	Notes      importCount     `json:"notes"`
	Candidates importCount     `json:"candidates"`
	Sessions   importCount     `json:"sessions"`
	Policy     importCount     `json:"policy"`
	Refused    int             `json:"refused"`
	Refusals   []importRefusal `json:"refusals"` // the first of them
}

// importCount counts things of one kind: each once.
type importCount struct {
	Imported  int `json:"imported"`
	Unchanged int `json:"unchanged"`
	Refused   int `json:"refused"`
}

type importRefusal struct {
	Where   string `json:"where"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// send imports what is found, and tells what became of it.
func (a *app) send(ctx context.Context, all iter.Seq[found], o importOptions) error {
	memos, session, err := a.memos()
	if err != nil {
		return err
	}
	s := &sender{app: a, memos: memos, server: session.server, options: o, bar: a.progress("sent")}
	s.result.DryRun, s.result.Refusals = o.dryRun, []importRefusal{}
	err = s.sendAll(ctx, all)
	s.bar.done()
	if err != nil {
		return err
	}
	if err := s.report(); err != nil {
		return err
	}
	if s.result.Refused > 0 {
		return problemf(errRefused, "%s refused", counted(s.result.Refused, "was", "were"))
	}
	return nil
}

func (s *sender) sendAll(ctx context.Context, all iter.Seq[found]) error {
	for f := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.err != nil {
			s.refuse(s.count("document"), f.where, "invalid_argument", f.err.Error())
			continue
		}
		if s.isFull(f) {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
		s.waiting = append(s.waiting, f)
		s.size += proto.Size(f.record)
	}
	return s.flush(ctx)
}

// isFull says whether what waits is to be sent before this is added.
func (s *sender) isFull(f found) bool {
	if len(s.waiting) == 0 {
		return false
	}
	n, size := len(s.waiting)+1, s.size+proto.Size(f.record)
	if f.record.GetMemo().GetRevision() > 1 {
		return n > sendMaxRecords || size > sendMaxBytes
	}
	return n > sendRecords || size > sendBytes
}

func (s *sender) flush(ctx context.Context) error {
	if len(s.waiting) == 0 {
		return nil
	}
	req := &memov1.ImportAccountRequest{ValidateOnly: s.options.dryRun, KeepBoth: s.options.keepBoth, Publish: s.options.publish}
	for _, f := range s.waiting {
		req.Records = append(req.Records, f.record)
	}
	var res *memov1.ImportAccountResponse
	err := s.app.persist(ctx, s.server, func(ctx context.Context) (_ bool, err error) {
		res, err = s.memos.ImportAccount(ctx, req)
		return false, err
	})
	if err != nil {
		return fromRPC(s.server, err)
	}
	if len(res.GetResults()) != len(s.waiting) {
		return fmt.Errorf("%s answered with %s for %s", s.server, counted(len(res.GetResults()), "result", "results"), counted(len(s.waiting), "record", "records"))
	}
	for i, f := range s.waiting {
		s.tally(f, res.GetResults()[i])
	}
	s.sent += int64(len(s.waiting))
	s.bar.show(s.sent)
	s.waiting, s.size = s.waiting[:0], 0
	return nil
}

// count is where things of a kind are counted.
func (s *sender) count(kind string) *importCount {
	switch kind {
	case "note":
		return &s.result.Notes
	case "candidate":
		return &s.result.Candidates
	case "session":
		return &s.result.Sessions
	case "policy":
		return &s.result.Policy
	default:
		return &s.result.Memos
	}
}

// tally counts one result. The revisions of a memo count as one, by the first that was imported or refused.
func (s *sender) tally(f found, r *memov1.ImportResult) {
	kind, _ := recordKind(f.record)
	count := s.count(kind)
	id := f.record.GetMemo().GetId()
	if id != "" && id == s.last {
		switch {
		case s.lastWas == &count.Refused:
			return
		case r.GetError() == nil && (!r.GetImported() || s.lastWas == &count.Imported):
			return
		}
		*s.lastWas--
	}
	s.last = id
	switch {
	case r.GetError() != nil:
		s.lastWas = &count.Refused
		s.refuse(count, f.where, r.GetError().GetCode(), r.GetError().GetMessage())
		return
	case r.GetImported():
		s.lastWas = &count.Imported
	default:
		s.lastWas = &count.Unchanged
	}
	*s.lastWas++
}

func (s *sender) refuse(count *importCount, where, code, message string) {
	count.Refused++
	s.result.Refused++
	if len(s.result.Refusals) < maxRefusals {
		s.result.Refusals = append(s.result.Refusals, importRefusal{where, code, message})
	}
	if !s.app.json {
		s.bar.done()
		s.app.note("%s: %s", clean(where), clean(message))
	}
}

func (s *sender) report() error {
	if s.app.json {
		return s.app.printJSON(s.result)
	}
	t := table{head: []string{"", "IMPORTED", "UNCHANGED", "REFUSED"}}
	if s.options.dryRun {
		t.head[1] = "WOULD BE IMPORTED"
	}
	for _, row := range []struct {
		name  string
		count importCount
	}{{"memos", s.result.Memos}, {"notes", s.result.Notes}, {"candidates", s.result.Candidates}, {"reviewed sessions", s.result.Sessions}, {"policy", s.result.Policy}} {
		if row.count != (importCount{}) {
			t.add(row.name, fmt.Sprint(row.count.Imported), fmt.Sprint(row.count.Unchanged), fmt.Sprint(row.count.Refused))
		}
	}
	if len(t.rows) == 0 {
		s.app.note("There was nothing to import.")
		return nil
	}
	if s.app.Width == 0 {
		t.rows = slices.Insert(t.rows, 0, t.head)
	}
	return t.write(s.app.Out, s.app.Width)
}
