package account

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

// account is what decisions about an account need to know of its past.
type account struct {
	email             string
	passwordHash      string
	invitationHash    []byte
	invitationExpires time.Time
	erased            bool
	removed           bool // after it was erased: there is no content left
}

func (a account) exists() bool { return a.email != "" && !a.erased }
func (a account) active() bool { return a.passwordHash != "" }

func fold(records []eventlog.Record) account {
	var a account
	for _, r := range records {
		a = a.evolve(r.Event.(*accountv1.AccountEvent))
	}
	return a
}

func (a account) evolve(e *accountv1.AccountEvent) account {
	switch e := e.GetEvent().(type) {
	case *accountv1.AccountEvent_Created:
		a.email = e.Created.GetEmail()
	case *accountv1.AccountEvent_Invited:
		a.invitationHash = e.Invited.GetTokenHash()
		a.invitationExpires = e.Invited.GetExpireTime().AsTime()
	case *accountv1.AccountEvent_Activated:
		a.passwordHash = e.Activated.GetPasswordHash()
		a.invitationHash, a.invitationExpires = nil, time.Time{}
	case *accountv1.AccountEvent_PasswordRehashed:
		a.passwordHash = e.PasswordRehashed.GetPasswordHash()
	case *accountv1.AccountEvent_Erased:
		a = account{erased: true}
	case *accountv1.AccountEvent_ContentRemoved:
		a.removed = true
	}
	return a
}

// create is nothing for an account that exists: making one again is how a lost invitation is replaced.
func (a account) create(email string) []proto.Message {
	if a.exists() {
		return nil
	}
	return []proto.Message{&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Created{
		Created: &accountv1.AccountCreated{Email: email},
	}}}
}

func (a account) invite(tokenHash []byte, now time.Time) ([]proto.Message, error) {
	if a.active() {
		return nil, ErrExists
	}
	return []proto.Message{&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Invited{
		Invited: &accountv1.AccountInvited{TokenHash: tokenHash, ExpireTime: timestamppb.New(now.Add(invitationLife))},
	}}}, nil
}

func (a account) activate(passwordHash string, method accountv1.ActivationMethod) ([]proto.Message, error) {
	if a.active() {
		return nil, ErrExists
	}
	return []proto.Message{&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Activated{
		Activated: &accountv1.AccountActivated{PasswordHash: passwordHash, Method: method},
	}}}, nil
}

// accept takes up an invitation.
func (a account) accept(tokenHash []byte, passwordHash string, now time.Time) ([]proto.Message, error) {
	if a.active() || !bytes.Equal(a.invitationHash, tokenHash) || !now.Before(a.invitationExpires) {
		return nil, errLink
	}
	return a.activate(passwordHash, accountv1.ActivationMethod_ACTIVATION_METHOD_INVITATION)
}

// rehash replaces the hash that was verified; when it has been replaced meanwhile, nothing happens.
func (a account) rehash(verified, fresh string) []proto.Message {
	if a.passwordHash != verified {
		return nil
	}
	return []proto.Message{&accountv1.AccountEvent{Event: &accountv1.AccountEvent_PasswordRehashed{
		PasswordRehashed: &accountv1.AccountPasswordRehashed{PasswordHash: fresh},
	}}}
}

func (a account) erase(method accountv1.ErasureMethod) ([]proto.Message, error) {
	if !a.exists() {
		return nil, ErrNotFound
	}
	return []proto.Message{&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Erased{Erased: &accountv1.AccountErased{Method: method}}}}, nil
}

// finishErasure says, once, that nothing is left.
func (a account) finishErasure() []proto.Message {
	if !a.erased || a.removed {
		return nil
	}
	return []proto.Message{&accountv1.AccountEvent{Event: &accountv1.AccountEvent_ContentRemoved{ContentRemoved: &accountv1.AccountContentRemoved{}}}}
}

// session is what decisions about a browser session need to know of its past.
type session struct {
	accountID     string
	started, seen time.Time
	ended         bool
}

func foldSession(records []eventlog.Record) session {
	var s session
	for _, r := range records {
		s = s.evolve(r.Event.(*accountv1.SessionEvent), r.Time)
	}
	return s
}

func (s session) evolve(e *accountv1.SessionEvent, at time.Time) session {
	switch e := e.GetEvent().(type) {
	case *accountv1.SessionEvent_SignedIn:
		s.accountID, s.started, s.seen = e.SignedIn.GetAccountId(), at, at
	case *accountv1.SessionEvent_Continued:
		s.seen = at
	case *accountv1.SessionEvent_SignedOut, *accountv1.SessionEvent_SignInFailed:
		s.ended = true
	}
	return s
}

// alive says whether the session is one in which a person is signed in.
func (s session) alive(now time.Time) bool {
	return s.accountID != "" && !s.ended && now.Before(s.seen.Add(sessionIdle)) && now.Before(s.started.Add(sessionLife))
}

func (s session) resume(now time.Time) []proto.Message {
	if !s.alive(now) || now.Before(s.seen.Add(sessionStep)) {
		return nil
	}
	return []proto.Message{&accountv1.SessionEvent{Event: &accountv1.SessionEvent_Continued{
		Continued: &accountv1.SessionContinued{AccountId: s.accountID},
	}}}
}

func (s session) end(reason accountv1.SignOutReason, now time.Time) []proto.Message {
	if !s.alive(now) {
		return nil
	}
	return []proto.Message{&accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignedOut{
		SignedOut: &accountv1.SessionSignedOut{AccountId: s.accountID, Reason: reason},
	}}}
}
