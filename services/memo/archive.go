package memo

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// archiveMemo gives the revisions of a memo as an archive has them, oldest first.
func archiveMemo(id string, records []eventlog.Record) []*memov1.ArchivedMemo {
	var out []*memov1.ArchivedMemo
	s := state{id: id}
	for _, r := range records {
		before := s
		s = evolve(s, r)
		t := tell(r)
		m := &memov1.ArchivedMemo{
			Id:          id,
			Revision:    int32(min(s.revision, 1<<31-1)), //nolint:gosec // bounded
			Time:        timestamppb.New(t.at),
			ClientId:    t.event.GetClientId(),
			GrantId:     t.event.GetGrantId(),
			Title:       s.title,
			Body:        s.body,
			Summary:     s.summary,
			MemoTypes:   s.types,
			Categories:  s.categories,
			Projects:    s.projects,
			CreateTime:  timestamppb.New(s.createTime),
			CandidateId: t.event.GetCreated().GetCandidateId(),
		}
		m.Action, _ = describe(t.event, before, s)
		out = append(out, m)
	}
	return out
}

// archiveNote gives a note as an archive has it, with these of its memos.
func archiveNote(s noteState, memoIDs []string) *memov1.ArchivedNote {
	return &memov1.ArchivedNote{
		Id: s.id, Title: s.title, MemoIds: memoIDs,
		CreateTime: timestamppb.New(s.createTime), UpdateTime: timestamppb.New(s.updateTime),
	}
}

// archiveCandidate gives a candidate as an archive has it, with those similar memos that are kept.
func archiveCandidate(q queued, kept knownMemos) *memov1.ArchivedCandidate {
	c := &memov1.ArchivedCandidate{
		Id:            q.id,
		Status:        q.status,
		Title:         q.title,
		Body:          q.body,
		Summary:       q.summary,
		MemoTypes:     q.types,
		Categories:    q.categories,
		Projects:      q.projects,
		CreateTime:    timestamppb.New(q.createTime),
		Source:        q.source,
		SessionId:     q.sessionID,
		Confidence:    q.confidence,
		DiscardReason: q.reason,
		SavedMemoId:   q.memoID,
		AddTime:       timestamppb.New(q.addTime),
		UpdateTime:    timestamppb.New(q.updateTime),
	}
	for _, m := range q.similar {
		if _, exists := kept[m.ID]; exists {
			c.SimilarMemos = append(c.SimilarMemos, &memov1.ArchivedSimilarMemo{Id: m.ID, Score: m.Score})
		}
	}
	return c
}
