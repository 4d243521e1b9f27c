package memo

import (
	"context"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// SaveCandidates makes memos of candidates. A memo and the end of its candidate are one transaction, so that no candidate
// becomes two memos and none is closed without one.
func (s *Service) SaveCandidates(ctx context.Context, req *memov1.SaveCandidatesRequest) (*memov1.SaveCandidatesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	edits := req.GetCandidates()
	memoIDs := make([]string, len(edits))
	for i := range edits {
		memoIDs[i] = s.newID(kindName)
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.SaveCandidatesResponse, error) {
		p, err := readPolicy(tx, caller.AccountID)
		if err != nil {
			return nil, err
		}
		if err := mayApprove(p, caller, req.GetByPerson()); err != nil {
			return nil, err
		}
		res := &memov1.SaveCandidatesResponse{}
		for i, edit := range edits {
			result := &memov1.SaveCandidateResult{Index: int32(i), Id: edit.GetId()} //nolint:gosec // at most 100
			res.Results = append(res.Results, result)
			after, err := saveQueued(tx, caller, edit, memoIDs[i])
			if result.Error, err = itemError(err); err != nil {
				return nil, err
			}
			if result.GetError() == nil {
				result.MemoId = after.memoID
			}
		}
		return res, nil
	})
}

func saveQueued(tx *eventlog.Tx, caller rpc.Caller, edit *memov1.CandidateEdit, memoID string) (queued, error) {
	if err := rpc.Validate(edit); err != nil {
		return queued{}, invalid("%s", err)
	}
	c, err := editFrom(edit)
	if err != nil {
		return queued{}, err
	}
	before, err := loadQueued(tx, caller, edit.GetId())
	if err != nil {
		return queued{}, err
	}
	to, err := accept(before, c)
	if err != nil || before.status == statusSaved {
		return before, err
	}
	if to.categories, err = firstSpelling(tx, caller.AccountID, to.categories); err != nil {
		return queued{}, err
	}
	if _, err := record(tx, caller, state{id: memoID}, before.memo(memoID, to)); err != nil {
		return queued{}, err
	}
	return recordQueued(tx, caller, before, savedAs(memoID))
}
