package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzClearUnused(f *testing.F) {
	f.Add([]byte{13, 0, 20, 0, 1, 0, 16, 0, 0, 16, 'x', 'x'}, false)
	f.Add(bytes.Repeat([]byte{5, 0xff}, 50), true)
	f.Fuzz(func(t *testing.T, data []byte, first bool) {
		page := make([]byte, 512)
		copy(page, data)
		before := bytes.Clone(page)
		if !clearUnused(page, first) && !bytes.Equal(before, page) {
			t.Error("it changed a page that it says is none of a tree")
		}
		if !bytes.Equal(before[:8], page[:8]) {
			t.Error("it changed the header")
		}
	})
}

// TestScrubPagesOfOldFiles looks for what a file has that was written without secure_delete: rows that were deleted, moved
// and dropped with their tables.
func TestScrubPagesOfOldFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	b, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := b.writer.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(query, err)
		}
	}
	run("PRAGMA secure_delete = OFF")
	run("CREATE TABLE kept (id TEXT PRIMARY KEY, data TEXT) WITHOUT ROWID")
	run("CREATE TABLE dropped (data TEXT)")
	run("BEGIN")
	for i := range 3000 {
		run("INSERT INTO dropped VALUES (?)", "dropped secret "+strings.Repeat("x", i))
		run("INSERT INTO kept VALUES (?, ?)", fmt.Sprintf("%d", i*7919%3000), fmt.Sprintf("row %d secret", i%2))
	}
	run("DELETE FROM kept WHERE data LIKE 'row 1%'")
	run("DROP TABLE dropped")
	run("COMMIT")
	found := func() (texts []string) {
		if clean, err := b.Scrub(t.Context()); err != nil || !clean {
			t.Fatal(clean, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"dropped secret", "row 1 secret", "row 0 secret"} {
			if bytes.Contains(data, []byte(text)) {
				texts = append(texts, text)
			}
		}
		return texts
	}
	if got := found(); len(got) != 3 {
		t.Fatalf("before: got %q", got)
	}
	steps := 0
	for next := int64(0); next != 0 || steps == 0; steps++ {
		run("BEGIN IMMEDIATE")
		if next, err = b.ScrubPages(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		run("COMMIT")
	}
	if got := found(); len(got) != 1 || steps < 2 {
		t.Errorf("after %d steps: got %q, want what was kept alone", steps, got)
	}
	var verdict string
	if err := b.readers.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
	var n int
	if err := b.readers.QueryRowContext(t.Context(), "SELECT count(*) FROM kept WHERE data = 'row 0 secret'").Scan(&n); err != nil || n != 1500 {
		t.Errorf("%d rows are kept, %v, want 1500", n, err)
	}
}
