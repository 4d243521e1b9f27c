package eventlog

import (
	"context"
	"database/sql"
)

// Backend is the database that holds a log and its read models. It speaks SQL with question marks as placeholders, and
// savepoints. A Log uses the writer from one goroutine at a time.
type Backend interface {
	// Writer is the one connection that changes anything. A COMMIT on it that returns nil is durable.
	Writer() *sql.Conn
	// Readers see what is committed and can change nothing.
	Readers() *sql.DB
	// Schema is the SQL that creates the tables of the log itself, unless they exist. See package sqlite for the columns.
	Schema() string
	// ScrubPages overwrites what is not in use, such as what rows left behind that were deleted, in a part of the database from
	// a place on, 0 for the beginning. It returns the place to go on from, 0 at the end. It is called in a transaction.
	ScrubPages(ctx context.Context, from int64) (next int64, err error)
	// Scrub leaves nothing in the files that is not in the database as it is now. It gives up soon, and is not clean, while
	// somebody reads an older state. It is called outside of a transaction.
	Scrub(ctx context.Context) (clean bool, err error)
	// Begin is the statement that opens a transaction which no other writer can interleave with.
	Begin() string
	// IsNotUnique says whether an error of the writer came of a UNIQUE constraint or a primary key.
	IsNotUnique(err error) bool
	// Close releases everything.
	Close() error
}
