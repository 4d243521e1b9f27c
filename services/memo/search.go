package memo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/rpc"
)

// The values of search_mode.
const (
	modeFilter  = "filter"
	modeKeyword = "keyword"
	modeHybrid  = "hybrid" // by words and by meaning
)

// SearchMemos finds memos by words and filters, or reads them by id.
func (s *Service) SearchMemos(ctx context.Context, req *memov1.SearchMemosRequest) (*memov1.SearchMemosResponse, error) {
	caller := rpc.CallerFrom(ctx)
	if len(req.GetIds()) > 0 {
		return s.read(ctx, caller, req)
	}
	rest := proto.CloneOf(req)
	rest.PageSize, rest.PageToken = 0, ""
	search := search{list: listOf(caller.AccountID, rest), size: pageSize(req.GetPageSize())}
	var err error
	if search.after, err = parseCursor(req.GetPageToken(), search.list); err != nil {
		return nil, err
	}
	search.nearness = &nearness{}
	if search.after != nil {
		search.nearness.found = search.after.Near
	}
	res, err := s.search(ctx, caller, req, &search)
	if err != nil || s.meaning == nil || !search.nearness.wanted || search.after != nil {
		return res, err
	}
	// No snapshot is open while the embedder is waited for.
	if search.nearness.found, err = s.near(ctx, caller.AccountID, search.filter, req.GetQuery()); err != nil || len(search.nearness.found) == 0 {
		return res, err
	}
	return s.search(ctx, caller, req, &search)
}

