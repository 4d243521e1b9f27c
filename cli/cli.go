// Package cli is the command line `paput`: it logs in to a Paput server, keeps and finds memos there, lends the server's
// tools to an assistant over stdio, and reads the audit stream. It knows the server by HTTP, RPC and NATS only.
//
// Results go to Out, everything else to Err. With --json a result is one line of JSON and an error one JSON object.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// DefaultServer is the server that is meant when nothing names another.
const DefaultServer = "http://localhost:8080"

// loginTimeout is how long `paput login` waits for the browser to come back.
const loginTimeout = 5 * time.Minute

// Streams is the world that a command runs in. In, Out, Err, Env and Now are required.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Env looks up an environment variable, as os.LookupEnv does.
	Env func(key string) (value string, ok bool)
	// Now tells the time; times are shown in its location.
	Now func() time.Time
	// Interactive says whether a person sits at both In and Err: only then are questions asked and editors opened.
	Interactive bool
	// Width is how many columns Out has; 0 when it is no terminal, and tables are then written with tabs, uncut.
	Width int
	// OutIsGone says whether no one reads Out any more, as after `| head`; nil when that cannot be told without writing.
	OutIsGone func() bool
	// Browse opens a URL in the person's browser; nil uses the system's opener.
	Browse func(ctx context.Context, url string) error
}

// app is one run of the program: what every command needs.
type app struct {
	Streams
	http         *http.Client
	loginTimeout time.Duration
	// pace shortens the waits of a log-in without a browser in tests.
	pace func(time.Duration) time.Duration
	// The flags that every command has.
	json   bool
	server string
}

// Run carries out one command line, without the program's name, and reports a failure on s.Err. ExitCode says what to
// exit with. Run returns soon after ctx is done.
func Run(ctx context.Context, args []string, s Streams) error {
	a := &app{Streams: s, http: newHTTPClient(), loginTimeout: loginTimeout, pace: asSaid}
	return a.run(ctx, args)
}

func asSaid(d time.Duration) time.Duration { return d }

func (a *app) run(ctx context.Context, args []string) error {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	err := root.ExecuteContext(ctx)
	if err == nil || isBrokenPipe(err) {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		err = fmt.Errorf("%w: %w", errInterrupted, err)
	}
	// A command line that could not be parsed has not set a.json.
	a.report(err, a.json || slices.Contains(args, "--json"))
	return err
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "paput",
		Short: "Keep what you learn at work, and give it to your assistants",
		Long: `paput keeps memos of decisions, trade-offs and know-how on a Paput server and
finds them again, for you and for the assistants you work with.

Begin with:  paput login http://localhost:8080`,
		Example: `  paput login
  paput memo add --title "Why we chose SQLite" "One file, one writer, one fsync."
  paput memo search sqlite
  claude mcp add paput -- paput mcp`,
		Args:                  noSuchCommand,
		RunE:                  showHelp,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print the result as JSON, and an error as JSON on standard error")
	root.PersistentFlags().StringVar(&a.server, "server", "",
		"the server's `URL` (env PAPUT_SERVER; otherwise the one logged in to last, or "+DefaultServer+")")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageOf(cmd, err) })
	root.AddCommand(
		a.loginCommand(), a.logoutCommand(), a.statusCommand(),
		a.memoCommand(), a.noteCommand(), a.captureCommand(), a.exportCommand(), a.importCommand(),
		a.mcpCommand(), a.auditCommand(), a.accountCommand(),
		a.versionCommand(), exitCodesCommand(),
	)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	return root
}

// group makes a command that only holds others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: noSuchCommand, RunE: showHelp, DisableFlagsInUseLine: true}
	c.AddCommand(commands...)
	return c
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noSuchCommand refuses the arguments of a command that only holds others.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageOf(cmd, errors.New(text))
}

// args turns cobra's complaints about the number of arguments into usage errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageOf(cmd, err)
		}
		return nil
	}
}

// env returns an environment variable; empty counts as not set.
func (a *app) env(key string) string {
	v, _ := a.Env(key)
	return v
}

// note tells the person something that is no result.
func (a *app) note(format string, v ...any) { fmt.Fprintf(a.Err, format+"\n", v...) }

// serverURL is the server that the command line, the environment or the last log-in names.
func (a *app) serverURL(c *credentials) (string, error) {
	for _, named := range []string{a.server, a.env("PAPUT_SERVER"), c.Current} {
		if named != "" {
			return parseServer(named)
		}
	}
	return DefaultServer, nil
}

// parseServer checks a server's URL and brings it into the one form that credentials are kept under: no trailing slash,
// no /mcp, which is the same server.
func parseServer(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return "", usagef("%q is not a server's URL; write it like https://paput.example.com", raw)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", usagef("the server's URL must have no user, query or fragment")
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/mcp")
	u.RawPath = ""
	if err := checkSecure(u); err != nil {
		return "", err
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// version is the program's own, as the Go toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// changed lists the names of the flags that the person gave.
func changed(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().Visit(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
