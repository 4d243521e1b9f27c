package memo

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// policy is an account's capture policy. The zero policy is that of an account that never had one.
type policy struct {
	text       string
	revision   int64
	updateTime time.Time
	// personApproves says that only the person makes memos of candidates. It is no part of the revision.
	personApproves bool
}

func (p policy) etag() string { return etag("policy", p.revision) }

// proto gives the policy.
func (p policy) proto() *memov1.CapturePolicy {
	m := &memov1.CapturePolicy{
		Text:     p.text,
		Revision: int32(min(p.revision, 1<<31-1)), //nolint:gosec // bounded
		Etag:     p.etag(),

		PersonApproves: p.personApproves,
	}
	if p.revision > 0 {
		m.UpdateTime = timestamppb.New(p.updateTime)
	}
	return m
}

// rewrite decides to give the policy another text, if it has the etag or none is asked for. It returns nil when the text is
// what it is already.
func rewrite(p policy, text, etag string) (*memov1.CaptureEvent, error) {
	if etag != "" && etag != p.etag() {
		return nil, &fault{ErrChanged, fmt.Sprintf("the policy has changed since it was read: it is at revision %d, etag %q. Read it again, merge your change, and send it with that etag", p.revision, p.etag())}
	}
	if text == p.text {
		return nil, nil
	}
	return &memov1.CaptureEvent{Event: &memov1.CaptureEvent_PolicyUpdated{PolicyUpdated: &memov1.CapturePolicyUpdated{Text: text}}}, nil
}

// readPolicy gives the policy of an account.
func readPolicy(q eventlog.Querier, accountID string) (policy, error) {
	var p policy
	var updated int64
	err := q.QueryRow(`SELECT coalesce(p.text, ''), coalesce(p.revision, 0), coalesce(p.update_time, 0), a.account_id IS NOT NULL
		FROM (SELECT ? AS id) LEFT JOIN capture_policies AS p ON p.account_id = id LEFT JOIN capture_approvals AS a ON a.account_id = id`,
		accountID).Scan(&p.text, &p.revision, &updated, &p.personApproves)
	if err != nil {
		return policy{}, fmt.Errorf("read the capture policy: %w", err)
	}
	p.updateTime = fromMillis(updated)
	return p, nil
}

// GetCapturePolicy reads the policy.
func (s *Service) GetCapturePolicy(ctx context.Context, _ *memov1.GetCapturePolicyRequest) (*memov1.GetCapturePolicyResponse, error) {
	caller := rpc.CallerFrom(ctx)
	res := &memov1.GetCapturePolicyResponse{}
	return res, s.alone(ctx, func(q querier) error {
		p, err := readPolicy(q, caller.AccountID)
		res.Policy = p.proto()
		return err
	})
}

// UpdateCapturePolicy replaces the policy.
func (s *Service) UpdateCapturePolicy(ctx context.Context, req *memov1.UpdateCapturePolicyRequest) (*memov1.UpdateCapturePolicyResponse, error) {
	caller := rpc.CallerFrom(ctx)
	if err := checkText("text", req.GetText()); err != nil {
		return nil, err
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.UpdateCapturePolicyResponse, error) {
		before, err := readPolicy(tx, caller.AccountID)
		if err != nil {
			return nil, err
		}
		e, err := rewrite(before, req.GetText(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		if err := recordCapture(tx, caller, e); err != nil {
			return nil, err
		}
		after, err := readPolicy(tx, caller.AccountID)
		if err != nil {
			return nil, err
		}
		return &memov1.UpdateCapturePolicyResponse{Policy: after.proto()}, nil
	})
}

// GetDiscardContext gives the policy and the latest discards.
func (s *Service) GetDiscardContext(ctx context.Context, req *memov1.GetDiscardContextRequest) (*memov1.GetDiscardContextResponse, error) {
	caller := rpc.CallerFrom(ctx)
	rest := proto.CloneOf(req)
	rest.PageSize, rest.PageToken = 0, ""
	list := listOf(caller.AccountID, rest)
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	res := &memov1.GetDiscardContextResponse{}
	return res, s.snapshot(ctx, func(q querier) error {
		p, err := readPolicy(q, caller.AccountID)
		if err != nil {
			return err
		}
		res.Policy = p.proto()
		var c clause
		c.and("account_id = ?", caller.AccountID)
		c.and("status = 'discarded'")
		if after != nil {
			c.and("(update_time, n) < (?, ?)", after.Time, after.N)
		}
		rows, err := q.queued(c, "update_time DESC, n DESC", size+1)
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			last := rows[size-1]
			res.NextPageToken = cursor{For: list, Time: last.updateTime.UnixMilli(), N: last.n}.token()
		}
		for _, r := range rows {
			res.Discards = append(res.Discards, &memov1.Discard{
				Id: r.id, Title: r.title, Summary: r.summary, MemoTypes: r.types, Source: r.source, Reason: r.reason,
				DiscardTime: timestamppb.New(r.updateTime),
			})
		}
		return nil
	})
}
