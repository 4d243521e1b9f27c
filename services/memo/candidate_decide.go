package memo

import (
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// propose decides to put a candidate of checked content into the queue.
func propose(p proposal, source, sessionID string) *memov1.CandidateEvent {
	e := &memov1.CandidateAdded{
		Memo:       create(p.id, p.content, p.createTime).GetCreated(),
		Source:     source,
		SessionId:  sessionID,
		Confidence: p.confidence,
	}
	for _, s := range p.similar {
		e.SimilarMemos = append(e.SimilarMemos, &memov1.SimilarMemoFound{MemoId: s.ID, Score: s.Score})
	}
	return &memov1.CandidateEvent{Event: &memov1.CandidateEvent_Added{Added: e}}
}

// amend decides on a change of checked content to a pending candidate. It returns nil when the candidate is so already.
func amend(q queued, c change) (*memov1.CandidateEvent, error) {
	switch q.status {
	case statusSaved:
		return nil, q.wasSaved()
	case statusDiscarded:
		return nil, q.wasDiscarded()
	}
	e, err := update(q.state, c, false)
	if e == nil || err != nil {
		return nil, err
	}
	return &memov1.CandidateEvent{Event: &memov1.CandidateEvent_Updated{Updated: &memov1.CandidateUpdated{Memo: e.GetUpdated()}}}, nil
}

// discard decides to turn a candidate down. It returns nil for one that was turned down already.
func discard(q queued, reason string) (*memov1.CandidateEvent, error) {
	switch q.status {
	case statusSaved:
		return nil, q.wasSaved()
	case statusDiscarded:
		return nil, nil
	}
	return &memov1.CandidateEvent{Event: &memov1.CandidateEvent_Discarded{Discarded: &memov1.CandidateDiscarded{Reason: reason}}}, nil
}

// accept gives what the memo is to say that a candidate becomes. A candidate that is a memo already is accepted again when
// nothing is to be changed.
func accept(q queued, c change) (content, error) {
	switch {
	case q.status == statusDiscarded:
		return content{}, q.wasDiscarded()
	case q.status == statusSaved && len(c.fields) > 0:
		return content{}, q.wasSaved()
	case q.status == statusSaved:
		return q.content, nil
	}
	e, err := update(q.state, c, false)
	if err != nil {
		return content{}, err
	}
	return updatedContent(q.content, e.GetUpdated()), nil
}

// memo decides to create the memo that the candidate becomes.
func (q queued) memo(id string, c content) *memov1.MemoEvent {
	e := create(id, c, timestamppb.New(q.createTime))
	e.GetCreated().CandidateId = q.id
	return e
}

// savedAs decides to close a candidate that has become a memo.
func savedAs(memoID string) *memov1.CandidateEvent {
	return &memov1.CandidateEvent{Event: &memov1.CandidateEvent_Saved{Saved: &memov1.CandidateSaved{MemoId: memoID}}}
}

func (q queued) wasSaved() error {
	return &fault{ErrClosed, fmt.Sprintf("%s was saved as %s; change that with paput_update_memo, or delete it with paput_delete_memos", q.id, q.memoID)}
}

func (q queued) wasDiscarded() error {
	return &fault{ErrClosed, fmt.Sprintf("%s was discarded; if it is wanted after all, create it with paput_create_memos", q.id)}
}
