package cli_test

import (
	"strings"
	"testing"
)

func TestEraseAccount(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.fails(2, "--yes ADDRESS", "account", "erase")
	p.fails(2, "--device and --no-browser", "account", "erase", "--yes", "hanako@example.com", "--device", "--no-browser")
	p.tty = true
	p.in = "\n"
	if o := p.run("account", "erase"); o.code != 0 || !strings.Contains(o.err, "Nothing was erased") || len(s.authorized) != 1 {
		t.Errorf("no answer: got exit code %d, %q and %d log-ins", o.code, o.err, len(s.authorized))
	}
	p.in = "taro@example.com\n"
	p.fails(2, "nothing was erased", "account", "erase")
	if s.erased || len(s.authorized) != 1 {
		t.Fatalf("another address: erased: %v, %d log-ins", s.erased, len(s.authorized))
	}
	p.ok("status") // and the log-in is still good

	p.in = "hanako@example.com\n"
	out := p.ok("account", "erase")
	if !s.erased || out != "The account hanako@example.com is erased. You are logged out of "+s.URL+".\n" {
		t.Errorf("got %q, erased: %v", out, s.erased)
	}
	if scope := s.authorized[len(s.authorized)-1].Get("scope"); !strings.Contains(scope, "paput.account") {
		t.Errorf("the log-in asked for %q", scope)
	}
	p.fails(3, "not logged in", "memo", "search")
}

func TestEraseAccountUnattended(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	s.now(func() { s.unticks = "paput.account" })
	p.fails(7, "paput.account", "account", "erase", "--yes", "hanako@example.com")
	if s.erased {
		t.Fatal("it was erased without the scope")
	}
	// The log-in for this was given back, and the everyday one stays.
	if s.revocations != 1 {
		t.Errorf("%d log-ins were ended, want that for this alone", s.revocations)
	}
	p.ok("memo", "search", "x")
	if status := p.ok("status"); strings.Contains(status, "paput.account") {
		t.Errorf("the log-in that is kept has %q", status)
	}
	s.now(func() { s.unticks = "" })
	got := result[struct {
		Server string
		Erased bool
	}](p, "account", "erase", "--yes", "hanako@example.com")
	if got.Server != s.URL || !got.Erased || !s.erased {
		t.Errorf("got %+v, erased: %v", got, s.erased)
	}
}
