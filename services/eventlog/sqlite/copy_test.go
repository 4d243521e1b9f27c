package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"
)

// TestCopyAmongWriters copies a log while it is written to, and compares the copy with the log up to where it stands.
func TestCopyAmongWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := start(t, open(t, dir), eventlogtest.Counters())
	var writing sync.WaitGroup
	var stop atomic.Bool
	var acknowledged atomic.Int64
	for i := range 16 {
		writing.Go(func() {
			for n := int64(0); !stop.Load(); n++ {
				if err := add(t.Context(), l, fmt.Sprintf("counter/%d", i), 100+n, 100+n); err != nil {
					t.Error(err)
					return
				}
				acknowledged.Add(2)
			}
		})
	}
	to := filepath.Join(dir, "copy.db")
	for acknowledged.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	atLeast := acknowledged.Load()
	if err := sqlite.Copy(t.Context(), filepath.Join(dir, "log.db"), to); err != nil {
		t.Fatal(err)
	}
	stop.Store(true)
	writing.Wait()
	s, err := sqlite.Inspect(t.Context(), to)
	if err != nil || s.Position < atLeast || s.Ordinals["AUTH"] != s.Position {
		t.Fatalf("the copy stands at %+v, %v, want at least %d", s, err, atLeast)
	}
	b, err := sqlite.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := start(t, b, eventlogtest.Counters())
	var got, want []string
	for r, err := range again.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r))
	}
	for r, err := range l.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Position <= s.Position {
			want = append(want, fmt.Sprint(r))
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the copy got (-) want (+):\n%s", diff)
	}
	tables := func() (rows []string) {
		result, err := again.DB().QueryContext(t.Context(), "SELECT stream || ' ' || total || ' ' || events FROM counters ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		for result.Next() {
			var row string
			if err := result.Scan(&row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	live := tables()
	if err := again.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(live, tables()); diff != "" {
		t.Errorf("the read model of the copy and rebuilt (-copy +rebuilt):\n%s", diff)
	}
	if err := sqlite.Copy(t.Context(), filepath.Join(dir, "log.db"), to); err == nil {
		t.Error("a file that is there was overwritten")
	}
}

func TestInspectFindsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := start(t, open(t, dir), eventlogtest.Counters())
	for i := range int64(50) {
		if err := add(t.Context(), l, "counter/a", 100+i); err != nil {
			t.Fatal(err)
		}
	}
	whole := filepath.Join(dir, "whole.db")
	if err := sqlite.Copy(t.Context(), filepath.Join(dir, "log.db"), whole); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.db")
	for name, bad := range map[string][]byte{
		"cut short":  data[:len(data)-4096],
		"no file":    nil,
		"overwrites": append(append([]byte{}, data[:4096]...), make([]byte, len(data)-4096)...),
	} {
		if err := os.WriteFile(damaged, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := sqlite.Inspect(t.Context(), damaged); err == nil {
			t.Errorf("%s: it stands at %+v", name, s)
		}
	}
	if s, err := sqlite.Inspect(t.Context(), whole); err != nil || s.Position != 50 {
		t.Errorf("the whole one stands at %+v, %v", s, err)
	}
	if _, err := sqlite.Inspect(t.Context(), filepath.Join(dir, "none.db")); err == nil || errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("none: got %v", err)
	}
}
