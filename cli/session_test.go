package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
)

func TestSessionIsRefreshedBeforeItExpires(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.now = p.now.Add(58 * time.Minute)
	p.ok("memo", "search")
	if s.refreshes != 0 {
		t.Errorf("got %d refreshes two minutes before the end, want none", s.refreshes)
	}
	p.now = p.now.Add(time.Minute + time.Second)
	p.ok("memo", "search")
	p.ok("memo", "search")
	if s.refreshes != 1 {
		t.Errorf("got %d refreshes, want 1", s.refreshes)
	}
}

func TestSessionIsRefreshedWhenItsTokenIsRefused(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.expireAccess()
	p.ok("memo", "add", "--title", "sent twice, kept once", "text")
	if s.refreshes != 1 || len(s.memos) != 1 {
		t.Errorf("got %d refreshes and %d memos, want 1 and 1", s.refreshes, len(s.memos))
	}
}

// A server takes a refresh token that comes a second time for stolen, unless it comes soon.
func TestSessionOutlivesLostAnswers(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.now(func() { s.loses = 2 })
	s.expireAccess()
	p.ok("memo", "search")
	if s.refreshes != 3 {
		t.Errorf("got %d refreshes, want three at once", s.refreshes)
	}
	s.now(func() { s.loses = 3 })
	s.expireAccess()
	p.fails(6, "cannot reach "+s.URL, "memo", "search")
	p.ok("memo", "search")
}

// An answer that is lost leaves open whether the call was carried out.
func TestCallsAreRepeatedWhenTheirAnswersAreLost(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.now(func() { s.losesAnswers = 1 })
	p.ok("memo", "add", "--title", "sent twice, kept once", "text")
	if len(s.memos) != 1 {
		t.Fatalf("got %d memos, want 1", len(s.memos))
	}
	s.now(func() { s.losesAnswers = 1 })
	has(t, p.ok("memo", "search"), "sent twice, kept once")
	// The refusal of its token is lost, and comes again.
	s.now(func() { s.losesAnswers = 1 })
	s.expireAccess()
	p.ok("memo", "add", "--title", "sent three times", "text")
	if len(s.memos) != 2 {
		t.Errorf("got %d memos, want 2", len(s.memos))
	}
	s.now(func() { s.losesAnswers = 2 })
	p.fails(6, "cannot reach "+s.URL, "memo", "add", "--title", "no answer ever", "text")
	s.now(func() {
		if len(s.memos) != 3 {
			t.Errorf("got %d memos, want the one whose answer never came as well", len(s.memos))
		}
	})
}

func TestEveryWriteHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.ok("memo", "add", "-t", "x", "text")
	first, id := s.keys["CreateMemos"], s.memos[0].GetId()
	p.ok("memo", "add", "-t", "x", "text")
	p.ok("memo", "edit", id, "--title", "y")
	p.ok("memo", "rm", id)
	p.ok("memo", "restore", id)
	p.ok("login", s.URL, "--scope", "paput.publish")
	p.ok("memo", "publish", id)
	p.ok("memo", "unpublish", id)
	seen := map[string]bool{"": true, first: true}
	for _, procedure := range []string{"CreateMemos", "UpdateMemo", "DeleteMemos", "RestoreMemos", "PublishMemos", "UnpublishMemos"} {
		if key := s.keys[procedure]; seen[key] || len(key) > 128 {
			t.Errorf("%s: got the key %q, want a new one", procedure, key)
		}
		seen[s.keys[procedure]] = true
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.expireAccess()
	clear(s.refresh)
	o := p.fails(3, "the session at "+s.URL+" has ended; run: paput login "+s.URL, "memo", "search")
	noSecrets(t, o.err)
	calls := s.calls
	p.fails(3, "not logged in to "+s.URL+"; run: paput login "+s.URL, "memo", "search")
	if s.calls != calls {
		t.Error("a session that has ended was used again")
	}
}

func TestSessionEndsWhenTheClientIsForgotten(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.expireAccess()
	clear(s.clients)
	p.fails(3, "has ended", "status")
}

