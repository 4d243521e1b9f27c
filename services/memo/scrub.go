package memo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/paput/paput/services/eventlog"
)

const (
	// scrubPages is how many pages of the text index, of 4 kB each, a step of a scrub merges: it takes some 10 ms.
	scrubPages = 128
	// patientSteps is how many steps a scrub takes before they grow. It would be enough for the index of 100 000 memos, but
	// begins anew when documents are added meanwhile.
	patientSteps = 1024
	// growthSteps is how many steps the following ones take to double.
	growthSteps = 16
	maxGrowth   = 14
	// usualMerging is FTS5's own: how many parts of its index of one size it merges when documents are added or deleted.
	usualMerging = 4
)

// firstTombstones is the least id of the rows in which FTS5 keeps what was deleted from its index. They go away with the
// tokens of the deleted documents, when the part that has both is merged (fts5_index.c, FTS5_TOMBSTONE_ROWID).
const firstTombstones = 1 << 16 << 37

// scrubText removes the tokens of deleted documents from the text index, where they would stay until it happens to be merged.
// In the end the index is merged as usual again, even if what deleted them could not see to that.
func scrubText(tx *eventlog.Tx, step int) (done bool, err error) {
	var left bool
	if err := tx.QueryRow("SELECT EXISTS (SELECT 1 FROM memo_text_data WHERE id >= ?)", int64(firstTombstones)).Scan(&left); err != nil {
		return false, fmt.Errorf("look for deleted documents: %w", err)
	}
	if !left {
		return true, setMerging(tx.Exec, usualMerging)
	}
	var kept bool
	if err := tx.QueryRow("SELECT EXISTS (SELECT 1 FROM memos)").Scan(&kept); err != nil {
		return false, fmt.Errorf("look for memos: %w", err)
	}
	if !kept {
		_, err = tx.Exec("INSERT INTO memo_text (memo_text) VALUES ('delete-all')")
		return false, err
	}
	growth := min(max(0, step-patientSteps)/growthSteps, maxGrowth)
	_, err = tx.Exec("INSERT INTO memo_text (memo_text, rank) VALUES ('merge', ?)", -scrubPages<<growth)
	return false, err
}

// unmerged calls fn, which deletes many documents. FTS5 would merge some six pages of the index for each of them, a hundred
// times the work of the rest; the scrub that follows merges everything once.
func (s *Service) unmerged(ctx context.Context, fn func() error) error {
	if err := s.merging(ctx, 0); err != nil {
		return err
	}
	err := fn()
	return errors.Join(err, s.merging(context.WithoutCancel(ctx), usualMerging))
}

// merging says how eagerly FTS5 merges the text index. It changes nothing that a query could tell.
func (s *Service) merging(ctx context.Context, parts int) error {
	return s.log.Do(ctx, func(tx *eventlog.Tx) error { return setMerging(tx.Keep, parts) })
}

func setMerging(exec func(query string, args ...any) (sql.Result, error), parts int) error {
	if _, err := exec("INSERT INTO memo_text (memo_text, rank) VALUES ('automerge', ?)", parts); err != nil {
		return fmt.Errorf("set how the text index is merged: %w", err)
	}
	return nil
}
