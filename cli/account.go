package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
)

// scopeAccount lets a token do what is about the account as a whole. No everyday log-in has it.
const scopeAccount = "paput.account"

func (a *app) accountCommand() *cobra.Command {
	return group("account", "Your account as a whole", "Your account as a whole.", a.accountEraseCommand())
}

func (a *app) accountEraseCommand() *cobra.Command {
	var yes string
	var noBrowser, device bool
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Erase your account and everything in it, for good",
		Long: `Erase your account and everything in it, for good: memos, notes, candidates and
what was public. Nobody can bring it back, so export it first if you may want
it again. Every app you connected loses its access at once, and paput forgets
your log-in here.

You type the account's e-mail address to confirm, and then log in once more,
because everyday log-ins may not do this. Scripts give the address with --yes.`,
		Example: `  paput account erase
  paput account erase --yes aiko@example.com --device`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			authorize, err := a.wayToLogIn(cmd, device, noBrowser)
			if err != nil {
				return err
			}
			email := yes
			if email == "" {
				if !a.Interactive || a.json {
					return usagef("this erases everything, so confirm it with the account's e-mail address: --yes ADDRESS")
				}
				if email, err = a.line(cmd.Context(), "This erases your account and everything in it, for good.\nType its e-mail address to go on: "); err != nil {
					return err
				}
				if email == "" {
					a.note("Nothing was erased.")
					return nil
				}
			}
			if err := a.isOwn(cmd.Context(), email); err != nil {
				return err
			}
			return a.eraseAccount(cmd.Context(), email, authorize)
		},
	}
	cmd.Flags().StringVar(&yes, "yes", "", "do not ask: the account's e-mail `ADDRESS`")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address to open instead of opening it")
	cmd.Flags().BoolVar(&device, "device", false, "print a code to enter in a browser on another device")
	return cmd
}

// erasedReport is the result of account erase in JSON.
type erasedReport struct {
	Server string `json:"server"`
	// Erased is always true.
	Erased bool `json:"erased"`
}

// isOwn refuses an address that is not that of the account which is logged in, before the person logs in once more. Without a
// log-in that works the server decides alone.
func (a *app) isOwn(ctx context.Context, email string) error {
	s, err := a.session()
	if err != nil || s.tokens == nil {
		return err
	}
	res, err := accountv1connect.NewAccountServiceClient(s.client()).GetAccount(ctx, &accountv1.GetAccountRequest{})
	if err == nil && !strings.EqualFold(res.GetAccount().GetEmail(), email) {
		return usagef("you are logged in as %s: nothing was erased", clean(res.GetAccount().GetEmail()))
	}
	return nil
}

// eraseAccount logs in for this alone, erases the account, and forgets the everyday log-in, which is worth nothing then. When
// that fails it gives the log-in back, and the everyday one stays.
func (a *app) eraseAccount(ctx context.Context, email string, authorize func(context.Context, *account) error) error {
	v, err := a.vault()
	if err != nil {
		return err
	}
	server, acc, _, err := a.obtain(ctx, v, []string{scopeAccount}, authorize)
	if err != nil {
		return err
	}
	s := &session{app: a, vault: v, server: server, tokens: acc.Tokens}
	_, err = accountv1connect.NewAccountServiceClient(s.client()).EraseAccount(ctx, &accountv1.EraseAccountRequest{Email: email})
	if err != nil {
		if gone := a.revokeAll(context.WithoutCancel(ctx), acc); gone != nil {
			a.note("paput: the log-in for this could not be ended: %s; it ends when it expires", gone)
		}
		return fromRPC(server, err)
	}
	err = v.update(ctx, func(c *credentials) error {
		c.of(server).Tokens = nil
		return nil
	})
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(erasedReport{Server: server, Erased: true})
	}
	_, err = fmt.Fprintf(a.Out, "The account %s is erased. You are logged out of %s.\n", clean(strings.TrimSpace(email)), server)
	return err
}
