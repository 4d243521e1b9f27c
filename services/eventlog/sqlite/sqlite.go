// Package sqlite keeps an event log in one SQLite file: write-ahead log, a sync before every acknowledgement, one
// connection that writes and a pool that reads. Readers never block the writer, nor the writer readers.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	modernc "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/paput/paput/services/eventlog"
)

const (
	// busyMilliseconds is how long a statement waits for another process, such as a backup, to let go of the file.
	busyMilliseconds = 10_000
	// maxReaders is how many queries run at once; each open connection costs about a megabyte.
	maxReaders = 16
	// maxLogPages is how many pages of 4 KiB the write-ahead log has before they are written into the database file. Most are
	// in it several times by then and written once.
	maxLogPages = 8000
	// maxIdleLog is what is left of the write-ahead log, in bytes, once it was written into the database file. A rebuild
	// makes it large.
	maxIdleLog = 64 << 20
)

// schema holds the log. A position is the rowid, so the table is a tree ordered by it. The time is in milliseconds since
// 1970. Relay and ordinal are null for events that are published nowhere. The position of a read model is how far it has
// seen the log. Remnants has a row from a redaction until the scrub after it.
const schema = `
CREATE TABLE IF NOT EXISTS events (
	position INTEGER PRIMARY KEY,
	stream   TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	type     TEXT    NOT NULL,
	time     INTEGER NOT NULL,
	data     BLOB    NOT NULL,
	relay    TEXT,
	ordinal  INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS events_stream ON events (stream, version);
CREATE UNIQUE INDEX IF NOT EXISTS events_relay ON events (relay, ordinal) WHERE relay IS NOT NULL;
CREATE TABLE IF NOT EXISTS read_models (
	name        TEXT    NOT NULL PRIMARY KEY,
	version     INTEGER NOT NULL,
	fingerprint TEXT    NOT NULL,
	tables      TEXT    NOT NULL,
	position    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remnants (id INTEGER PRIMARY KEY) STRICT;
`

// Backend is an open database. See Open.
type Backend struct {
	writers *sql.DB
	writer  *sql.Conn
	readers *sql.DB
	remove  string // the directory to remove at the end
}

var _ eventlog.Backend = (*Backend)(nil)

// Open opens the database file at path, or creates it, readable by its owner alone. It refuses a file that cannot be given
// a write-ahead log with a sync at every commit.
func Open(ctx context.Context, path string) (*Backend, error) {
	b := &Backend{}
	if err := b.open(ctx, path, "FULL"); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), b.Close())
	}
	return b, nil
}

// Memory opens an empty database that lives no longer than the Backend and survives no power cut. It is for tests. It keeps
// unsynced files in the temporary directory, because SQLite's databases in memory let readers block the writer.
func Memory(ctx context.Context) (*Backend, error) {
	dir, err := os.MkdirTemp("", "paput-memory-")
	if err != nil {
		return nil, fmt.Errorf("open a database in memory: %w", err)
	}
	b := &Backend{remove: dir}
	if err := b.open(ctx, filepath.Join(dir, "log.db"), "OFF"); err != nil {
		return nil, errors.Join(fmt.Errorf("open a database in memory: %w", err), b.Close())
	}
	return b, nil
}

func (b *Backend) open(ctx context.Context, path, synchronous string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	// SQLite gives the files beside it the same permissions.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- the operator says where the data is
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", busyMilliseconds), "cache_size(-16000)"}
	b.writers, err = pool(path, "rw", append(pragmas, "journal_mode(WAL)", "synchronous("+synchronous+")",
		// What is deleted or written over is overwritten with zeros.
		"secure_delete(ON)",
		fmt.Sprintf("wal_autocheckpoint(%d)", maxLogPages),
		fmt.Sprintf("journal_size_limit(%d)", maxIdleLog))...)
	if err != nil {
		return err
	}
	if b.writer, err = b.writers.Conn(ctx); err != nil {
		return err
	}
	if err := b.check(ctx, synchronous); err != nil {
		return err
	}
	b.readers, err = pool(path, "ro", append(pragmas, "query_only(1)")...)
	if err != nil {
		return err
	}
	b.readers.SetMaxOpenConns(maxReaders)
	b.readers.SetMaxIdleConns(maxReaders)
	return nil
}

// pool opens connections that keep their prepared statements.
func pool(path, mode string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"mode": {mode}, "_pragma": pragmas}
	return open(url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()})
}

func open(u url.URL) (*sql.DB, error) {
	c, err := modernc.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{c}), nil
}

// check reads the settings back: SQLite ignores what it does not understand or cannot do.
func (b *Backend) check(ctx context.Context, synchronous string) error {
	var journal string
	if err := b.writer.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return err
	}
	if !strings.EqualFold(journal, "wal") {
		return fmt.Errorf("journal_mode is %s, want wal", journal)
	}
	var level int
	if err := b.writer.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level); err != nil {
		return err
	}
	var secure int
	if err := b.writer.QueryRowContext(ctx, "PRAGMA secure_delete").Scan(&secure); err != nil {
		return err
	}
	if secure != 1 {
		return fmt.Errorf("secure_delete is %d, want 1", secure)
	}
	const full = 2 // https://sqlite.org/pragma.html#pragma_synchronous
	if synchronous == "FULL" && level < full {
		return fmt.Errorf("synchronous is %d, want %d or more", level, full)
	}
	return nil
}

// Writer is the one connection that writes.
func (b *Backend) Writer() *sql.Conn { return b.writer }

// Readers is the pool that reads.
func (b *Backend) Readers() *sql.DB { return b.readers }

// Schema creates the tables of the log.
func (b *Backend) Schema() string { return schema }

// Begin takes the write lock at once, so that no statement inside can find it taken.
func (b *Backend) Begin() string { return "BEGIN IMMEDIATE" }

// IsNotUnique says whether err came of a UNIQUE constraint or a primary key.
func (b *Backend) IsNotUnique(err error) bool {
	var e *modernc.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY
}

// Close closes the files. The last connection to close brings the write-ahead log into the database file.
func (b *Backend) Close() error {
	var errs []error
	if b.readers != nil {
		errs = append(errs, b.readers.Close())
	}
	if b.writer != nil {
		errs = append(errs, b.writer.Close())
	}
	if b.writers != nil {
		errs = append(errs, b.writers.Close())
	}
	if b.remove != "" {
		errs = append(errs, os.RemoveAll(b.remove))
	}
	return errors.Join(errs...)
}