func TestSessionIsKeptWhenTheServerIsInTrouble(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.now(func() { s.pass = connect.CodeUnauthenticated }) // with a fresh token too
	s.expireAccess()
	p.fails(3, "has ended", "memo", "search")
	p.ok("memo", "search")

	s.Close()
	p.fails(6, "cannot reach "+s.URL+": connection refused; check that the server is running", "memo", "search")
	p.now = p.now.Add(2 * time.Hour)
	p.fails(6, "cannot reach "+s.URL+": connection refused", "memo", "search")
	p.fails(6, "you are still logged in", "logout")
	o := p.run("logout", "--local")
	if o.code != 0 || !strings.Contains(o.err, "the session there ends when it expires") {
		t.Errorf("got %d %q", o.code, o.err)
	}
	p.fails(3, "not logged in", "memo", "search")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.ok("logout")
	if s.revocations != 1 {
		t.Errorf("got %d revocations, want 1", s.revocations)
	}
	data, err := os.ReadFile(filepath.Join(p.env["PAPUT_HOME"], "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	noSecrets(t, string(data))
	p.fails(3, "not logged in", "status")
	has(t, p.ok("logout"), "You are not logged in")
	p.ok("login") // the server is remembered, and the registration there
	if s.registrations != 1 {
		t.Errorf("got %d registrations, want 1", s.registrations)
	}
	r := result[struct{ Revoked bool }](p, "logout")
	if !r.Revoked {
		t.Error("got revoked false")
	}
}

func TestTwoServers(t *testing.T) {
	t.Parallel()
	p, a := loggedIn(t)
	b := newServer(t)
	p.ok("login", b.URL)
	p.ok("memo", "add", "-t", "to the last one", "x")
	p.ok("memo", "add", "-t", "to the named one", "x", "--server", a.URL)
	p.env["PAPUT_SERVER"] = a.URL
	p.ok("memo", "add", "-t", "to the one of the environment", "x")
	if len(a.memos) != 2 || len(b.memos) != 1 {
		t.Errorf("got %d and %d memos, want 2 and 1", len(a.memos), len(b.memos))
	}
}

func TestCredentialsThatOthersCanReadAreRefused(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	file := filepath.Join(p.env["PAPUT_HOME"], "credentials.json")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	p.fails(1, "run: chmod 600 "+file, "memo", "search")
	p.fails(1, "run: chmod 600 "+file, "login", s.URL)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	p.fails(1, "run: chmod 700 "+filepath.Dir(file), "memo", "search")
}

func TestDamagedCredentials(t *testing.T) {
	t.Parallel()
	p, _ := loggedIn(t)
	file := filepath.Join(p.env["PAPUT_HOME"], "credentials.json")
	if err := os.WriteFile(file, []byte(`{"servers": paput_rt_secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	noSecrets(t, p.fails(1, "is damaged: delete it and log in again", "memo", "search").err)
}

func TestHomeIsFound(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	home := t.TempDir()
	p.env = map[string]string{"HOME": home, "XDG_CONFIG_HOME": home + "/config", "AppData": home}
	p.ok("login", s.URL)
	has(t, p.ok("status"), home)
	p.env = nil
	p.fails(1, "set PAPUT_HOME", "status")
}

// processes runs paput n times at once and returns how each ended.
func processes(t *testing.T, p *person, n int, args ...string) []string {
	t.Helper()
	ended := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
			cmd.Env = append(os.Environ(), "PAPUT_TEST_AS_PAPUT=1", "PAPUT_HOME="+p.env["PAPUT_HOME"])
			out, err := cmd.CombinedOutput()
			if err != nil {
				ended[i] = err.Error() + ": " + string(out)
			}
		})
	}
	all.Wait()
	return ended
}

func TestProcessesThatRefreshAtOnce(t *testing.T) {
	t.Parallel()
	const n = 8
	p, s := newPerson(t), newServer(t)
	p.now = time.Now()
	s.now(func() { s.ttl = 1 }) // too short to be used: every call refreshes
	p.ok("login", s.URL)
	s.now(func() { s.refreshes = 0 })
	for range 2 {
		for _, problem := range processes(t, p, n, "memo", "search") {
			if problem != "" {
				t.Error(problem)
			}
		}
	}
	s.now(func() {
		if s.refreshes != 2*n {
			t.Errorf("got %d refreshes, want %d", s.refreshes, 2*n)
		}
	})

	// One refresh serves all when its token lasts.
	s.now(func() { s.ttl = 3600 })
	p.ok("memo", "search")
	s.expireAccess()
	s.now(func() { s.refreshes = 0 })
	for _, problem := range processes(t, p, n, "memo", "search") {
		if problem != "" {
			t.Error(problem)
		}
	}
	s.now(func() {
		if s.refreshes != 1 {
			t.Errorf("got %d refreshes, want 1", s.refreshes)
		}
	})
}
