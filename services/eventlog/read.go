package eventlog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"time"
)

// readBatch is how many records are in memory at a time when the log is streamed.
const readBatch = 500

const (
	recordColumns = `position, stream, version, time, data`

	insertEvent       = `INSERT INTO events (position, stream, version, type, time, data, relay, ordinal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	selectStream      = `SELECT ` + recordColumns + ` FROM events WHERE stream = ? ORDER BY version`
	selectStreamAfter = `SELECT ` + recordColumns + ` FROM events WHERE stream = ? AND version > ? ORDER BY version LIMIT ?`
	selectRemnants    = `SELECT count(*) > 0 FROM remnants`
	insertRemnants    = `INSERT INTO remnants (id) VALUES (1) ON CONFLICT DO NOTHING`
	deleteRemnants    = `DELETE FROM remnants`
	updateData        = `UPDATE events SET data = ? WHERE position = ?`
	selectVersion     = `SELECT coalesce(max(version), 0) FROM events WHERE stream = ?`
	selectAfter       = `SELECT ` + recordColumns + ` FROM events WHERE position > ? ORDER BY position LIMIT ?`
	selectAt          = `SELECT ` + recordColumns + ` FROM events WHERE position = ?`
	selectRelayed     = `SELECT ` + recordColumns + `, ordinal FROM events WHERE relay = ? AND ordinal > ? ORDER BY ordinal LIMIT ?`
	selectLast        = `SELECT coalesce(max(position), 0) FROM events`
	selectOrdinal     = `SELECT coalesce(max(ordinal), 0) FROM events WHERE relay = ?`
)

// Read returns the records of a stream in order; none for a stream that does not exist.
func (l *Log) Read(ctx context.Context, stream string) ([]Record, error) {
	rows, err := l.DB().QueryContext(ctx, selectStream, stream)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	records, err := l.collect(rows)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	return records, nil
}

// After yields the records whose position is greater than position, in order, and ends at the last one. Whoever has seen
// position n has seen every record before n, for ever. An error is the last thing it yields. No connection is held while
// the caller works on a record.
func (l *Log) After(ctx context.Context, position int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			records, err := l.after(ctx, position)
			if err != nil {
				yield(Record{}, fmt.Errorf("read after position %d: %w", position, err))
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if len(records) < readBatch {
				return
			}
			position = records[len(records)-1].Position
		}
	}
}

func (l *Log) after(ctx context.Context, position int64) ([]Record, error) {
	rows, err := l.DB().QueryContext(ctx, selectAfter, position, readBatch)
	if err != nil {
		return nil, err
	}
	return l.collect(rows)
}

// At returns the record at a position; ok is false when the log has none there.
func (l *Log) At(ctx context.Context, position int64) (_ Record, ok bool, err error) {
	rows, err := l.DB().QueryContext(ctx, selectAt, position)
	if err != nil {
		return Record{}, false, fmt.Errorf("read position %d: %w", position, err)
	}
	records, err := l.collect(rows)
	if err != nil || len(records) == 0 {
		return Record{}, false, err
	}
	return records[0], true, nil
}

// Last is the position of the last committed record, 0 for an empty log.
func (l *Log) Last() int64 {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	return l.committed.position
}

// Wait returns nil as soon as a record after position is committed. It returns ErrClosed when the log stops first.
func (l *Log) Wait(ctx context.Context, position int64) error {
	for {
		moved, there := l.watch(position)
		if there {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.stopped:
			if _, there := l.watch(position); there {
				return nil
			}
			return ErrClosed
		}
	}
}

// watch says whether the log is past position, and otherwise what to wait for.
func (l *Log) watch(position int64) (moved <-chan struct{}, there bool) {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	if l.committed.position > position {
		return nil, true
	}
	if l.moved == nil {
		l.moved = make(chan struct{})
	}
	return l.moved, false
}

// announce tells everyone who waits how far the log is, and keeps what is to be published.
func (l *Log) announce(h head, outbound []Outgoing) {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	if l.committed.position == h.position {
		return
	}
	l.committed.position = h.position
	maps.Copy(l.committed.ordinals, h.ordinals)
	l.remember(outbound)
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// collect decodes rows of recordColumns and closes them.
func (l *Log) collect(rows *sql.Rows) ([]Record, error) {
	defer rows.Close()
	var records []Record
	for rows.Next() {
		r, err := l.scan(rows)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// scan decodes one row of recordColumns, and what follows them into more.
func (l *Log) scan(rows *sql.Rows, more ...any) (Record, error) {
	var (
		r    Record
		ms   int64
		data sql.RawBytes
	)
	if err := rows.Scan(append([]any{&r.Position, &r.Stream, &r.Version, &ms, &data}, more...)...); err != nil {
		return r, err
	}
	r.Time = time.UnixMilli(ms).UTC()
	kind, known := l.kinds[kindOf(r.Stream)]
	if !known {
		return r, fmt.Errorf("position %d is of the kind %q, which is not registered", r.Position, kindOf(r.Stream))
	}
	var err error
	if r.Event, err = kind.decode(data); err != nil {
		return r, fmt.Errorf("position %d: %w", r.Position, err)
	}
	return r, nil
}

// readHead finds the end of the log.
func (l *Log) readHead(ctx context.Context) (head, error) {
	h := head{ordinals: make(map[string]int64)}
	if err := l.backend.Writer().QueryRowContext(ctx, selectLast).Scan(&h.position); err != nil {
		return h, fmt.Errorf("find the end of the log: %w", err)
	}
	for _, relay := range l.Relays() {
		var ordinal int64
		if err := l.backend.Writer().QueryRowContext(ctx, selectOrdinal, relay).Scan(&ordinal); err != nil {
			return h, fmt.Errorf("find the end of relay %s: %w", relay, err)
		}
		h.ordinals[relay] = ordinal
	}
	return h, nil
}
