package memo

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// idOfCandidate is the prefix of the ids of candidates.
const idOfCandidate = "cand"

// proposal is an item of AddCandidates that passed the rules.
type proposal struct {
	result *memov1.AddCandidateResult
	id     string
	content
	createTime *timestamppb.Timestamp
	confidence *float64
	similar    []similar
}

// AddCandidates puts memos into the queue. What is similar to them is looked for before the transaction, because it takes
// longer than everything else; duplicates are looked for inside it, so that two callers cannot add the same.
func (s *Service) AddCandidates(ctx context.Context, req *memov1.AddCandidatesRequest) (*memov1.AddCandidatesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	sessionID, err := oneLine("session_id", req.GetSessionId())
	if err != nil {
		return nil, err
	}
	res := &memov1.AddCandidatesResponse{}
	var proposals []proposal
	for i, c := range req.GetCandidates() {
		result := &memov1.AddCandidateResult{Index: int32(i)} //nolint:gosec // at most 100
		res.Results = append(res.Results, result)
		p, err := s.proposal(c)
		if err != nil {
			result.Error = &toolv1.ItemError{Code: connect.CodeInvalidArgument.String(), Message: err.Error()}
			continue
		}
		p.result = result
		proposals = append(proposals, p)
	}
	if err := s.compare(ctx, caller, proposals); err != nil {
		return nil, err
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.AddCandidatesResponse, error) {
		for _, p := range proposals {
			if err := add(tx, caller, p, req.GetSource(), sessionID); err != nil {
				return nil, err
			}
		}
		if sessionID == "" || len(proposals) == 0 {
			return res, nil
		}
		return res, markProcessed(tx, caller, req.GetSource(), []string{sessionID})
	})
}

// proposal checks one item and gives it an id.
func (s *Service) proposal(c *memov1.CandidateDraft) (proposal, error) {
	if err := rpc.Validate(c); err != nil {
		return proposal{}, err
	}
	d, err := s.draft(idOfCandidate, &memov1.MemoDraft{
		Title:      c.GetTitle(),
		Body:       c.GetBody(),
		Summary:    c.GetSummary(),
		MemoTypes:  c.GetMemoTypes(),
		Categories: c.GetCategories(),
		Projects:   c.GetProjects(),
		CreateTime: c.GetCreateTime(),
	})
	if err != nil {
		return proposal{}, err
	}
	return proposal{id: d.id, content: d.content, createTime: d.createTime, confidence: c.Confidence}, nil
}

// compare finds the memos that say nearly the same as each proposal. A caller that may not read memos is told their ids
// alone.
func (s *Service) compare(ctx context.Context, caller rpc.Caller, proposals []proposal) error {
	return s.snapshot(ctx, func(q querier) error {
		account, err := accountNumber(q, caller.AccountID)
		if err != nil {
			return err
		}
		for i := range proposals {
			p := &proposals[i]
			if p.similar, err = similarTo(q, account, p.content); err != nil {
				return err
			}
			p.result.SimilarMemos = nil
			for _, m := range p.similar {
				p.result.SimilarMemos = append(p.result.SimilarMemos, &memov1.SimilarMemo{Id: m.ID, Score: m.Score})
			}
			if err := titleSimilar(q, caller, p.result.GetSimilarMemos()); err != nil {
				return err
			}
		}
		return nil
	})
}

// add puts one candidate into the queue, or says in its result what it is a duplicate of.
func add(tx *eventlog.Tx, caller rpc.Caller, p proposal, source, sessionID string) error {
	p.result.Id, p.result.DuplicateOf, p.result.Error = "", "", nil
	id, text, err := duplicateOf(tx, caller, p.fingerprint())
	if err != nil {
		return err
	}
	if id != "" {
		p.result.DuplicateOf = id
		p.result.Error = &toolv1.ItemError{Code: connect.CodeAlreadyExists.String(), Message: text}
		return nil
	}
	p.result.Id = p.id
	_, err = recordQueued(tx, caller, queued{state: state{id: p.id}}, propose(p, source, sessionID))
	return err
}

