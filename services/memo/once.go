package memo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

const (
	// answerKind is the first part of the names of the streams that hold answers to calls with an idempotency key.
	answerKind = "answer"
	// answerTime is how long an answer is given again.
	answerTime  = 24 * time.Hour
	forgetBatch = 100 // answers in one transaction, or a few more of the same millisecond
)

// answerSchema tells which answers are to be forgotten and when. The answers are in the log alone.
const answerSchema = `
CREATE TABLE memo_answers (
	stream     TEXT    PRIMARY KEY,
	account_id TEXT    NOT NULL,
	kept_time  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX memo_answers_oldest ON memo_answers (kept_time);
`

// keyed is a request that may carry an idempotency key.
type keyed interface {
	proto.Message
	GetIdempotencyKey() string
}

// once carries out a command and gives its answer. When the request has an idempotency key it does so once: who calls again
// gets the answer of the first time. The answer is kept in the transaction of the command, so that neither is without the
// other, whatever happens to the process; calls at the same time follow each other there.
func once[A proto.Message](ctx context.Context, s *Service, req keyed, command func(tx *eventlog.Tx) (A, error)) (A, error) {
	var answer, none A
	key := req.GetIdempotencyKey()
	if key == "" {
		err := s.log.Do(ctx, func(tx *eventlog.Tx) (err error) {
			answer, err = command(tx)
			return err
		})
		if err != nil {
			return none, err // the command of a caller who has gone may still be at work on its answer
		}
		return answer, nil
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return none, invalid("idempotency_key must be printable ASCII characters only")
	}
	caller := rpc.CallerFrom(ctx)
	stream := answerStream(caller, key)
	request := string(req.ProtoReflect().Descriptor().FullName())
	digest, err := requestDigest(req)
	if err != nil {
		return none, err
	}
	err = s.log.Do(ctx, func(tx *eventlog.Tx) error {
		if err := admit(tx, caller.AccountID); err != nil {
			return err
		}
		records, err := tx.Load(stream)
		if err != nil {
			return err
		}
		if kept := lastAnswer(records, tx.Now()); kept != nil {
			if !bytes.Equal(kept.GetRequestDigest(), digest) {
				return otherRequest(kept.GetRequest())
			}
			answer = answer.ProtoReflect().New().Interface().(A) //nolint:errcheck,forcetypeassert // it is a new A
			return proto.Unmarshal(kept.GetAnswer(), answer)
		}
		if answer, err = command(tx); err != nil {
			return err
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(answer)
		if err != nil {
			return fmt.Errorf("keep the answer: %w", err)
		}
		return tx.Append(stream, &memov1.AnswerEvent{
			AccountId: caller.AccountID, ClientId: caller.ClientID, GrantId: caller.GrantID,
			Event: &memov1.AnswerEvent_Kept{Kept: &memov1.AnswerKept{Request: request, RequestDigest: digest, Answer: data}},
		})
	})
	if err != nil {
		return none, err
	}
	return answer, nil
}

// answerStream is where the answer to a key of a caller is kept: one of the grant, or of a client that acts for an account
// by itself.
func answerStream(caller rpc.Caller, key string) string {
	owner := []string{"grant", caller.GrantID, ""}
	if caller.IsService {
		owner = []string{"client", caller.ClientID, caller.AccountID}
	}
	var b []byte
	for _, part := range append(owner, key) {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return answerKind + "/" + hex.EncodeToString(sum[:])
}

// requestDigest is SHA-256 of what a request asks for: the name of its message, and the request without its key.
func requestDigest(req keyed) ([]byte, error) {
	m := proto.Clone(req).ProtoReflect()
	m.Clear(m.Descriptor().Fields().ByName("idempotency_key"))
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte(m.Descriptor().FullName()+"\n"), m.Interface())
	if err != nil {
		return nil, fmt.Errorf("digest the request: %w", err)
	}
	sum := sha256.Sum256(data)
	return sum[:], nil
}

// lastAnswer is the last of a stream, if it is still given; nil otherwise.
func lastAnswer(records []eventlog.Record, now time.Time) *memov1.AnswerKept {
	if len(records) == 0 {
		return nil
	}
	last := records[len(records)-1]
	e, ok := last.Event.(*memov1.AnswerEvent)
	if !ok || !now.Before(last.Time.Add(answerTime)) {
		return nil
	}
	return e.GetKept()
}

// otherRequest refuses a key that came with another request.
func otherRequest(request string) error {
	name := strings.TrimSuffix(request[strings.LastIndex(request, ".")+1:], "Request")
	return invalid("idempotency_key was used for another call, %s, in the last %d hours, and nothing was done: repeat that call unchanged, or give this one a key of its own",
		name, int(answerTime.Hours()))
}

// projectAnswer brings the read model up to date with one event.
func projectAnswer(tx *eventlog.Tx, r eventlog.Record) error {
	e, ok := r.Event.(*memov1.AnswerEvent)
	if !ok {
		return fmt.Errorf("the event is a %T", r.Event)
	}
	var err error
	switch what := e.GetEvent().(type) {
	case *memov1.AnswerEvent_Kept:
		_, err = tx.Exec("INSERT INTO memo_answers (stream, account_id, kept_time) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET kept_time = excluded.kept_time",
			r.Stream, e.GetAccountId(), r.Time.UnixMilli())
	case *memov1.AnswerEvent_Forgotten:
		_, err = tx.Exec("DELETE FROM memo_answers WHERE kept_time <= ?", what.Forgotten.GetKeptUntil().AsTime().UnixMilli())
	}
	return err
}

// forgetAnswers forgets the answers whose time is over, a batch at a time.
func (s *Service) forgetAnswers(ctx context.Context) error {
	for more := true; more; {
		err := s.log.Do(ctx, func(tx *eventlog.Tx) (err error) {
			more, err = forgetOldest(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("forget answers: %w", err)
		}
	}
	return nil
}

// forgetOldest forgets a batch of the oldest answers whose time is over, in the log too, and says whether there may be more.
func forgetOldest(tx *eventlog.Tx) (more bool, err error) {
	var n, until int64
	err = tx.QueryRow("SELECT count(*), coalesce(max(kept_time), 0) FROM (SELECT kept_time FROM memo_answers WHERE kept_time <= ? ORDER BY kept_time LIMIT ?)",
		tx.Now().Add(-answerTime).UnixMilli(), forgetBatch).Scan(&n, &until)
	if err != nil || n == 0 {
		return false, err
	}
	streams, err := scanAll(tx, scanID, "SELECT stream FROM memo_answers WHERE kept_time <= ?", until)
	if err != nil {
		return false, err
	}
	for _, stream := range streams {
		if err := tx.Redact(stream); err != nil {
			return false, err
		}
	}
	return n == forgetBatch, tx.Append(answerKind+"/forgotten", &memov1.AnswerEvent{Event: &memov1.AnswerEvent_Forgotten{Forgotten: &memov1.AnswersForgotten{
		KeptUntil: timestamppb.New(fromMillis(until)),
	}}})
}
