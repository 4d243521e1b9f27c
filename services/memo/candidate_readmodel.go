package memo

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// queueSchema is the read model of candidates. Times and lists are as in schema; similar is JSON.
const queueSchema = `
CREATE TABLE candidates (
	n              INTEGER PRIMARY KEY AUTOINCREMENT,
	id             TEXT    NOT NULL UNIQUE,
	account_id     TEXT    NOT NULL,
	status         TEXT    NOT NULL,
	source         TEXT    NOT NULL,
	session_id     TEXT    NOT NULL,
	fingerprint    TEXT    NOT NULL,
	confidence     REAL,
	revision       INTEGER NOT NULL,
	add_time       INTEGER NOT NULL,
	update_time    INTEGER NOT NULL,
	create_time    INTEGER NOT NULL,
	title          TEXT    NOT NULL,
	summary        TEXT    NOT NULL,
	memo_types     TEXT    NOT NULL,
	categories     TEXT    NOT NULL,
	projects       TEXT    NOT NULL,
	similar        TEXT    NOT NULL,
	discard_reason TEXT    NOT NULL,
	saved_memo_id  TEXT    NOT NULL,
	body           TEXT    NOT NULL
) STRICT;
CREATE INDEX candidates_newest ON candidates (account_id, status, n);
CREATE INDEX candidates_discarded ON candidates (account_id, update_time, n) WHERE status = 'discarded';
CREATE INDEX candidates_same ON candidates (account_id, fingerprint);
`

// queueRow is a candidate in the read model.
type queueRow struct {
	n int64 // grows with each candidate
	queued
}

const selectQueued = `SELECT n, id, account_id, status, source, session_id, confidence, revision, add_time, update_time, create_time,
	title, summary, memo_types, categories, projects, similar, discard_reason, saved_memo_id, body FROM candidates`

// scanQueued reads one row of selectQueued.
func scanQueued(from interface{ Scan(...any) error }) (queueRow, error) {
	var (
		r                                    queueRow
		confidence                           sql.NullFloat64
		added, updated, created              int64
		types, categories, projects, similar string
	)
	err := from.Scan(&r.n, &r.id, &r.accountID, &r.status, &r.source, &r.sessionID, &confidence, &r.revision, &added, &updated, &created,
		&r.title, &r.summary, &types, &categories, &projects, &similar, &r.reason, &r.memoID, &r.body)
	if err != nil {
		return queueRow{}, err
	}
	if confidence.Valid {
		r.confidence = &confidence.Float64
	}
	r.addTime, r.updateTime, r.createTime = fromMillis(added), fromMillis(updated), fromMillis(created)
	r.types, r.categories, r.projects = splitNames(types), splitNames(categories), splitNames(projects)
	return r, json.Unmarshal([]byte(similar), &r.similar)
}

// projectQueued brings the read model up to date with one event.
func projectQueued(tx *eventlog.Tx, r eventlog.Record) error {
	e, ok := r.Event.(*memov1.CandidateEvent)
	if !ok {
		return fmt.Errorf("the event is a %T", r.Event)
	}
	id := strings.TrimPrefix(r.Stream, queueKind+"/")
	if e.GetAdded() != nil || e.GetImported() != nil {
		q := evolveQueued(queued{state: state{id: id}}, r)
		_, err := tx.Exec(`INSERT INTO candidates (id, account_id, status, source, session_id, fingerprint, confidence, revision, add_time, update_time, create_time,
			title, summary, memo_types, categories, projects, similar, discard_reason, saved_memo_id, body)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			q.id, q.accountID, q.status, q.source, q.sessionID, q.fingerprint(), q.confidence, q.revision,
			q.addTime.UnixMilli(), q.updateTime.UnixMilli(), q.createTime.UnixMilli(),
			q.title, q.summary, joinNames(q.types), joinNames(q.categories), joinNames(q.projects), jsonArray(q.similar), q.reason, q.memoID, q.body)
		return err
	}
	before, err := scanQueued(tx.QueryRow(selectQueued+" WHERE id = ?", id))
	if err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	q := evolveQueued(before.queued, r)
	if q.status == statusPurged {
		_, err := tx.Exec("DELETE FROM candidates WHERE n = ?", before.n)
		return err
	}
	_, err = tx.Exec(`UPDATE candidates SET status = ?, fingerprint = ?, revision = ?, update_time = ?, title = ?, summary = ?, memo_types = ?,
		categories = ?, projects = ?, discard_reason = ?, saved_memo_id = ?, body = ? WHERE n = ?`,
		q.status, q.fingerprint(), q.revision, q.updateTime.UnixMilli(), q.title, q.summary, joinNames(q.types),
		joinNames(q.categories), joinNames(q.projects), q.reason, q.memoID, q.body, before.n)
	return err
}
