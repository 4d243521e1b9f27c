package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) logoutCommand() *cobra.Command {
	var local bool
	cmd := &cobra.Command{
		Use:   "logout [SERVER]",
		Short: "End the session at the server and forget its tokens",
		Long: `End the session at the server and forget its tokens.

When the server cannot be reached nothing is forgotten, so that you can try
again: until then the session there goes on. --local forgets the tokens all the
same.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.server = args[0]
			}
			return a.logout(cmd.Context(), local)
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "forget the tokens even when the server cannot be reached")
	return cmd
}

// logoutReport is the result of logout in JSON.
type logoutReport struct {
	Server string `json:"server"`
	// LoggedIn is how it stands afterwards: always false.
	LoggedIn bool `json:"logged_in"`
	// Revoked says whether the server has ended the session.
	Revoked bool `json:"revoked"`
}

func (a *app) logout(ctx context.Context, local bool) error {
	s, err := a.session()
	if err != nil {
		return err
	}
	if s.tokens == nil {
		if a.json {
			return a.printJSON(logoutReport{Server: s.server})
		}
		_, err := fmt.Fprintf(a.Out, "You are not logged in to %s.\n", s.server)
		return err
	}
	var refused error // why the session at the server goes on
	err = s.vault.update(ctx, func(c *credentials) error {
		acc := c.of(s.server)
		if acc.Tokens == nil {
			return nil
		}
		refused = a.revokeAll(ctx, acc)
		if refused != nil && !local {
			return problemf(kindOf(refused).err, "%s; you are still logged in: try again, or forget the tokens here with: paput logout --local", refused)
		}
		acc.Tokens = nil
		return nil
	})
	if err != nil {
		return err
	}
	if refused != nil {
		a.note("paput: %s; the session there ends when it expires", refused)
	}
	if a.json {
		return a.printJSON(logoutReport{Server: s.server, Revoked: refused == nil})
	}
	_, err = fmt.Fprintf(a.Out, "Logged out of %s.\n", s.server)
	return err
}

// revokeAll ends the session at the server. A server that has forgotten this client has ended it already.
func (a *app) revokeAll(ctx context.Context, acc *account) error {
	if acc.Endpoints.Revocation == "" {
		return errors.New("the server offers no way to end a session")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := a.revoke(ctx, acc, acc.Tokens)
	if errors.Is(err, errInvalidClient) {
		return nil
	}
	return err
}
