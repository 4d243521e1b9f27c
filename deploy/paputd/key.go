package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"

	serverv1 "github.com/paput/paput/proto/gen/paput/server/v1"
	"github.com/paput/paput/proto/gen/paput/server/v1/serverv1connect"
)

func keyCommand(cfg *config, log *slog.Logger) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Manage the key of this server"}
	cmd.AddCommand(keyRotateCommand(cfg, log), keyListCommand(cfg, log))
	return cmd
}

func keyRotateCommand(cfg *config, log *slog.Logger) *cobra.Command {
	var forget bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the key that log-ins and refresh tokens are derived from",
		Long: `Replaces the key in server.key. Nobody notices: the key before is honoured for as long as something that was made
with it can come back (15 minutes: a log-in takes 10 at most), and then dropped.

Use --forget when somebody else may have the key. All earlier keys are then worth nothing at once, at this price: people
who are in the middle of a log-in begin again, and an app that repeats a refresh because it missed the answer has to be
signed in again. Other apps stay connected. Who has the key and an old refresh token can still work out the tokens that
followed it under that key; if you fear that, end the grants as well.

It works while the server runs and while it does not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := serverv1connect.NewKeyAdminServiceClient(server).RotateKey(ctx, &serverv1.RotateKeyRequest{Forget: forget})
				if err != nil {
					return plainError(err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), "The server has another key.")
				printKeys(cmd.OutOrStdout(), res.GetKeys())
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "honour no earlier key, because somebody else may have it")
	return cmd
}

func keyListCommand(cfg *config, log *slog.Logger) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys that are honoured, by their ids",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := serverv1connect.NewKeyAdminServiceClient(server).ListKeys(ctx, &serverv1.ListKeysRequest{})
				if err != nil {
					return plainError(err)
				}
				printKeys(cmd.OutOrStdout(), res.GetKeys())
				return nil
			})
		},
	}
}

func printKeys(w io.Writer, keys []*serverv1.Key) {
	for _, k := range keys {
		state := "in use"
		switch {
		case k.GetExpireTime() != nil:
			state = "honoured until " + k.GetExpireTime().AsTime().Format(time.RFC3339)
		case k.GetCreateTime() != nil:
			state += " since " + k.GetCreateTime().AsTime().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s  %s\n", k.GetId(), state)
	}
}
