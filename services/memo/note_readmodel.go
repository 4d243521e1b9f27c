package memo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// noteSchema is the read model of notes. Times are in milliseconds since 1970. The document has the title's tokens. A person
// has few notes, so a search goes through all of theirs.
//
// note_memos has those memos only that were not purged; positions grow in the note's order, with gaps.
const noteSchema = `
CREATE TABLE notes (
	id          TEXT    PRIMARY KEY,
	account_id  TEXT    NOT NULL,
	revision    INTEGER NOT NULL,
	create_time INTEGER NOT NULL,
	update_time INTEGER NOT NULL,
	title       TEXT    NOT NULL,
	document    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_newest ON notes (account_id, create_time, id);
CREATE TABLE note_memos (
	note_id  TEXT    NOT NULL,
	position INTEGER NOT NULL,
	memo_id  TEXT    NOT NULL,
	PRIMARY KEY (note_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX note_memos_memo ON note_memos (memo_id, note_id);
`

// projectNote brings the read model up to date with one event of a note, or with the end of a memo.
func projectNote(tx *eventlog.Tx, r eventlog.Record) error {
	if memo, ok := r.Event.(*memov1.MemoEvent); ok {
		if memo.GetPurged() == nil {
			return nil
		}
		_, err := tx.Exec("DELETE FROM note_memos WHERE memo_id = ?", strings.TrimPrefix(r.Stream, kindName+"/"))
		return err
	}
	e, ok := r.Event.(*memov1.NoteEvent)
	if !ok {
		return fmt.Errorf("the event is a %T", r.Event)
	}
	id := strings.TrimPrefix(r.Stream, kindNote+"/")
	before := noteState{id: id}
	begins := e.GetCreated() != nil || e.GetImported() != nil
	if !begins {
		var err error
		if before, err = readNote(tx, "WHERE id = ?", id); err != nil {
			return err
		}
	}
	after := evolveNote(before, r)
	if after.deleted {
		if _, err := tx.Exec("DELETE FROM notes WHERE id = ?", id); err != nil {
			return err
		}
		return writeNoteMemos(tx, after)
	}
	_, err := tx.Exec("INSERT OR REPLACE INTO notes (id, account_id, revision, create_time, update_time, title, document) VALUES (?, ?, ?, ?, ?, ?, ?)",
		id, after.accountID, after.revision, after.createTime.UnixMilli(), after.updateTime.UnixMilli(), after.title, titleDocument(after.title))
	if err != nil || !begins && !slices.Contains(e.GetUpdated().GetChangedFields(), fieldMemoIDs) {
		return err
	}
	return writeNoteMemos(tx, after)
}

// writeNoteMemos makes the memos of a note those of after.
func writeNoteMemos(tx *eventlog.Tx, after noteState) error {
	if _, err := tx.Exec("DELETE FROM note_memos WHERE note_id = ?", after.id); err != nil {
		return err
	}
	ids := append([]string{}, after.memoIDs...) // never nil, which would be null
	_, err := tx.Exec("INSERT INTO note_memos (note_id, position, memo_id) SELECT ?, key, value FROM json_each(?)", after.id, jsonArray(ids))
	return err
}

// noAccount stands where the account's number is in the tokens of memos: searches never go through others' notes.
const noAccount = 0

// titleDocument has the tokens by which a note is found.
func titleDocument(title string) string {
	d := documentBuilder{account: strconv.Itoa(noAccount)}
	d.add(inTitle, tokenise(pieces(normalise(title))))
	return string(d.text)
}

const selectNote = "SELECT id, account_id, revision, create_time, update_time, title, document FROM notes "

// readNote gives one note, without its memos. A note that does not exist is sql.ErrNoRows.
func readNote(q eventlog.Querier, where string, args ...any) (noteState, error) {
	s, _, err := scanNote(q.QueryRow(selectNote+where, args...))
	return s, err
}

// scanNote reads one row of selectNote.
func scanNote(from interface{ Scan(...any) error }) (s noteState, document string, err error) {
	var created, updated int64
	if err := from.Scan(&s.id, &s.accountID, &s.revision, &created, &updated, &s.title, &document); err != nil {
		return noteState{}, "", fmt.Errorf("read the note: %w", err)
	}
	s.createTime, s.updateTime = fromMillis(created), fromMillis(updated)
	return s, document, nil
}

// countMemos says how many memos are in a note.
func countMemos(q eventlog.Querier, noteID string) (n int, err error) {
	if err := q.QueryRow("SELECT count(*) FROM note_memos WHERE note_id = ?", noteID).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the memos of the note: %w", err)
	}
	return n, nil
}

// readKnown looks memos of the account up.
func readKnown(q eventlog.Querier, accountID string, ids []string) (knownMemos, error) {
	known := knownMemos{}
	if len(ids) == 0 {
		return known, nil
	}
	rows, err := q.Query(`SELECT id, delete_time IS NOT NULL FROM memos
		WHERE account = (SELECT account FROM memo_accounts WHERE account_id = ? AND erased = 0) AND id IN (SELECT value FROM json_each(?))`, accountID, jsonArray(ids))
	if err != nil {
		return nil, fmt.Errorf("read memos: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var inTrash bool
		if err := rows.Scan(&id, &inTrash); err != nil {
			return nil, fmt.Errorf("read memos: %w", err)
		}
		known[id] = inTrash
	}
	return known, rows.Err()
}
