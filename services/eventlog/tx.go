package eventlog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

var (
	errOver        = errors.New("eventlog: the transaction is over")
	errNoAppend    = errors.New("eventlog: a projection does not read or append events")
	errOnlyApply   = errors.New("eventlog: only a projection changes tables")
	errOnlyCommand = errors.New("eventlog: a projection changes tables with Exec")
)

// maxVersions is how many streams' versions are remembered: it takes a few megabytes.
const maxVersions = 1 << 15

// Tx is the transaction of one command. It is valid only inside the fn or Apply that it was given to, and there from one
// goroutine at a time.
type Tx struct {
	log *Log
	ctx context.Context // of Run: an ended one would poison the shared transaction
	now time.Time

	mayAppend bool   // in a command, not in a rebuild
	applying  string // the projection at work; empty in a command's own fn
	wrote     bool   // that it has tried to, at least
	redacted  bool   // that it has redacted something
	over      bool
	failed    error // the first append that failed
	broken    error // the first SQL that failed: what came after it could be outside of the transaction

	open []*sql.Rows // to close when fn forgets to
}

// timestamp is what a record's time can hold.
func (l *Log) timestamp() time.Time { return l.now().UTC().Truncate(time.Millisecond) }

// Now is the time that the records appended in this transaction carry, UTC. In a projection it is the time of the record.
func (tx *Tx) Now() time.Time { return tx.now }

// Load returns the records of a stream in order, with those appended in this transaction; none for a new stream.
func (tx *Tx) Load(stream string) ([]Record, error) {
	if err := tx.mayLog(); err != nil {
		return nil, err
	}
	records, err := tx.log.load(tx.ctx, selectStream, stream)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", stream, err)
	}
	if len(records) > 0 {
		tx.setVersion(stream, records[len(records)-1].Version)
	}
	return records, nil
}

// load reads records as the writer sees them.
func (l *Log) load(ctx context.Context, query string, args ...any) ([]Record, error) {
	rows, err := l.backend.Writer().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return l.collect(rows)
}

// Append appends events to a stream and applies them to the projections. When it fails, so does the command, whatever its
// fn returns.
func (tx *Tx) Append(stream string, events ...proto.Message) error {
	if err := tx.mayLog(); err != nil {
		return err
	}
	if err := cmp.Or(tx.failed, tx.broken); err != nil {
		return err
	}
	for _, e := range events {
		if err := tx.append(stream, e); err != nil {
			if tx.failed == nil {
				tx.failed = err
			}
			return err
		}
	}
	return nil
}

func (tx *Tx) append(stream string, e proto.Message) error {
	kind, what, err := tx.log.kindFor(stream, e)
	if err != nil {
		return err
	}
	data, err := proto.Marshal(e)
	if err != nil {
		return fmt.Errorf("append to %s: %w", stream, err)
	}
	version, err := tx.version(stream)
	if err != nil {
		return err
	}
	r := Record{Position: tx.log.head.position + 1, Stream: stream, Version: version + 1, Time: tx.now, Event: e}
	if err := tx.insert(r, kind, what, data); err != nil {
		return fmt.Errorf("append to %s: %w", stream, err)
	}
	tx.setVersion(stream, r.Version)
	// What the projections see is what a rebuild will show them, also when fn changes e afterwards.
	if r.Event, err = kind.decode(data); err != nil {
		return fmt.Errorf("append to %s: %w", stream, err)
	}
	for _, p := range tx.log.interested[kind.Name] {
		if err := tx.apply(p, r); err != nil {
			return err
		}
	}
	if kind.Relay != "" {
		tx.log.outbound = append(tx.log.outbound, Outgoing{r, tx.log.head.ordinals[kind.Relay], kind.subject(what)})
	}
	return nil
}

