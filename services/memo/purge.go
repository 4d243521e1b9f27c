package memo

import (
	"context"
	"fmt"
	"sync"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	// trashDays is how long a memo stays in the trash.
	trashDays  = 30
	trashTime  = trashDays * 24 * time.Hour
	purgeEvery = time.Hour
	purgeBatch = 50 // memos in one transaction, so that others get their turn
)

// Run purges the trash and forgets old answers from time to time, and tells those who watch of changes, until ctx is done.
// Trouble is logged and does not end it.
func (s *Service) Run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { s.keepFollowing(ctx) })
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

// Purge ends the memos that have been in the trash for 30 days, a batch at a time, until none is left or ctx is done. Reads,
// searches and histories do not have them afterwards.
//
// BUG: what a purged memo said stays in the log, where nobody is shown it, and until SQLite uses them again in free parts of
// the file and of the text index. Nothing erases it from there.
func (s *Service) Purge(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var purged int
		err := s.log.Do(ctx, func(tx *eventlog.Tx) (err error) {
			purged, err = purgeExpired(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("purge the trash: %w", err)
		}
		if purged > 0 {
			s.logger.InfoContext(ctx, "memos purged", "count", purged)
		}
		if purged < purgeBatch {
			return nil
		}
	}
}

// purgeExpired purges a batch of those whose time is over and says how many.
func purgeExpired(tx *eventlog.Tx) (int, error) {
	ids, err := expired(tx, tx.Now().Add(-trashTime))
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		records, err := tx.Load(stream(id))
		if err != nil {
			return 0, err
		}
		memo := fold(id, records)
		e := purge(memo, tx.Now())
		if e == nil {
			return 0, fmt.Errorf("%s is in the trash of the read model only", id)
		}
		if err := tx.Append(stream(id), e); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// purge decides whether a memo's time in the trash is over.
func purge(s state, now time.Time) *memov1.MemoEvent {
	if !s.inTrash || s.deleteTime.Add(trashTime).After(now) {
		return nil
	}
	return &memov1.MemoEvent{AccountId: s.accountID, Event: &memov1.MemoEvent_Purged{Purged: &memov1.MemoPurged{}}}
}

// expired lists at most a batch of the memos that have been in the trash since a time, the longest first.
func expired(tx *eventlog.Tx, since time.Time) (ids []string, err error) {
	rows, err := tx.Query("SELECT id FROM memos WHERE delete_time <= ? ORDER BY delete_time, n LIMIT ?", since.UnixMilli(), purgeBatch)
	if err != nil {
		return nil, fmt.Errorf("find what to purge: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("find what to purge: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// drop takes a purged memo out of the read model.
func drop(tx *eventlog.Tx, before, after row) error {
	if err := writeLabels(tx, before, after); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO memo_purged (account, position, id, revision, time) VALUES (?, ?, ?, ?, ?)",
		after.account, after.position, after.id, after.revision, after.updateTime.UnixMilli())
	if err != nil {
		return err
	}
	for _, query := range []string{
		"DELETE FROM memo_waiting WHERE n = ?", "DELETE FROM memo_text WHERE rowid = ?",
		"DELETE FROM memo_finds WHERE n = ?", "DELETE FROM memos WHERE n = ?",
	} {
		if _, err := tx.Exec(query, before.n); err != nil {
			return err
		}
	}
	return nil
}
