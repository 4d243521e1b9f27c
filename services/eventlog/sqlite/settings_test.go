package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWeakSettingsAreRefused(t *testing.T) {
	t.Parallel()
	tables := []struct{ name, pragma, want string }{
		{"no sync at a commit", "PRAGMA synchronous = NORMAL", "synchronous is 1"},
		{"no sync at all", "PRAGMA synchronous = OFF", "synchronous is 0"},
		{"no write-ahead log", "PRAGMA journal_mode = DELETE", "journal_mode is delete"},
		{"deleted content is left in place", "PRAGMA secure_delete = FAST", "secure_delete is 2"},
	}
	for _, tc := range tables {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, err := Open(t.Context(), filepath.Join(t.TempDir(), "log.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err := b.writer.ExecContext(t.Context(), tc.pragma); err != nil {
				t.Fatal(err)
			}
			if err := b.check(t.Context(), "FULL"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("check: got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestOpenSyncsAtEveryCommit(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var level int
	if err := b.writer.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil || level != 2 {
		t.Errorf("synchronous is %d, %v, want 2", level, err)
	}
}

func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	b, err := Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	kept := func() (n int) {
		t.Helper()
		err := b.writer.Raw(func(c any) error {
			n = c.(*conn).nIdle
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := kept()
	for i := range 2 * maxIdle {
		query := "SELECT ?" + strings.Repeat(" ", i%50)
		var got int
		if err := b.writer.QueryRowContext(t.Context(), query, i).Scan(&got); err != nil || got != i {
			t.Fatalf("got %d, %v, want %d", got, err, i)
		}
	}
	if n := kept() - before; n != 50 {
		t.Errorf("%d statements were kept, want 50", n)
	}
	for i := range 2 * maxIdle {
		if _, err := b.writer.ExecContext(t.Context(), "SELECT 1"+strings.Repeat(" ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := kept(); n > maxIdle {
		t.Errorf("%d statements were kept, want at most %d", n, maxIdle)
	}
}

func TestTextRunsWithinItself(t *testing.T) {
	t.Parallel()
	b, err := Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var each func(depth int) (sum int)
	each = func(depth int) (sum int) {
		rows, err := b.writer.QueryContext(t.Context(), "SELECT value FROM json_each('[1,2,3]')")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			if sum += n; depth > 0 {
				sum += each(depth - 1)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for range 2 {
		if got := each(2); got != 6+3*(6+3*6) {
			t.Errorf("the sum is %d, want %d", got, 6+3*(6+3*6))
		}
	}
}

// TestPlansAreKept asks for the plan of a query that an index could answer for some arguments only.
func TestPlansAreKept(t *testing.T) {
	t.Parallel()
	b, err := Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.writer.ExecContext(t.Context(), "CREATE TABLE words (word TEXT COLLATE NOCASE); CREATE INDEX by_word ON words (word)"); err != nil {
		t.Fatal(err)
	}
	plan := func(query string, args ...any) (detail string) {
		t.Helper()
		var ignored int
		if err := b.readers.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...).Scan(&ignored, &ignored, &ignored, &detail); err != nil {
			t.Fatal(err)
		}
		return detail
	}
	if got := plan("SELECT count(*) FROM words WHERE word LIKE 'abc%'"); !strings.Contains(got, "SEARCH") {
		t.Fatalf("the index is of no use: %s", got)
	}
	if got := plan("SELECT count(*) FROM words WHERE word LIKE ?", "abc%"); !strings.Contains(got, "SCAN") {
		t.Errorf("the plan follows the argument: %s", got)
	}
}
