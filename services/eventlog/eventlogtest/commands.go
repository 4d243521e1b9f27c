package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/paput/paput/services/eventlog"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

func testOrder(t *testing.T, l *eventlog.Log) {
	do(t, l, func(tx *eventlog.Tx) error {
		before, err := tx.Load("counter/a")
		if err != nil || len(before) != 0 {
			return fmt.Errorf("a new stream loads as %v, %w", before, err)
		}
		if err := tx.Append("counter/a", Added(1), Added(2)); err != nil {
			return err
		}
		return tx.Append("counter/b", Added(3))
	})
	var inside []eventlog.Record
	do(t, l, func(tx *eventlog.Tx) (err error) {
		if err := tx.Append("counter/a", Added(4)); err != nil {
			return err
		}
		inside, err = tx.Load("counter/a")
		return err
	})
	type place struct {
		Position, Version int64
		Stream            string
		Amount            int64
	}
	places := func(records []eventlog.Record) (got []place) {
		for _, r := range records {
			got = append(got, place{r.Position, r.Version, r.Stream, r.Event.(*eventlogtestv1.CounterEvent).GetAdded().GetAmount()})
		}
		return got
	}
	want := []place{{1, 1, "counter/a", 1}, {2, 2, "counter/a", 2}, {3, 1, "counter/b", 3}, {4, 3, "counter/a", 4}}
	if diff := cmp.Diff(places(all(t, l)), want); diff != "" {
		t.Errorf("the log got (-) want (+):\n%s", diff)
	}
	wantA := []place{want[0], want[1], want[3]}
	if diff := cmp.Diff(places(inside), wantA); diff != "" {
		t.Errorf("Load inside got (-) want (+):\n%s", diff)
	}
	outside, err := l.Read(t.Context(), "counter/a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(outside, inside, protocmp.Transform()); diff != "" {
		t.Errorf("Read got (-) Load (+):\n%s", diff)
	}
	if none, err := l.Read(t.Context(), "counter/none"); err != nil || len(none) != 0 {
		t.Errorf("Read of no stream: %v, %v", none, err)
	}
	check(t, l, 4, "counter/a 7 3", "counter/b 3 1")
}

func testAtomicity(t *testing.T, l *eventlog.Log) {
	errNo := errors.New("no")
	add(t, l, "counter/a", Added(1))
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if err := tx.Append("counter/a", Added(2), Added(3)); err != nil {
			return err
		}
		return errNo
	})
	if err != errNo { //nolint:errorlint // as it was returned
		t.Errorf("Do: got %v, want the very error", err)
	}
	err = l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if err := tx.Append("counter/b", Added(2)); err != nil {
			return err
		}
		panic("oh")
	})
	if err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("Do: got %v, want the panic", err)
	}
	add(t, l, "counter/a", Added(4))
	check(t, l, 2, "counter/a 5 2")
	if records := all(t, l); records[1].Version != 2 {
		t.Errorf("the version is %d, want 2", records[1].Version)
	}
}

func testIsolation(t *testing.T, l *eventlog.Log) {
	var (
		running sync.WaitGroup
		good    atomic.Int64
	)
	const rounds = 3
	for i := range callers {
		running.Go(func() {
			for range rounds {
				err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return misbehave(tx, i) })
				if (err == nil) != (i%4 == 0) {
					t.Errorf("command %d: %v", i, err)
				}
				if err == nil {
					good.Add(1)
				}
			}
		})
	}
	running.Wait()
	if good.Load() != callers/4*rounds {
		t.Errorf("%d commands succeeded, want %d", good.Load(), callers/4*rounds)
	}
	var want []string
	for stream := range callers / 8 {
		want = append(want, fmt.Sprintf("counter/%d %d %d", stream, 3*2*rounds, 2*2*rounds))
	}
	check(t, l, 2*callers/4*rounds, want...)
}

