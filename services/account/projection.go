package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

// The kinds of streams.
const (
	kindAccount = "account"
	kindSession = "session"
)

// Kinds returns the kinds of streams that this package writes.
func Kinds() []eventlog.Kind {
	return []eventlog.Kind{
		{Name: kindAccount, Event: &accountv1.AccountEvent{}, Relay: "AUTH", Subject: "paput.auth.account"},
		{Name: kindSession, Event: &accountv1.SessionEvent{}, Relay: "AUTH", Subject: "paput.auth.session"},
	}
}

// Projections returns the read models of this package.
func Projections() []eventlog.Projection {
	return []eventlog.Projection{{
		Name:    "account",
		Version: 2,
		Kinds:   []string{kindAccount, kindSession},
		Tables:  []string{"account_accounts", "account_sessions", "account_browsers", "account_erasures"},
		Schema:  schema,
		Apply:   apply,
	}}
}

// An account that was erased is deleted, and is in account_erasures until its content is removed.
//
// Times are Unix milliseconds. A session that was signed out is deleted; one that merely ran out is deleted at some later
// sign-in, so queries look at its times.
const schema = `
CREATE TABLE account_accounts (
	id                 TEXT PRIMARY KEY,
	number             INTEGER NOT NULL UNIQUE,
	email              TEXT NOT NULL,
	email_key          TEXT NOT NULL UNIQUE,
	password_hash      TEXT NOT NULL,
	invitation_hash    BLOB UNIQUE,
	invitation_expires INTEGER NOT NULL
);
CREATE TABLE account_sessions (
	secret_hash BLOB PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	account_id  TEXT NOT NULL,
	started     INTEGER NOT NULL,
	seen        INTEGER NOT NULL
);
CREATE INDEX account_sessions_seen ON account_sessions (seen);
CREATE INDEX account_sessions_started ON account_sessions (started);
CREATE TABLE account_browsers (
	browser_hash BLOB NOT NULL,
	account_id   TEXT NOT NULL,
	seen         INTEGER NOT NULL,
	PRIMARY KEY (browser_hash, account_id)
);
CREATE INDEX account_browsers_seen ON account_browsers (seen);
CREATE TABLE account_erasures (
	account_id TEXT PRIMARY KEY,
	erased     INTEGER NOT NULL
);
`

func apply(tx *eventlog.Tx, r eventlog.Record) error {
	switch e := r.Event.(type) {
	case *accountv1.AccountEvent:
		return applyAccount(tx, r, e)
	case *accountv1.SessionEvent:
		return applySession(tx, r, e)
	default:
		return fmt.Errorf("account projection: unexpected event %T", r.Event)
	}
}

func applyAccount(tx *eventlog.Tx, r eventlog.Record, e *accountv1.AccountEvent) error {
	id := r.Stream[len(kindAccount)+1:]
	switch e := e.GetEvent().(type) {
	case *accountv1.AccountEvent_Created:
		email, key := e.Created.GetEmail(), emailKey(e.Created.GetEmail())
		if email == "" {
			key = id // it was redacted; the account ends further on
		}
		return exec(tx, `INSERT INTO account_accounts (id, number, email, email_key, password_hash, invitation_expires)
			VALUES (?, ?, ?, ?, '', 0)`, id, r.Position, email, key)
	case *accountv1.AccountEvent_Invited:
		return exec(tx, `UPDATE account_accounts SET invitation_hash = ?, invitation_expires = ? WHERE id = ?`,
			orNull(e.Invited.GetTokenHash()), e.Invited.GetExpireTime().AsTime().UnixMilli(), id)
	case *accountv1.AccountEvent_Activated:
		return exec(tx, `UPDATE account_accounts SET password_hash = ?, invitation_hash = NULL, invitation_expires = 0
			WHERE id = ?`, e.Activated.GetPasswordHash(), id)
	case *accountv1.AccountEvent_PasswordRehashed:
		return exec(tx, `UPDATE account_accounts SET password_hash = ? WHERE id = ?`, e.PasswordRehashed.GetPasswordHash(), id)
	case *accountv1.AccountEvent_Erased:
		return errors.Join(
			exec(tx, `DELETE FROM account_accounts WHERE id = ?`, id),
			exec(tx, `DELETE FROM account_sessions WHERE account_id = ?`, id),
			exec(tx, `DELETE FROM account_browsers WHERE account_id = ?`, id),
			exec(tx, `INSERT INTO account_erasures (account_id, erased) VALUES (?, ?)`, id, r.Time.UnixMilli()),
		)
	case *accountv1.AccountEvent_ContentRemoved:
		return exec(tx, `DELETE FROM account_erasures WHERE account_id = ?`, id)
	}
	return nil
}