// UpdateCandidates changes fields of pending candidates.
func (s *Service) UpdateCandidates(ctx context.Context, req *memov1.UpdateCandidatesRequest) (*memov1.UpdateCandidatesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	edits := req.GetCandidates()
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.UpdateCandidatesResponse, error) {
		res := &memov1.UpdateCandidatesResponse{}
		for i, edit := range edits {
			result := &memov1.CandidateResult{Index: int32(i), Id: edit.GetId()} //nolint:gosec // at most 100
			res.Results = append(res.Results, result)
			after, err := amendQueued(tx, caller, edit)
			if result.Error, err = itemError(err); err != nil {
				return nil, err
			}
			if result.GetError() == nil {
				result.Etag = etag(after.id, after.revision)
			}
		}
		return res, nil
	})
}

func amendQueued(tx *eventlog.Tx, caller rpc.Caller, edit *memov1.CandidateEdit) (queued, error) {
	if err := rpc.Validate(edit); err != nil {
		return queued{}, invalid("%s", err)
	}
	c, err := editFrom(edit)
	if err == nil {
		c, err = c.some()
	}
	if err != nil {
		return queued{}, err
	}
	before, err := loadQueued(tx, caller, edit.GetId())
	if err != nil {
		return queued{}, err
	}
	e, err := amend(before, c)
	if err != nil {
		return queued{}, err
	}
	return recordQueued(tx, caller, before, e)
}

// DiscardCandidates turns pending candidates down.
func (s *Service) DiscardCandidates(ctx context.Context, req *memov1.DiscardCandidatesRequest) (*memov1.DiscardCandidatesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	reason, err := oneLine("reason", req.GetReason())
	if err != nil {
		return nil, err
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.DiscardCandidatesResponse, error) {
		res := &memov1.DiscardCandidatesResponse{}
		for i, id := range req.GetIds() {
			result := &memov1.CandidateResult{Index: int32(i), Id: id} //nolint:gosec // at most 100
			res.Results = append(res.Results, result)
			after, err := discardQueued(tx, caller, id, reason)
			if result.Error, err = itemError(err); err != nil {
				return nil, err
			}
			if result.GetError() == nil {
				result.Etag = etag(after.id, after.revision)
			}
		}
		return res, nil
	})
}

func discardQueued(tx *eventlog.Tx, caller rpc.Caller, id, reason string) (queued, error) {
	before, err := loadQueued(tx, caller, id)
	if err != nil {
		return queued{}, err
	}
	e, err := discard(before, reason)
	if err != nil {
		return queued{}, err
	}
	return recordQueued(tx, caller, before, e)
}

// loadQueued gives the caller's candidate.
func loadQueued(tx *eventlog.Tx, caller rpc.Caller, id string) (queued, error) {
	records, err := tx.Load(queueStream(id))
	if err != nil {
		return queued{}, err
	}
	q := foldQueued(id, records)
	if q.revision == 0 || q.status == statusPurged || q.accountID != caller.AccountID {
		return queued{}, &fault{ErrNotFound, fmt.Sprintf("%s not found; see paput_list_pending_candidates", id)}
	}
	return q, nil
}

// recordQueued appends the event that was decided on, if any, and gives the candidate after it.
func recordQueued(tx *eventlog.Tx, caller rpc.Caller, before queued, e *memov1.CandidateEvent) (queued, error) {
	if e == nil {
		return before, nil
	}
	if err := admit(tx, caller.AccountID); err != nil {
		return queued{}, err
	}
	e.AccountId, e.ClientId, e.GrantId = caller.AccountID, caller.ClientID, caller.GrantID
	if err := tx.Append(queueStream(before.id), e); err != nil {
		return queued{}, err
	}
	return evolveQueued(before, eventlog.Record{Version: before.revision + 1, Time: tx.Now(), Event: e}), nil
}

// itemError is how the result of one item tells a domain error. Any other error is the call's.
func itemError(err error) (*toolv1.ItemError, error) {
	if err == nil {
		return nil, nil
	}
	code, ok := Codes(err)
	if !ok {
		return nil, err
	}
	return &toolv1.ItemError{Code: code.String(), Message: err.Error()}, nil
}
