package sqlite_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
)

// ending is SQL that fails and ends the whole transaction, as SQLite does by itself when memory or the disk is full.
const ending = `INSERT OR ROLLBACK INTO spoilt (n) VALUES (1), (1)`

// spoiling is a read model that goes on when its SQL has ended the transaction, as none should.
func spoiling() eventlog.Config {
	c := eventlogtest.Counters()
	c.Projections = append(c.Projections, eventlog.Projection{
		Name: "spoilt", Version: 1, Kinds: []string{"counter"}, Tables: []string{"spoilt"},
		Schema: `CREATE TABLE spoilt (n INTEGER PRIMARY KEY)`,
		Apply: func(tx *eventlog.Tx, r eventlog.Record) error {
			if r.Stream == "counter/spoilt" {
				_, _ = tx.Exec(ending)
				_, _ = tx.Exec(`INSERT INTO spoilt (n) VALUES (2)`)
			}
			return nil
		},
	})
	return c
}

// A command whose query has ended the transaction takes those down that share it, and the log goes on as if none had been.
func TestQueryThatEndsTheTransaction(t *testing.T) {
	t.Parallel()
	l := eventlogtest.Open(t, spoiling())
	var running sync.WaitGroup
	begun, more := make(chan struct{}), sync.OnceFunc(func() { time.Sleep(50 * time.Millisecond) })
	begin := sync.OnceFunc(func() { close(begun) })
	var good error
	running.Go(func() {
		good = l.Do(t.Context(), func(tx *eventlog.Tx) error {
			begin()
			more() // the other waits by then
			return tx.Append("counter/a", eventlogtest.Added(1), eventlogtest.Added(2))
		})
	})
	<-begun
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		_, err := tx.Query(ending) //nolint:rowserrcheck,sqlclosecheck // there are no rows
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "UNIQUE") {
		t.Errorf("got %v, want what SQLite says", err)
	}
	running.Wait()
	want := int64(0)
	if good == nil { // it had a transaction of its own
		want = 2
	}
	if got := count(t, l, "events"); got != want || l.Last() != want {
		t.Errorf("got %d events and the end at %d, want %d", got, l.Last(), want)
	}
	if err := add(t.Context(), l, "counter/a", 1, 2); err != nil {
		t.Fatal(err)
	}
	for o, err := range l.Outgoing(t.Context(), "AUTH", want) {
		if want++; err != nil || o.Ordinal != want || o.Position != want {
			t.Errorf("got ordinal %d at %d, %v, want %d", o.Ordinal, o.Position, err, want)
		}
	}
}

// A projection does nothing outside of the transaction.
func TestProjectionThatEndsTheTransaction(t *testing.T) {
	t.Parallel()
	l := eventlogtest.Open(t, spoiling())
	if err := add(t.Context(), l, "counter/spoilt", 1); err == nil {
		t.Error("the command succeeded")
	}
	if got := count(t, l, "spoilt") + count(t, l, "events"); got != 0 || l.Last() != 0 {
		t.Errorf("got %d rows and the end at %d, want none", got, l.Last())
	}
	if err := add(t.Context(), l, "counter/a", 1); err != nil {
		t.Error(err)
	}
}
