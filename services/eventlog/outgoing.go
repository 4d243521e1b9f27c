package eventlog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Outgoing is a record bound for a JetStream stream.
type Outgoing struct {
	Record
	// Ordinal counts the records of one relay from 1 without gaps, in the order of their positions.
	Ordinal int64
	// Subject is where it is published.
	Subject string
}

// Relays names the JetStream streams that kinds are published to, sorted.
func (l *Log) Relays() []string {
	names := make(map[string]bool)
	for _, k := range l.kinds {
		if k.Relay != "" {
			names[k.Relay] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Outgoing yields the records of a relay whose ordinal is greater than ordinal, in order, as After does.
func (l *Log) Outgoing(ctx context.Context, relay string, ordinal int64) iter.Seq2[Outgoing, error] {
	return func(yield func(Outgoing, error) bool) {
		for {
			batch, err := l.outgoing(ctx, relay, ordinal)
			if err != nil {
				yield(Outgoing{}, fmt.Errorf("read %s after ordinal %d: %w", relay, ordinal, err))
				return
			}
			for _, o := range batch {
				if !yield(o, nil) {
					return
				}
			}
			if len(batch) < readBatch {
				return
			}
			ordinal = batch[len(batch)-1].Ordinal
		}
	}
}

func (l *Log) outgoing(ctx context.Context, relay string, ordinal int64) ([]Outgoing, error) {
	rows, err := l.DB().QueryContext(ctx, selectRelayed, relay, ordinal, readBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return l.collectOutgoing(rows)
}

func (l *Log) collectOutgoing(rows *sql.Rows) ([]Outgoing, error) {
	var batch []Outgoing
	for rows.Next() {
		var (
			o   Outgoing
			err error
		)
		if o.Record, err = l.scan(rows, &o.Ordinal); err != nil {
			return nil, err
		}
		name, _ := Case(o.Event)
		o.Subject = l.kinds[kindOf(o.Stream)].Subject + "." + name
		batch = append(batch, o)
	}
	return batch, rows.Err()
}

// Ordinal is the ordinal of a relay's last committed record, 0 when there is none.
func (l *Log) Ordinal(relay string) int64 {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	return l.committed.ordinals[relay]
}
