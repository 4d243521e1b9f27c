// Command paputd is the Paput server: everything in one process and one data directory.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// collectAt is how much garbage there may be, in percent of what is in use, before it is collected. In use are some tens
// of megabytes; with Go's own 100, a busy server spends a sixth of its time on collecting.
const collectAt = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	// What must be known, our own code logs. A library's lines may hold addresses with secrets in them.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := command(os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "paputd: %v\n", err)
		os.Exit(1)
	}
}

func command(logs io.Writer) *cobra.Command {
	var cfg config
	root := &cobra.Command{
		Use:   "paputd",
		Short: "The Paput server",
		Long: `paputd keeps memos and lets the AI assistants that their owners allow read and write them.

Each flag has a twin in the environment: --public-url is PAPUT_PUBLIC_URL.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd, os.LookupEnv)
		},
	}
	quiet := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	accounts := accountCommand(&cfg, quiet)
	keys := keyCommand(&cfg, quiet)
	cfg.addDataFlag(keys.PersistentFlags())
	root.AddCommand(serveCommand(logs), accounts, clientCommand(&cfg, quiet), keys, rebuildCommand(), backupCommand(), restoreCommand(), versionCommand())
	return root
}

func serveCommand(logs io.Writer) *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server until Ctrl-C, with everything that it keeps in one directory.

Each flag has a twin in the environment: --public-url is PAPUT_PUBLIC_URL.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.check(); err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(logs, nil))
			if cfg.logFormat == "json" {
				log = slog.New(slog.NewJSONHandler(logs, nil))
			}
			a, err := newApp(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			return a.run(cmd.Context(), func(ctx context.Context) error { return a.greet(ctx, cmd.OutOrStdout()) })
		},
	}
	cfg.addServeFlags(cmd.Flags())
	return cmd
}

func rebuildCommand() *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Rebuild the read models from the event log; the server must not be running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			lock, err := cfg.lockData()
			if err != nil {
				return err
			}
			defer func() { _ = lock.Unlock() }()
			events, err := openLog(cmd.Context(), &cfg)
			if err != nil {
				return err
			}
			defer events.Close()
			if err := events.Rebuild(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The read models have been rebuilt.")
			return nil
		},
	}
	cfg.addDataFlag(cmd.Flags())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version()) },
	}
}

// version is the module's version, or "devel" for a build from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
