package memo

import (
	"fmt"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// captureKind is the first part of the names of the streams that hold what guides an account's capture.
const captureKind = "capture"

// maxMarked is more than the sessions that one event has.
const maxMarked = 1000

// captureSchema is the read model of policies, of the accounts whose person alone approves, and of reviewed sessions. Times are
// as in schema. Commands decide on these rows: a stream has one event for each session ever reviewed, which is too much to
// fold for each more. A session's n is made of its event's position, so that what is redacted takes no other one's.
const captureSchema = `
CREATE TABLE capture_policies (
	account_id  TEXT    PRIMARY KEY,
	revision    INTEGER NOT NULL,
	update_time INTEGER NOT NULL,
	text        TEXT    NOT NULL
) STRICT;
CREATE TABLE capture_approvals (
	account_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE capture_sessions (
	n            INTEGER PRIMARY KEY,
	account_id   TEXT    NOT NULL,
	source       TEXT    NOT NULL,
	session_id   TEXT    NOT NULL,
	process_time INTEGER NOT NULL,
	UNIQUE (account_id, source, session_id)
) STRICT;
CREATE INDEX capture_sessions_newest ON capture_sessions (account_id, n);
`

// projectCapture brings the read model up to date with one event.
func projectCapture(tx *eventlog.Tx, r eventlog.Record) error {
	e, ok := r.Event.(*memov1.CaptureEvent)
	if !ok {
		return fmt.Errorf("the event is a %T", r.Event)
	}
	switch what := e.GetEvent().(type) {
	case *memov1.CaptureEvent_PolicyUpdated:
		return applyPolicy(tx, e.GetAccountId(), what.PolicyUpdated.GetText(), r.Time)
	case *memov1.CaptureEvent_ApprovalDecided:
		query := "DELETE FROM capture_approvals WHERE account_id = ?"
		if what.ApprovalDecided.GetPersonApproves() {
			query = "INSERT INTO capture_approvals (account_id) VALUES (?) ON CONFLICT DO NOTHING"
		}
		_, err := tx.Exec(query, e.GetAccountId())
		return err
	case *memov1.CaptureEvent_PolicyImported:
		return applyPolicy(tx, e.GetAccountId(), what.PolicyImported.GetText(), what.PolicyImported.GetUpdateTime().AsTime())
	case *memov1.CaptureEvent_SessionsImported:
		for i, session := range what.SessionsImported.GetSessions() {
			if session.GetSessionId() == "" {
				continue // redacted
			}
			if err := applySession(tx, r.Position*maxMarked+int64(i), e.GetAccountId(), session.GetSource(), session.GetSessionId(), session.GetProcessTime().AsTime()); err != nil {
				return err
			}
		}
	case *memov1.CaptureEvent_SessionsProcessed:
		for i, id := range what.SessionsProcessed.GetSessionIds() {
			if err := applySession(tx, r.Position*maxMarked+int64(i), e.GetAccountId(), what.SessionsProcessed.GetSource(), id, r.Time); err != nil {
				return err
			}
		}
	case *memov1.CaptureEvent_Erased:
		for _, query := range []string{
			"DELETE FROM capture_policies WHERE account_id = ?",
			"DELETE FROM capture_approvals WHERE account_id = ?",
			"DELETE FROM capture_sessions WHERE account_id = ?",
		} {
			if _, err := tx.Exec(query, e.GetAccountId()); err != nil {
				return err
			}
		}
	}
	return nil
}

func applyPolicy(tx *eventlog.Tx, accountID, text string, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO capture_policies (account_id, revision, update_time, text) VALUES (?, 1, ?, ?)
		ON CONFLICT DO UPDATE SET revision = revision + 1, update_time = excluded.update_time, text = excluded.text`, accountID, at.UnixMilli(), text)
	return err
}

func applySession(tx *eventlog.Tx, n int64, accountID, source, id string, at time.Time) error {
	_, err := tx.Exec("INSERT INTO capture_sessions (n, account_id, source, session_id, process_time) VALUES (?, ?, ?, ?, ?)", n, accountID, source, id, at.UnixMilli())
	return err
}

func captureStream(accountID string) string { return captureKind + "/" + accountID }

// recordCapture appends the event that was decided on, if any.
func recordCapture(tx *eventlog.Tx, caller rpc.Caller, e *memov1.CaptureEvent) error {
	if e == nil {
		return nil
	}
	if err := admit(tx, caller.AccountID); err != nil {
		return err
	}
	e.AccountId, e.ClientId, e.GrantId = caller.AccountID, caller.ClientID, caller.GrantID
	return tx.Append(captureStream(caller.AccountID), e)
}
