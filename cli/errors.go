package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"
)

// The kinds of failure. Each has an exit code and a word for JSON; see kindOf.
var (
	errUsage       = errors.New("usage")
	errNotLoggedIn = errors.New("not logged in")
	errNotFound    = errors.New("not found")
	errConflict    = errors.New("conflict")
	errUnreachable = errors.New("unreachable")
	errRefused     = errors.New("refused")
	errInterrupted = errors.New("interrupted")
)

// kind is how a failure looks from outside. Codes and words are part of the interface and never change.
type kind struct {
	err     error
	code    int
	word    string
	meaning string
}

// kinds are looked through in order: what the person did comes before what followed from it.
func kinds() []kind {
	return []kind{
		{errInterrupted, 130, "interrupted", "interrupted (Ctrl-C)"},
		{errUsage, 2, "usage", "the command line is wrong"},
		{errNotLoggedIn, 3, "not_logged_in", "not logged in, or the session has ended: run paput login"},
		{errNotFound, 4, "not_found", "something named does not exist"},
		{errConflict, 5, "conflict", "the memo has changed in the meantime"},
		{errUnreachable, 6, "unreachable", "the server cannot be reached"},
		{errRefused, 7, "refused", "the server refused it: invalid input, or not allowed"},
	}
}

// failure is the kind of every error that is no other.
func failure() kind { return kind{nil, 1, "failure", "anything else went wrong"} }

func kindOf(err error) kind {
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			return k
		}
	}
	return failure()
}

// ExitCode says what a process whose Run returned err exits with. `paput help exit-codes` lists the codes.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	return kindOf(err).code
}

// problem is an error of one kind, in words for the person.
type problem struct {
	kind error
	text string
	hint string // a second line, not part of the message in JSON
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.kind }

func problemf(kind error, format string, v ...any) error {
	return &problem{kind: kind, text: fmt.Sprintf(format, v...)}
}

func usagef(format string, v ...any) error { return problemf(errUsage, format, v...) }

// usageOf is a mistake in the use of one command, with a hint at its help.
func usageOf(cmd *cobra.Command, err error) error {
	return &problem{kind: errUsage, text: err.Error(), hint: "Run '" + cmd.CommandPath() + " --help' for how to use it."}
}

// report tells the person what went wrong, on one line, or a program in one JSON object.
func (a *app) report(err error, asJSON bool) {
	k, text := kindOf(err), err.Error()
	if k.code == 130 {
		text = "interrupted"
	}
	if asJSON {
		type body struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		enc := json.NewEncoder(a.Err)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(map[string]body{"error": {k.word, text}}) // strings cannot fail, and a closed Err has no one to tell
		return
	}
	fmt.Fprintln(a.Err, "paput: "+strings.ReplaceAll(strings.TrimSpace(text), "\n", " "))
	var p *problem
	if errors.As(err, &p) && p.hint != "" {
		fmt.Fprintln(a.Err, p.hint)
	}
}

// fromRPC puts the error of a call to the server into words. Errors of this program's own making pass unchanged.
func fromRPC(server string, err error) error {
	var local localError
	if errors.As(err, &local) {
		return local.error
	}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err
	}
	text := ce.Message()
	if text == "" {
		text = ce.Code().String()
	}
	if !ce.IsRemote() && strings.Contains(text, "invalid UTF-8") { // Protocol Buffers have no other strings, and no error for it
		return problemf(errRefused, "what was typed is not valid UTF-8: check the language settings of the terminal (LANG)")
	}
	text = inFlags(text)
	switch ce.Code() {
	case connect.CodeUnauthenticated:
		return sessionEnded(server)
	case connect.CodeNotFound:
		return problemf(errNotFound, "%s", text)
	case connect.CodeAborted, connect.CodeAlreadyExists:
		return problemf(errConflict, "%s", text)
	case connect.CodePermissionDenied:
		if scope := regexp.MustCompile(`paput\.[a-z]+`).FindString(text); scope != "" {
			text += "; to get it, run: paput login " + server + " --scope " + scope
		}
		return problemf(errRefused, "%s", text)
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition,
		connect.CodeResourceExhausted, connect.CodeOutOfRange:
		return problemf(errRefused, "%s", text)
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		if !ce.IsRemote() {
			return unreachable(server, err)
		}
		return problemf(errUnreachable, "%s cannot answer at present: %s", server, text)
	case connect.CodeUnimplemented:
		return fmt.Errorf("%s does not know this request: it is no Paput server, or an older one", server)
	case connect.CodeCanceled:
		return errors.Join(errors.New("the call was cancelled"), ce.Unwrap())
	default:
		return fmt.Errorf("%s answered with an error: %s", server, text)
	}
}

// fromItem puts the refusal of one item of a bulk call into words.
func fromItem(code, message string) error {
	message = inFlags(message)
	switch code {
	case connect.CodeNotFound.String():
		return problemf(errNotFound, "%s", message)
	case connect.CodeAborted.String():
		return problemf(errConflict, "%s", message)
	default:
		return problemf(errRefused, "%s", message)
	}
}

func notLoggedIn(server string) error {
	return problemf(errNotLoggedIn, "not logged in to %s; run: paput login %s", server, server)
}

func sessionEnded(server string) error {
	return problemf(errNotLoggedIn, "the session at %s has ended; run: paput login %s", server, server)
}

// unreachable says why a server could not be reached, without the noise that net/http puts around it.
func unreachable(server string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	reason := err.Error()
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		reason = errno.Error()
	case errors.Is(err, context.DeadlineExceeded):
		reason = "it did not answer in time"
	default:
		if i := strings.LastIndex(reason, ": "); i >= 0 {
			reason = reason[i+2:]
		}
	}
	return problemf(errUnreachable, "cannot reach %s: %s; check that the server is running", server, reason)
}

// isBrokenPipe says whether whoever read Out has gone, as `| head` does: no one is left to tell.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

func exitCodesCommand() *cobra.Command {
	var b strings.Builder
	b.WriteString("paput exits with:\n\n   code  in JSON        meaning\n      0                 it worked\n")
	rows := append([]kind{failure()}, kinds()[1:]...)
	for _, k := range append(rows, kinds()[0]) {
		fmt.Fprintf(&b, "  %5d  %-13s  %s\n", k.code, k.word, k.meaning)
	}
	b.WriteString(`
With --json a failure is one JSON object on standard error:

  {"error":{"code":"not_found","message":"…"}}`)
	return &cobra.Command{Use: "exit-codes", Short: "What paput's exit codes mean", Long: b.String()}
}
