package eventlogtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/paput/paput/services/eventlog"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

// notes is the configuration of counters with a cache of a note for each, which is dropped when the counter is closed.
func notes(version int) eventlog.Config {
	c := Counters()
	c.Caches = []eventlog.Cache{{
		Name: "notes", Version: version, Schema: `CREATE TABLE counter_notes (stream TEXT NOT NULL PRIMARY KEY)`, Tables: []string{"counter_notes"},
	}}
	c.Projections[0].Apply = func(tx *eventlog.Tx, r eventlog.Record) error {
		if e, ok := r.Event.(*eventlogtestv1.CounterEvent); ok && e.GetClosed() != nil && !tx.Replaying() {
			if _, err := tx.Exec(`DELETE FROM counter_notes WHERE stream = ?`, r.Stream); err != nil {
				return err
			}
		}
		return applyCounter(tx, r)
	}
	return c
}

func note(tx *eventlog.Tx, stream string) error {
	_, err := tx.Keep(`INSERT INTO counter_notes (stream) VALUES (?)`, stream)
	return err
}

func checkNotes(t *testing.T, l *eventlog.Log, want ...string) {
	t.Helper()
	var got []string
	rows, err := l.DB().QueryContext(t.Context(), `SELECT stream FROM counter_notes ORDER BY stream`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if rows.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("got notes %q, %v, want %q", got, rows.Err(), want)
	}
}

func testCache(t *testing.T, open func() eventlog.Backend) {
	closed := &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Closed{Closed: &eventlogtestv1.Closed{}}}
	session(t, open(), notes(1), func(l *eventlog.Log) {
		do(t, l, func(tx *eventlog.Tx) error { return errors.Join(note(tx, "counter/a"), note(tx, "counter/b")) })
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return errors.Join(note(tx, "counter/c"), errors.ErrUnsupported) })
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a command that fails: got %v", err)
		}
		err = l.Do(t.Context(), func(tx *eventlog.Tx) error { return errors.Join(note(tx, "counter/c"), note(tx, "counter/a")) })
		if !errors.Is(err, eventlog.ErrNotUnique) {
			t.Errorf("a second note: got %v, want %v", err, eventlog.ErrNotUnique)
		}
		checkNotes(t, l, "counter/a", "counter/b")
		add(t, l, "counter/b", Added(1), closed)
		checkNotes(t, l, "counter/a")
		do(t, l, func(tx *eventlog.Tx) error { return note(tx, "counter/b") })
		if err := l.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkNotes(t, l, "counter/a", "counter/b")
	})
	again := notes(1)
	again.Projections[0].Version++
	session(t, open(), again, func(l *eventlog.Log) {
		checkNotes(t, l, "counter/a", "counter/b")
		check(t, l, 2, "counter/b 1 2")
	})
	session(t, open(), notes(2), func(l *eventlog.Log) {
		checkNotes(t, l)
		check(t, l, 2, "counter/b 1 2")
		var kept *eventlog.Tx
		do(t, l, func(tx *eventlog.Tx) error {
			kept = tx
			return nil
		})
		if note(kept, "counter/a") == nil {
			t.Error("Keep after the end succeeded")
		}
	})
	careless := notes(2)
	careless.Projections[0].Apply = func(tx *eventlog.Tx, r eventlog.Record) error { return note(tx, r.Stream) }
	session(t, open(), careless, func(l *eventlog.Log) {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append("counter/a", Added(1)) }); err == nil {
			t.Error("Keep in a projection succeeded")
		}
	})
}
