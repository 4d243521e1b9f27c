package eventlog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
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

// maxFresh is how many bytes of events are kept at hand for each relay, about: what keeps pace needs no more, and what has
// fallen behind reads the tables.
const maxFresh = 1 << 20

// fresh is the newest committed records of a relay, without gaps, that nobody has asked for yet.
type fresh struct {
	records []Outgoing
	size    int
}

// Outgoing yields the records of a relay whose ordinal is greater than ordinal, in order, as After does. They are the
// caller's own.
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
	if records := l.handOver(relay, ordinal); len(records) > 0 {
		return records, nil
	}
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
		what, _ := Case(o.Event)
		o.Subject = l.kinds[kindOf(o.Stream)].subject(what)
		batch = append(batch, o)
	}
	return batch, rows.Err()
}

// remember keeps committed records at hand. It is called with waiting locked.
func (l *Log) remember(committed []Outgoing) {
	for _, o := range committed {
		relay := l.kinds[kindOf(o.Stream)].Relay
		f := l.fresh[relay]
		if f == nil {
			f = &fresh{}
			l.fresh[relay] = f
		}
		if f.size > maxFresh {
			*f = fresh{}
		}
		f.records = append(f.records, o)
		f.size += proto.Size(o.Event)
	}
}

// handOver gives away what is at hand of a relay after an ordinal, if the next record is.
func (l *Log) handOver(relay string, ordinal int64) []Outgoing {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	f := l.fresh[relay]
	if f == nil || len(f.records) == 0 || f.records[0].Ordinal > ordinal+1 {
		return nil
	}
	records := f.records
	*f = fresh{}
	return records[min(ordinal+1-records[0].Ordinal, int64(len(records))):]
}

// Ordinal is the ordinal of a relay's last committed record, 0 when there is none.
func (l *Log) Ordinal(relay string) int64 {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	return l.committed.ordinals[relay]
}
