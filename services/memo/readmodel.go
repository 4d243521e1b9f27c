package memo

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// schema is the read model. Times are in milliseconds since 1970; lists of names are joined by line feeds, which no name
// has.
//
// memo_finds has what ranking and filtering a match need, in rows small enough to read by the hundred. The documents that
// memo_text indexes are described in index.go; its rowid is lastRow - n. memo_waiting has documents on their way to it.
const schema = `
CREATE TABLE memo_accounts (
	account    INTEGER PRIMARY KEY,
	account_id TEXT NOT NULL UNIQUE,
	erased     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE memos (
	n           INTEGER PRIMARY KEY AUTOINCREMENT,
	id          TEXT    NOT NULL UNIQUE,
	account     INTEGER NOT NULL,
	revision    INTEGER NOT NULL,
	create_time INTEGER NOT NULL,
	update_time INTEGER NOT NULL,
	delete_time INTEGER,
	is_public   INTEGER NOT NULL,
	title       TEXT    NOT NULL,
	summary     TEXT    NOT NULL,
	memo_types  TEXT    NOT NULL,
	categories  TEXT    NOT NULL,
	projects    TEXT    NOT NULL,
	body        TEXT    NOT NULL,
	position    INTEGER NOT NULL
) STRICT;
CREATE INDEX memos_newest ON memos (account, create_time, id);
CREATE UNIQUE INDEX memos_changed ON memos (account, position);
CREATE INDEX memos_trash ON memos (delete_time) WHERE delete_time IS NOT NULL;
CREATE TABLE memo_purged (
	account  INTEGER NOT NULL,
	position INTEGER NOT NULL,
	id       TEXT    NOT NULL,
	revision INTEGER NOT NULL,
	time     INTEGER NOT NULL,
	PRIMARY KEY (account, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE memo_labels (
	account     INTEGER NOT NULL,
	kind        TEXT    NOT NULL,
	key         TEXT    NOT NULL,
	create_time INTEGER NOT NULL,
	id          TEXT    NOT NULL,
	PRIMARY KEY (account, kind, key, create_time, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE memo_categories (
	account    INTEGER NOT NULL,
	key        TEXT    NOT NULL,
	name       TEXT    NOT NULL,
	memo_count INTEGER NOT NULL,
	PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX memo_categories_used ON memo_categories (account, memo_count DESC, name);
CREATE TABLE memo_finds (
	n           INTEGER PRIMARY KEY,
	account     INTEGER NOT NULL,
	create_time INTEGER NOT NULL,
	update_time INTEGER NOT NULL,
	delete_time INTEGER,
	is_public   INTEGER NOT NULL,
	length      INTEGER NOT NULL,
	folded      TEXT    NOT NULL
) STRICT;
CREATE TABLE memo_waiting (
	n        INTEGER PRIMARY KEY,
	account  INTEGER NOT NULL,
	size     INTEGER NOT NULL,
	document TEXT    NOT NULL
) STRICT;
CREATE VIRTUAL TABLE memo_text USING fts5 (document, content = '', contentless_delete = 1, tokenize = "ascii tokenchars '_'");
`

// Projections lists the read models of this package.
func Projections() []eventlog.Projection {
	return []eventlog.Projection{{
		Name:    "memo",
		Version: 6,
		Kinds:   []string{kindName, captureKind},
		Schema:  schema,
		Tables:  []string{"memo_accounts", "memos", "memo_purged", "memo_labels", "memo_categories", "memo_finds", "memo_waiting", "memo_text"},
		Apply:   project,
		Scrub:   scrubText,
	}, {
		Name:    "note",
		Version: 1,
		Kinds:   []string{kindNote, kindName},
		Schema:  noteSchema,
		Tables:  []string{"notes", "note_memos"},
		Apply:   projectNote,
	}, {
		Name:    "candidates",
		Version: 1,
		Kinds:   []string{queueKind},
		Schema:  queueSchema,
		Tables:  []string{"candidates"},
		Apply:   projectQueued,
	}, {
		Name:    "capture",
		Version: 2,
		Kinds:   []string{captureKind},
		Schema:  captureSchema,
		Tables:  []string{"capture_policies", "capture_approvals", "capture_sessions"},
		Apply:   projectCapture,
	}, {
		Name:    "answers",
		Version: 1,
		Kinds:   []string{answerKind},
		Schema:  answerSchema,
		Tables:  []string{"memo_answers"},
		Apply:   projectAnswer,
	}}
}

// row is a memo in the read model.
type row struct {
	n       int64 // grows with each memo, and is no other memo's afterwards
	account int64
	// position is that of the memo's last event in the log.
	position int64
	state
}

