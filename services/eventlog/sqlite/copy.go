package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
)

// Standing says where the log in a file stands.
type Standing struct {
	// Position is that of the last record, 0 for an empty log.
	Position int64 `json:"position"`
	// Ordinals are those of the last record of each relay.
	Ordinals map[string]int64 `json:"ordinals"`
}

// Copy writes the database file at from, as it is at one moment, to the file at to, which is empty or does not exist. It has
// nothing of what was deleted. Others may use the database meanwhile, in this process and in others: nobody waits, but the
// write-ahead log grows until it is done.
func Copy(ctx context.Context, from, to string) error {
	db, err := readOnly(from, "")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return nil
}

// Inspect checks that the file at path, which nobody uses, holds a whole log, and says where it stands. It does not look at
// the read models, which can be made anew.
func Inspect(ctx context.Context, path string) (Standing, error) {
	db, err := readOnly(path, "1")
	if err != nil {
		return Standing{}, err
	}
	s, err := inspect(ctx, db)
	if err = errors.Join(err, db.Close()); err != nil {
		return Standing{}, fmt.Errorf("inspect %s: %w", path, err)
	}
	return s, nil
}

// readOnly opens a file that exists. It is immutable when nobody has it.
func readOnly(path, immutable string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyMilliseconds)}}
	if immutable != "" {
		query.Set("immutable", immutable)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	return open(u)
}

func inspect(ctx context.Context, db *sql.DB) (Standing, error) {
	s := Standing{Ordinals: make(map[string]int64)}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(events)").Scan(&verdict); err != nil {
		return s, err
	}
	if verdict != "ok" {
		return s, fmt.Errorf("the file is damaged: %s", verdict)
	}
	var records int64
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(position), 0), count(*) FROM events").Scan(&s.Position, &records); err != nil {
		return s, err
	}
	if records != s.Position {
		return s, fmt.Errorf("the log has %d records up to position %d", records, s.Position)
	}
	rows, err := db.QueryContext(ctx, "SELECT relay, max(ordinal), count(*) FROM events WHERE relay IS NOT NULL GROUP BY relay")
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var relay string
		var ordinal, n int64
		if err := rows.Scan(&relay, &ordinal, &n); err != nil {
			return s, err
		}
		if n != ordinal {
			return s, fmt.Errorf("%s has %d records up to ordinal %d", relay, n, ordinal)
		}
		s.Ordinals[relay] = ordinal
	}
	return s, rows.Err()
}
