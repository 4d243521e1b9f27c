package memo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// scopePublish is what a caller needs to make a memo public, or to change one that is.
const scopePublish = "paput.publish"

// PublishMemos makes memos public.
func (s *Service) PublishMemos(ctx context.Context, req *memov1.PublishMemosRequest) (*memov1.PublishMemosResponse, error) {
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.PublishMemosResponse, error) {
		results, err := each(tx, rpc.CallerFrom(ctx), req.GetIds(), publish)
		if err != nil {
			return nil, err
		}
		res := &memov1.PublishMemosResponse{}
		for _, r := range results {
			result := &memov1.PublishMemoResult{Index: r.GetIndex(), Id: r.GetId(), Error: r.GetError()}
			if r.GetError() == nil {
				result.PublicUrl = s.address(r.GetId())
			}
			res.Results = append(res.Results, result)
		}
		return res, nil
	})
}

// UnpublishMemos makes memos private.
func (s *Service) UnpublishMemos(ctx context.Context, req *memov1.UnpublishMemosRequest) (*memov1.UnpublishMemosResponse, error) {
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.UnpublishMemosResponse, error) {
		results, err := each(tx, rpc.CallerFrom(ctx), req.GetIds(), always(unpublish))
		return &memov1.UnpublishMemosResponse{Results: results}, err
	})
}

// GetPublicMemo gives a public memo to whoever asks.
func (s *Service) GetPublicMemo(ctx context.Context, req *memov1.GetPublicMemoRequest) (*memov1.GetPublicMemoResponse, error) {
	r, err := scanRow(s.log.DB().QueryRowContext(ctx, selectRow+" WHERE id = ? AND "+isPublic, req.GetId()))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &fault{ErrNotFound, "there is no public memo of this id"}
	}
	if err != nil {
		return nil, fmt.Errorf("read a public memo: %w", err)
	}
	return &memov1.GetPublicMemoResponse{Memo: s.toStrangers(r.state)}, nil
}

// address is where a public memo can be read.
func (s *Service) address(id string) string { return s.publicURL + "/m/" + id }

// addressed is the whole memo with the address that it has when it is public.
func (s *Service) addressed(memo state) *memov1.Memo {
	m := memo.proto()
	if memo.isPublic {
		m.PublicUrl = s.address(memo.id)
	}
	return m
}

// toStrangers is a public memo as others see it. How its owner files it, and how often it was changed, is not published.
func (s *Service) toStrangers(memo state) *memov1.Memo {
	m := s.addressed(memo)
	m.Categories, m.Projects, m.Revision, m.Etag = nil, nil, 0, ""
	return m
}
