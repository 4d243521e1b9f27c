package account

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

// waitError is returned when there were too many wrong attempts.
type waitError struct {
	// wait is the time until another attempt is let pass.
	wait time.Duration
}

func (e waitError) Error() string {
	return fmt.Sprintf("too many attempts: try again in %d seconds", e.seconds())
}

// seconds is the wait in whole seconds, at least 1.
func (e waitError) seconds() int { return max(1, int(math.Ceil(e.wait.Seconds()))) }

// signIn checks a password and begins a session. It does the same work whether the e-mail address is known or not, and
// fails with the same errWrong. Other errors: waitError, ErrBusy.
func (s *Service) signIn(ctx context.Context, email, password, address string, old browser) (browser, error) {
	key := emailKey(email)
	a, err := scanAccount(s.log.DB().QueryRowContext(ctx, selectAccount+`email_key = ?`, key))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return browser{}, err
	}
	known, err := s.knownBrowser(ctx, old.known, a.id)
	if err != nil {
		return browser{}, err
	}
	// The hash keeps a long address from filling the memory.
	counted, wait := s.limits.take(address, string(hashSecret(key)), known, s.now())
	if wait > 0 {
		return browser{}, waitError{wait}
	}
	ok, outdated, err := s.hasher.verify(ctx, a.passwordHash, password)
	if err != nil {
		counted.giveBack(s.now())
		return browser{}, err
	}
	if !ok {
		return browser{}, s.failSignIn(ctx, a.id)
	}
	counted.giveBack(s.now())
	rehashed := ""
	if outdated {
		if rehashed, err = s.hasher.hash(ctx, password); err != nil {
			return browser{}, err
		}
	}
	fresh, err := s.renew(ctx, old)
	if err != nil {
		return browser{}, err
	}
	sessionID := s.newID("sess")
	return fresh, s.log.Do(ctx, func(tx *eventlog.Tx) error {
		past, err := load(tx, a.id)
		if err != nil {
			return err
		}
		if past.passwordHash != a.passwordHash {
			return errWrong // it was changed since it was read
		}
		if rehashed != "" {
			if err := appendAll(tx, kindAccount+"/"+a.id, past.rehash(a.passwordHash, rehashed)); err != nil {
				return err
			}
		}
		return begin(tx, sessionID, a.id, old, fresh)
	})
}

// knownBrowser returns the hash of a browser's secret if it has signed in to the account before, else nil.
func (s *Service) knownBrowser(ctx context.Context, secret, accountID string) ([]byte, error) {
	if secret == "" || accountID == "" {
		return nil, nil
	}
	hash := hashSecret(secret)
	known, err := knowsBrowser(ctx, s.log.DB(), hash, accountID)
	if err != nil || !known {
		return nil, err
	}
	return hash, nil
}

// failSignIn records a failed attempt and returns errWrong.
func (s *Service) failSignIn(ctx context.Context, accountID string) error {
	stream := kindSession + "/" + s.newID("sess")
	err := s.log.Do(ctx, func(tx *eventlog.Tx) error {
		return tx.Append(stream, &accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignInFailed{
			SignInFailed: &accountv1.SessionSignInFailed{AccountId: accountID},
		}})
	})
	if err != nil {
		return err
	}
	return errWrong
}

func load(tx *eventlog.Tx, accountID string) (account, error) {
	stream := kindAccount + "/" + accountID
	records, err := tx.Load(stream)
	if err != nil {
		return account{}, fmt.Errorf("load %s: %w", stream, err)
	}
	return fold(records), nil
}
