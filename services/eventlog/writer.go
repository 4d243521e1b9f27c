package eventlog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
)

// maxBatch is how many commands share one commit at most: it bounds what one of them waits for the others.
const maxBatch = 512

var errOvertaken = errors.New("another process has written to the event log")

// command is one call of Do on its way through the queue.
type command struct {
	fn    func(tx *Tx) error
	state atomic.Int32
	done  chan error // holds one answer, so that answering never blocks
	err   error
}

// The states of a command. Who moves it out of waiting, its caller or the writer, decides whether it is carried out.
const (
	waiting int32 = iota
	taken
	abandoned
)

func (c *command) take() bool    { return c.state.CompareAndSwap(waiting, taken) }
func (c *command) abandon() bool { return c.state.CompareAndSwap(waiting, abandoned) }

// giveUp is what Do returns when its caller waits no longer.
func (c *command) giveUp(ctx context.Context) error {
	if c.abandon() {
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	default:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, ctx.Err())
	}
}

// head is the end of the log.
type head struct {
	position int64
	ordinals map[string]int64 // by relay
}

func (h head) clone() head { return head{h.position, maps.Clone(h.ordinals)} }

// rewind forgets what comes after a head, for it is rolled back.
func (l *Log) rewind(h head) {
	l.head = h
	clear(l.versions)
	l.outbound = slices.DeleteFunc(l.outbound, func(o Outgoing) bool { return o.Position > h.position })
}

// work takes commands from the queue, as many at a time as are there.
func (l *Log) work(ctx context.Context) error {
	// A transaction that has begun is finished, whatever becomes of ctx.
	lasting := context.WithoutCancel(ctx)
	var s scrubber
	for {
		s.plan(l)
		select {
		case <-ctx.Done():
			return nil
		case <-s.due:
			s.scrub(lasting, l)
		case c := <-l.queue:
			if !c.take() {
				continue
			}
			if err := l.batch(lasting, c); err != nil {
				return err
			}
		}
	}
}

// batch carries out first and the commands that wait behind it in one transaction, and answers them. Its error means that
// the store can no longer be trusted.
func (l *Log) batch(ctx context.Context, first *command) (fatal error) {
	l.writing.Lock()
	defer l.writing.Unlock()

	commands := []*command{first}
	answered := false
	answer := func(err error) {
		answered = true
		for _, c := range commands {
			if err != nil {
				c.err = err
			}
			c.done <- c.err
		}
	}
	// A command that ends this goroutine, as t.FailNow does, must not leave its callers waiting.
	defer func() {
		if !answered {
			answer(ErrUnknownOutcome)
		}
	}()

	before := l.head.clone()
	l.outbound = nil
	if err := l.exec(ctx, l.backend.Begin()); err != nil {
		answer(fmt.Errorf("begin a transaction: %w", err))
		if errors.Is(err, sql.ErrConnDone) {
			return fmt.Errorf("the connection to the event log is gone: %w", err)
		}
		return nil // as when a backup holds the file for long
	}
	run := l.run
	for c := first; c != nil; c = l.next() {
		if c != first {
			commands = append(commands, c)
		}
		err := run(ctx, c)
		if errors.Is(err, errSpoilt) {
			run = l.runApart
			err = l.again(ctx, before, commands)
		}
		if err != nil {
			// The transaction cannot go on, as when the disk is full in the midst of it: nothing of it has happened.
			l.rewind(before)
			_ = l.exec(ctx, "ROLLBACK") // fails when the database has rolled back by itself
			answer(err)
			return nil
		}
		if l.overtaken {
			_ = l.exec(ctx, "ROLLBACK")
			answer(errOvertaken)
			return errOvertaken
		}
		if len(commands) == maxBatch {
			break
		}
	}
	if err := l.commit(ctx, before); err != nil {
		_ = l.exec(ctx, "ROLLBACK")
		answer(fmt.Errorf("%w: commit: %w", ErrUnknownOutcome, err))
		return fmt.Errorf("commit to the event log: %w", err)
	}
	answer(nil)
	return nil
}

// next takes the next waiting command; nil when there is none. It lets goroutines that are ready to run have their turn
// first: they may be about to bring one, and a commit costs as much as several commands.
func (l *Log) next() *command {
	for yielded := false; ; {
		select {
		case c := <-l.queue:
			if c.take() {
				return c
			}
		default:
			if yielded {
				return nil
			}
			runtime.Gosched()
			yielded = true
		}
	}
}

func (l *Log) commit(ctx context.Context, before head) error {
	if l.head.position != before.position && l.bookkeep != "" {
		if err := l.exec(ctx, l.bookkeep, l.head.position); err != nil {
			return err
		}
	}
	if err := l.exec(ctx, "COMMIT"); err != nil {
		return err
	}
	l.announce(l.head, l.outbound)
	return nil
}

// errSpoilt says that a command has failed and left something behind.
var errSpoilt = errors.New("a command has spoilt the transaction")

// run runs one command and leaves its result in it; errSpoilt when it must be undone. Few commands fail, and fewer after
// they have written, so that it is cheaper to carry out a batch again than to guard each command with a savepoint.
func (l *Log) run(ctx context.Context, c *command) error {
	tx := &Tx{log: l, ctx: ctx, now: l.timestamp(), mayAppend: true}
	c.err = tx.run(c.fn)
	tx.end()
	if c.err != nil && (tx.wrote || tx.broken != nil) {
		return errSpoilt
	}
	if tx.redacted {
		l.remnants = true
		l.redactions++
	}
	return nil
}

// again takes a transaction back to where it began and carries out its commands apart from each other. Its error is as that
// of runApart.
func (l *Log) again(ctx context.Context, before head, commands []*command) (lost error) {
	l.rewind(before.clone())
	_ = l.exec(ctx, "ROLLBACK") // fails when the database has rolled back by itself
	if err := l.exec(ctx, l.backend.Begin()); err != nil {
		return fmt.Errorf("begin a transaction again: %w", err)
	}
	for _, c := range commands {
		if err := l.runApart(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// runApart runs one command in a savepoint of its own and leaves its result in it. Its own error means that the whole
// transaction is lost; the database may have rolled it back by itself, and the savepoint with it.
func (l *Log) runApart(ctx context.Context, c *command) (lost error) {
	if err := l.exec(ctx, "SAVEPOINT command"); err != nil {
		return fmt.Errorf("begin a command: %w", err)
	}
	before := l.head.clone()
	tx := &Tx{log: l, ctx: ctx, now: l.timestamp(), mayAppend: true}
	c.err = tx.run(c.fn)
	tx.end()
	if c.err != nil {
		l.rewind(before)
		if err := l.exec(ctx, "ROLLBACK TO command"); err != nil {
			return fmt.Errorf("roll back a command: %w after: %w", err, c.err)
		}
	}
	if tx.redacted {
		l.remnants = true
		l.redactions++
	}
	if err := l.exec(ctx, "RELEASE command"); err != nil {
		return fmt.Errorf("end a command: %w", err)
	}
	return nil
}

// run calls fn. SQL that failed fails the command, even when fn overlooks it.
func (tx *Tx) run(fn func(tx *Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a command: %v\n%s", r, debug.Stack())
		}
	}()
	return cmp.Or(fn(tx), tx.failed, tx.broken)
}

func (l *Log) exec(ctx context.Context, query string, args ...any) error {
	_, err := l.backend.Writer().ExecContext(ctx, query, args...)
	return err
}
