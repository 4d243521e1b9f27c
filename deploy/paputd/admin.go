package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/spf13/cobra"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	"github.com/paput/paput/proto/gen/paput/server/v1/serverv1connect"
	"github.com/paput/paput/services/account"
	"github.com/paput/paput/services/oauth"
	"github.com/paput/paput/services/rpc"
)

// listenSocket listens on the Unix socket that administration goes through. The data directory is locked, so a socket that
// is there already is left from a process that was killed.
func listenSocket(ctx context.Context, file string) (net.Listener, error) {
	_ = os.Remove(file)
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", file)
	if errors.Is(err, syscall.EINVAL) {
		return nil, fmt.Errorf("the path %s is too long for a socket; choose a shorter directory with --data, or name it from where you are", file)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on the admin socket %s: %w", file, cause(err))
	}
	if err := os.Chmod(file, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("protect the admin socket %s: %w", file, cause(err))
	}
	return l, nil
}

// newAdministration returns the server of the RPCs for the administrator.
func newAdministration(log *slog.Logger, accounts *account.Service, apps *oauth.Server, keys *keeper) *connect.Server {
	server := rpc.NewServer(rpc.Config{Log: log, Codes: []rpc.Codes{account.Codes, oauth.Codes, keyCodes}})
	accountv1connect.RegisterAccountAdminServiceHandler(server, accounts.Admin())
	oauthv1connect.RegisterOAuthAdminServiceHandler(server, apps.Admin())
	serverv1connect.RegisterKeyAdminServiceHandler(server, keys)
	return server
}

// administer calls fn with a client for the server that has the data directory: through its socket while it runs, in this
// process when it does not.
func administer(ctx context.Context, cfg config, log *slog.Logger, fn func(context.Context, *connect.Client) error) error {
	lock, err := cfg.lockData()
	if errors.Is(err, errInUse) {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", cfg.socketFile())
		}
		client := &http.Client{Transport: &http.Transport{DialContext: dial}}
		return fn(ctx, connect.NewClient(connecthttp.NewTransport(client, "http://admin.sock")))
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	if err := cfg.checkAddress(); err != nil {
		return err
	}
	events, err := openLog(ctx, &cfg)
	if err != nil {
		return err
	}
	defer events.Close()
	// Nothing that is administered is derived from the key, so any will do.
	accounts, apps, _, err := cfg.newServices(events, serverKeys{newServerKey(time.Now(), "")}, log)
	if err != nil {
		return err
	}
	ground, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- events.Run(ground) }()
	err = fn(ctx, connect.NewClient(connectinprocess.New(newAdministration(log, accounts, apps, newKeeper(cfg, events, log)))))
	err = errors.Join(err, accounts.FinishErasures(ctx))
	stop()
	return errors.Join(err, <-done)
}

func accountCommand(cfg *config, log *slog.Logger) *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Manage the accounts of this server"}
	cfg.addOfflineFlags(cmd.PersistentFlags())
	cmd.AddCommand(accountAddCommand(cfg, log), accountListCommand(cfg, log), accountEraseCommand(cfg, log))
	return cmd
}

func accountAddCommand(cfg *config, log *slog.Logger) *cobra.Command {
	var email string
	var passwordStdin bool
	cmd := &cobra.Command{
		Use:   "add --email ADDRESS",
		Short: "Create an account, and print an invitation link for its owner",
		Long: `Creates an account. Without a password it prints a link with which its owner sets one, once, within 7 days; running
it again prints another link. With --password-stdin the account can sign in at once, for unattended set-up.

It works while the server runs and while it does not.`,
		Example: "  paputd account add --email aiko@example.com\n  pass show paput | paputd account add --email aiko@example.com --password-stdin",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var password string
			if passwordStdin {
				line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if err != nil && !errors.Is(err, io.EOF) {
					return fmt.Errorf("read the password: %w", err)
				}
				if password = strings.TrimRight(line, "\r\n"); password == "" {
					return errors.New("--password-stdin: there is no password on standard input")
				}
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := accountv1connect.NewAccountAdminServiceClient(server).CreateAccount(ctx, &accountv1.CreateAccountRequest{Email: email, Password: password})
				if err != nil {
					return plainError(err)
				}
				if link := res.GetInvitationUrl(); link != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "Give this link to %s; it sets the password, once, within 7 days:\n\n  %s\n\n", email, link)
					return nil
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s can sign in.\n", email)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "the owner's e-mail address")
	cmd.Flags().BoolVar(&passwordStdin, "password-stdin", false, "read the password from the first line of standard input")
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

func accountEraseCommand(cfg *config, log *slog.Logger) *cobra.Command {
	var email, id string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase --email ADDRESS",
		Short: "Erase an account and everything it has, for good",
		Long: `Erases an account for good, with its memos, notes and candidates: nobody can bring them back. At once it is signed out
everywhere, its apps lose their access, its public memos are gone and its e-mail address is free. What it had is then
removed from the files of the server, which takes minutes for an account with very many memos; the audit stream says
account.content_removed when it is done. Copies that were made with paputd backup are not touched.

It asks for the address again, unless --yes says that it need not. After a restore, name accounts that were erased before by
the id that the audit stream has, with --id. It works while the server runs and while it does not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			if !yes {
				fmt.Fprintf(cmd.ErrOrStderr(), "This erases the account and everything it has, for good. Type %s again to go on: ", email+id)
				line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if err != nil && !errors.Is(err, io.EOF) {
					return fmt.Errorf("read the address: %w", err)
				}
				if !strings.EqualFold(strings.TrimSpace(line), strings.TrimSpace(email+id)) {
					return errors.New("that is another account: nothing was erased")
				}
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := accountv1connect.NewAccountAdminServiceClient(server).EraseAccount(ctx, &accountv1.AccountAdminServiceEraseAccountRequest{Email: email, AccountId: id})
				if connect.CodeOf(err) == connect.CodeNotFound {
					return fmt.Errorf("there is no account %s; paputd account list shows them all", email+id)
				}
				if err != nil {
					return plainError(err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is erased. What it had is being removed from the files of the server.\n", res.GetAccountId())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "the owner's e-mail address")
	cmd.Flags().StringVar(&id, "id", "", "the account's id, in place of the address")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask for the address again")
	cmd.MarkFlagsOneRequired("email", "id")
	cmd.MarkFlagsMutuallyExclusive("email", "id")
	return cmd
}

func accountListCommand(cfg *config, log *slog.Logger) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := accountv1connect.NewAccountAdminServiceClient(server).ListAccounts(ctx, &accountv1.ListAccountsRequest{})
				if err != nil {
					return plainError(err)
				}
				for _, a := range res.GetAccounts() {
					state := "active"
					if !a.GetActive() {
						state = "invited"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %-7s  %s\n", a.GetId(), state, a.GetEmail())
				}
				return nil
			})
		},
	}
}

// plainError drops the Connect code from an error that a person reads.
func plainError(err error) error {
	var e *connect.Error
	if errors.As(err, &e) && e.Message() != "" {
		return errors.New(e.Message())
	}
	return err
}
