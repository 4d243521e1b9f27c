package account

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	"github.com/paput/paput/services/rpc"
)

func (s *site) adminClient() accountv1connect.AccountAdminServiceClient {
	server := rpc.NewServer(rpc.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Codes: []rpc.Codes{Codes}})
	accountv1connect.RegisterAccountAdminServiceHandler(server, s.service.Admin())
	return accountv1connect.NewAccountAdminServiceClient(connect.NewClient(connectinprocess.New(server)))
}

func TestCreateAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.adminClient()
	create := func(email, password string) (*accountv1.CreateAccountResponse, error) {
		return admin.CreateAccount(t.Context(), &accountv1.CreateAccountRequest{Email: email, Password: password})
	}
	ada, err := create("  Ada@example.com ", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if a := ada.GetAccount(); a.GetEmail() != "Ada@example.com" || !a.GetActive() || !strings.HasPrefix(a.GetId(), "acct_") || ada.GetInvitationUrl() != "" {
		t.Errorf("got %v", ada)
	}
	bob, err := create("bob@example.com", "")
	if err != nil {
		t.Fatal(err)
	}
	if bob.GetAccount().GetActive() || !strings.HasPrefix(bob.GetInvitationUrl(), s.url+"/invite?token=") {
		t.Errorf("got %v", bob)
	}
	again, err := create("BOB@example.com", "")
	if err != nil {
		t.Fatal(err)
	}
	if again.GetAccount().GetId() != bob.GetAccount().GetId() || again.GetInvitationUrl() == bob.GetInvitationUrl() {
		t.Errorf("got %v, then %v", bob, again)
	}

	refusals := []struct {
		name, email, password string
		code                  connect.Code
		text                  string
	}{
		{"no address", "", goodPassword, connect.CodeInvalidArgument, "email is required"},
		{"bad address", "ada", "", connect.CodeInvalidArgument, ErrEmail.Error()},
		{"exists, password", "ada@EXAMPLE.com", goodPassword, connect.CodeAlreadyExists, ErrExists.Error()},
		{"exists, invitation", "ada@example.com", "", connect.CodeAlreadyExists, ErrExists.Error()},
		{"short", "cy@example.com", "short", connect.CodeInvalidArgument, ErrPasswordShort.Error()},
		{"long", "cy@example.com", strings.Repeat("x", 201), connect.CodeInvalidArgument, "password is 201 characters, at most 200"},
		{"common", "cy@example.com", "password123", connect.CodeInvalidArgument, ErrPasswordCommon.Error()},
		{"address as password", "cy@example.com", "cy@example.com", connect.CodeInvalidArgument, ErrPasswordEmail.Error()},
	}
	for _, tc := range refusals {
		_, err := create(tc.email, tc.password)
		var got *connect.Error
		if connect.CodeOf(err) != tc.code || !errors.As(err, &got) || got.Message() != tc.text {
			t.Errorf("%s: got %v, want %v: %s", tc.name, err, tc.code, tc.text)
		}
	}

	if _, err := create("bob@example.com", goodPassword); err != nil {
		t.Errorf("a password for an invited account: %v", err)
	}
	list, err := admin.ListAccounts(t.Context(), &accountv1.ListAccountsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range list.GetAccounts() {
		if !a.GetActive() {
			t.Errorf("%v is not active", a)
		}
		got = append(got, a.GetEmail())
	}
	if want := []string{"Ada@example.com", "bob@example.com"}; !slices.Equal(got, want) {
		t.Errorf("got the accounts %q, want %q", got, want)
	}
}

func TestCreateAccountOnceByMany(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", goodPassword} {
		s := newSite(t)
		admin := s.adminClient()
		codes := make([]connect.Code, 20)
		links := make([]string, 20)
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() {
				email := strings.ToUpper("ada")[:i%4] + "ada"[i%4:] + "@example.com"
				res, err := admin.CreateAccount(t.Context(), &accountv1.CreateAccountRequest{Email: email, Password: password})
				if err != nil {
					codes[i] = connect.CodeOf(err)
				}
				links[i] = res.GetInvitationUrl()
			})
		}
		wg.Wait()
		slices.Sort(codes)
		if password != "" && (codes[0] != 0 || codes[1] != connect.CodeAlreadyExists || codes[19] != connect.CodeAlreadyExists) {
			t.Errorf("got codes %v, want one success and already_exists", codes)
		}
		list, err := admin.ListAccounts(t.Context(), &accountv1.ListAccountsRequest{})
		if err != nil || len(list.GetAccounts()) != 1 {
			t.Errorf("got accounts %v, error %v, want one", list.GetAccounts(), err)
		}
		if password != "" {
			continue
		}
		working := 0
		for _, link := range links {
			if s.visitor().get(link).status == 200 {
				working++
			}
		}
		if working != 1 {
			t.Errorf("%d of 20 invitations work, want the last one only", working)
		}
	}
}

func TestGetAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.addAccount("ada@example.com")
	s.addAccount("eve@example.com")
	server := rpc.NewServer(rpc.Config{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Codes: []rpc.Codes{Codes},
		Auth: tokens{"ada": ada.GetId(), "gone": "acct_none"},
	})
	accountv1connect.RegisterAccountServiceHandler(server, s.service)
	client := accountv1connect.NewAccountServiceClient(connect.NewClient(connectinprocess.New(server)))
	get := func(token string) (*accountv1.Account, error) {
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Authorization", "Bearer "+token)
		res, err := client.GetAccount(ctx, &accountv1.GetAccountRequest{})
		return res.GetAccount(), err
	}
	if got, err := get("ada"); err != nil || got.GetId() != ada.GetId() || got.GetEmail() != "ada@example.com" || !got.GetActive() {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := get("gone"); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("got %v, want not_found", err)
	}
	if _, err := get("forged"); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("got %v, want unauthenticated", err)
	}
}

// tokens are access tokens with the accounts they speak for.
type tokens map[string]string

func (a tokens) Authenticate(_ context.Context, token string) (rpc.Caller, error) {
	id, ok := a[token]
	if !ok {
		return rpc.Caller{}, rpc.ErrUnauthenticated
	}
	return rpc.Caller{AccountID: id, Scopes: []string{"paput.read"}}, nil
}
