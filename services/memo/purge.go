package memo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	// trashDays is how long a memo stays in the trash.
	trashDays = 30
	trashTime = trashDays * 24 * time.Hour
	// discardTime is how long a discarded candidate is remembered, so that the policy can be learnt from it and nobody
	// proposes the same again.
	discardTime = 90 * 24 * time.Hour
	purgeEvery  = time.Hour
	purgeBatch  = 50 // memos in one transaction, so that others get their turn
)

// Run purges the trash and the queue and forgets old answers from time to time, tells those who watch of changes and, when
// there is an embedder, has memos embedded, until ctx is done. Trouble is logged and does not end it.
func (s *Service) Run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { s.keepFollowing(ctx) })
	if s.meaning != nil {
		following.Go(func() { s.embed(ctx) })
	}
	if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
		s.logger.ErrorContext(ctx, "what was purged before not redacted", "error", err)
	}
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		if err := s.Purge(ctx); err != nil && ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "trash not purged", "error", err)
		}
		if err := s.forgetAnswers(ctx); err != nil && ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "answers not forgotten", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Purge ends the memos that have been in the trash for 30 days, with the candidates that they were saved from, and the
// candidates that were discarded 90 days ago, a batch at a time, until none is left or ctx is done. Reads, searches and
// histories do not have them afterwards, and the log has lost what they said.
func (s *Service) Purge(ctx context.Context) error {
	var purged int
	err := s.unmerged(ctx, func() (err error) {
		purged, err = s.inBatches(ctx, purgeExpired)
		return err
	})
	if err != nil {
		return fmt.Errorf("purge the trash: %w", err)
	}
	forgotten, err := s.inBatches(ctx, forgetDiscarded)
	if err != nil {
		return fmt.Errorf("forget discarded candidates: %w", err)
	}
	if purged+forgotten > 0 {
		s.logger.InfoContext(ctx, "memos and candidates purged", "memos", purged, "candidates", forgotten)
	}
	return nil
}

// inBatches runs a command until it has done less than a batch, and says how many it has done in all.
func (s *Service) inBatches(ctx context.Context, batch func(tx *eventlog.Tx) (int, error)) (total int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		var done int
		err := s.log.Do(ctx, func(tx *eventlog.Tx) (err error) {
			done, err = batch(tx)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += done; done < purgeBatch {
			return total, nil
		}
	}
}

// purgeExpired purges a batch of those whose time is over and says how many.
func purgeExpired(tx *eventlog.Tx) (int, error) {
	ids, err := scanAll(tx, scanID, "SELECT id FROM memos WHERE delete_time <= ? ORDER BY delete_time, n LIMIT ?", tx.Now().Add(-trashTime).UnixMilli(), purgeBatch)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		records, err := tx.Load(stream(id))
		if err != nil {
			return 0, err
		}
		e := purge(fold(id, records), tx.Now())
		if e == nil {
			return 0, fmt.Errorf("%s is in the trash of the read model only", id)
		}
		if err := end(tx, stream(id), e); err != nil {
			return 0, err
		}
		if err := endSource(tx, records); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// end appends the last event of a stream and redacts it.
func end(tx *eventlog.Tx, stream string, e proto.Message) error {
	if err := tx.Append(stream, e); err != nil {
		return err
	}
	return tx.Redact(stream)
}

// endSource ends the candidate that a memo was saved from, for it says the same.
func endSource(tx *eventlog.Tx, memo []eventlog.Record) error {
	first := tell(memo[0]).event
	if first.GetCreated().GetCandidateId() == "" {
		return nil
	}
	return endQueued(tx, first.GetCreated().GetCandidateId(), first.GetAccountId())
}

// endQueued ends a candidate of an account, unless it is gone already.
func endQueued(tx *eventlog.Tx, id, accountID string) error {
	records, err := tx.Load(queueStream(id))
	if err != nil {
		return err
	}
	q := foldQueued(id, records)
	if q.revision == 0 || q.status == statusPurged || q.accountID != accountID {
		return nil
	}
	return end(tx, queueStream(id), &memov1.CandidateEvent{AccountId: accountID, Event: &memov1.CandidateEvent_Purged{Purged: &memov1.CandidatePurged{}}})
}

// forgetDiscarded ends a batch of the candidates that were discarded long ago and says how many.
func forgetDiscarded(tx *eventlog.Tx) (int, error) {
	rows, err := scanAll(tx, scanQueued, selectQueued+" WHERE status = 'discarded' AND update_time <= ? LIMIT ?", tx.Now().Add(-discardTime).UnixMilli(), purgeBatch)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if err := endQueued(tx, r.id, r.accountID); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// purge decides whether a memo's time in the trash is over.
func purge(s state, now time.Time) *memov1.MemoEvent {
	if !s.inTrash || s.deleteTime.Add(trashTime).After(now) {
		return nil
	}
	return s.purgedEvent()
}

func (s state) purgedEvent() *memov1.MemoEvent {
	return &memov1.MemoEvent{AccountId: s.accountID, Event: &memov1.MemoEvent_Purged{Purged: &memov1.MemoPurged{}}}
}

// drop takes a purged memo out of the read model.
func drop(tx *eventlog.Tx, before, after row) error {
	if err := writeLabels(tx, before, after); err != nil {
		return err
	}
	if err := forgetVector(tx, before.id); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO memo_purged (account, position, id, revision, time) VALUES (?, ?, ?, ?, ?)",
		after.account, after.position, after.id, after.revision, after.updateTime.UnixMilli())
	if err != nil {
		return err
	}
	for _, query := range []string{
		"DELETE FROM memo_waiting WHERE n = ?", "DELETE FROM memo_text WHERE rowid = " + lastRow + " - ?",
		"DELETE FROM memo_finds WHERE n = ?", "DELETE FROM memos WHERE n = ?",
	} {
		if _, err := tx.Exec(query, before.n); err != nil {
			return err
		}
	}
	return nil
}
