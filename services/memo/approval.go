package memo

import (
	"context"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// scopeAccount is the scope of a person's own programs: no MCP client is offered it.
const scopeAccount = "paput.account"

// decideApproval decides who makes memos of candidates. It returns nil when that is so already.
func decideApproval(p policy, personApproves bool) *memov1.CaptureEvent {
	if p.personApproves == personApproves {
		return nil
	}
	return &memov1.CaptureEvent{Event: &memov1.CaptureEvent_ApprovalDecided{ApprovalDecided: &memov1.CaptureApprovalDecided{PersonApproves: personApproves}}}
}

// mayApprove refuses whoever may not make memos of candidates. The scope alone does not do: an assistant that `paput mcp` serves
// has it when the person's log-in has.
func mayApprove(p policy, caller rpc.Caller, byPerson bool) error {
	if !p.personApproves || byPerson && caller.Has(scopeAccount) {
		return nil
	}
	return &fault{ErrPersonApproves, "in this account " + ErrPersonApproves.Error()}
}

// UpdateCaptureApproval decides who makes memos of candidates.
func (s *Service) UpdateCaptureApproval(ctx context.Context, req *memov1.UpdateCaptureApprovalRequest) (*memov1.UpdateCaptureApprovalResponse, error) {
	caller := rpc.CallerFrom(ctx)
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.UpdateCaptureApprovalResponse, error) {
		before, err := readPolicy(tx, caller.AccountID)
		if err != nil {
			return nil, err
		}
		if err := recordCapture(tx, caller, decideApproval(before, req.GetPersonApproves())); err != nil {
			return nil, err
		}
		after, err := readPolicy(tx, caller.AccountID)
		if err != nil {
			return nil, err
		}
		return &memov1.UpdateCaptureApprovalResponse{Policy: after.proto()}, nil
	})
}
