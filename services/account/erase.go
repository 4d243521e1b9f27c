package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// finishEvery is how long Run waits before it tries again to remove what it could not.
const finishEvery = time.Minute

// Erasure is what another service does when an account is erased. Each of its functions may be nil.
type Erasure struct {
	// Begin is part of the command that erases the account. When it commits, nothing that the service has of the account can
	// be reached any more.
	Begin func(tx *eventlog.Tx, accountID string) error
	// Begun is called after that command, whatever became of it, and makes the service forget what it knows by heart.
	Begun func(accountID string)
	// Finish removes for good what is left, for which it may take its time. It is called again until it returns nil, by a
	// later process too.
	Finish func(ctx context.Context, accountID string) error
}

// EraseAccount erases the caller's own account.
func (s *Service) EraseAccount(ctx context.Context, req *accountv1.EraseAccountRequest) (*accountv1.EraseAccountResponse, error) {
	caller := rpc.CallerFrom(ctx)
	if caller.IsService {
		return nil, ErrService
	}
	err := s.erase(ctx, accountv1.ErasureMethod_ERASURE_METHOD_OWNER, func(tx *eventlog.Tx) (string, error) {
		a, err := scanAccount(tx.QueryRow(selectAccount+`id = ?`, caller.AccountID))
		if err == nil && emailKey(a.email) != emailKey(req.GetEmail()) {
			err = ErrOtherEmail
		}
		return a.id, err
	})
	if err != nil {
		return nil, err
	}
	return &accountv1.EraseAccountResponse{}, nil
}

// EraseAccount erases the account with an e-mail address or an id.
func (a admin) EraseAccount(ctx context.Context, req *accountv1.AccountAdminServiceEraseAccountRequest) (*accountv1.AccountAdminServiceEraseAccountResponse, error) {
	var erased string
	where, value := `email_key = ?`, emailKey(req.GetEmail())
	if req.GetAccountId() != "" {
		where, value = `id = ?`, req.GetAccountId()
	}
	if (req.GetEmail() == "") == (req.GetAccountId() == "") {
		return nil, ErrWhichAccount
	}
	err := a.s.erase(ctx, accountv1.ErasureMethod_ERASURE_METHOD_ADMIN, func(tx *eventlog.Tx) (id string, err error) {
		found, err := scanAccount(tx.QueryRow(selectAccount+where, value))
		erased = found.id
		return found.id, err
	})
	if err != nil {
		return nil, err
	}
	return &accountv1.AccountAdminServiceEraseAccountResponse{AccountId: erased}, nil
}

// erase erases the account that find names. When it returns, nobody can sign in to the account, reach anything of it, or
// tell it from one that never was; the e-mail address is free. Run then removes its content.
func (s *Service) erase(ctx context.Context, method accountv1.ErasureMethod, find func(tx *eventlog.Tx) (id string, err error)) error {
	var id string
	// Whoever asks for it may go away; what is erased must be known all the same, for others to forget it.
	err := s.log.Do(context.WithoutCancel(ctx), func(tx *eventlog.Tx) (err error) {
		if id, err = find(tx); err != nil {
			return err
		}
		return s.beginErasure(tx, id, method)
	})
	for _, e := range s.erasures {
		if e.Begun != nil && id != "" {
			e.Begun(id)
		}
	}
	if err != nil {
		return err
	}
	s.logger.InfoContext(ctx, "account erased", "account_id", id)
	select {
	case s.toFinish <- struct{}{}:
	default: // Run has been told and has not looked yet
	}
	return nil
}

func (s *Service) beginErasure(tx *eventlog.Tx, id string, method accountv1.ErasureMethod) error {
	past, err := load(tx, id)
	if err != nil {
		return err
	}
	events, err := past.erase(method)
	if err != nil {
		return err
	}
	sessions, err := sessionsOf(tx, id)
	if err != nil {
		return err
	}
	for _, sessionID := range sessions {
		if err := decideSession(tx, sessionID, func(past session) []proto.Message {
			return past.end(accountv1.SignOutReason_SIGN_OUT_REASON_ACCOUNT_ERASED, tx.Now())
		}); err != nil {
			return err
		}
	}
	for _, e := range s.erasures {
		if e.Begin == nil {
			continue
		}
		if err := e.Begin(tx, id); err != nil {
			return err
		}
	}
	stream := kindAccount + "/" + id
	if err := appendAll(tx, stream, events); err != nil {
		return err
	}
	return tx.Redact(stream)
}

// Run removes what erased accounts have left, until ctx is done. Trouble is logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(finishEvery)
	defer ticker.Stop()
	for {
		if err := s.FinishErasures(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "content of an erased account not removed yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.toFinish:
		case <-ticker.C:
		}
	}
}

// FinishErasures removes what the accounts have left that were erased so far, and records of each that it is done: by then
// no file of the log has anything of it.
func (s *Service) FinishErasures(ctx context.Context) error {
	ids, err := pendingErasures(ctx, s.log.DB())
	if err != nil {
		return fmt.Errorf("find erased accounts: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if err := s.finishErasure(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) finishErasure(ctx context.Context, id string) error {
	for _, e := range s.erasures {
		if e.Finish == nil {
			continue
		}
		if err := e.Finish(ctx, id); err != nil {
			return err
		}
	}
	if err := s.redactSessions(ctx, id); err != nil {
		return err
	}
	if err := s.log.Scrub(ctx); err != nil {
		return err
	}
	err := s.log.Do(ctx, func(tx *eventlog.Tx) error {
		past, err := load(tx, id)
		if err != nil {
			return err
		}
		return appendAll(tx, kindAccount+"/"+id, past.finishErasure())
	})
	if err != nil {
		return err
	}
	s.logger.InfoContext(ctx, "content of an erased account removed", "account_id", id)
	return nil
}

// redactSessions redacts the account's sign-ins: the hashes in them tell one browser from another. The read model has
// forgotten most of them, so it goes through the log.
func (s *Service) redactSessions(ctx context.Context, accountID string) error {
	for r, err := range s.log.After(ctx, 0) {
		if err != nil {
			return err
		}
		e, ok := r.Event.(*accountv1.SessionEvent)
		if !ok || e.GetSignedIn().GetAccountId() != accountID {
			continue
		}
		if err := s.log.Do(ctx, func(tx *eventlog.Tx) error { return tx.Redact(r.Stream) }); err != nil {
			return err
		}
	}
	return nil
}