// kindFor returns the kind of a stream, when e is an event of it, and the name of what happened.
func (l *Log) kindFor(stream string, e proto.Message) (kind Kind, what string, err error) {
	kind, known := l.kinds[kindOf(stream)]
	if !known || len(stream) <= len(kind.Name)+1 {
		return kind, "", fmt.Errorf("append to %q: it is not a stream of a registered kind", stream)
	}
	if strings.ContainsFunc(stream, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return kind, "", fmt.Errorf("append to %q: a stream's name has only printable ASCII characters", stream)
	}
	if e == nil || e.ProtoReflect().Type() != kind.Event.ProtoReflect().Type() {
		return kind, "", fmt.Errorf("append to %s: the event is not a %s", stream, proto.MessageName(kind.Event))
	}
	if what, _ = Case(e); what == "" {
		return kind, "", fmt.Errorf("append to %s: the event says nothing", stream)
	}
	return kind, what, nil
}

// insert writes the record at the head of the log and of its relay.
func (tx *Tx) insert(r Record, kind Kind, what string, data []byte) error {
	h := &tx.log.head
	var relay, ordinal any
	if kind.Relay != "" {
		relay, ordinal = kind.Relay, h.ordinals[kind.Relay]+1
	}
	tx.wrote = true
	_, err := tx.log.backend.Writer().ExecContext(tx.ctx, insertEvent,
		r.Position, r.Stream, r.Version, what, r.Time.UnixMilli(), data, relay, ordinal)
	if tx.log.backend.IsNotUnique(err) {
		tx.log.overtaken = true
	}
	if err != nil {
		return err
	}
	h.position = r.Position
	if kind.Relay != "" {
		h.ordinals[kind.Relay]++
	}
	return nil
}

// apply shows one record to one projection.
func (tx *Tx) apply(p Projection, r Record) error {
	tx.applying = p.Name
	defer func() { tx.applying = "" }()
	if err := p.Apply(tx, r); err != nil {
		return err
	}
	return tx.broken
}

// version returns the version of a stream's last record, 0 for a new stream.
func (tx *Tx) version(stream string) (int64, error) {
	if v, known := tx.log.versions[stream]; known {
		return v, nil
	}
	var v int64
	if err := tx.log.backend.Writer().QueryRowContext(tx.ctx, selectVersion, stream).Scan(&v); err != nil {
		return 0, fmt.Errorf("find the end of %s: %w", stream, err)
	}
	return v, nil
}

func (tx *Tx) setVersion(stream string, v int64) {
	if len(tx.log.versions) >= maxVersions {
		clear(tx.log.versions)
	}
	tx.log.versions[stream] = v
}

// mayLog says why the log cannot be used here.
func (tx *Tx) mayLog() error {
	switch {
	case tx.over:
		return errOver
	case tx.applying != "" || !tx.mayAppend:
		return errNoAppend
	}
	return nil
}

// Query runs a query on the read models, which sees what this transaction has done. When it fails, so does the command.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	if tx.over {
		return nil, errOver
	}
	rows, err := tx.log.backend.Writer().QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, tx.breaks(err)
	}
	tx.open = append(tx.open, rows)
	return rows, nil
}

// QueryRow runs a query for one row.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	ctx := tx.ctx
	if tx.over {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx) // the only way to a Row that holds an error
		cancel()
	}
	return tx.log.backend.Writer().QueryRowContext(ctx, query, args...)
}

// Exec changes the read models. Only a projection may: what a command itself did to them would be lost in a rebuild. When
// it fails, so does the command, though the projection may put another error in its place: one that says what an
// ErrNotUnique means.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	switch {
	case tx.over:
		return nil, errOver
	case tx.applying == "":
		return nil, errOnlyApply
	case tx.broken != nil:
		return nil, tx.broken
	}
	result, err := tx.log.backend.Writer().ExecContext(tx.ctx, query, args...)
	if err != nil {
		return nil, tx.breaks(err)
	}
	return result, nil
}

// breaks remembers that err fails the command, and adds what is known about where it came from.
func (tx *Tx) breaks(err error) error {
	if tx.log.backend.IsNotUnique(err) {
		err = fmt.Errorf("%w: %w", ErrNotUnique, err)
	}
	if tx.applying != "" {
		err = fmt.Errorf("projection %s: %w", tx.applying, err)
	}
	if tx.broken == nil {
		tx.broken = err
	}
	return err
}

// end makes the Tx unusable and closes what was left open.
func (tx *Tx) end() {
	tx.over = true
	for _, rows := range tx.open {
		_ = rows.Close()
	}
	tx.open = nil
}
