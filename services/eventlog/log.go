package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueued is how many commands wait before Do blocks at the door.
const maxQueued = 1024

// Config says what a log records and which read models it keeps.
type Config struct {
	Kinds       []Kind
	Projections []Projection
	Caches      []Cache
	// Now gives the time that records carry.
	Now func() time.Time
}

// Log is an open event log. Its methods may be called from any goroutine; commands wait until Run runs.
type Log struct {
	backend     Backend
	kinds       map[string]Kind
	projections []Projection
	interested  map[string][]Projection // by kind, in the order of Config
	now         func() time.Time
	bookkeep    string // the statement that says how far the read models are

	queue   chan *command
	started atomic.Bool
	stopped chan struct{} // closed when no command will be carried out any more
	stop    sync.Once

	// writing is held by whoever uses the writer: Run for one batch, Rebuild for all its work.
	writing sync.Mutex
	// head is where the uncommitted end of the log is; overtaken says that it turned out not to be.
	head      head
	overtaken bool
	// versions are those of the last records of streams that were used lately, the uncommitted among them: whoever rolls
	// back clears it.
	versions map[string]int64
	// outbound is what this transaction will have published.
	outbound []Outgoing

	// remnants says that redacted content may still be somewhere in the files, as the table of that name does, and redactions
	// counts the commands that left some.
	remnants   bool
	redactions int64

	// waiting guards what Wait and Outgoing look at.
	waiting   sync.Mutex
	committed head
	fresh     map[string]*fresh // by relay
	moved     chan struct{}     // closed when committed has moved; nil when nobody waits
}

// Open opens a log, which then owns the backend. A read model that is new, or whose Version or Schema is not the one that
// its tables were made with, is made anew from the log before Open returns.
func Open(ctx context.Context, b Backend, c Config) (*Log, error) {
	l := &Log{
		backend:     b,
		projections: c.Projections,
		now:         c.Now,
		queue:       make(chan *command, maxQueued),
		versions:    make(map[string]int64),
		fresh:       make(map[string]*fresh),
		stopped:     make(chan struct{}),
	}
	if err := l.open(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("open the event log: %w", err), b.Close())
	}
	return l, nil
}

func (l *Log) open(ctx context.Context, c Config) (err error) {
	if c.Now == nil {
		return errors.New("there is no clock")
	}
	if l.kinds, err = kindsByName(c.Kinds); err != nil {
		return err
	}
	if err = checkTables(c, l.kinds); err != nil {
		return err
	}
	l.interested = make(map[string][]Projection)
	for _, p := range l.projections {
		for _, kind := range p.Kinds {
			l.interested[kind] = append(l.interested[kind], p)
		}
	}
	l.bookkeep = bookkeeping(l.projections)
	if _, err = l.backend.Writer().ExecContext(ctx, l.backend.Schema()); err != nil {
		return fmt.Errorf("create the tables of the log: %w", err)
	}
	if l.head, err = l.readHead(ctx); err != nil {
		return err
	}
	l.committed = l.head.clone()
	if err = l.openCaches(ctx, c.Caches); err != nil {
		return err
	}
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	if err := l.backend.Writer().QueryRowContext(ctx, selectRemnants).Scan(&l.remnants); err != nil {
		return fmt.Errorf("find out what is to be scrubbed: %w", err)
	}
	return nil
}

// Run carries out commands until ctx is done, then finishes those already taken and returns nil. It returns an error when
// the store can no longer be trusted, such as after a failed fsync; every later Do then fails. It is called once.
func (l *Log) Run(ctx context.Context) error {
	if !l.started.CompareAndSwap(false, true) {
		return errors.New("eventlog: Run was called before")
	}
	defer l.halt()
	return l.work(ctx)
}

// Close releases the files. It is called when Run has returned, or was never called.
func (l *Log) Close() error {
	l.halt()
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.backend.Close()
}

func (l *Log) halt() { l.stop.Do(func() { close(l.stopped) }) }

// Do runs fn in the log's next transaction. When it returns nil, everything that fn appended and every projection of it is
// durable. When fn or a projection fails, Do returns that error and nothing that fn did remains; commands sharing the
// commit are not disturbed. fn may run more than once: it must touch nothing but its tx, and assign its results anew each
// time. A panic in fn is an error of that command alone.
//
// When ctx ends while the command still waits for its turn, Do returns the error of ctx and nothing has happened. When it
// ends later, the error is also ErrUnknownOutcome, and fn may still be running: what it assigns is not to be read. A Do inside
// fn never returns.
func (l *Log) Do(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &command{fn: fn, done: make(chan error, 1)}
	select {
	case <-l.stopped:
		return ErrClosed
	default:
	}
	select {
	case l.queue <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stopped:
		return ErrClosed
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return c.giveUp(ctx)
	case <-l.stopped:
		if c.abandon() {
			return ErrClosed
		}
		return <-c.done // whatever was taken is answered before the log stops
	}
}

// DB is a pool of read-only connections to the read models. Each query sees every command whose Do has returned.
func (l *Log) DB() *sql.DB { return l.backend.Readers() }
