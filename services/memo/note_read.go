package memo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/rpc"
)

// SearchNotes finds notes by words of their titles, the last created first.
func (s *Service) SearchNotes(ctx context.Context, req *memov1.SearchNotesRequest) (*memov1.SearchNotesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	rest := proto.CloneOf(req)
	rest.PageSize, rest.PageToken = 0, ""
	list := listOf(caller.AccountID, rest)
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	wanted := expressionFor(noAccount, inTitle, parseQuery(req.GetQuery()), nil)
	res := &memov1.SearchNotesResponse{}
	if len(wanted) == 0 && strings.TrimSpace(req.GetQuery()) != "" {
		return res, nil // only punctuation, which no title is found by
	}
	return res, s.snapshot(ctx, func(q querier) error {
		notes, more, err := q.newestNotes(caller.AccountID, wanted, after, pageSize(req.GetPageSize()))
		if err != nil {
			return err
		}
		for _, n := range notes {
			count, err := countMemos(q, n.id)
			if err != nil {
				return err
			}
			res.Notes = append(res.Notes, n.entry(count))
		}
		if more {
			last := notes[len(notes)-1]
			res.NextPageToken = cursor{For: list, Time: last.createTime.UnixMilli(), ID: last.id}.token()
		}
		return nil
	})
}

// newestNotes gives at most limit notes whose titles are wanted, and says whether there are more.
func (q querier) newestNotes(accountID string, wanted expression, after *cursor, limit int) (notes []noteState, more bool, err error) {
	var c clause
	c.and("account_id = ?", accountID)
	if after != nil {
		c.and("(create_time, id) < (?, ?)", after.Time, after.ID)
	}
	rows, err := q.Query(selectNote+"WHERE "+c.sql.String()+" ORDER BY create_time DESC, id DESC", c.args...)
	if err != nil {
		return nil, false, fmt.Errorf("search notes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		n, document, err := scanNote(rows)
		if err != nil {
			return nil, false, err
		}
		if !wanted.holds(document) {
			continue
		}
		if len(notes) == limit {
			return notes, true, nil
		}
		notes = append(notes, n)
	}
	return notes, false, rows.Err()
}

// GetNote reads a note and a page of its memos, as they are at the moment.
func (s *Service) GetNote(ctx context.Context, req *memov1.GetNoteRequest) (*memov1.GetNoteResponse, error) {
	caller := rpc.CallerFrom(ctx)
	list := listOf(caller.AccountID, &memov1.GetNoteRequest{Id: req.GetId()})
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	res := &memov1.GetNoteResponse{}
	err = s.snapshot(ctx, func(q querier) error {
		note, err := readNote(q, "WHERE id = ? AND account_id = ?", req.GetId(), caller.AccountID)
		if errors.Is(err, sql.ErrNoRows) {
			return noNote(req.GetId())
		}
		if err != nil {
			return err
		}
		count, err := countMemos(q, note.id)
		if err != nil {
			return err
		}
		res.Note = note.entry(count)
		position, err := q.positionAfter(note.id, after)
		if err != nil {
			return err
		}
		return q.noteMemos(res, list, position, pageSize(req.GetPageSize()))
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// positionAfter is the last position that the pages before had. The last memo may have moved since; once it has left the
// note, so has its position, and what followed stands there.
func (q querier) positionAfter(noteID string, after *cursor) (int64, error) {
	if after == nil {
		return -1, nil
	}
	position := after.N - 1
	err := q.QueryRow("SELECT position FROM note_memos WHERE note_id = ? AND memo_id = ?", noteID, after.ID).Scan(&position)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read the note: %w", err)
	}
	return position, nil
}

// noteMemos adds a page of the memos that come after a position.
func (q querier) noteMemos(res *memov1.GetNoteResponse, list []byte, position int64, limit int) error {
	rows, err := q.Query(`SELECT o.position, m.id, m.title, m.summary, m.delete_time FROM note_memos o CROSS JOIN memos m ON m.id = o.memo_id
		WHERE o.note_id = ? AND o.position > ? ORDER BY o.position LIMIT ?`, res.GetNote().GetId(), position, limit+1)
	if err != nil {
		return fmt.Errorf("read the memos of the note: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if len(res.Memos) == limit {
			res.NextPageToken = cursor{For: list, N: position, ID: res.Memos[limit-1].GetId()}.token()
			break
		}
		m := &memov1.NoteMemo{}
		var deleted sql.NullInt64
		if err := rows.Scan(&position, &m.Id, &m.Title, &m.Summary, &deleted); err != nil {
			return fmt.Errorf("read the memos of the note: %w", err)
		}
		if deleted.Valid {
			m.DeleteTime = timestamppb.New(fromMillis(deleted.Int64))
		}
		res.Memos = append(res.Memos, m)
	}
	return rows.Err()
}
