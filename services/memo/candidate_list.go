package memo

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// mayRead is the scope that lets a caller see what memos say.
const mayRead = "paput.read"

// ListCandidates lists the queue, or reads candidates by id.
func (s *Service) ListCandidates(ctx context.Context, req *memov1.ListCandidatesRequest) (*memov1.ListCandidatesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	var res *memov1.ListCandidatesResponse
	err := s.snapshot(ctx, func(q querier) error {
		var err error
		if len(req.GetIds()) > 0 {
			res, err = readCandidates(q, caller, req)
		} else {
			res, err = listCandidates(q, caller, req)
		}
		if err != nil {
			return err
		}
		return titleListed(q, caller, res.GetCandidates())
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// titleListed adds the titles of similar memos, and leaves out those memos that are gone.
func titleListed(q querier, caller rpc.Caller, candidates []*memov1.Candidate) error {
	var all []*memov1.SimilarMemo
	for _, c := range candidates {
		all = append(all, c.GetSimilarMemos()...)
	}
	if err := titleSimilar(q, caller, all); err != nil || !caller.Has(mayRead) {
		return err
	}
	for _, c := range candidates {
		c.SimilarMemos = slices.DeleteFunc(c.SimilarMemos, func(m *memov1.SimilarMemo) bool { return m.GetTitle() == "" })
	}
	return nil
}

// listCandidates gives a page of candidates, the last added first.
func listCandidates(q querier, caller rpc.Caller, req *memov1.ListCandidatesRequest) (*memov1.ListCandidatesResponse, error) {
	rest := proto.CloneOf(req)
	rest.PageSize, rest.PageToken = 0, ""
	list := listOf(caller.AccountID, rest)
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	var c clause
	c.and("account_id = ?", caller.AccountID)
	c.and("status = ?", cmp.Or(req.GetStatus(), statusPending))
	if req.GetSource() != "" {
		c.and("source = ?", req.GetSource())
	}
	if after != nil {
		c.and("n < ?", after.N)
	}
	size := pageSize(req.GetPageSize())
	rows, err := q.queued(c, "n DESC", size+1)
	if err != nil {
		return nil, err
	}
	res := &memov1.ListCandidatesResponse{}
	if len(rows) > size {
		rows = rows[:size]
		res.NextPageToken = cursor{For: list, N: rows[size-1].n}.token()
	}
	for _, r := range rows {
		entry := r.proto()
		entry.Body = ""
		res.Candidates = append(res.Candidates, entry)
	}
	return res, nil
}

// readCandidates gives whole candidates by id.
func readCandidates(q querier, caller rpc.Caller, req *memov1.ListCandidatesRequest) (*memov1.ListCandidatesResponse, error) {
	rest := proto.CloneOf(req)
	rest.Ids = nil
	if proto.Size(rest) > 0 {
		return nil, invalid("ids reads the candidates that it names; leave out the status, the source and the page, or leave out ids")
	}
	ids := unique(req.GetIds())
	var c clause
	c.and("account_id = ?", caller.AccountID)
	c.and("id IN (SELECT value FROM json_each(?))", jsonArray(ids))
	rows, err := q.queued(c, "n", len(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]queueRow, len(rows))
	for _, r := range rows {
		byID[r.id] = r
	}
	res := &memov1.ListCandidatesResponse{}
	for _, id := range ids {
		if r, exists := byID[id]; exists {
			res.Candidates = append(res.Candidates, r.proto())
		} else {
			res.MissingIds = append(res.MissingIds, id)
		}
	}
	return res, nil
}

// queued gives the candidates that a clause lets through.
func (q querier) queued(c clause, order string, limit int) ([]queueRow, error) {
	return scanAll(q, scanQueued, selectQueued+" WHERE "+c.sql.String()+" ORDER BY "+order+" LIMIT ?", append(c.args, limit)...)
}

// scanAll gives all rows of a query.
func scanAll[T any](q eventlog.Querier, scan func(interface{ Scan(...any) error }) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the read model: %w", err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read the read model: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
