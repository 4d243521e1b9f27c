package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/paput/paput/services/eventlog"
)

func testGapless(t *testing.T, l *eventlog.Log) {
	const perCaller = 6
	var writing, reading sync.WaitGroup
	for i := range callers {
		writing.Go(func() {
			for n := range perCaller {
				err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
					if err := tx.Append(fmt.Sprintf("counter/%d", i), Added(1), Added(1)); err != nil {
						return err
					}
					if n%2 == 1 {
						return errors.ErrUnsupported
					}
					return nil
				})
				if n%2 == 0 && err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		reading.Go(func() {
			for seen := int64(0); seen < callers*perCaller; {
				if err := l.Wait(t.Context(), seen); err != nil {
					t.Error(err)
					return
				}
				for r, err := range l.After(t.Context(), seen) {
					if err != nil || r.Position != seen+1 {
						t.Errorf("after position %d came %d, %v", seen, r.Position, err)
						return
					}
					seen = r.Position
				}
			}
		})
	}
	writing.Wait()
	reading.Wait()
}

func testReaderAndWriter(t *testing.T, l *eventlog.Log) {
	add(t, l, "counter/a", Added(1))
	add(t, l, "counter/b", Added(1))
	rows, err := l.DB().QueryContext(t.Context(), `SELECT total FROM counters`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for n := int64(1); rows.Next(); n++ {
		var total int64
		if err := rows.Scan(&total); err != nil || total != 1 {
			t.Errorf("the total is %d, %v, want the one of when the query began", total, err)
		}
		add(t, l, "counter/a", Added(1))
		add(t, l, "counter/b", Added(1))
		err := l.DB().QueryRowContext(t.Context(), `SELECT total FROM counters WHERE stream = ?`, "counter/b").Scan(&total)
		if err != nil || total != 1+n {
			t.Errorf("another query sees %d, %v, want %d", total, err, 1+n)
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
}

func testReadersReadOnly(t *testing.T, l *eventlog.Log) {
	add(t, l, "counter/a", Added(1))
	for _, statement := range []string{`DELETE FROM counters`, `DELETE FROM events`, `DROP TABLE counters`} {
		if _, err := l.DB().ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: a reader could", statement)
		}
	}
	check(t, l, 1, "counter/a 1 1")
}

func testWait(t *testing.T, l *eventlog.Log) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := l.Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait on an empty log: got %v, want that the deadline is exceeded", err)
	}
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for position := range int64(10) {
				if err := l.Wait(t.Context(), position); err != nil || l.Last() <= position {
					t.Errorf("Wait: %v at %d, want more than %d", err, l.Last(), position)
				}
			}
		})
	}
	for range 10 {
		add(t, l, "counter/a", Added(1))
	}
	running.Wait()
}

