package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/paput/paput/deploy/visitor"
)

// processes is the key under which a script keeps what it started, by name.
type processes struct{}

func started(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processes{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

// command prepares a program with the script's environment and directory.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	if p := program(path); exists(p) {
		path = p
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, key := range []string{
		"PATH", "HOME", "PAPUT_HOME", "PAPUT_DATA", "PAPUT_LISTEN", "PAPUT_NATS_LISTEN", "PAPUT_SERVER", "TMPDIR",
	} {
		if v := ts.Getenv(key); v != "" {
			cmd.Env = append(cmd.Env, key+"="+v)
		}
	}
	return cmd
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cmdStart: start NAME PROGRAM ARG…  starts a program that runs beside the script.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start name program [argument...]")
	}
	p, err := startProcess(command(ts, args[1:]))
	ts.Check(err)
	ts.Value(processes{}).(map[string]*process)[args[0]] = p
	ts.Defer(p.kill)
}

// cmdAwait: await NAME REGEXP  waits until the program has printed something. The first group, if any, is what the
// variable $FOUND then holds.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await name regexp")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	m, err := started(ts, args[0]).printed(pattern)
	ts.Check(err)
	if len(m) > 1 {
		ts.Setenv("FOUND", m[1])
	}
}

// cmdEnd: end NAME INT|TERM|KILL|WAIT CODE  ends a program, which has five seconds for it, and checks its exit code. What
// it printed is then stdout and stderr. WAIT sends no signal.
func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: end name signal code")
	}
	p := started(ts, args[0])
	switch args[1] {
	case "INT":
		ts.Check(p.stop(os.Interrupt, 5*time.Second))
	case "TERM":
		ts.Check(p.stop(syscall.SIGTERM, 5*time.Second))
	case "KILL":
		p.kill()
	case "WAIT":
		ts.Check(p.stop(syscall.Signal(0), patience))
	default:
		ts.Fatalf("unknown signal %s", args[1])
	}
	fmt.Fprint(ts.Stdout(), p.out.String())
	fmt.Fprint(ts.Stderr(), p.err.String())
	if code := strconv.Itoa(p.state.ExitCode()); code != args[2] {
		ts.Fatalf("%s ended with %s, want exit code %s:\n%s%s", args[0], p.state, args[2], p.out.String(), p.err.String())
	}
}

// cmdPerson: person approve|deny|mistype PROGRAM ARG…  runs a program that sends a person to the browser, or shows a code
// to enter there, and is that person: signs in as $EMAIL with $PASSWORD, after a slip of the finger for mistype, and
// decides. The program's output is then stdout and stderr. With "!" it must fail.
func cmdPerson(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] person approve|deny|mistype program [argument...]")
	}
	p, err := startProcess(command(ts, args[1:]))
	ts.Check(err)
	defer p.kill()
	m, err := p.printed(regexp.MustCompile(`(http\S+/authorize\?\S+)|(http\S+/device)\s[^-]*\b([A-Z]{4}-[A-Z]{4})\b`))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	aiko := visitor.New(ts.Getenv("URL"), ts.Getenv("EMAIL"), ts.Getenv("PASSWORD"))
	if m[3] != "" {
		ts.Check(enterCode(ctx, aiko, m[2], m[3], args[0]))
	} else {
		ts.Check(decide(ctx, aiko, m[1], args[0]))
	}
	ts.Check(p.stop(syscall.Signal(0), patience))
	fmt.Fprint(ts.Stdout(), p.out.String())
	fmt.Fprint(ts.Stderr(), p.err.String())
	if p.state.Success() == neg {
		ts.Fatalf("%s ended with %s:\n%s%s", args[1], p.state, p.out.String(), p.err.String())
	}
}

// decide answers an app's request and lets the browser carry the answer to the app.
func decide(ctx context.Context, v *visitor.Visitor, authorization, decision string) error {
	u, err := url.Parse(authorization)
	if err != nil {
		return err
	}
	page, err := v.Get(ctx, authorization)
	if err != nil {
		return err
	}
	if decision == "mistype" {
		decision = "approve"
		if page, err = v.Submit(ctx, page, url.Values{"email": {v.Email}, "password": {v.Password + "x"}}); err != nil {
			return err
		}
		if page.Status != http.StatusUnprocessableEntity {
			return fmt.Errorf("a wrong password was answered with status %d:\n%s", page.Status, page.HTML)
		}
	}
	if strings.HasPrefix(page.URL.Path, "/login") {
		if page, err = v.Submit(ctx, page, url.Values{"email": {v.Email}, "password": {v.Password}}); err != nil {
			return err
		}
	}
	page, err = v.Submit(ctx, page, url.Values{"decision": {decision}, "scope": strings.Fields(u.Query().Get("scope"))})
	if err != nil {
		return err
	}
	if redirect := u.Query().Get("redirect_uri"); !strings.HasPrefix(page.URL.String(), redirect) {
		return fmt.Errorf("the browser came to %s with status %d, not back to %s:\n%s", page.URL, page.Status, redirect, page.HTML)
	}
	// What the app shows there is its own affair.
	_, err = visitor.New(page.URL.Scheme+"://"+page.URL.Host, "", "").Get(ctx, page.URL.String())
	return err
}

