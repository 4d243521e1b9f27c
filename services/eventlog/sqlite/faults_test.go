package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"
)

func add(ctx context.Context, l *eventlog.Log, stream string, amounts ...int64) error {
	return l.Do(ctx, func(tx *eventlog.Tx) error {
		for _, n := range amounts {
			if err := tx.Append(stream, eventlogtest.Added(n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// start runs a log whose end the test looks at itself.
func start(t *testing.T, b eventlog.Backend, c eventlog.Config) (l *eventlog.Log, ended <-chan error) {
	t.Helper()
	l, err := eventlog.Open(t.Context(), b, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	done := make(chan error, 1)
	go func() { done <- l.Run(t.Context()) }()
	return l, done
}

func count(t *testing.T, l *eventlog.Log, table string) (n int64) {
	t.Helper()
	if err := l.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A database that may not grow behaves as one on a full disk.
func TestFullDiskFailsCommandsAndPasses(t *testing.T) {
	t.Parallel()
	b, err := sqlite.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, _ := start(t, b, eventlogtest.Counters())
	if err := add(t.Context(), l, "counter/a", 1); err != nil {
		t.Fatal(err)
	}
	limit := func(pages string) {
		t.Helper()
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			return tx.QueryRow("PRAGMA max_page_count = " + pages).Scan(new(int64))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // no fewer than there are
	note := strings.Repeat("x", 2000)
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		done    int64
		full    int
	)
	for range 64 {
		running.Go(func() {
			e := eventlogtest.Added(1)
			e.GetAdded().Note = note
			err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
				_ = tx.Append("counter/a", e) // that the error is overlooked must not matter
				_ = tx.Append("counter/b", e)
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
				return
			}
			full++
			if !strings.Contains(err.Error(), "full") {
				t.Errorf("Do: %v", err)
			}
		})
	}
	running.Wait()
	if full == 0 {
		t.Error("no command failed")
	}
	if got := l.Last(); got != 1+2*done {
		t.Errorf("the log ends at %d, want %d", got, 1+2*done)
	}
	limit("100000")
	if err := add(t.Context(), l, "counter/a", 1); err != nil {
		t.Errorf("after there is room: %v", err)
	}
	if got := count(t, l, "events"); got != 2+2*done {
		t.Errorf("there are %d events, want %d", got, 2+2*done)
	}
}

// A constraint that is checked at the commit makes that fail.
func TestFailedCommitStopsTheLog(t *testing.T) {
	t.Parallel()
	b, err := sqlite.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Writer().ExecContext(t.Context(), "PRAGMA foreign_keys = ON"); err != nil {
		t.Fatal(err)
	}
	c := eventlogtest.Counters()
	c.Projections = append(c.Projections, eventlog.Projection{
		Name: "orphans", Kinds: []string{"counter"}, Tables: []string{"orphans"},
		Schema: `CREATE TABLE orphans (parent INTEGER REFERENCES orphans (id) DEFERRABLE INITIALLY DEFERRED, id INTEGER PRIMARY KEY)`,
		Apply: func(tx *eventlog.Tx, r eventlog.Record) error {
			if r.Stream != "counter/orphan" {
				return nil
			}
			_, err := tx.Exec(`INSERT INTO orphans (parent) VALUES (999)`)
			return err
		},
	})
	l, ended := start(t, b, c)
	if err := add(t.Context(), l, "counter/a", 1); err != nil {
		t.Fatal(err)
	}
	if err := add(t.Context(), l, "counter/orphan", 1); !errors.Is(err, eventlog.ErrUnknownOutcome) {
		t.Errorf("Do: got %v, want an unknown outcome", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Run returned nil")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run goes on")
	}
	if err := add(t.Context(), l, "counter/a", 1); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Do after the failure: got %v, want ErrClosed", err)
	}
	if n := count(t, l, "events"); n != 1 {
		t.Errorf("there are %d events, want 1", n)
	}
}

func TestSecondWriterStopsTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, ended := start(t, open(t, dir), eventlogtest.Counters())
	second, _ := start(t, open(t, dir), eventlogtest.Counters())
	if err := add(t.Context(), second, "counter/a", 1); err != nil {
		t.Fatal(err)
	}
	if err := add(t.Context(), first, "counter/b", 1); err == nil {
		t.Error("the first log does not see that it was overtaken")
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Run: got %v, want that another process has written", err)
	}
	if n := count(t, first, "counters"); n != 1 {
		t.Errorf("there are %d counters, want 1", n)
	}
}

// t.FailNow in a command must fail the test, not hang it.
func TestCommandEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	b, err := sqlite.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(t.Context(), b, eventlogtest.Counters())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var running sync.WaitGroup
	running.Go(func() { _ = l.Run(t.Context()) })
	err = l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if err := tx.Append("counter/a", eventlogtest.Added(1)); err != nil {
			return err
		}
		runtime.Goexit()
		return nil
	})
	if !errors.Is(err, eventlog.ErrUnknownOutcome) {
		t.Errorf("Do: got %v, want an unknown outcome", err)
	}
	running.Wait()
	if n := count(t, l, "events"); n != 0 {
		t.Errorf("there are %d events, want none", n)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "log.db"), garbage} {
		b, err := sqlite.Open(t.Context(), path)
		if err == nil {
			b.Close()
			t.Errorf("Open of %s succeeded", path)
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("Open: %v does not name %s", err, path)
		}
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b?c%20#d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, _ := start(t, open(t, dir), eventlogtest.Counters())
	if err := add(t.Context(), l, "counter/a", 1); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 {
		t.Errorf("there are %d files, want the database and two beside it", len(files))
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
}
