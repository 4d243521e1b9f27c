package eventlogtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/paput/paput/services/eventlog"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

// ErrUnlucky is what the projection of Counters says to an amount of 13.
var ErrUnlucky = errors.New("13 is unlucky")

// Careless is an amount at which the projection of Counters overlooks that its SQL fails.
const Careless = 14

// ErrNameTaken is what the projection of Counters says when two counters are opened with one name.
var ErrNameTaken = errors.New("there is a counter of this name")

// Counters is the configuration of a log of made-up counters, whose events go to the relay AUTH.
func Counters() eventlog.Config {
	return eventlog.Config{
		Now: time.Now,
		Kinds: []eventlog.Kind{{
			Name:    "counter",
			Event:   &eventlogtestv1.CounterEvent{},
			Relay:   "AUTH",
			Subject: "paput.auth.counter",
		}},
		Projections: []eventlog.Projection{{
			Name:    "counters",
			Version: 1,
			Kinds:   []string{"counter"},
			Schema: `
				CREATE TABLE counters (stream TEXT NOT NULL PRIMARY KEY, total INTEGER NOT NULL, events INTEGER NOT NULL);
				CREATE TABLE counter_names (name TEXT NOT NULL PRIMARY KEY, stream TEXT NOT NULL);`,
			Tables: []string{"counters", "counter_names"},
			Apply:  applyCounter,
		}},
	}
}

func applyCounter(tx *eventlog.Tx, r eventlog.Record) error {
	e, ok := r.Event.(*eventlogtestv1.CounterEvent)
	if !ok {
		return fmt.Errorf("%T is not of a counter", r.Event)
	}
	_, err := tx.Exec(`INSERT INTO counters (stream, total, events) VALUES (?, ?, 1)
		ON CONFLICT (stream) DO UPDATE SET total = total + excluded.total, events = events + 1`, r.Stream, e.GetAdded().GetAmount())
	if err != nil {
		return err
	}
	switch e.GetAdded().GetAmount() {
	case 13:
		return ErrUnlucky
	case Careless:
		_, _ = tx.Exec(`INSERT INTO nowhere VALUES (1)`)
	}
	if e.GetOpened().GetName() == "" {
		return nil
	}
	_, err = tx.Exec(`INSERT INTO counter_names (name, stream) VALUES (?, ?)`, e.GetOpened().GetName(), r.Stream)
	if errors.Is(err, eventlog.ErrNotUnique) {
		return ErrNameTaken
	}
	return err
}

// Opened is the event that begins a counter.
func Opened(name string) *eventlogtestv1.CounterEvent {
	return &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Opened{
		Opened: &eventlogtestv1.Opened{Name: name},
	}}
}

// Added is the event that changes a counter.
func Added(amount int64) *eventlogtestv1.CounterEvent {
	return &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Added{
		Added: &eventlogtestv1.Added{Amount: amount},
	}}
}
