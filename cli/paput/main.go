// Command paput is the command line of Paput: see package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/paput/paput/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	err := cli.Run(ctx, os.Args[1:], cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Env:         os.LookupEnv,
		Now:         time.Now,
		Interactive: isTerminal(os.Stdin) && isTerminal(os.Stderr),
		Width:       width(os.Stdout),
		OutIsGone:   func() bool { return isGone(os.Stdout) },
	})
	stop()
	os.Exit(cli.ExitCode(err))
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// width is how many columns a terminal has; 0 when f is none.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
