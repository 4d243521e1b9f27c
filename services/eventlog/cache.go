package eventlog

import (
	"context"
	"database/sql"
)

// model is how a cache is made and remembered: as a read model of no kind of stream, at position 0 for ever.
func (c Cache) model() Projection {
	return Projection{Name: c.Name, Version: c.Version, Schema: c.Schema, Tables: c.Tables}
}

// openCaches gives empty tables to the caches that are new or not as they were.
func (l *Log) openCaches(ctx context.Context, caches []Cache) error {
	return l.transact(ctx, func() error {
		for _, c := range caches {
			_, isCurrent, err := l.modelPosition(ctx, c.model())
			if err != nil {
				return err
			}
			if isCurrent {
				continue
			}
			if err := l.reset(ctx, c.model()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Keep changes the tables of a cache in a command, in the command's transaction. When it fails, so does the command. A
// projection changes them with Exec, but for Replaying: what is in a cache is not what the log was then.
func (tx *Tx) Keep(query string, args ...any) (sql.Result, error) {
	switch {
	case tx.over:
		return nil, errOver
	case tx.applying != "":
		return nil, errOnlyCommand
	case tx.broken != nil:
		return nil, tx.broken
	}
	tx.wrote = true
	result, err := tx.log.backend.Writer().ExecContext(tx.ctx, query, args...)
	if err != nil {
		return nil, tx.breaks(err)
	}
	return result, nil
}

// Replaying says, in a projection, that the event is an old one, which is applied again to make the read model anew.
func (tx *Tx) Replaying() bool { return !tx.mayAppend }