// project brings the read model up to date with one event.
func project(tx *eventlog.Tx, r eventlog.Record) error {
	if capture, ok := r.Event.(*memov1.CaptureEvent); ok {
		return projectErased(tx, capture)
	}
	e, ok := r.Event.(*memov1.MemoEvent)
	if !ok {
		return fmt.Errorf("the event is a %T", r.Event)
	}
	id := strings.TrimPrefix(r.Stream, kindName+"/")
	if tell(r).event.GetCreated() != nil {
		account, err := numberAccount(tx, e.GetAccountId())
		if err != nil {
			return err
		}
		return insert(tx, row{account: account, position: r.Position, state: evolve(state{id: id}, r)})
	}
	before, err := scanRow(tx.QueryRow(selectRow+" WHERE id = ?", id))
	if err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	after := before
	after.position = r.Position
	after.state = evolve(before.state, r)
	if after.purged {
		return drop(tx, before, after)
	}
	if after.inTrash || after.embedded() != before.embedded() {
		if err := forgetVector(tx, id); err != nil {
			return err
		}
	}
	return replace(tx, before, after)
}

// numberAccount gives the account's number, which is short enough to begin every token with.
func numberAccount(tx *eventlog.Tx, accountID string) (int64, error) {
	account, err := accountNumber(tx, accountID)
	if err != nil || account > 0 {
		return account, err
	}
	res, err := tx.Exec("INSERT INTO memo_accounts (account_id) VALUES (?)", accountID)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// accountNumber gives the account's number, 0 for one that never had a memo.
func accountNumber(q eventlog.Querier, accountID string) (int64, error) {
	var account int64
	err := q.QueryRow("SELECT account FROM memo_accounts WHERE account_id = ? AND erased = 0", accountID).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return account, err
}

func insert(tx *eventlog.Tx, r row) error {
	res, err := tx.Exec(`INSERT INTO memos (id, account, revision, create_time, update_time, is_public, title, summary, memo_types, categories, projects, body, position)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.id, r.account, r.revision, r.createTime.UnixMilli(), r.updateTime.UnixMilli(), r.isPublic, r.title, r.summary,
		joinNames(r.types), joinNames(r.categories), joinNames(r.projects), r.body, r.position)
	if err != nil {
		return err
	}
	if r.n, err = res.LastInsertId(); err != nil {
		return err
	}
	if err := writeLabels(tx, row{account: r.account}, r); err != nil {
		return err
	}
	return writeText(tx, r)
}

func replace(tx *eventlog.Tx, before, after row) error {
	_, err := tx.Exec(`UPDATE memos SET revision = ?, update_time = ?, delete_time = ?, is_public = ?, title = ?, summary = ?, memo_types = ?, categories = ?, projects = ?, body = ?, position = ?
		WHERE n = ?`,
		after.revision, after.updateTime.UnixMilli(), after.deleteMillis(), after.isPublic, after.title, after.summary,
		joinNames(after.types), joinNames(after.categories), joinNames(after.projects), after.body, after.position, after.n)
	if err != nil {
		return err
	}
	if err := writeLabels(tx, before, after); err != nil {
		return err
	}
	if len(before.changes(after.content)) == 0 {
		_, err := tx.Exec("UPDATE memo_finds SET update_time = ?, delete_time = ?, is_public = ? WHERE n = ?",
			after.updateTime.UnixMilli(), after.deleteMillis(), after.isPublic, after.n)
		return err
	}
	for _, query := range []string{"DELETE FROM memo_waiting WHERE n = ?", "DELETE FROM memo_text WHERE rowid = " + lastRow + " - ?"} {
		if _, err := tx.Exec(query, after.n); err != nil {
			return err
		}
	}
	return writeText(tx, after)
}

// FTS5 writes a part of its index whenever a command is done, and joins the parts later, so indexing many documents at once
// costs much less than each by itself. Documents therefore wait until they are this many, or as large together; a search
// looks through those of its account that wait.
const (
	maxWaiting      = 32
	maxWaitingBytes = 256 << 10
)

// lastRow less n is a memo's rowid in memo_text. So the newest come first in FTS5's own order, which it reads much faster than
// backwards.
const lastRow = "1099511627776"

// writeText indexes the memo's text.
func writeText(tx *eventlog.Tx, r row) error {
	text := indexedFrom(r.account, r.content)
	_, err := tx.Exec("INSERT OR REPLACE INTO memo_finds (n, account, create_time, update_time, delete_time, is_public, length, folded) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		r.n, r.account, r.createTime.UnixMilli(), r.updateTime.UnixMilli(), r.deleteMillis(), r.isPublic, text.length, text.folded)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO memo_waiting (n, account, size, document) VALUES (?, ?, ?, ?)", r.n, r.account, len(text.document), text.document)
	if err != nil {
		return err
	}
	var waiting, size int
	if err := tx.QueryRow("SELECT count(*), sum(size) FROM memo_waiting").Scan(&waiting, &size); err != nil {
		return err
	}
	if waiting < maxWaiting && size < maxWaitingBytes {
		return nil
	}
	if _, err := tx.Exec("INSERT INTO memo_text (rowid, document) SELECT " + lastRow + " - n, document FROM memo_waiting ORDER BY n DESC"); err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM memo_waiting")
	return err
}

// writeLabels makes the labels of a memo, which before had those of before, those of after.
func writeLabels(tx *eventlog.Tx, before, after row) error {
	had, has := before.filed(), after.filed()
	for _, l := range had {
		if !slices.ContainsFunc(has, l.equal) {
			if _, err := tx.Exec("DELETE FROM memo_labels WHERE account = ? AND kind = ? AND key = ? AND create_time = ? AND id = ?",
				after.account, l.kind, l.key, after.createTime.UnixMilli(), after.id); err != nil {
				return err
			}
			if err := countCategory(tx, after.account, l, -before.alive()); err != nil {
				return err
			}
		}
	}
	for _, l := range has {
		delta := after.alive()
		if slices.ContainsFunc(had, l.equal) {
			delta -= before.alive()
			if delta == 0 {
				continue
			}
		} else if _, err := tx.Exec("INSERT INTO memo_labels (account, kind, key, create_time, id) VALUES (?, ?, ?, ?, ?)",
			after.account, l.kind, l.key, after.createTime.UnixMilli(), after.id); err != nil {
			return err
		}
		if err := countCategory(tx, after.account, l, delta); err != nil {
			return err
		}
	}
	return nil
}

// countCategory adds delta to the number of memos in a category. A category that no memo has any more, not even one in the
// trash, is forgotten, and with it how it was first written.
func countCategory(tx *eventlog.Tx, account int64, l label, delta int) error {
	if l.kind != labelCategory {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO memo_categories (account, key, name, memo_count) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET memo_count = memo_count + excluded.memo_count`, account, l.key, l.name, delta)
	if err != nil || delta > 0 {
		return err
	}
	_, err = tx.Exec(`DELETE FROM memo_categories WHERE account = ?1 AND key = ?2
		AND NOT EXISTS (SELECT 1 FROM memo_labels WHERE account = ?1 AND kind = 'c' AND key = ?2)`, account, l.key)
	return err
}

// filed are the labels that memo_labels has: types are too few to be worth a row each.
func (r row) filed() []label {
	return slices.DeleteFunc(r.labels(), func(l label) bool { return l.kind == labelType })
}

func (l label) equal(o label) bool { return l.kind == o.kind && l.key == o.key }

// alive is 1 for a memo that counts and 0 for one in the trash.
func (r row) alive() int {
	if r.inTrash {
		return 0
	}
	return 1
}

func (r row) deleteMillis() any {
	if r.inTrash {
		return r.deleteTime.UnixMilli()
	}
	return nil
}

// isPublic holds for the memos that others can read. Those of an erased account are none of them, though they end one by one.
const isPublic = "is_public = 1 AND EXISTS (SELECT 1 FROM memo_accounts WHERE account = memos.account AND erased = 0)"

const selectRow = "SELECT n, id, account, revision, create_time, update_time, delete_time, is_public, title, summary, memo_types, categories, projects, body, position FROM memos"

// scanRow reads one row of selectRow. It leaves accountID empty.
func scanRow(from interface{ Scan(...any) error }) (row, error) {
	var (
		r                           row
		created, updated            int64
		deleted                     sql.NullInt64
		types, categories, projects string
	)
	err := from.Scan(&r.n, &r.id, &r.account, &r.revision, &created, &updated, &deleted, &r.isPublic, &r.title, &r.summary, &types, &categories, &projects, &r.body, &r.position)
	if err != nil {
		return row{}, err
	}
	r.createTime, r.updateTime = fromMillis(created), fromMillis(updated)
	r.inTrash = deleted.Valid
	if r.inTrash {
		r.deleteTime = fromMillis(deleted.Int64)
	}
	r.types, r.categories, r.projects = splitNames(types), splitNames(categories), splitNames(projects)
	return r, nil
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func joinNames(names []string) string { return strings.Join(names, "\n") }

func splitNames(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
