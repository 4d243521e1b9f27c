package account

import (
	"context"

	"google.golang.org/protobuf/proto"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

var (
	_ accountv1connect.AccountServiceHandler      = (*Service)(nil)
	_ accountv1connect.AccountAdminServiceHandler = admin{}
)

// GetAccount returns the caller's own account.
func (s *Service) GetAccount(ctx context.Context, _ *accountv1.GetAccountRequest) (*accountv1.GetAccountResponse, error) {
	id := rpc.CallerFrom(ctx).AccountID
	a, err := scanAccount(s.log.DB().QueryRowContext(ctx, selectAccount+`id = ?`, id))
	if err != nil {
		return nil, err
	}
	return &accountv1.GetAccountResponse{Account: a.proto()}, nil
}

func (a row) proto() *accountv1.Account {
	return &accountv1.Account{Id: a.id, Email: a.email, Active: a.passwordHash != ""}
}

// Admin returns the service for whoever runs the server. It asks nobody for permission.
func (s *Service) Admin() accountv1connect.AccountAdminServiceHandler { return admin{s} }

type admin struct{ s *Service }

// CreateAccount creates an account, or gives one that was never taken up a password or a fresh invitation.
func (a admin) CreateAccount(
	ctx context.Context, req *accountv1.CreateAccountRequest,
) (*accountv1.CreateAccountResponse, error) {
	email, err := parseEmail(req.GetEmail())
	if err != nil {
		return nil, err
	}
	if req.GetPassword() != "" {
		return a.s.createActive(ctx, email, req.GetPassword())
	}
	return a.s.createInvited(ctx, email)
}

func (s *Service) createActive(ctx context.Context, email, password string) (*accountv1.CreateAccountResponse, error) {
	if err := checkPassword(password, email); err != nil {
		return nil, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	account, err := s.create(ctx, email, func(past account, _ *eventlog.Tx) ([]proto.Message, error) {
		return past.activate(hash, accountv1.ActivationMethod_ACTIVATION_METHOD_ADMIN)
	})
	if err != nil {
		return nil, err
	}
	return &accountv1.CreateAccountResponse{Account: account}, nil
}

func (s *Service) createInvited(ctx context.Context, email string) (*accountv1.CreateAccountResponse, error) {
	token := newSecret()
	account, err := s.create(ctx, email, func(past account, tx *eventlog.Tx) ([]proto.Message, error) {
		return past.invite(hashSecret(token), tx.Now())
	})
	if err != nil {
		return nil, err
	}
	return &accountv1.CreateAccountResponse{Account: account, InvitationUrl: s.publicURL + "/invite?token=" + token}, nil
}

func (s *Service) create(
	ctx context.Context, email string, decide func(account, *eventlog.Tx) ([]proto.Message, error),
) (*accountv1.Account, error) {
	newID := s.newID("acct")
	var result row
	err := s.log.Do(ctx, func(tx *eventlog.Tx) error {
		id, err := change(tx, newID, email, func(past account) ([]proto.Message, error) { return decide(past, tx) })
		if err != nil {
			return err
		}
		result, err = scanAccount(tx.QueryRow(selectAccount+`id = ?`, id))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.logger.InfoContext(ctx, "account created or invited", "account_id", result.id, "active", result.passwordHash != "")
	return result.proto(), nil
}

// ListAccounts lists the accounts in the order they were created.
func (a admin) ListAccounts(
	ctx context.Context, _ *accountv1.ListAccountsRequest,
) (*accountv1.ListAccountsResponse, error) {
	rows, err := a.s.log.DB().QueryContext(ctx, selectAccount+`TRUE ORDER BY number`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	res := &accountv1.ListAccountsResponse{}
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.email, &r.passwordHash); err != nil {
			return nil, err
		}
		res.Accounts = append(res.Accounts, r.proto())
	}
	return res, rows.Err()
}
