package memo

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// queueKind is the first part of the names of candidate streams.
const queueKind = "candidate"

// The values of a candidate's status.
const (
	statusPending   = "pending"
	statusSaved     = "saved"
	statusDiscarded = "discarded"
	statusPurged    = "purged" // nobody sees it
)

// queued is a candidate as its events made it. The state in it is that of the memo which it may become, but for the id and
// the revision, which are the candidate's.
type queued struct {
	state
	status     string
	source     string
	sessionID  string
	confidence *float64 // nil when the source did not say
	similar    []similar
	reason     string // of a discard
	memoID     string // of a memo that it became
	addTime    time.Time
}

// similar is a memo that says nearly the same, and how much of the words both have.
type similar struct {
	ID    string  `json:"id"`
	Score float64 `json:"score"`
}

func queueStream(id string) string { return queueKind + "/" + id }

// foldQueued gives the candidate that records make.
func foldQueued(id string, records []eventlog.Record) queued {
	q := queued{state: state{id: id}}
	for _, r := range records {
		q = evolveQueued(q, r)
	}
	return q
}

// evolveQueued is total, as evolve is.
func evolveQueued(q queued, r eventlog.Record) queued {
	e, ok := r.Event.(*memov1.CandidateEvent)
	if !ok {
		return q
	}
	q.revision = r.Version
	q.updateTime = r.Time
	switch e := e.GetEvent().(type) {
	case *memov1.CandidateEvent_Added:
		q = addedQueued(q, e.Added, r.Time)
	case *memov1.CandidateEvent_Updated:
		q.content = updatedContent(q.content, e.Updated.GetMemo())
	case *memov1.CandidateEvent_Discarded:
		q.status, q.reason = statusDiscarded, e.Discarded.GetReason()
	case *memov1.CandidateEvent_Saved:
		q.status, q.memoID = statusSaved, e.Saved.GetMemoId()
	case *memov1.CandidateEvent_Imported:
		q = importedQueued(q, e.Imported)
	case *memov1.CandidateEvent_Purged:
		q.status, q.content, q.sessionID, q.reason = statusPurged, content{}, "", ""
	}
	if r.Version == 1 {
		q.accountID = e.GetAccountId()
	}
	return q
}

func addedQueued(q queued, e *memov1.CandidateAdded, at time.Time) queued {
	q.content = contentOf(e.GetMemo())
	q.status, q.source, q.sessionID, q.confidence = statusPending, e.GetSource(), e.GetSessionId(), e.Confidence
	q.addTime, q.createTime = at, at
	if t := e.GetMemo().GetCreateTime(); t != nil {
		q.createTime = t.AsTime()
	}
	q.similar = nil
	for _, s := range e.GetSimilarMemos() {
		q.similar = append(q.similar, similar{s.GetMemoId(), s.GetScore()})
	}
	return q
}

func importedQueued(q queued, e *memov1.CandidateImported) queued {
	q = addedQueued(q, &memov1.CandidateAdded{
		Memo: e.GetMemo(), Source: e.GetSource(), SessionId: e.GetSessionId(), Confidence: e.Confidence, SimilarMemos: e.GetSimilarMemos(),
	}, e.GetAddTime().AsTime())
	q.status, q.reason, q.memoID, q.updateTime = e.GetStatus(), e.GetDiscardReason(), e.GetSavedMemoId(), e.GetUpdateTime().AsTime()
	return q
}

// fingerprint is what two contents have in common that say the same: the title and the body, or without a body the summary.
// The number of spaces and line ends between words does not count, nor how a character is composed. Case and width do: -v
// is not -V.
func (c content) fingerprint() string {
	text := c.body
	if strings.TrimSpace(text) == "" {
		text = c.summary
	}
	words := func(s string) string { return strings.Join(strings.Fields(norm.NFC.String(s)), " ") }
	sum := sha256.Sum256([]byte(words(c.title) + "\n" + words(text)))
	return hex.EncodeToString(sum[:16])
}

// proto gives the candidate whole, without the titles of similar memos.
func (q queued) proto() *memov1.Candidate {
	m := q.state.proto()
	c := &memov1.Candidate{
		Id:            q.id,
		Status:        q.status,
		Title:         q.title,
		Body:          q.body,
		Summary:       q.summary,
		MemoTypes:     q.types,
		Categories:    q.categories,
		Projects:      q.projects,
		CreateTime:    m.GetCreateTime(),
		Source:        q.source,
		SessionId:     q.sessionID,
		Confidence:    q.confidence,
		DiscardReason: q.reason,
		SavedMemoId:   q.memoID,
		AddTime:       timestamppb.New(q.addTime),
		UpdateTime:    m.GetUpdateTime(),
		Etag:          m.GetEtag(),
		Fingerprint:   q.fingerprint(),
	}
	for _, s := range q.similar {
		c.SimilarMemos = append(c.SimilarMemos, &memov1.SimilarMemo{Id: s.ID, Score: s.Score})
	}
	return c
}