func applySession(tx *eventlog.Tx, r eventlog.Record, e *accountv1.SessionEvent) error {
	id := r.Stream[len(kindSession)+1:]
	at := r.Time.UnixMilli()
	if e.GetSignedIn() != nil && len(e.GetSignedIn().GetSecretHash()) == 0 {
		return nil // it was redacted
	}
	switch e := e.GetEvent().(type) {
	case *accountv1.SessionEvent_SignedIn:
		return errors.Join(
			exec(tx, `DELETE FROM account_sessions WHERE seen <= ? OR started <= ?`,
				at-sessionIdle.Milliseconds(), at-sessionLife.Milliseconds()),
			exec(tx, `DELETE FROM account_browsers WHERE seen <= ?`, at-browserLife.Milliseconds()),
			exec(tx, `INSERT INTO account_sessions (secret_hash, id, account_id, started, seen) VALUES (?, ?, ?, ?, ?)`,
				e.SignedIn.GetSecretHash(), id, e.SignedIn.GetAccountId(), at, at),
			exec(tx, `INSERT INTO account_browsers (browser_hash, account_id, seen) VALUES (?, ?, ?)
				ON CONFLICT (browser_hash, account_id) DO UPDATE SET seen = excluded.seen`,
				e.SignedIn.GetBrowserHash(), e.SignedIn.GetAccountId(), at),
		)
	case *accountv1.SessionEvent_Continued:
		return exec(tx, `UPDATE account_sessions SET seen = ? WHERE id = ?`, at, id)
	case *accountv1.SessionEvent_SignedOut:
		return exec(tx, `DELETE FROM account_sessions WHERE id = ?`, id)
	}
	return nil
}

// orNull is null for a hash that was redacted.
func orNull(hash []byte) any {
	if len(hash) == 0 {
		return nil
	}
	return hash
}

func exec(tx *eventlog.Tx, query string, args ...any) error {
	_, err := tx.Exec(query, args...)
	return err
}

// row is an account in the read model.
type row struct {
	id, email, passwordHash string
}

const selectAccount = `SELECT id, email, password_hash FROM account_accounts WHERE `

// scanAccount returns ErrNotFound when there is no row.
func scanAccount(r *sql.Row) (row, error) {
	var a row
	err := r.Scan(&a.id, &a.email, &a.passwordHash)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, ErrNotFound
	}
	return a, err
}

// idByEmail returns the account with an e-mail address, "" when there is none.
func idByEmail(tx *eventlog.Tx, email string) (string, error) {
	a, err := scanAccount(tx.QueryRow(selectAccount+`email_key = ?`, emailKey(email)))
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return a.id, err
}

// byInvitation returns the account that an unexpired invitation is for, else errLink.
func byInvitation(ctx context.Context, db *sql.DB, tokenHash []byte, now time.Time) (row, error) {
	a, err := scanAccount(db.QueryRowContext(ctx, selectAccount+`invitation_hash = ? AND invitation_expires > ?`,
		tokenHash, now.UnixMilli()))
	if errors.Is(err, ErrNotFound) {
		return row{}, errLink
	}
	return a, err
}

// sessionRow is a session in the read model, with its account.
type sessionRow struct {
	id, accountID, email string
	started, seen        time.Time
}

// bySecret returns the live session that a secret opens, else ErrNotFound.
func bySecret(ctx context.Context, db *sql.DB, secretHash []byte, now time.Time) (sessionRow, error) {
	var s sessionRow
	var started, seen int64
	err := db.QueryRowContext(ctx, `SELECT s.id, s.account_id, a.email, s.started, s.seen
		FROM account_sessions s JOIN account_accounts a ON a.id = s.account_id
		WHERE s.secret_hash = ? AND s.seen > ? AND s.started > ?`,
		secretHash, now.Add(-sessionIdle).UnixMilli(), now.Add(-sessionLife).UnixMilli(),
	).Scan(&s.id, &s.accountID, &s.email, &started, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return sessionRow{}, ErrNotFound
	}
	s.started, s.seen = time.UnixMilli(started).UTC(), time.UnixMilli(seen).UTC()
	return s, err
}

// knowsBrowser says whether a browser has signed in before: to the given account, or to any when that is empty.
func knowsBrowser(ctx context.Context, db *sql.DB, browserHash []byte, accountID string) (bool, error) {
	var known bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM account_browsers
		WHERE browser_hash = ? AND (? = '' OR account_id = ?))`, browserHash, accountID, accountID).Scan(&known)
	return known, err
}

// needsSetup says whether no account can sign in.
func needsSetup(ctx context.Context, db *sql.DB) (bool, error) {
	var open bool
	err := db.QueryRowContext(ctx, querySetup).Scan(&open)
	return open, err
}

const querySetup = `SELECT NOT EXISTS (SELECT 1 FROM account_accounts WHERE password_hash <> '')`

// Exists says whether an account exists that was not erased.
func Exists(q eventlog.Querier, accountID string) (exists bool, err error) {
	err = q.QueryRow(`SELECT EXISTS (SELECT 1 FROM account_accounts WHERE id = ?)`, accountID).Scan(&exists)
	return exists, err
}

// sessionsOf lists the account's sessions that were not signed out.
func sessionsOf(tx *eventlog.Tx, accountID string) ([]string, error) {
	rows, err := tx.Query(`SELECT id FROM account_sessions WHERE account_id = ? ORDER BY id`, accountID)
	if err != nil {
		return nil, err
	}
	return scanTexts(rows)
}

// pendingErasures lists the erased accounts whose content is not removed yet.
func pendingErasures(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT account_id FROM account_erasures ORDER BY erased, account_id`)
	if err != nil {
		return nil, err
	}
	return scanTexts(rows)
}

// scanTexts reads rows of one text each, and closes them.
func scanTexts(rows *sql.Rows) (list []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
