package memo

import (
	"context"
	"errors"
	"fmt"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// BeginErasure is the part of a command that erases an account: from its commit on nobody can read what the account has, its
// public memos among it, nor write to it. Erase then ends all of that, one by one.
func (s *Service) BeginErasure(tx *eventlog.Tx, accountID string) error {
	return tx.Append(captureStream(accountID), &memov1.CaptureEvent{
		AccountId: accountID, Event: &memov1.CaptureEvent_Erased{Erased: &memov1.CaptureErased{}},
	})
}

// Erase ends and redacts the memos, notes and candidates of an account whose erasure has begun, in batches that let others
// have their turn, until none is left or ctx is done. It can be called again.
func (s *Service) Erase(ctx context.Context, accountID string) error {
	return s.unmerged(ctx, func() error { return s.erase(ctx, accountID) })
}

func (s *Service) erase(ctx context.Context, accountID string) error {
	for _, batch := range []func(tx *eventlog.Tx, accountID string) (int, error){eraseMemos, eraseNotes, eraseQueued} {
		if _, err := s.inBatches(ctx, func(tx *eventlog.Tx) (int, error) { return batch(tx, accountID) }); err != nil {
			return fmt.Errorf("erase %s: %w", accountID, err)
		}
	}
	if err := s.redactAnswers(ctx, accountID); err != nil {
		return fmt.Errorf("erase %s: %w", accountID, err)
	}
	return s.log.Do(ctx, func(tx *eventlog.Tx) error { return tx.Redact(captureStream(accountID)) })
}

// redactAnswers redacts the account's answers before their day is over. They are forgotten then.
func (s *Service) redactAnswers(ctx context.Context, accountID string) error {
	for last := ""; ; {
		var streams []string
		err := s.log.Do(ctx, func(tx *eventlog.Tx) (err error) {
			streams, err = scanAll(tx, scanID, "SELECT stream FROM memo_answers WHERE account_id = ? AND stream > ? ORDER BY stream LIMIT ?", accountID, last, purgeBatch)
			for _, stream := range streams {
				err = errors.Join(err, tx.Redact(stream))
			}
			return err
		})
		if err != nil || len(streams) < purgeBatch {
			return err
		}
		last = streams[len(streams)-1]
	}
}

func eraseMemos(tx *eventlog.Tx, accountID string) (int, error) {
	ids, err := scanAll(tx, scanID, `SELECT id FROM memos WHERE account = (SELECT account FROM memo_accounts WHERE account_id = ?) LIMIT ?`, accountID, purgeBatch)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := end(tx, stream(id), state{accountID: accountID}.purgedEvent()); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

func eraseNotes(tx *eventlog.Tx, accountID string) (int, error) {
	ids, err := scanAll(tx, scanID, "SELECT id FROM notes WHERE account_id = ? LIMIT ?", accountID, purgeBatch)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		e := deleteNote()
		e.AccountId = accountID
		if err := end(tx, noteStream(id), e); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

func eraseQueued(tx *eventlog.Tx, accountID string) (int, error) {
	ids, err := scanAll(tx, scanID, "SELECT id FROM candidates WHERE account_id = ? LIMIT ?", accountID, purgeBatch)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := endQueued(tx, id, accountID); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// admit refuses to write for an account that was erased while the caller's request was under way.
func admit(tx *eventlog.Tx, accountID string) error {
	var erased bool
	err := tx.QueryRow("SELECT EXISTS (SELECT 1 FROM memo_accounts WHERE account_id = ? AND erased = 1)", accountID).Scan(&erased)
	if err != nil {
		return fmt.Errorf("look for the account: %w", err)
	}
	if erased {
		return &fault{ErrNotFound, "the account was erased"}
	}
	return nil
}

// projectErased hides what an erased account has, at once.
func projectErased(tx *eventlog.Tx, e *memov1.CaptureEvent) error {
	if e.GetErased() == nil {
		return nil
	}
	_, err := tx.Exec("INSERT INTO memo_accounts (account_id, erased) VALUES (?, 1) ON CONFLICT (account_id) DO UPDATE SET erased = 1", e.GetAccountId())
	return err
}
