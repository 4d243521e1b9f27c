package eventlogtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/paput/paput/services/eventlog"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

// secret is what the tests write where an event has something to redact.
const secret = "nobody's business"

// private is an event with something to redact at every depth.
func private() *eventlogtestv1.CounterEvent {
	e := Opened("")
	e.GetOpened().Email = secret
	e.GetOpened().People = []*eventlogtestv1.Person{{Id: "p1", Name: secret}}
	e.GetOpened().Roles = map[string]*eventlogtestv1.Person{"owner": {Id: "p2", Name: secret}}
	e.GetOpened().Owner = &eventlogtestv1.Person{Id: "p3", Name: secret}
	return e
}

func noted(amount int64) *eventlogtestv1.CounterEvent {
	e := Added(amount)
	e.GetAdded().Note = secret
	return e
}

func redact(stream string) func(tx *eventlog.Tx) error {
	return func(tx *eventlog.Tx) error { return tx.Redact(stream) }
}

// redacted is what the records must be afterwards, told without Redact.
func redacted(records []eventlog.Record, stream string) []eventlog.Record {
	var out []eventlog.Record
	for _, r := range records {
		if r.Stream == stream {
			e := proto.CloneOf(r.Event.(*eventlogtestv1.CounterEvent))
			if e.GetAdded() != nil {
				e.GetAdded().Note = ""
			}
			if o := e.GetOpened(); o != nil {
				o.Email, o.GetOwner().Name, o.GetPeople()[0].Name, o.GetRoles()["owner"].Name = "", "", "", ""
			}
			r.Event = e
		}
		out = append(out, r)
	}
	return out
}

func testRedaction(t *testing.T, l *eventlog.Log) {
	add(t, l, "counter/a", private(), noted(1))
	add(t, l, "counter/b", private(), noted(2))
	before, models := all(t, l), models(t, l)
	want := redacted(before, "counter/a")
	if fmt.Sprint(want) == fmt.Sprint(before) {
		t.Fatal("there is nothing to redact")
	}
	for range 2 { // the second time changes nothing
		do(t, l, redact("counter/a"))
		if diff := cmp.Diff(all(t, l), want, protocmp.Transform()); diff != "" {
			t.Errorf("the log got (-) want (+):\n%s", diff)
		}
	}
	check(t, l, 4, models...)
	if err := l.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, l, 4, models...)
	do(t, l, redact("counter/none"))
	do(t, l, func(tx *eventlog.Tx) error {
		if err := tx.Append("counter/a", noted(4)); err != nil {
			return err
		}
		if err := tx.Redact("counter/a"); err != nil {
			return err
		}
		records, err := tx.Load("counter/a")
		if err == nil && (len(records) != 3 || strings.Contains(fmt.Sprint(records), secret)) {
			return fmt.Errorf("it loads inside as %v", records)
		}
		return err
	})
	check(t, l, 5, "counter/a 5 3", "counter/b 2 2")
}

func testRedactionUndone(t *testing.T, l *eventlog.Log) {
	add(t, l, "counter/a", private(), noted(1))
	add(t, l, "counter/b", Added(1))
	before := all(t, l)
	errNo := errors.New("no")
	for name, fail := range map[string]func(tx *eventlog.Tx) error{
		"an error":               func(*eventlog.Tx) error { return errNo },
		"a panic":                func(*eventlog.Tx) error { panic("oh") },
		"a projection's error":   func(tx *eventlog.Tx) error { return tx.Append("counter/b", Added(13)) },
		"a projection's bad SQL": func(tx *eventlog.Tx) error { return tx.Append("counter/b", Added(Careless)) },
	} {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			if err := tx.Redact("counter/a"); err != nil {
				return err
			}
			return fail(tx)
		})
		if err == nil {
			t.Errorf("%s: Do succeeded", name)
		}
		if diff := cmp.Diff(all(t, l), before, protocmp.Transform()); diff != "" {
			t.Errorf("after %s the log got (-) want (+):\n%s", name, diff)
		}
	}
}