// misbehave appends two events, and then succeeds, fails, panics or breaks a projection.
func misbehave(tx *eventlog.Tx, i int) error {
	stream := fmt.Sprintf("counter/%d", i/8)
	before, err := tx.Load(stream)
	if err != nil {
		return err
	}
	if err := tx.Append(stream, Added(1), Added(2)); err != nil {
		return err
	}
	after, err := tx.Load(stream)
	if err != nil || len(after) != len(before)+2 {
		return fmt.Errorf("%d records after %d: %w", len(after), len(before), err)
	}
	switch i % 4 {
	case 1:
		return errors.New("failing")
	case 2:
		panic("panicking")
	case 3:
		return tx.Append("counter/other", Added(13))
	}
	return nil
}

func testProjectionFails(t *testing.T, l *eventlog.Log) {
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append("counter/a", Added(1), Added(13)) })
	if !errors.Is(err, ErrUnlucky) {
		t.Errorf("Do: got %v, want ErrUnlucky", err)
	}
	// Overlooking the error does not help.
	err = l.Do(t.Context(), func(tx *eventlog.Tx) error {
		_ = tx.Append("counter/a", Added(13))
		return nil
	})
	if !errors.Is(err, ErrUnlucky) {
		t.Errorf("Do that overlooks the error: got %v, want ErrUnlucky", err)
	}
	err = l.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append("counter/a", Added(1), Added(Careless)) })
	if err == nil || !strings.Contains(err.Error(), "projection counters") {
		t.Errorf("Do with a projection that overlooks an error: got %v, want one that names it", err)
	}
	err = l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if err := tx.Append("counter/a", Added(1)); err != nil {
			return err
		}
		_, _ = tx.Query(`SELECT 1 FROM nowhere`) //nolint:rowserrcheck,sqlclosecheck // there are no rows
		return nil
	})
	if err == nil {
		t.Error("Do that overlooks a failed query succeeded")
	}
	check(t, l, 0)
}

func testUnique(t *testing.T, l *eventlog.Log) {
	var (
		running sync.WaitGroup
		won     atomic.Int64
	)
	for i := range callers {
		running.Go(func() {
			err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
				return tx.Append(fmt.Sprintf("counter/%d", i), Opened("steps"))
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrNameTaken):
				t.Errorf("Do: got %v, want ErrNameTaken", err)
			}
		})
	}
	running.Wait()
	if won.Load() != 1 || l.Last() != 1 {
		t.Errorf("%d commands won and the log ends at %d, want 1 and 1", won.Load(), l.Last())
	}
}

func testTime(t *testing.T, l *eventlog.Log) {
	var at time.Time
	do(t, l, func(tx *eventlog.Tx) error {
		at = tx.Now()
		return tx.Append("counter/a", Added(1))
	})
	got := all(t, l)[0].Time
	if !got.Equal(at) || got.Location() != time.UTC || got.Nanosecond()%1e6 != 0 || time.Since(got).Abs() > time.Minute {
		t.Errorf("the time is %v, and was %v inside", got, at)
	}
}

func testRefusals(t *testing.T, l *eventlog.Log) {
	tables := []struct {
		name, stream string
		event        proto.Message
	}{
		{"an unregistered kind", "gauge/a", Added(1)},
		{"no kind", "a", Added(1)},
		{"no id", "counter/", Added(1)},
		{"a line feed", "counter/a\nb", Added(1)},
		{"another message", "counter/a", &eventlogtestv1.Added{}},
		{"no case", "counter/a", &eventlogtestv1.CounterEvent{}},
		{"nothing", "counter/a", nil},
	}
	for _, c := range tables {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(c.stream, c.event) })
		if err == nil {
			t.Errorf("%s: it was appended", c.name)
		}
	}
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		_, err := tx.Exec(`DELETE FROM counters`)
		return err
	})
	if err == nil {
		t.Error("a command's own Exec succeeded")
	}
	check(t, l, 0)
}