func testRebuild(t *testing.T, l *eventlog.Log) {
	for chunk := range int64(7) {
		do(t, l, func(tx *eventlog.Tx) error {
			for i := 100 * chunk; i < 100*(chunk+1); i++ { // more than a batch in all
				if err := openOrAdd(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	before, position := models(t, l), l.Last()
	if len(before) != 17+40 {
		t.Fatalf("there are %d rows, want %d", len(before), 17+40)
	}
	if err := l.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, l, position, before...)
	add(t, l, "counter/new", Added(1))
	check(t, l, position+1, slices.Insert(before, slices.IndexFunc(before, func(s string) bool { return s > "counter/new" }), "counter/new 1 1")...)
}

// openOrAdd opens a counter unless its name is taken, and changes it.
func openOrAdd(tx *eventlog.Tx, i int64) error {
	stream, name := fmt.Sprintf("counter/%d", i%17), fmt.Sprintf("name %d", i%40)
	var taken bool
	if err := tx.QueryRow(`SELECT count(*) > 0 FROM counter_names WHERE name = ?`, name).Scan(&taken); err != nil {
		return err
	}
	if !taken {
		if err := tx.Append(stream, Opened(name)); err != nil {
			return err
		}
	}
	return tx.Append(stream, Added(i%11))
}

func testOrdinals(t *testing.T, l *eventlog.Log) {
	for i := range 30 {
		_ = l.Do(t.Context(), func(tx *eventlog.Tx) error {
			if err := tx.Append("counter/a", Added(1)); err != nil || i%3 == 0 {
				return errors.ErrUnsupported
			}
			return nil
		})
	}
	n := int64(0)
	for o, err := range l.Outgoing(t.Context(), "AUTH", 0) {
		n++
		if err != nil || o.Ordinal != n || o.Subject != "paput.auth.counter.added" {
			t.Fatalf("got %+v, %v, want ordinal %d", o, err, n)
		}
	}
	if n != 20 || l.Ordinal("AUTH") != n {
		t.Errorf("there are %d ordinals and the last is %d, want 20", n, l.Ordinal("AUTH"))
	}
}

func testOutgoing(t *testing.T, l *eventlog.Log) {
	const each = 40
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for i := range each {
				err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
					err := tx.Append(fmt.Sprintf("counter/%d", caller), Added(int64(100+i)), Added(int64(200+i)))
					if i%5 == caller%5 {
						return errors.ErrUnsupported
					}
					return err
				})
				if (err != nil) != (i%5 == caller%5) {
					t.Errorf("Do: %v", err)
				}
			}
		})
	}
	var live []string
	for len(live) < 2*callers*each*4/5 {
		if err := l.Wait(t.Context(), int64(len(live))); err != nil {
			t.Fatal(err)
		}
		live = append(live, outgoing(t, l, int64(len(live)))...)
	}
	running.Wait()
	if diff := cmp.Diff(outgoing(t, l, 0), live); diff != "" {
		t.Errorf("what went out at once got (+), in the log is (-):\n%s", diff)
	}
}

func testOutgoingLate(t *testing.T, l *eventlog.Log) {
	long := strings.Repeat("long ", 20_000)
	for i := range 30 {
		add(t, l, "counter/a", Opened(fmt.Sprint(i, long)))
		if i == 3 && len(outgoing(t, l, 1)) != 3 {
			t.Error("want those after the first")
		}
	}
	if got := outgoing(t, l, 25); len(got) != 5 {
		t.Errorf("%d records go out after 25, want 5", len(got))
	}
	if got := outgoing(t, l, 0); len(got) != 30 {
		t.Errorf("%d records go out, want 30", len(got))
	}
}

// outgoing describes what is to be published after an ordinal, and spoils it, for it is the caller's.
func outgoing(tb testing.TB, l *eventlog.Log, ordinal int64) (lines []string) {
	tb.Helper()
	for o, err := range l.Outgoing(tb.Context(), "AUTH", ordinal) {
		ordinal++
		if err != nil || o.Ordinal != ordinal {
			tb.Fatalf("got ordinal %d, %v, want %d", o.Ordinal, err, ordinal)
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(o.Event)
		if err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%d %d %s#%d %s %s %x", o.Ordinal, o.Position, o.Stream, o.Version, o.Time, o.Subject, data))
		proto.Reset(o.Event)
	}
	return lines
}

func testStreaming(t *testing.T, l *eventlog.Log) {
	const n = 1200
	do(t, l, func(tx *eventlog.Tx) error {
		for i := range int64(n) {
			if err := tx.Append("counter/a", Added(i%5)); err != nil {
				return err
			}
		}
		return nil
	})
	want := int64(100)
	for r, err := range l.After(t.Context(), want) {
		want++
		if err != nil || r.Position != want {
			t.Fatalf("got %d, %v, want %d", r.Position, err, want)
		}
		// The caller may use the log while it reads it.
		if want%500 == 0 {
			add(t, l, "counter/b", Added(1))
		}
	}
	if want < n {
		t.Errorf("the stream ended at %d", want)
	}
	for _, position := range []int64{0, 1, want, l.Last(), l.Last() + 1} {
		r, ok, err := l.At(t.Context(), position)
		if there := position > 0 && position <= l.Last(); err != nil || ok != there || there && r.Position != position {
			t.Errorf("at %d: got %v, %t, %v", position, r, ok, err)
		}
	}
	for _, err := range l.After(t.Context(), l.Last()) {
		t.Errorf("after the end came something: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range l.After(ctx, 0) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("After with an ended context: %v", err)
		}
	}
}
