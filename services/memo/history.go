package memo

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// ListMemoRevisions reads the memo's stream: its history is what the log says it is.
func (s *Service) ListMemoRevisions(ctx context.Context, req *memov1.ListMemoRevisionsRequest) (*memov1.ListMemoRevisionsResponse, error) {
	caller := rpc.CallerFrom(ctx)
	rest := proto.CloneOf(req)
	rest.PageSize, rest.PageToken = 0, ""
	list := listOf(caller.AccountID, rest)
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	records, err := s.log.Read(ctx, stream(req.GetId()))
	if err != nil {
		return nil, err
	}
	memo, err := owned(caller, fold(req.GetId(), records))
	if err != nil {
		return nil, err
	}
	revisions := revisions(req.GetId(), records)
	if n := int(req.GetRevision()); n > 0 {
		if n > len(revisions) {
			return nil, noRevision(memo, n)
		}
		return &memov1.ListMemoRevisionsResponse{Revisions: revisions[n-1 : n]}, s.nameClients(ctx, revisions[n-1:n], records)
	}
	res := &memov1.ListMemoRevisionsResponse{}
	i := len(revisions)
	if after != nil {
		i = int(min(max(after.Revision-1, 0), int64(len(revisions))))
	}
	for ; i > 0; i-- {
		if len(res.Revisions) == pageSize(req.GetPageSize()) {
			res.NextPageToken = cursor{For: list, Revision: int64(i) + 1}.token()
			break
		}
		revisions[i-1].Memo.Body = ""
		res.Revisions = append(res.Revisions, revisions[i-1])
	}
	return res, s.nameClients(ctx, res.GetRevisions(), records)
}

// nameClients names who made revisions. Who an archive says made one is not known here, so that one has the name of who
// imported it.
func (s *Service) nameClients(ctx context.Context, revisions []*memov1.MemoRevision, records []eventlog.Record) error {
	if s.clientNames == nil {
		return nil
	}
	events := make([]*memov1.MemoEvent, len(revisions))
	var ids []string
	for i, rev := range revisions {
		events[i], _ = records[rev.GetRevision()-1].Event.(*memov1.MemoEvent)
		ids = append(ids, events[i].GetClientId())
	}
	names, err := s.clientNames(ctx, unique(ids))
	if err != nil {
		return fmt.Errorf("name the clients: %w", err)
	}
	for i, e := range events {
		revisions[i].ClientName = names[e.GetClientId()]
		if e.GetImported() != nil && revisions[i].GetClientName() != "" {
			revisions[i].ClientName += ", by import"
		}
	}
	return nil
}

func noRevision(memo state, n int) error {
	return &fault{ErrNotFound, fmt.Sprintf("%s has no revision %d; its newest is %d", memo.id, n, memo.revision)}
}

// revisions are what the memo was after each record, oldest first.
func revisions(id string, records []eventlog.Record) []*memov1.MemoRevision {
	var out []*memov1.MemoRevision
	s := state{id: id}
	for _, r := range records {
		before := s
		s = evolve(s, r)
		t := tell(r)
		rev := &memov1.MemoRevision{
			Revision: s.proto().GetRevision(),
			Time:     timestamppb.New(t.at),
			ClientId: t.event.GetClientId(),
			Memo:     s.proto(),
			// Only a creation has one.
			CandidateId: t.event.GetCreated().GetCandidateId(),
		}
		rev.Action, rev.ChangedFields = describe(t.event, before, s)
		out = append(out, rev)
	}
	return out
}

// describe says what an event did. A memo is created with the fields that are not empty.
func describe(e *memov1.MemoEvent, before, after state) (action string, fields []string) {
	switch e := e.GetEvent().(type) {
	case *memov1.MemoEvent_Created:
		return "created", before.changes(after.content)
	case *memov1.MemoEvent_Updated:
		return "updated", e.Updated.GetChangedFields()
	case *memov1.MemoEvent_Deleted:
		return "deleted", nil
	case *memov1.MemoEvent_Restored:
		return "restored", nil
	case *memov1.MemoEvent_Published:
		return "published", nil
	case *memov1.MemoEvent_Unpublished:
		return "unpublished", nil
	}
	return "", nil
}
