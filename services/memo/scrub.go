package memo

import (
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
)

// firstTombstones is the least id of the rows in which FTS5 keeps what was deleted from its index. They go away with the
// tokens of the deleted documents, when the part that has both is merged (fts5_index.c, FTS5_TOMBSTONE_ROWID).
const firstTombstones = 1 << 16 << 37

// scrubText removes the tokens of deleted documents from the text index, where they would stay until it happens to be merged.
func scrubText(tx *eventlog.Tx, step int) (done bool, err error) {
	var left bool
	if err := tx.QueryRow("SELECT EXISTS (SELECT 1 FROM memo_text_data WHERE id >= ?)", int64(firstTombstones)).Scan(&left); err != nil {
		return false, fmt.Errorf("look for deleted documents: %w", err)
	}
	if !left {
		return true, nil
	}
	growth := min(max(0, step-patientSteps)/growthSteps, maxGrowth)
	_, err = tx.Exec("INSERT INTO memo_text (memo_text, rank) VALUES ('merge', ?)", -scrubPages<<growth)
	return false, err
}