// search gives a page as the read model is at one moment. Searches begin in the order in which they came.
func (s *Service) search(ctx context.Context, caller rpc.Caller, req *memov1.SearchMemosRequest, search *search) (*memov1.SearchMemosResponse, error) {
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var res *memov1.SearchMemosResponse
	err := s.snapshot(ctx, func(q querier) error {
		account, err := accountNumber(q, caller.AccountID)
		if err != nil {
			return err
		}
		if search.filter, err = filterFrom(account, req); err != nil {
			return err
		}
		search.querier = q
		if search.query = req.GetQuery(); strings.TrimSpace(search.query) != "" {
			search.asks = true
			search.terms = parseQuery(search.query)
			search.clues, search.said = cluesOf(search.query)
		}
		res, err = search.run()
		if err == nil && len(res.GetEntries()) == 0 && search.after == nil {
			res.Hint, err = search.hint()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// read gives whole memos by id, those in the trash and public ones of others as well.
func (s *Service) read(ctx context.Context, caller rpc.Caller, req *memov1.SearchMemosRequest) (*memov1.SearchMemosResponse, error) {
	rest := proto.CloneOf(req)
	rest.Ids = nil
	if proto.Size(rest) > 0 {
		return nil, invalid("ids reads the memos that it names; leave out the query, the filters and the page, or leave out ids")
	}
	res := &memov1.SearchMemosResponse{SearchMode: modeFilter}
	return res, s.snapshot(ctx, func(q querier) error {
		account, err := accountNumber(q, caller.AccountID)
		if err != nil {
			return err
		}
		ids, rest, err := q.fitting(account, unique(req.GetIds()))
		if err != nil {
			return err
		}
		if res.RestIds = rest; len(rest) > 0 {
			res.Hint = fmt.Sprintf("%d more did not fit into one answer; call again with rest_ids as ids", len(rest))
		}
		rows, err := q.rows(selectRow+" WHERE id IN (SELECT value FROM json_each(?)) AND "+readable, jsonArray(ids), account)
		if err != nil {
			return err
		}
		byID := make(map[string]row, len(rows))
		for _, r := range rows {
			byID[r.id] = r
		}
		for _, id := range ids {
			r, exists := byID[id]
			switch {
			case !exists:
				res.MissingIds = append(res.MissingIds, id)
			case r.account == account:
				res.Memos = append(res.Memos, s.addressed(r.state))
			default:
				res.Memos = append(res.Memos, s.toStrangers(r.state))
			}
		}
		return nil
	})
}

// readable is the condition on a memo that the account, or anyone, may read.
const readable = "(account = ? OR " + isPublic + ")"

// maxRead is how many bytes of text one answer has at most. One memo always fits: it has 800 000 at most.
const maxRead = 1 << 20

// fitting parts ids into the first ones, whose memos fit into one answer, and the rest of those that exist.
func (q querier) fitting(account int64, ids []string) (first, rest []string, err error) {
	type sized struct {
		id    string
		bytes int
	}
	scan := func(from interface{ Scan(...any) error }) (s sized, err error) {
		err = from.Scan(&s.id, &s.bytes)
		return s, err
	}
	found, err := scanAll(q, scan, "SELECT id, octet_length(body) FROM memos WHERE id IN (SELECT value FROM json_each(?)) AND "+readable, jsonArray(ids), account)
	if err != nil {
		return nil, nil, err
	}
	bytes := make(map[string]int, len(found))
	for _, s := range found {
		bytes[s.id] = s.bytes
	}
	sum := 0
	for _, id := range ids {
		size, exists := bytes[id]
		if sum += size; sum <= maxRead || !exists {
			first = append(first, id)
		} else {
			rest = append(rest, id)
		}
	}
	return first, rest, nil
}

// search is one search on its way.
type search struct {
	querier
	filter filter
	// query is as it was given; asks says whether it has anything but spaces.
	query string
	asks  bool
	terms []term
	clues []term
	said  int // see cluesOf
	// waiting are the account's memos that are not in the text index yet.
	waiting []find
	list    []byte
	after   *cursor // nil for the first page
	// nearness is what meaning adds.
	nearness *nearness
	size     int
}

// run gives a page of what is looked for.
func (s search) run() (*memov1.SearchMemosResponse, error) {
	if !s.asks {
		return s.newest()
	}
	return s.keyword()
}

// newest gives a page of what the filter lets through.
func (s search) newest() (*memov1.SearchMemosResponse, error) {
	query, args := s.filter.newest(s.after, s.size+1)
	rows, err := s.rows(query, args...)
	if err != nil {
		return nil, err
	}
	res := &memov1.SearchMemosResponse{SearchMode: modeFilter}
	if len(rows) > s.size {
		rows = rows[:s.size]
		last := rows[s.size-1]
		res.NextPageToken = cursor{For: s.list, Time: last.createTime.UnixMilli(), ID: last.id}.token()
	}
	for _, r := range rows {
		res.Entries = append(res.Entries, r.entry())
	}
	return res, nil
}

// querier reads the read model at one moment.
type querier struct {
	ctx  context.Context
	conn *sql.Conn
}

// snapshot runs fn on the read model as it is at one moment. It waits for a connection no longer than ctx; then it carries
// on to the end, which is near, because a statement that may be interrupted costs as much again in being watched.
func (s *Service) snapshot(ctx context.Context, fn func(q querier) error) (err error) {
	conn, err := s.log.DB().Conn(ctx)
	if err != nil {
		return fmt.Errorf("read memos: %w", err)
	}
	defer conn.Close()
	q := querier{context.WithoutCancel(ctx), conn}
	if _, err := conn.ExecContext(q.ctx, "BEGIN"); err != nil {
		return fmt.Errorf("read memos: %w", err)
	}
	defer func() {
		if _, e := conn.ExecContext(q.ctx, "ROLLBACK"); e != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // nobody else gets it
			err = errors.Join(err, fmt.Errorf("read memos: %w", e))
		}
	}()
	return fn(q)
}

func (q querier) Query(query string, args ...any) (*sql.Rows, error) {
	return q.conn.QueryContext(q.ctx, query, args...)
}

func (q querier) QueryRow(query string, args ...any) *sql.Row {
	return q.conn.QueryRowContext(q.ctx, query, args...)
}

// rows gives the memos of a query that selects what selectRow does.
func (q querier) rows(query string, args ...any) ([]row, error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("search memos: %w", err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, fmt.Errorf("search memos: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func jsonArray[T any](list []T) string {
	data, err := json.Marshal(list)
	if err != nil {
		panic("memo: marshal a list: " + err.Error())
	}
	return string(data)
}