// enterCode answers the request of a device, with the code typed as people do.
func enterCode(ctx context.Context, v *visitor.Visitor, address, code, decision string) error {
	page, err := v.Get(ctx, address)
	if err != nil {
		return err
	}
	if strings.HasPrefix(page.URL.Path, "/login") {
		if page, err = v.Submit(ctx, page, url.Values{"email": {v.Email}, "password": {v.Password}}); err != nil {
			return err
		}
	}
	if page.URL.String() != address {
		return fmt.Errorf("the sign-in led to %s, not to %s:\n%s", page.URL, address, page.HTML)
	}
	typed := strings.ToLower(strings.ReplaceAll(code, "-", " "))
	if page, err = v.Get(ctx, address+"?"+url.Values{"user_code": {typed}}.Encode()); err != nil {
		return err
	}
	if !strings.Contains(page.HTML, code) {
		return fmt.Errorf("the page does not show the code %s to compare:\n%s", code, page.HTML)
	}
	var scopes []string
	for _, m := range regexp.MustCompile(`name="scope" value="([^"]*)" checked`).FindAllStringSubmatch(page.HTML, -1) {
		scopes = append(scopes, m[1])
	}
	if page, err = v.Submit(ctx, page, url.Values{"decision": {decision}, "scope": scopes}); err != nil {
		return err
	}
	if page.Status != http.StatusOK || !strings.Contains(page.HTML, "You can close this page") {
		return fmt.Errorf("the answer was answered with status %d:\n%s", page.Status, page.HTML)
	}
	return nil
}

// cmdSetup: setup NAME  makes the first account, $EMAIL, with the link that the server started as NAME has printed.
func cmdSetup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setup name")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v := visitor.New(ts.Getenv("URL"), ts.Getenv("EMAIL"), ts.Getenv("PASSWORD"))
	ts.Check(v.SetUp(ctx, started(ts, args[0]).out.String()))
}

// cmdKeep: keep VAR [REGEXP]  keeps what the last command printed in a variable: all of it, or the first group of REGEXP.
func cmdKeep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: keep variable [regexp]")
	}
	said := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) == 2 {
		m := regexp.MustCompile(args[1]).FindStringSubmatch(said)
		if len(m) < 2 {
			ts.Fatalf("stdout does not match %s:\n%s", args[1], said)
		}
		said = m[1]
	}
	ts.Setenv(args[0], said)
}

// cmdUnpack: unpack FILE DIR  unpacks a ZIP file into a new directory, as a double click would.
func cmdUnpack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unpack file directory")
	}
	z, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer z.Close()
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), z))
}

// cmdExit: exit CODE PROGRAM ARG…  runs a program that must end with the exit code.
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit code program [argument...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("got exit code %d, want %s", code, args[0])
	}
}

// cmdExpire: expire  makes the access token that paput has kept one that has expired, as far as paput knows.
func cmdExpire(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: expire")
	}
	file := filepath.Join(ts.Getenv("PAPUT_HOME"), "credentials.json")
	expires := regexp.MustCompile(`"expires": "[^"]*"`)
	kept, err := os.ReadFile(file)
	ts.Check(err)
	if !expires.Match(kept) {
		ts.Fatalf("%s does not say when the access token expires", file)
	}
	ts.Check(os.WriteFile(file, expires.ReplaceAll(kept, []byte(`"expires": "2020-01-01T00:00:00Z"`)), 0o600))
}

// cmdAudited: audited FILE SUBJECT…  checks lines of the audit stream: their sequences count from 1 without a gap, their
// subjects include those given, in that order, and nothing in them is a secret or anybody's content.
func cmdAudited(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: audited file subject...")
	}
	text := ts.ReadFile(args[0])
	if s := secretsIn(text); s != "" {
		ts.Fatalf("the audit stream has a token, %s", s)
	}
	want, sequence := args[1:], 0
	for line := range strings.Lines(text) {
		var event struct {
			ID, Type, Source, Subject, Time string
			SpecVersion, NATSSubject        string
			Sequence                        int
			Data                            map[string]any
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			ts.Fatalf("%v in %s", err, line)
		}
		if sequence++; event.Sequence != sequence {
			ts.Fatalf("got sequence %d, want %d", event.Sequence, sequence)
		}
		if event.ID == "" || event.Type == "" || event.Source == "" || event.Subject == "" || event.Time == "" || event.SpecVersion != "1.0" {
			ts.Fatalf("not a whole CloudEvent: %s", line)
		}
		if len(want) > 0 && event.NATSSubject == want[0] {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		ts.Fatalf("no %s where one should be in:\n%s", want[0], text)
	}
}

// cmdHTTP: http METHOD PATH STATUS  sends a request to the server and checks the status; the body is then stdout.
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: http method path status")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[0], ts.Getenv("URL")+args[1], nil)
	ts.Check(err)
	req.Header.Set("Accept", "text/html")
	res, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	defer res.Body.Close()
	var body bytes.Buffer
	_, err = io.Copy(&body, res.Body)
	ts.Check(errors.Join(err))
	fmt.Fprint(ts.Stdout(), body.String())
	if got := strconv.Itoa(res.StatusCode); got != args[2] {
		ts.Fatalf("got status %s, want %s:\n%s", got, args[2], body.String())
	}
}

// cmdReady: ready  waits until the server says that it can do its work.
func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	ts.Check(waitReady(ts.Getenv("URL")))
}
