package oauth

import (
	"fmt"
	"slices"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// EndAccount is the part of a command that erases an account: it ends every grant of the account, also those of services
// that act for it. Grants name the account by its id alone, so there is nothing to redact. ForgetAccount follows.
func (s *Server) EndAccount(tx *eventlog.Tx, accountID string) error {
	grants, err := liveGrants(tx, "account_id", accountID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if err := tx.Append(kindGrant+"/"+g, revoked(oauthv1.RevokeReason_REVOKE_REASON_ACCOUNT_ERASED)); err != nil {
			return err
		}
	}
	return nil
}

// ForgetAccount answers no token of an account from memory any more.
func (s *Server) ForgetAccount(accountID string) {
	s.forgetCallers(func(c rpc.Caller) bool { return c.AccountID == accountID })
}

// stillThere refuses what is to begin for an account that was erased meanwhile.
func (s *Server) stillThere(tx *eventlog.Tx, accountID string) error {
	if s.hasAccount == nil {
		return nil
	}
	exists, err := s.hasAccount(tx, accountID)
	if err != nil {
		return fmt.Errorf("look for the account: %w", err)
	}
	if !exists {
		return errTransaction
	}
	return nil
}

// existing leaves out the accounts that were erased.
func (s *Server) existing(tx *eventlog.Tx, accountIDs []string) ([]string, error) {
	if s.hasAccount == nil {
		return accountIDs, nil
	}
	var failed error
	left := slices.DeleteFunc(slices.Clone(accountIDs), func(id string) bool {
		exists, err := s.hasAccount(tx, id)
		if err != nil {
			failed = fmt.Errorf("look for the account: %w", err)
		}
		return !exists
	})
	return left, failed
}
