package memo

import (
	"context"
	"fmt"
	"slices"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// CreateNote creates a note of the memos that can be in it.
func (s *Service) CreateNote(ctx context.Context, req *memov1.CreateNoteRequest) (*memov1.CreateNoteResponse, error) {
	caller := rpc.CallerFrom(ctx)
	title, err := checkNoteTitle(req.GetTitle())
	if err != nil {
		return nil, err
	}
	id := s.newID(kindNote)
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.CreateNoteResponse, error) {
		known, err := readKnown(tx, caller.AccountID, req.GetMemoIds())
		if err != nil {
			return nil, err
		}
		e, results := createNote(id, noteContent{title, req.GetMemoIds()}, known)
		res := &memov1.CreateNoteResponse{Results: results}
		if e == nil {
			return res, nil
		}
		note, err := recordNote(tx, caller, noteState{id: id}, e)
		if err != nil {
			return nil, err
		}
		res.Note = note.entry(len(note.memoIDs))
		return res, nil
	})
}

// UpdateNote changes a note's title or its memos.
func (s *Service) UpdateNote(ctx context.Context, req *memov1.UpdateNoteRequest) (*memov1.UpdateNoteResponse, error) {
	caller := rpc.CallerFrom(ctx)
	c, err := noteChangeFrom(req)
	if err != nil {
		return nil, err
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.UpdateNoteResponse, error) {
		note, err := loadNote(tx, caller, req.GetId())
		if err != nil {
			return nil, err
		}
		known, err := readKnown(tx, caller.AccountID, slices.Concat(note.memoIDs, c.wanted()))
		if err != nil {
			return nil, err
		}
		e, results, err := updateNote(note, c, known)
		if err != nil {
			return nil, err
		}
		if note, err = recordNote(tx, caller, note, e); err != nil {
			return nil, err
		}
		return &memov1.UpdateNoteResponse{Note: note.entry(len(known.living(note.memoIDs))), Results: results}, nil
	})
}

// DeleteNote deletes a note for good.
func (s *Service) DeleteNote(ctx context.Context, req *memov1.DeleteNoteRequest) (*memov1.DeleteNoteResponse, error) {
	caller := rpc.CallerFrom(ctx)
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.DeleteNoteResponse, error) {
		note, err := loadNote(tx, caller, req.GetId())
		if err != nil {
			return nil, err
		}
		if _, err := recordNote(tx, caller, note, deleteNote()); err != nil {
			return nil, err
		}
		return &memov1.DeleteNoteResponse{}, tx.Redact(noteStream(note.id))
	})
}

// loadNote gives the caller's note; ErrNotFound for one that does not exist, belongs to someone else or was deleted.
func loadNote(tx *eventlog.Tx, caller rpc.Caller, id string) (noteState, error) {
	records, err := tx.Load(noteStream(id))
	if err != nil {
		return noteState{}, err
	}
	s := foldNote(id, records)
	if s.revision == 0 || s.deleted || s.accountID != caller.AccountID {
		return noteState{}, noNote(id)
	}
	return s, nil
}

func noNote(id string) error {
	return &fault{ErrNotFound, fmt.Sprintf("%s not found; search first with paput_search_notes", id)}
}

// recordNote appends the event that was decided on, if any, and gives the note after it.
func recordNote(tx *eventlog.Tx, caller rpc.Caller, before noteState, e *memov1.NoteEvent) (noteState, error) {
	if e == nil {
		return before, nil
	}
	if err := admit(tx, caller.AccountID); err != nil {
		return noteState{}, err
	}
	e.AccountId, e.ClientId, e.GrantId = caller.AccountID, caller.ClientID, caller.GrantID
	if err := tx.Append(noteStream(before.id), e); err != nil {
		return noteState{}, err
	}
	return evolveNote(before, eventlog.Record{Version: before.revision + 1, Time: tx.Now(), Event: e}), nil
}

func noteStream(id string) string { return kindNote + "/" + id }
