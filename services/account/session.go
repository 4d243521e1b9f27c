package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

// Session is a browser in which a person is signed in.
type Session struct {
	// ID refers to the session; it opens nothing.
	ID        string
	AccountID string
	// Email is the account's e-mail address as first written.
	Email string
	// AuthTime is when the person signed in, UTC.
	AuthTime time.Time
}

// SignedIn returns the session that a browser's request belongs to; false when nobody is signed in. It records, at most
// once an hour, that the session is in use. It is not protection against forged requests: a form needs a token of its own.
func (s *Service) SignedIn(r *http.Request) (Session, bool) {
	secret := s.cookies.session(r)
	if secret == "" {
		return Session{}, false
	}
	found, err := bySecret(r.Context(), s.log.DB(), hashSecret(secret), s.now())
	if err != nil {
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, context.Canceled) { // that is, the browser hung up
			s.logger.ErrorContext(r.Context(), "session look-up failed", "error", err)
		}
		return Session{}, false
	}
	if !s.now().Before(found.seen.Add(sessionStep)) {
		if err := s.resume(r.Context(), found.id); err != nil {
			s.logger.WarnContext(r.Context(), "session use not recorded", "session_id", found.id, "error", err)
		}
	}
	return Session{ID: found.id, AccountID: found.accountID, Email: found.email, AuthTime: found.started}, true
}

func (s *Service) resume(ctx context.Context, id string) error {
	return s.log.Do(ctx, func(tx *eventlog.Tx) error {
		return decideSession(tx, id, func(past session) []proto.Message { return past.resume(tx.Now()) })
	})
}

// signOut ends the session that a secret opens; without one, it does nothing.
func (s *Service) signOut(ctx context.Context, secret string) error {
	if secret == "" {
		return nil
	}
	return s.log.Do(ctx, func(tx *eventlog.Tx) error {
		return endSession(tx, secret, accountv1.SignOutReason_SIGN_OUT_REASON_REQUESTED)
	})
}

func endSession(tx *eventlog.Tx, secret string, reason accountv1.SignOutReason) error {
	var id string
	err := tx.QueryRow(`SELECT id FROM account_sessions WHERE secret_hash = ?`, hashSecret(secret)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return decideSession(tx, id, func(past session) []proto.Message { return past.end(reason, tx.Now()) })
}

func decideSession(tx *eventlog.Tx, id string, decide func(session) []proto.Message) error {
	stream := kindSession + "/" + id
	records, err := tx.Load(stream)
	if err != nil {
		return fmt.Errorf("load %s: %w", stream, err)
	}
	return appendAll(tx, stream, decide(foldSession(records)))
}

// browser is what a browser presented and, after a sign-in, what it is to keep.
type browser struct {
	// session and known are the secrets of the session cookie and of the cookie that lasts beyond it; empty when not sent.
	session, known string
}

// renew returns the secrets that a browser is given when it signs in. The session's is always fresh, so that a secret
// planted in the browser beforehand is worth nothing afterwards. The other is kept when it is one that this server gave out.
func (s *Service) renew(ctx context.Context, old browser) (browser, error) {
	b := browser{session: newSecret(), known: old.known}
	if old.known != "" {
		known, err := knowsBrowser(ctx, s.log.DB(), hashSecret(old.known), "")
		if err != nil {
			return browser{}, err
		}
		if known {
			return b, nil
		}
	}
	b.known = newSecret()
	return b, nil
}

// begin begins a session in place of the one that the browser had.
func begin(tx *eventlog.Tx, sessionID, accountID string, old, fresh browser) error {
	if old.session != "" {
		if err := endSession(tx, old.session, accountv1.SignOutReason_SIGN_OUT_REASON_REPLACED); err != nil {
			return err
		}
	}
	return tx.Append(kindSession+"/"+sessionID, &accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignedIn{
		SignedIn: &accountv1.SessionSignedIn{
			AccountId:   accountID,
			SecretHash:  hashSecret(fresh.session),
			BrowserHash: hashSecret(fresh.known),
		},
	}})
}

func appendAll(tx *eventlog.Tx, stream string, events []proto.Message) error {
	if len(events) == 0 {
		return nil
	}
	return tx.Append(stream, events...)
}
