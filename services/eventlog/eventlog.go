// Package eventlog is the one append-only log in which everything that happens is recorded, and the transaction in which
// the read models of it are kept.
//
// The log is totally ordered. A stream is the history of one aggregate, such as "memo/memo_01k…"; a record's version
// counts from 1 inside its stream, its position from 1 over the whole log. Commands run one after another in Do: what a
// command read inside is still true when it commits. Commands that arrive together share one commit and one fsync, so the
// price of durability falls as load rises.
//
// A read model is a set of SQL tables that a Projection fills, in the same transaction as the events it is made from.
// Queries read those tables through DB and see every command that has returned.
package eventlog

import (
	"database/sql"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
)

// ErrClosed is returned when the log has stopped, and the command was not tried.
var ErrClosed = errors.New("the event log is closed")

// ErrUnknownOutcome is returned when the caller stopped waiting or the commit failed: the command may or may not have been
// carried out.
var ErrUnknownOutcome = errors.New("it is not known whether the command was carried out")

// ErrNotUnique is what errors.Is finds in an error of Tx.Exec that a UNIQUE constraint or a primary key caused.
var ErrNotUnique = errors.New("a row with this key exists already")

// Kind describes the streams of one kind of aggregate.
type Kind struct {
	// Name is the first part of the streams' names: "memo" for "memo/memo_01k…". It has no slash.
	Name string
	// Event is an empty message of the type that all events of these streams have: one oneof named "event", one case for
	// each thing that can happen.
	Event proto.Message
	// Relay is the JetStream stream that the events are published to, "AUTH" or "MEMO"; empty publishes nothing.
	Relay string
	// Subject is what the subject of a published event begins with, such as "paput.auth.grant"; a dot and the name of the
	// oneof's case follow it. It is at or below "paput." and the relay in small letters, which is what the stream takes.
	Subject string
}

// Record is an event with its place in the log. It is never modified.
type Record struct {
	Position int64         // in the whole log, from 1, without gaps
	Stream   string        // "memo/memo_01k…"
	Version  int64         // in the stream, from 1
	Time     time.Time     // when it was appended, UTC, to the millisecond
	Event    proto.Message // of the stream's Kind
}

// Projection fills the tables of one read model.
type Projection struct {
	// Name identifies the read model, such as "memo".
	Name string
	// Version changes whenever Schema or Apply would give other tables than before; the read model is then rebuilt from
	// the log when the program starts.
	Version int
	// Kinds names the kinds of streams whose events Apply wants to see.
	Kinds []string
	// Schema is the SQL that creates the tables and indexes, statements separated by semicolons.
	Schema string
	// Tables names every table that Schema creates; a rebuild drops them.
	Tables []string
	// Apply brings the tables up to date with one event. It sees each event once, in order, and does nothing but SQL
	// through tx. An error refuses the command that appended the event, and is what Do returns: a domain error where one is
	// to be expected, such as in place of an ErrNotUnique.
	Apply func(tx *Tx, r Record) error
	// Scrub removes what deleted rows have left inside the tables where SQL cannot see it, a little at a time: step counts
	// the calls from 0, each in a transaction of its own, until it says that it is done. Nil means that nothing is left.
	// It follows redactions and does nothing but SQL through tx that no query can tell.
	Scrub func(tx *Tx, step int) (done bool, err error)
}

// Cache is a set of tables beside the read models whose rows cannot be made from the log: what somebody else computed, and
// what it would cost to ask again for. A rebuild leaves it as it is. Whoever uses it must be able to do without it, and to
// tell a row that is still true from one that is not.
type Cache struct {
	// Name identifies the cache. It is none of the read models' names.
	Name string
	// Version changes whenever the rows of before are of no more use. The tables are then made anew, empty, when the
	// program starts; so they are when Schema changes.
	Version int
	// Schema is the SQL that creates the tables and indexes, statements separated by semicolons.
	Schema string
	// Tables names every table that Schema creates.
	Tables []string
}

// Querier runs read-only SQL. DB returns one that sees what is committed; a Tx is one that also sees its own doings.
// Placeholders are question marks.
type Querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}