// testRedactionShared lets commands that redact share commits with others that fail.
func testRedactionShared(t *testing.T, l *eventlog.Log) {
	for i := range callers {
		add(t, l, fmt.Sprintf("counter/%d", i), noted(1))
	}
	release := occupy(t, l)
	done := make(chan error, callers)
	for i := range callers {
		go func() {
			done <- l.Do(t.Context(), func(tx *eventlog.Tx) error {
				if err := tx.Redact(fmt.Sprintf("counter/%d", i)); err != nil {
					return err
				}
				if i%2 == 1 {
					return errors.ErrUnsupported
				}
				return nil
			})
		}()
	}
	release()
	for range callers {
		if err := <-done; err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
	for i, r := range all(t, l) {
		if kept := r.Event.(*eventlogtestv1.CounterEvent).GetAdded().GetNote() != ""; kept != (i%2 == 1) {
			t.Errorf("%s: its note is there: %v", r.Stream, kept)
		}
	}
}

func testLongRedaction(t *testing.T, l *eventlog.Log) {
	const n = 1203 // more than two batches
	do(t, l, func(tx *eventlog.Tx) error {
		for range n {
			if err := tx.Append("counter/a", noted(1)); err != nil {
				return err
			}
		}
		return nil
	})
	do(t, l, redact("counter/a"))
	for _, r := range all(t, l) {
		if r.Event.(*eventlogtestv1.CounterEvent).GetAdded().GetNote() != "" {
			t.Fatalf("version %d was left out", r.Version)
		}
	}
	check(t, l, n, fmt.Sprintf("counter/a %d %d", n, n))
}

func testRedactionRefused(t *testing.T, l *eventlog.Log) {
	var kept *eventlog.Tx
	do(t, l, func(tx *eventlog.Tx) error {
		kept = tx
		return nil
	})
	if err := kept.Redact("counter/a"); err == nil {
		t.Error("Redact after the end succeeded")
	}
}

func testScrub(t *testing.T, l *eventlog.Log) {
	add(t, l, "counter/a", noted(1))
	rows, err := l.DB().QueryContext(t.Context(), `SELECT total FROM counters`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatal("there is no row")
	}
	do(t, l, redact("counter/a"))
	if err := l.Scrub(t.Context()); !errors.Is(err, eventlog.ErrReading) {
		t.Errorf("Scrub while somebody reads: got %v, want ErrReading", err)
	}
	add(t, l, "counter/a", Added(1)) // the reader is in nobody else's way
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.Scrub(t.Context()); err != nil {
		t.Errorf("Scrub: %v", err)
	}
}

func testRedactionReopened(t *testing.T, open func() eventlog.Backend) {
	var want []eventlog.Record
	session(t, open(), Counters(), func(l *eventlog.Log) {
		add(t, l, "counter/a", private(), noted(1))
		add(t, l, "counter/b", noted(1))
		want = redacted(all(t, l), "counter/a")
		do(t, l, redact("counter/a"))
	})
	for range 2 { // with what is to be scrubbed, and without
		session(t, open(), Counters(), func(l *eventlog.Log) {
			if diff := cmp.Diff(all(t, l), want, protocmp.Transform()); diff != "" {
				t.Errorf("reopened, the log got (-) want (+):\n%s", diff)
			}
			if err := l.Scrub(t.Context()); err != nil {
				t.Error(err)
			}
			check(t, l, 3, "counter/a 1 2", "counter/b 1 1")
		})
	}
}

// testRedactionAmidScrub redacts while the files are scrubbed: what was done by then is done again.
func testRedactionAmidScrub(t *testing.T, open func() eventlog.Backend) {
	inside, leave := make(chan struct{}), make(chan struct{})
	steps := 0
	c := Counters()
	c.Projections[0].Scrub = func(*eventlog.Tx, int) (bool, error) {
		if steps++; steps == 1 {
			close(inside)
			<-leave
			return false, nil
		}
		return true, nil
	}
	session(t, open(), c, func(l *eventlog.Log) {
		add(t, l, "counter/a", noted(1))
		redacting := make(chan error, 1)
		go func() {
			<-inside
			go func() { redacting <- l.Do(t.Context(), redact("counter/a")) }()
			time.Sleep(50 * time.Millisecond) // until it waits for its turn, which is next
			close(leave)
		}()
		if err := errors.Join(l.Scrub(t.Context()), <-redacting); err != nil {
			t.Error(err)
		}
		if steps < 3 {
			t.Errorf("there were %d steps, want another round", steps)
		}
	})
}

// testProjectionScrubs lets a projection take part in a scrub, step by step.
func testProjectionScrubs(t *testing.T, open func() eventlog.Backend) {
	var steps []int
	errNo := errors.New("no")
	c := Counters()
	c.Projections[0].Scrub = func(tx *eventlog.Tx, step int) (bool, error) {
		if len(steps) == 2 {
			steps = append(steps, -1)
			return false, errNo
		}
		steps = append(steps, step)
		_, err := tx.Exec(`UPDATE counters SET events = events WHERE stream = 'counter/a'`)
		return step == 3, err
	}
	session(t, open(), c, func(l *eventlog.Log) {
		add(t, l, "counter/a", noted(1))
		if err := l.Scrub(t.Context()); !errors.Is(err, errNo) {
			t.Errorf("Scrub: got %v, want the projection's error", err)
		}
		if err := l.Scrub(t.Context()); err != nil {
			t.Errorf("Scrub: %v", err)
		}
		check(t, l, 1, "counter/a 1 1")
	})
	if diff := cmp.Diff(steps, []int{0, 1, -1, 0, 1, 2, 3}); diff != "" {
		t.Errorf("the steps got (-) want (+):\n%s", diff)
	}
}
