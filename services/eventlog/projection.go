package eventlog

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// reservedTables are those of the log itself.
func reservedTables() []string { return []string{"events", "read_models", "remnants"} }

// checkTables finds mistakes in the configuration of read models and caches.
func checkTables(c Config, kinds map[string]Kind) error {
	names := tableNames{models: make(map[string]bool), tables: make(map[string]bool)}
	for _, p := range c.Projections {
		if err := names.take("projection", p); err != nil {
			return err
		}
		if p.Apply == nil {
			return fmt.Errorf("projection %s: Apply is missing", p.Name)
		}
		for _, kind := range p.Kinds {
			if _, known := kinds[kind]; !known {
				return fmt.Errorf("projection %s: the kind %q is not registered", p.Name, kind)
			}
		}
	}
	for _, cache := range c.Caches {
		if err := names.take("cache", cache.model()); err != nil {
			return err
		}
	}
	return nil
}

// tableNames are those in use.
type tableNames struct{ models, tables map[string]bool }

// take makes the names of one read model or cache its own.
func (n tableNames) take(what string, p Projection) error {
	identifier := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	if !identifier.MatchString(p.Name) || n.models[p.Name] {
		return fmt.Errorf("%s %q: the name is in use or not of small letters, digits and underscores", what, p.Name)
	}
	n.models[p.Name] = true
	for _, table := range p.Tables {
		if !identifier.MatchString(table) || n.tables[table] || slices.Contains(reservedTables(), table) {
			return fmt.Errorf("%s %s: the table %q is in use or not of small letters, digits and underscores", what, p.Name, table)
		}
		n.tables[table] = true
	}
	return nil
}

// fingerprint changes with everything that decides what the tables hold.
func (p Projection) fingerprint() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		strconv.Itoa(p.Version), strings.Join(p.Kinds, ","), strings.Join(p.Tables, ","), p.Schema,
	}, "\n")))
	return hex.EncodeToString(sum[:])
}

// bookkeeping is the statement that says that the read models have seen the log up to a position.
func bookkeeping(projections []Projection) string {
	if len(projections) == 0 {
		return ""
	}
	names := make([]string, len(projections))
	for i, p := range projections {
		names[i] = "'" + p.Name + "'"
	}
	return "UPDATE read_models SET position = ? WHERE name IN (" + strings.Join(names, ", ") + ")"
}

// Rebuild empties the read models and fills them from the log anew, in one transaction: queries see the old tables until
// it is done, and commands wait. Its error names the projection, the position and the event that it could not apply; the
// read models are then as before. Caches are left alone.
func (l *Log) Rebuild(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.transact(ctx, func() error {
		var stale []staleModel
		for _, p := range l.projections {
			if err := l.reset(ctx, p); err != nil {
				return err
			}
			stale = append(stale, staleModel{Projection: p})
		}
		return l.replay(ctx, stale, func() error { return nil })
	})
	if err != nil {
		return fmt.Errorf("rebuild the read models: %w", err)
	}
	return nil
}

// staleModel is a read model that has seen the log only up to a position.
type staleModel struct {
	Projection
	position int64
}

// catchUp makes every read model be one of the whole log. What it has done is kept when it is interrupted.
func (l *Log) catchUp(ctx context.Context) error {
	var stale []staleModel
	return l.transact(ctx, func() error {
		for _, p := range l.projections {
			position, isCurrent, err := l.modelPosition(ctx, p)
			if err != nil {
				return err
			}
			if !isCurrent {
				if err := l.reset(ctx, p); err != nil {
					return err
				}
				position = 0
			}
			if position < l.head.position {
				stale = append(stale, staleModel{p, position})
			}
		}
		return l.replay(ctx, stale, func() error {
			if err := l.exec(ctx, "COMMIT"); err != nil {
				return err
			}
			return l.exec(ctx, l.backend.Begin())
		})
	})
}

