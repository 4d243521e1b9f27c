package memo

import (
	"context"
	"fmt"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// Caches lists what this package keeps beside its read models.
func Caches() []eventlog.Cache {
	return []eventlog.Cache{{
		Name:    "memo_sweep",
		Version: 1,
		Schema:  "CREATE TABLE memo_swept (id INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;",
		Tables:  []string{"memo_swept"},
	}, {
		Name:    "memo_vectors",
		Version: 1,
		Schema:  vectorSchema,
		Tables:  []string{"memo_vectors"},
	}}
}

// sweep redacts what ended without: logs of earlier versions have purged memos and deleted notes with all that they said.
// How far it has gone is remembered, so that it goes through a log once.
func (s *Service) sweep(ctx context.Context) error {
	if err := s.merging(ctx, usualMerging); err != nil { // a process before may have been killed in the midst of a purge
		return err
	}
	var from int64
	if err := s.log.DB().QueryRowContext(ctx, "SELECT coalesce(max(position), 0) FROM memo_swept").Scan(&from); err != nil {
		return fmt.Errorf("find out how far the log was swept: %w", err)
	}
	var ended []eventlog.Record
	flush := func(position int64) error {
		some := ended
		ended = nil
		return s.log.Do(ctx, func(tx *eventlog.Tx) error {
			for _, r := range some {
				if err := sweepOne(tx, r); err != nil {
					return err
				}
			}
			_, err := tx.Keep("INSERT OR REPLACE INTO memo_swept (id, position) VALUES (1, ?)", position)
			return err
		})
	}
	position := from
	for r, err := range s.log.After(ctx, from) {
		if err != nil {
			return err
		}
		position = r.Position
		if !ends(r) {
			continue
		}
		if ended = append(ended, r); len(ended) == purgeBatch {
			if err := flush(position); err != nil {
				return err
			}
		}
	}
	if position == from {
		return nil
	}
	return flush(position)
}

// ends says whether a record is the last that matters of its stream.
func ends(r eventlog.Record) bool {
	switch e := r.Event.(type) {
	case *memov1.MemoEvent:
		return e.GetPurged() != nil
	case *memov1.NoteEvent:
		return e.GetDeleted() != nil
	}
	return false
}

func sweepOne(tx *eventlog.Tx, r eventlog.Record) error {
	if _, ok := r.Event.(*memov1.MemoEvent); ok {
		records, err := tx.Load(r.Stream)
		if err != nil {
			return err
		}
		if err := endSource(tx, records); err != nil {
			return err
		}
	}
	return tx.Redact(r.Stream)
}
