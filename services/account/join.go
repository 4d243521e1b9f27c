package account

import (
	"context"
	"crypto/subtle"

	"google.golang.org/protobuf/proto"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

// checkSetup returns errLink unless the token is that of the set-up link and nobody has used it.
func (s *Service) checkSetup(ctx context.Context, token string) error {
	s.mu.Lock()
	hash := s.setupHash
	s.mu.Unlock()
	if hash == nil || subtle.ConstantTimeCompare(hash, hashSecret(token)) != 1 {
		return errLink
	}
	open, err := needsSetup(ctx, s.log.DB())
	if err != nil {
		return err
	}
	if !open {
		return errLink
	}
	return nil
}

// setUp makes the first account and begins a session in it. Of any number of attempts with one link, one succeeds; the
// others get errLink.
func (s *Service) setUp(ctx context.Context, token, email, password string, old browser) (browser, error) {
	if err := s.checkSetup(ctx, token); err != nil {
		return browser{}, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return browser{}, err
	}
	fresh, err := s.renew(ctx, old)
	if err != nil {
		return browser{}, err
	}
	newID, sessionID := s.newID("acct"), s.newID("sess")
	return fresh, s.log.Do(ctx, func(tx *eventlog.Tx) error {
		var open bool
		if err := tx.QueryRow(querySetup).Scan(&open); err != nil {
			return err
		}
		if !open {
			return errLink
		}
		id, err := change(tx, newID, email, func(past account) ([]proto.Message, error) {
			return past.activate(hash, accountv1.ActivationMethod_ACTIVATION_METHOD_SETUP_LINK)
		})
		if err != nil {
			return err
		}
		return begin(tx, sessionID, id, old, fresh)
	})
}

// invited returns the account that an invitation is for, or errLink.
func (s *Service) invited(ctx context.Context, token string) (row, error) {
	return byInvitation(ctx, s.log.DB(), hashSecret(token), s.now())
}

// acceptInvitation sets the password of an invited account and begins a session in it. Of any number of attempts with one
// link, one succeeds; the others get errLink.
func (s *Service) acceptInvitation(ctx context.Context, token, password string, old browser) (browser, error) {
	a, err := s.invited(ctx, token)
	if err != nil {
		return browser{}, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return browser{}, err
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
		events, err := past.accept(hashSecret(token), hash, tx.Now())
		if err != nil {
			return err
		}
		if err := appendAll(tx, kindAccount+"/"+a.id, events); err != nil {
			return err
		}
		return begin(tx, sessionID, a.id, old, fresh)
	})
}

// change lets decide add to the account with an e-mail address, which it makes, with the id newID, when there is none. It
// returns the account's id.
func change(tx *eventlog.Tx, newID, email string, decide func(account) ([]proto.Message, error)) (string, error) {
	id, err := idByEmail(tx, email)
	if err != nil {
		return "", err
	}
	if id == "" {
		id = newID
	}
	past, err := load(tx, id)
	if err != nil {
		return "", err
	}
	events, err := decide(past)
	if err != nil {
		return "", err
	}
	return id, appendAll(tx, kindAccount+"/"+id, append(past.create(email), events...))
}
