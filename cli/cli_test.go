package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paput/paput/cli"
)

// TestMain lets the test binary be paput itself, for tests that need several processes.
func TestMain(m *testing.M) {
	if os.Getenv("PAPUT_TEST_AS_PAPUT") != "" {
		os.Exit(cli.ExitCode(cli.Run(context.Background(), os.Args[1:], cli.Streams{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv, Now: time.Now,
		})))
	}
	os.Exit(m.Run())
}

// person runs paput as one person on one machine.
type person struct {
	t    *testing.T
	env  map[string]string
	in   string
	now  time.Time
	tty  bool
	wide int
	// browse is what the person does with an address; nil goes there and follows where it leads.
	browse func(ctx context.Context, url string) error
	ctx    context.Context
	seen   func(text string) // is told what appears on standard error
	wait   time.Duration     // how long a log-in waits, if not as long as usual
	pace   func(time.Duration) time.Duration

	visits sync.WaitGroup
	mu     sync.Mutex
	pages  []string // what the browser has shown; complete when run returns
}

func newPerson(t *testing.T) *person {
	t.Helper()
	return &person{
		t: t, ctx: t.Context(), env: map[string]string{"PAPUT_HOME": t.TempDir() + "/paput"},
		now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// loggedIn returns a person who is logged in to a server.
func loggedIn(t *testing.T) (*person, *server) {
	t.Helper()
	p, s := newPerson(t), newServer(t)
	p.ok("login", s.URL)
	return p, s
}

type outcome struct {
	out, err string
	code     int
}

type watcher func(string)

func (w watcher) Write(p []byte) (int, error) { w(string(p)); return len(p), nil }

// buffer may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (p *person) run(args ...string) outcome {
	p.t.Helper()
	var out, errs buffer
	s := cli.Streams{
		In: strings.NewReader(p.in), Out: &out, Err: &errs,
		Env:         func(k string) (string, bool) { v, ok := p.env[k]; return v, ok },
		Now:         func() time.Time { return p.now },
		Interactive: p.tty, Width: p.wide,
		Browse: func(ctx context.Context, url string) error {
			if p.browse != nil {
				return p.browse(ctx, url)
			}
			p.browses(func() { p.visit(url, "en") })
			return nil
		},
	}
	if p.seen != nil {
		s.Err = io.MultiWriter(&errs, watcher(p.seen))
	}
	var err error
	switch {
	case p.pace != nil:
		err = cli.RunAtPace(p.ctx, args, s, p.pace)
	case p.wait != 0:
		err = cli.RunImpatiently(p.ctx, args, s, p.wait)
	default:
		err = cli.Run(p.ctx, args, s)
	}
	p.visits.Wait()
	return outcome{out.String(), errs.String(), cli.ExitCode(err)}
}

// browses lets the person do something in the browser while paput waits.
func (p *person) browses(what func()) { p.visits.Go(what) }

// visit opens an address in the browser and follows where it leads.
func (p *person) visit(url, language string) {
	req, _ := http.NewRequest(http.MethodGet, url, nil)
	req.Header.Set("Accept-Language", language)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Errorf("browse: %v", err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages = append(p.pages, string(body))
}

// ok runs a command that must work and returns what it printed.
func (p *person) ok(args ...string) string {
	p.t.Helper()
	o := p.run(args...)
	if o.code != 0 {
		p.t.Fatalf("paput %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.err)
	}
	return o.out
}

// fails runs a command that must fail in one way, with a text in its one line.
func (p *person) fails(code int, text string, args ...string) outcome {
	p.t.Helper()
	o := p.run(args...)
	if o.code != code || !strings.Contains(o.err, text) {
		p.t.Errorf("paput %s: exit code %d, want %d with %q\n%s", strings.Join(args, " "), o.code, code, text, o.err)
	}
	return o
}

// result runs a command that must work with --json and decodes what it printed.
func result[T any](p *person, args ...string) (v T) {
	p.t.Helper()
	out := p.ok(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil || strings.Count(out, "\n") != 1 {
		p.t.Fatalf("paput %s --json: %v, got %q, want one line of JSON", strings.Join(args, " "), err, out)
	}
	return v
}

// has fails the test unless text has all parts.
func has(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want %q in it", text, part)
		}
	}
}

// noSecrets fails the test when a token is in a text.
func noSecrets(t testing.TB, text string) {
	t.Helper()
	for _, kind := range []string{"paput_at_", "paput_rt_", "paput_ac_", "paput_dc_"} {
		if strings.Contains(text, kind) {
			t.Errorf("a secret was shown: %q", text)
		}
	}
}
