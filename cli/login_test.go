package cli_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	o := p.run("login", s.URL+"/mcp/")
	if o.code != 0 || o.out != "Logged in to "+s.URL+" as hanako@example.com.\n" {
		t.Fatalf("got exit code %d, %q, %q", o.code, o.out, o.err)
	}
	noSecrets(t, o.out+o.err)
	has(t, p.pages[0], `<html lang="en">`, "You are logged in")

	q := s.authorized[0]
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "dcr_1", "code_challenge_method": "S256", "scope": "paput.read paput.write",
		"resource": s.URL,
	} {
		if q.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, q.Get(name), want)
		}
	}
	if len(q.Get("state")) < 43 || len(q.Get("code_challenge")) != 43 {
		t.Errorf("got state %q and challenge %q, want 43 characters each", q.Get("state"), q.Get("code_challenge"))
	}

	for path, want := range map[string]os.FileMode{p.env["PAPUT_HOME"]: 0o700, filepath.Join(p.env["PAPUT_HOME"], "credentials.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", path, got, want)
		}
	}
	status := p.ok("status")
	has(t, status, s.URL, "hanako@example.com", "paput.read paput.write", "2026-03-01 12:15", "credentials.json")
	noSecrets(t, status)
	st := result[struct {
		Server   string
		LoggedIn bool `json:"logged_in"`
		Account  struct{ Email string }
		Scopes   []string
	}](p, "status")
	if st.Server != s.URL || !st.LoggedIn || st.Account.Email != "hanako@example.com" || len(st.Scopes) != 2 {
		t.Errorf("got %+v", st)
	}
}

func TestLoginAgainReusesTheRegistrationAndEndsTheSessionBefore(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.ok("login")
	if s.registrations != 1 || s.revocations != 1 {
		t.Errorf("got %d registrations and %d revocations, want 1 and 1", s.registrations, s.revocations)
	}
	a, b := s.authorized[0].Get("redirect_uri"), s.authorized[1].Get("redirect_uri")
	if a != b {
		t.Errorf("got redirect URI %s, want the registered %s", b, a)
	}
}

func TestLoginRegistersAgainWhenForgotten(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	delete(s.clients, "dcr_1")
	p.ok("login")
	if s.registrations != 2 || len(s.authorized) != 2 {
		t.Errorf("got %d registrations and %d visits, want 2 and 2", s.registrations, len(s.authorized))
	}

	// Forgotten between the browser and the token endpoint.
	forget := true
	p.browse = func(_ context.Context, address string) error {
		res, err := noFollow().Get(address)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if forget {
			forget = false
			delete(s.clients, "dcr_2")
		}
		back := res.Header.Get("Location")
		p.browses(func() { p.visit(back, "en") })
		return nil
	}
	p.ok("login")
	if s.registrations != 3 {
		t.Errorf("got %d registrations, want 3", s.registrations)
	}
}

func noFollow() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestLoginInJapanese(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	p.browse = func(_ context.Context, address string) error {
		p.browses(func() { p.visit(address, "ja,en;q=0.5") })
		return nil
	}
	p.ok("login", s.URL)
	has(t, p.pages[0], `<html lang="ja">`, "サインインしました")
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(*server)
		code int
		text string
	}{
		{"denied in the browser", func(s *server) { s.deny = true }, 7, "access was denied in the browser"},
		{"the answer names another issuer", func(s *server) { s.sendsIss = "https://evil.example" }, 1, "another authorization server"},
		{"the answer names no issuer though the server does that", func(s *server) { s.sendsIss = "-" }, 1, "another authorization server"},
		{"the metadata name another issuer", func(s *server) { s.issuer += "/" }, 1, "calls itself"},
		{"no S256", func(s *server) { s.methods = []string{"plain"} }, 1, "does not offer PKCE with S256"},
		{"another resource", func(s *server) { s.resource = "https://paput.example.com" }, 7, "paput login https://paput.example.com"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, s := newPerson(t), newServer(t)
			test.make(s)
			o := p.fails(test.code, test.text, "login", s.URL)
			noSecrets(t, o.err)
			if strings.Count(o.err, "paput: ") != 1 {
				t.Errorf("got %q, want one line", o.err)
			}
			p.fails(3, "not logged in to "+s.URL, "status", "--server", s.URL)
			for _, page := range p.pages {
				has(t, page, "The log-in did not work")
			}
		})
	}
}

func TestLoginTakesNoAnswerButItsOwn(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	p.browse = func(_ context.Context, address string) error {
		u, _ := url.Parse(address)
		back := u.Query().Get("redirect_uri")
		p.browses(func() {
			for _, query := range []string{"?code=x&state=wrong", "?code=x", "?error=access_denied&state=", "?code=x&state=" + u.Query().Get("state") + "&state=y"} {
				p.visit(back+query, "en")
			}
			p.visit(address, "en")
		})
		return nil
	}
	p.ok("login", s.URL)
	if len(p.pages) < 4 {
		t.Fatalf("got %d pages, want 4 at least", len(p.pages))
	}
	for _, page := range p.pages[:4] {
		has(t, page, "The log-in did not work")
	}
}

func TestLoginWithoutBrowser(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	p.browse = func(context.Context, string) error { t.Error("a browser was opened"); return nil }
	p.seen = func(text string) {
		if i := strings.Index(text, s.URL+"/authorize?"); i >= 0 {
			p.browses(func() { p.visit(strings.TrimSpace(text[i:]), "en") })
		}
	}
	p.ok("login", s.URL, "--no-browser")
}

func TestLoginWhenTheBrowserDoesNotOpen(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.ctx = ctx
	p.browse = func(context.Context, string) error { cancel(); return errors.New("there is none") }
	p.fails(130, s.URL+"/authorize?", "login", s.URL)
	p.ctx = t.Context()
	p.fails(3, "not logged in", "status", "--server", s.URL)
}

func TestLoginTimesOut(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	p.browse = func(context.Context, string) error { return nil }
	p.wait = time.Millisecond
	p.fails(1, "nobody finished the log-in", "login", s.URL)
}

func TestServerURLs(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.fails(2, "use https", "login", "http://paput.example.com")
	p.fails(2, "is not a server's URL", "login", "paput.example.com")
	p.fails(2, "is not a server's URL", "login", "ftp://paput.example.com")
	p.fails(2, "no user, query or fragment", "login", "https://u:p@paput.example.com")
	p.fails(6, "cannot reach http://127.0.0.1:1: connection refused", "login", "http://127.0.0.1:1")
	plain := newPlain(t)
	p.fails(7, "does not look like a Paput server", "login", plain)
}

// newPlain starts a server that is not Paput.
func newPlain(t *testing.T) string {
	t.Helper()
	s := newServer(t)
	s.Config.Handler = http.NotFoundHandler()
	return s.URL
}