// transact runs fn in a transaction on the writer.
func (l *Log) transact(ctx context.Context, fn func() error) error {
	if err := l.exec(ctx, l.backend.Begin()); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	if err := fn(); err != nil {
		_ = l.exec(context.WithoutCancel(ctx), "ROLLBACK") // fails when the database has rolled back by itself
		return err
	}
	if err := l.exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		_ = l.exec(context.WithoutCancel(ctx), "ROLLBACK")
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// modelPosition says how far a read model is, and whether it was made by this very projection.
func (l *Log) modelPosition(ctx context.Context, p Projection) (position int64, isCurrent bool, err error) {
	var fingerprint string
	err = l.backend.Writer().QueryRowContext(ctx, `SELECT fingerprint, position FROM read_models WHERE name = ?`, p.Name).
		Scan(&fingerprint, &position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("find the read model %s: %w", p.Name, err)
	}
	return position, fingerprint == p.fingerprint() && position <= l.head.position, nil
}

// reset gives a read model empty tables.
func (l *Log) reset(ctx context.Context, p Projection) error {
	var former string
	err := l.backend.Writer().QueryRowContext(ctx, `SELECT tables FROM read_models WHERE name = ?`, p.Name).Scan(&former)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("find the read model %s: %w", p.Name, err)
	}
	for _, table := range append(strings.Fields(former), p.Tables...) {
		if err := l.exec(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
			return fmt.Errorf("drop the table %s of the read model %s: %w", table, p.Name, err)
		}
	}
	if err := l.exec(ctx, p.Schema); err != nil {
		return fmt.Errorf("create the tables of the read model %s: %w", p.Name, err)
	}
	if err := l.exec(ctx, `DELETE FROM read_models WHERE name = ?`, p.Name); err != nil {
		return fmt.Errorf("note the read model %s: %w", p.Name, err)
	}
	err = l.exec(ctx, `INSERT INTO read_models (name, version, fingerprint, tables, position) VALUES (?, ?, ?, ?, 0)`,
		p.Name, p.Version, p.fingerprint(), strings.Join(p.Tables, " "))
	if err != nil {
		return fmt.Errorf("note the read model %s: %w", p.Name, err)
	}
	return nil
}

// replay shows the stale read models what they have not seen, and calls pause between batches.
func (l *Log) replay(ctx context.Context, stale []staleModel, pause func() error) error {
	if len(stale) == 0 {
		return nil
	}
	position := slices.MinFunc(stale, func(a, b staleModel) int { return int(a.position - b.position) }).position
	for position < l.head.position {
		records, err := l.replayBatch(ctx, position)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("the log has no record at position %d", position+1)
		}
		for _, r := range records {
			if err := l.replayRecord(ctx, stale, r); err != nil {
				return err
			}
		}
		position = records[len(records)-1].Position
		for _, m := range stale {
			if err := l.exec(ctx, `UPDATE read_models SET position = ? WHERE name = ? AND position < ?`, position, m.Name, position); err != nil {
				return fmt.Errorf("note the read model %s: %w", m.Name, err)
			}
		}
		if err := pause(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) replayBatch(ctx context.Context, position int64) ([]Record, error) {
	records, err := l.load(ctx, selectAfter, position, readBatch)
	if err != nil {
		return nil, fmt.Errorf("read after position %d: %w", position, err)
	}
	return records, nil
}

func (l *Log) replayRecord(ctx context.Context, stale []staleModel, r Record) (err error) {
	var at string
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil {
			name, _ := Case(r.Event)
			err = fmt.Errorf("projection %s at position %d (%s %s): %w", at, r.Position, kindOf(r.Stream), name, err)
		}
	}()
	tx := &Tx{log: l, ctx: ctx, now: r.Time}
	defer tx.end()
	for _, m := range stale {
		if r.Position <= m.position || !slices.Contains(m.Kinds, kindOf(r.Stream)) {
			continue
		}
		at = m.Name
		if err := tx.apply(m.Projection, r); err != nil {
			return err
		}
	}
	return nil
}
