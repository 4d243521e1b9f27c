package eventlog

import (
	"context"
	"database/sql"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
)

// Config says what a log records and which read models it keeps.
type Config struct {
	Kinds       []Kind
	Projections []Projection
	// Now gives the time that records carry.
	Now func() time.Time
}

// Log is an open event log. Its methods may be called from any goroutine while Run runs.
type Log struct{}

// Run carries out commands until ctx is done, then finishes those already taken and returns nil. It returns an error when
// the store can no longer be trusted, such as after a failed fsync; every later Do then fails.
func (l *Log) Run(ctx context.Context) error { panic("eventlog: not yet") }

// Do runs fn in the log's next transaction. When it returns nil, everything that fn appended and every projection of it is
// durable. When fn or a projection fails, Do returns that error and nothing that fn did remains; commands sharing the
// commit are not disturbed. fn may run more than once: it must touch nothing but its tx, and assign its results anew each
// time. A panic in fn is an error of that command alone.
func (l *Log) Do(ctx context.Context, fn func(tx *Tx) error) error { panic("eventlog: not yet") }

// DB is a pool of read-only connections to the read models. Each query sees every command whose Do has returned.
func (l *Log) DB() *sql.DB { panic("eventlog: not yet") }

// Read returns the records of a stream in order; none for a stream that does not exist.
func (l *Log) Read(ctx context.Context, stream string) ([]Record, error) { panic("eventlog: not yet") }

// After yields the records whose position is greater than position, in order, and ends at the last one. Whoever has seen
// position n has seen every record before n, for ever.
func (l *Log) After(ctx context.Context, position int64) iter.Seq2[Record, error] {
	panic("eventlog: not yet")
}

// Rebuild empties the read models and fills them from the log anew.
func (l *Log) Rebuild(ctx context.Context) error { panic("eventlog: not yet") }

// Tx is the transaction of one command. It is valid only inside the fn or Apply that it was given to.
type Tx struct{}

// Now is the time that the records appended in this transaction carry, UTC.
func (tx *Tx) Now() time.Time { panic("eventlog: not yet") }

// Load returns the records of a stream in order, with those appended in this transaction; none for a new stream.
func (tx *Tx) Load(stream string) ([]Record, error) { panic("eventlog: not yet") }

// Append appends events to a stream and applies them to the projections.
func (tx *Tx) Append(stream string, events ...proto.Message) error { panic("eventlog: not yet") }

// Query, QueryRow and Exec run SQL on the read models. A command's fn only queries; Exec is for projections.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) { panic("eventlog: not yet") }

// QueryRow runs a query for one row.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row { panic("eventlog: not yet") }

// Exec changes the read models.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) { panic("eventlog: not yet") }
