package memo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// draft is an item of CreateMemos that passed the rules.
type draft struct {
	index int
	id    string
	content
	createTime *timestamppb.Timestamp
}

// CreateMemos creates every memo that passes the rules, all in one transaction, and reports each of the others.
func (s *Service) CreateMemos(ctx context.Context, req *memov1.CreateMemosRequest) (*memov1.CreateMemosResponse, error) {
	caller := rpc.CallerFrom(ctx)
	if len(req.GetMemos()) == 0 {
		return nil, invalid("memos is required: give 1 to 100")
	}
	res := &memov1.CreateMemosResponse{}
	var drafts []draft
	for i, m := range req.GetMemos() {
		result := &memov1.CreateMemoResult{Index: int32(i)} //nolint:gosec // at most 100
		res.Results = append(res.Results, result)
		d, err := s.draft(kindName, m)
		if err != nil {
			result.Error = &toolv1.ItemError{Code: "invalid_argument", Message: err.Error()}
			continue
		}
		d.index = i
		drafts = append(drafts, d)
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.CreateMemosResponse, error) {
		for _, d := range drafts {
			memo, err := s.create(tx, caller, d)
			if err != nil {
				return nil, err
			}
			res.Results[d.index].Memo = memo.entry()
		}
		return res, nil
	})
}

// draft checks one item and gives it an id with this prefix.
func (s *Service) draft(prefix string, m *memov1.MemoDraft) (draft, error) {
	if err := rpc.Validate(m); err != nil {
		return draft{}, err
	}
	c, err := change{fields: fieldNames(), content: contentOf(m)}.checked()
	if err != nil {
		return draft{}, err
	}
	createTime, err := checkCreateTime(m.GetCreateTime(), s.now())
	if err != nil {
		return draft{}, err
	}
	return draft{id: s.newID(prefix), content: c.content, createTime: createTime}, nil
}

func (s *Service) create(tx *eventlog.Tx, caller rpc.Caller, d draft) (state, error) {
	c := d.content
	var err error
	if c.categories, err = firstSpelling(tx, caller.AccountID, c.categories); err != nil {
		return state{}, err
	}
	return record(tx, caller, state{id: d.id}, create(d.id, c, d.createTime))
}

// UpdateMemo changes fields of one memo.
func (s *Service) UpdateMemo(ctx context.Context, req *memov1.UpdateMemoRequest) (*memov1.UpdateMemoResponse, error) {
	caller := rpc.CallerFrom(ctx)
	c, err := changeFrom(req)
	if err != nil {
		return nil, err
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.UpdateMemoResponse, error) {
		records, err := tx.Load(stream(req.GetId()))
		if err != nil {
			return nil, err
		}
		before, err := owned(caller, fold(req.GetId(), records))
		if err != nil {
			return nil, err
		}
		c := c
		if c.from > len(records) {
			return nil, noRevision(before, c.from)
		}
		if c.from > 0 {
			c.content = fold(req.GetId(), records[:c.from]).content
		}
		if c.categories, err = firstSpelling(tx, caller.AccountID, c.categories); err != nil {
			return nil, err
		}
		e, err := update(before, c, caller.Has(scopePublish))
		if err != nil {
			return nil, err
		}
		after, err := record(tx, caller, before, e)
		if err != nil {
			return nil, err
		}
		return &memov1.UpdateMemoResponse{Memo: s.addressed(after)}, nil
	})
}

// DeleteMemos moves memos to the trash.
func (s *Service) DeleteMemos(ctx context.Context, req *memov1.DeleteMemosRequest) (*memov1.DeleteMemosResponse, error) {
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.DeleteMemosResponse, error) {
		results, err := each(tx, rpc.CallerFrom(ctx), req.GetIds(), always(remove))
		return &memov1.DeleteMemosResponse{Results: results}, err
	})
}

// RestoreMemos brings memos back from the trash.
func (s *Service) RestoreMemos(ctx context.Context, req *memov1.RestoreMemosRequest) (*memov1.RestoreMemosResponse, error) {
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.RestoreMemosResponse, error) {
		results, err := each(tx, rpc.CallerFrom(ctx), req.GetIds(), always(restore))
		return &memov1.RestoreMemosResponse{Results: results}, err
	})
}

// always is a decision that refuses nothing.
func always(decide func(state) *memov1.MemoEvent) func(state) (*memov1.MemoEvent, error) {
	return func(s state) (*memov1.MemoEvent, error) { return decide(s), nil }
}

// each decides on each memo by itself.
func each(tx *eventlog.Tx, caller rpc.Caller, ids []string, decide func(state) (*memov1.MemoEvent, error)) ([]*memov1.MemoResult, error) {
	var results []*memov1.MemoResult
	for i, id := range ids {
		result := &memov1.MemoResult{Index: int32(i), Id: id} //nolint:gosec // at most 100
		results = append(results, result)
		e, memo, err := decideOn(tx, caller, id, decide)
		if code, ok := Codes(err); ok {
			result.Error = &toolv1.ItemError{Code: code.String(), Message: err.Error()}
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, err := record(tx, caller, memo, e); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func decideOn(tx *eventlog.Tx, caller rpc.Caller, id string, decide func(state) (*memov1.MemoEvent, error)) (*memov1.MemoEvent, state, error) {
	memo, err := load(tx, caller, id)
	if err != nil {
		return nil, state{}, err
	}
	e, err := decide(memo)
	return e, memo, err
}

// load gives the caller's memo.
func load(tx *eventlog.Tx, caller rpc.Caller, id string) (state, error) {
	records, err := tx.Load(stream(id))
	if err != nil {
		return state{}, err
	}
	return owned(caller, fold(id, records))
}

// owned gives ErrNotFound for a memo that does not exist, belongs to someone else or was purged.
func owned(caller rpc.Caller, s state) (state, error) {
	if s.revision == 0 || s.accountID != caller.AccountID {
		return state{}, &fault{ErrNotFound, fmt.Sprintf("%s %v", s.id, ErrNotFound)}
	}
	if s.purged {
		return state{}, &fault{ErrNotFound, fmt.Sprintf("%s was in the trash for %d days and is gone for good; write it again with paput_create_memos if it is wanted", s.id, trashDays)}
	}
	return s, nil
}

// record appends the event that was decided on, if any, and gives the memo after it.
func record(tx *eventlog.Tx, caller rpc.Caller, before state, e *memov1.MemoEvent) (state, error) {
	if e == nil {
		return before, nil
	}
	if err := admit(tx, caller.AccountID); err != nil {
		return state{}, err
	}
	e.AccountId, e.ClientId, e.GrantId = caller.AccountID, caller.ClientID, caller.GrantID
	if err := tx.Append(stream(before.id), e); err != nil {
		return state{}, err
	}
	return evolve(before, eventlog.Record{Version: before.revision + 1, Time: tx.Now(), Event: e}), nil
}

// firstSpelling writes the names of categories as the account first wrote them.
func firstSpelling(tx *eventlog.Tx, accountID string, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		err := tx.QueryRow(`SELECT name FROM memo_categories WHERE account = (SELECT account FROM memo_accounts WHERE account_id = ? AND erased = 0) AND key = ?`,
			accountID, nameKey(name)).Scan(&name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("read the category: %w", err)
		}
		out = append(out, name)
	}
	return out, nil
}
