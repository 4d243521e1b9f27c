// Command bench measures a real paputd from outside, each figure beside a baseline taken in the same run: the disk's bare
// fsync rate, and a bare net/http server that echoes JSON. Machines differ and are noisy; the ratios carry over.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// callers are the numbers of concurrent callers that everything is measured with.
var callers = []int{1, 16, 64}

func main() {
	duration := flag.Duration("duration", 3*time.Second, "how long to measure each figure")
	bin := flag.String("bin", "bin", "directory of the binaries")
	parts := flag.String("parts", "calls,edge,memos,accounts", "what to measure: calls (each thing that the server does), edge (MCP in both eras), memos (search in one account of many memos), accounts (search in a thousand accounts with memos), archive (paput export and paput import, of a tenth of the memos and of all)")
	memos := flag.Int("memos", 100_000, "how many memos the one account has that is searched, or exported")
	each := flag.Int("each", 100, "how many memos each of a thousand accounts has; to load 1000 takes about ten minutes and 6 GB")
	body := flag.Int("body", 20_000, "how many bytes the body of a memo has that is exported, at least")
	data := flag.String("data", "", "a `directory` in which the parts memos and accounts keep what they have loaded, by number; a later run with the same -data and the same -memos or -each loads nothing and measures the searches alone:\n-parts accounts -each 1000 -data /var/tmp/bench")
	echo := flag.Bool("echo", false, "be the echo server")
	flag.Parse()
	if *echo {
		serveEcho()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for part := range strings.SplitSeq(*parts, ",") {
		var err error
		switch part {
		case "calls":
			err = inDirectory(func(dir string) error { return run(ctx, *bin, dir, *duration) })
		case "edge":
			err = inDirectory(func(dir string) error { return measureEdge(ctx, *bin, dir, *duration) })
		case "memos":
			err = inKept(*data, fmt.Sprint("memos-", *memos), func(dir string) error { return oneAccount(ctx, *bin, dir, *duration, *memos) })
		case "accounts":
			err = inKept(*data, fmt.Sprint("accounts-", *each), func(dir string) error { return manyAccounts(ctx, *bin, dir, *duration, *each) })
		case "archive":
			err = inDirectory(func(dir string) error { return archive(ctx, *bin, dir, *memos, *body) })
		default:
			err = fmt.Errorf("-parts: there is no part %q", part)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

// inDirectory calls fn with an empty directory on the disk that is measured, not on a tmpfs.
func inDirectory(fn func(dir string) error) error {
	dir, err := os.MkdirTemp(".", ".bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return fn(dir)
}

// inKept calls fn with a directory that stays, or with one of its own when data is empty.
func inKept(data, name string, fn func(dir string) error) error {
	if data == "" {
		return inDirectory(fn)
	}
	dir := filepath.Join(data, name)
	if _, err := os.Stat(dir); err == nil && !isLoaded(dir) {
		return fmt.Errorf("%s was not loaded to the end; remove it and load it again", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return fn(dir)
}

// isLoaded says whether an earlier run has loaded what a directory is for.
func isLoaded(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, loaded))
	return err == nil
}

// setLoaded makes isLoaded true.
func setLoaded(dir string) error { return os.WriteFile(filepath.Join(dir, loaded), nil, 0o600) }

const loaded = "loaded"

func run(ctx context.Context, bin, dir string, duration time.Duration) error {
	paputd, err := startPaputd(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer paputd.stop()
	if err := paputd.addServices(ctx, bin); err != nil {
		return err
	}
	echo, err := startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.stop()
	if err := paputd.report(bin); err != nil {
		return err
	}

	fmt.Printf("\n%-22s %7s %9s %8s %8s %10s %9s %9s %9s\n", "", "callers", "per s", "p50 ms", "p99 ms", "cpu µs/op", "× fsync", "× echo", "allocs/op")
	for _, n := range callers {
		if err := round(ctx, paputd, echo, dir, n, duration); err != nil {
			return err
		}
	}
	return besideACrowd(ctx, paputd, duration)
}

// round measures everything at one number of callers, the baselines first.
func round(ctx context.Context, paputd, echo *process, dir string, n int, duration time.Duration) error {
	fsync, err := measureFsync(dir, duration)
	if err != nil {
		return err
	}
	fmt.Printf("%-22s %7d %9.0f\n", "bare write+fsync", 1, fsync)
	base, err := measure(ctx, echo, n, duration, echoCalls(echo.url, n))
	if err != nil {
		return err
	}
	base.print("bare JSON echo", n, 0, 0)
	for _, figure := range []struct {
		name    string
		durable bool
		calls   func(context.Context, *process, int) ([]func(context.Context) error, error)
	}{
		{"CreateMemos (RPC)", true, createCalls},
		{"registration", true, registerCalls},
		{"log-in, signed in", true, logInCalls},
		{"log-in with password", true, signInCalls},
		{"refresh grant", true, refreshCalls},
		{"client credentials", true, serviceCalls},
		{"introspection", false, introspectCalls},
		{"tools/call search", false, toolCalls},
		{"tools/call categories", false, categoryCalls},
	} {
		calls, err := figure.calls(ctx, paputd, n)
		if err != nil {
			return fmt.Errorf("%s: %w", figure.name, err)
		}
		got, err := measure(ctx, paputd, n, duration, calls)
		if err != nil {
			return fmt.Errorf("%s: %w", figure.name, err)
		}
		if figure.durable {
			got.print(figure.name, n, fsync, base.perSecond)
		} else {
			got.print(figure.name, n, 0, base.perSecond)
		}
	}
	return nil
}
