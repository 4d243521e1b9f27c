package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
)

// statusReport is the result of status and login in JSON.
type statusReport struct {
	Server   string         `json:"server"`
	LoggedIn bool           `json:"logged_in"`
	Account  *statusAccount `json:"account,omitempty"`
	Scopes   []string       `json:"scopes,omitempty"`
	// ExpireTime is when the access token expires; it is renewed by itself.
	ExpireTime  *time.Time `json:"expire_time,omitempty"`
	Credentials string     `json:"credentials,omitempty"`
}

type statusAccount struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

func accountOf(a *accountv1.Account) *statusAccount {
	return &statusAccount{ID: a.GetId(), Email: a.GetEmail()}
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which server you are logged in to, and as whom",
		Long: `Show which server you are logged in to, as whom, what paput may do there, and
where the credentials are kept. Exits with 3 when you are not logged in.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
}

func (a *app) status(ctx context.Context) error {
	s, err := a.session()
	if err != nil {
		return err
	}
	client := s.client()
	token, err := oauthv1connect.NewOAuthServiceClient(client).GetToken(ctx, &oauthv1.GetTokenRequest{})
	if err != nil {
		return fromRPC(s.server, err)
	}
	account, err := accountv1connect.NewAccountServiceClient(client).GetAccount(ctx, &accountv1.GetAccountRequest{})
	if err != nil {
		return fromRPC(s.server, err)
	}
	slices.Sort(token.Scopes)
	if a.json {
		r := statusReport{
			Server: s.server, LoggedIn: true, Account: accountOf(account.GetAccount()),
			Scopes: token.GetScopes(), Credentials: s.vault.file(),
		}
		if t := token.GetExpireTime(); t != nil {
			at := t.AsTime()
			r.ExpireTime = &at
		}
		return a.printJSON(r)
	}
	_, err = fmt.Fprintf(a.Out, `Server:       %s
Account:      %s
Scopes:       %s
Access token: until %s, renewed by itself
Credentials:  %s
`, s.server, clean(account.GetAccount().GetEmail()), clean(strings.Join(token.GetScopes(), " ")),
		a.moment(token.GetExpireTime()), s.vault.file())
	return err
}