func testTxEnds(t *testing.T, l *eventlog.Log) {
	var kept *eventlog.Tx
	do(t, l, func(tx *eventlog.Tx) error {
		kept = tx
		return nil
	})
	if err := kept.Append("counter/a", Added(1)); err == nil {
		t.Error("Append after the end succeeded")
	}
	if _, err := kept.Load("counter/a"); err == nil {
		t.Error("Load after the end succeeded")
	}
	if _, err := kept.Query(`SELECT 1`); err == nil { //nolint:rowserrcheck,sqlclosecheck // there are no rows
		t.Error("Query after the end succeeded")
	}
	if err := kept.QueryRow(`SELECT 1`).Scan(new(int)); err == nil {
		t.Error("QueryRow after the end succeeded")
	}
	check(t, l, 0)
}

func testOpenRows(t *testing.T, l *eventlog.Log) {
	add(t, l, "counter/a", Added(1))
	add(t, l, "counter/b", Added(1))
	for i := range 20 {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			rows, err := tx.Query(`SELECT stream FROM counters`) //nolint:rowserrcheck,sqlclosecheck // that is the point
			if err != nil || !rows.Next() {
				return fmt.Errorf("no rows: %w", err)
			}
			if err := tx.Append("counter/a", Added(1)); err != nil {
				return err
			}
			if i%2 == 1 {
				return errors.ErrUnsupported
			}
			return nil
		})
		if (err != nil) != (i%2 == 1) {
			t.Fatal(err)
		}
	}
	check(t, l, 12, "counter/a 11 11", "counter/b 1 1")
}

// occupy keeps the writer busy until the returned function is called.
func occupy(tb testing.TB, l *eventlog.Log) (release func()) {
	tb.Helper()
	var (
		inside, leave = make(chan struct{}), make(chan struct{})
		running       sync.WaitGroup
		once          sync.Once
	)
	running.Go(func() {
		err := l.Do(tb.Context(), func(*eventlog.Tx) error {
			once.Do(func() { close(inside) })
			<-leave
			return nil
		})
		if err != nil {
			tb.Errorf("Do: %v", err)
		}
	})
	<-inside
	return func() { close(leave); running.Wait() }
}

func testLeaveQueue(t *testing.T, l *eventlog.Log) {
	release := occupy(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			err := l.Do(ctx, func(tx *eventlog.Tx) error { return tx.Append("counter/a", Added(1)) })
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventlog.ErrUnknownOutcome) {
				t.Errorf("Do: got %v, want that the deadline is exceeded", err)
			}
		})
	}
	running.Wait()
	release()
	add(t, l, "counter/b", Added(1))
	check(t, l, 1, "counter/b 1 1")
}

func testLeaveCommand(t *testing.T, l *eventlog.Log) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leave := make(chan struct{})
	err := l.Do(ctx, func(tx *eventlog.Tx) error {
		cancel()
		time.AfterFunc(50*time.Millisecond, func() { close(leave) })
		<-leave
		return tx.Append("counter/a", Added(1))
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, eventlog.ErrUnknownOutcome) {
		t.Errorf("Do: got %v, want an unknown outcome", err)
	}
	if err := l.Wait(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	check(t, l, 1, "counter/a 1 1")
}

func testStopped(t *testing.T, b eventlog.Backend) {
	l, err := eventlog.Open(t.Context(), b, Counters())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	add(t, l, "counter/a", Added(1))
	release := occupy(t, l)
	var queued sync.WaitGroup
	for range callers {
		queued.Go(func() {
			err := l.Do(context.WithoutCancel(ctx), func(tx *eventlog.Tx) error { return tx.Append("counter/a", Added(1)) })
			if err != nil && !errors.Is(err, eventlog.ErrClosed) {
				t.Errorf("Do: %v", err)
			}
		})
	}
	cancel()
	release()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	queued.Wait()
	if err := l.Do(t.Context(), func(*eventlog.Tx) error { return nil }); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Do after the end: got %v, want ErrClosed", err)
	}
	if err := l.Wait(t.Context(), 1000); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Wait after the end: got %v, want ErrClosed", err)
	}
}
