package account

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestLimitPerAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(Limits{Address: Rate{10 * time.Second, 3}, Email: generous().Email, Browser: generous().Browser}))
	s.addAccount("ada@example.com")
	for range 5 { // right ones do not count
		s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	}
	for i := range 3 {
		s.visitor().signIn(fmt.Sprintf("%d@example.com", i), "wrong password").want(t, http.StatusUnprocessableEntity)
	}
	before, events := s.service.hasher.runs.Load(), len(s.events())
	res := s.visitor().signIn("ada@example.com", goodPassword)
	res.want(t, http.StatusTooManyRequests, "Too many attempts", "Please wait 10 seconds and try again.")
	if got := res.header.Get("Retry-After"); got != "10" {
		t.Errorf("got Retry-After %q, want 10", got)
	}
	s.japaneseVisitor().signIn("ada@example.com", goodPassword).want(t, http.StatusTooManyRequests,
		"試行回数が多すぎます", "10 秒待ってから、もう一度お試しください。")
	if got := s.service.hasher.runs.Load(); got != before {
		t.Error("a refused attempt was hashed")
	}
	if got := len(s.events()); got != events {
		t.Error("a refused attempt was recorded")
	}
	s.clock.add(10 * time.Second)
	s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
}

func TestLimitPerEmailSparesKnownBrowsers(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(Limits{Address: Rate{time.Second, 6}, Email: Rate{time.Minute, 3}, Browser: Rate{time.Minute, 2}}))
	s.addAccount("ada@example.com")
	s.addAccount("eve@example.com")
	ada := s.visitor()
	ada.signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	ada.post("/logout", ada.fill("/login")).wantRedirect(t, "/login")
	eve := s.visitor()
	eve.signIn("eve@example.com", goodPassword).wantRedirect(t, "/away")

	for range 3 {
		s.visitor().signIn("Ada@example.com", "wrong password").want(t, http.StatusUnprocessableEntity)
	}
	s.visitor().signIn("ada@example.com", goodPassword).want(t, http.StatusTooManyRequests, "Your account is not locked")
	// Knowing a browser for one account does not make it known for another.
	form := eve.fill("/login", "email", "ada@example.com", "password", goodPassword)
	eve.post("/login", form).want(t, http.StatusTooManyRequests)
	s.visitor().signIn("nobody@example.com", "wrong password").want(t, http.StatusUnprocessableEntity)
	s.visitor().signIn("other@example.com", "wrong password").want(t, http.StatusTooManyRequests) // the address
	form.Set("email", "other@example.com")
	eve.post("/login", form).want(t, http.StatusTooManyRequests) // a browser is known for an account, not in itself

	ada.signIn("ada@example.com", "wrong password").want(t, http.StatusUnprocessableEntity)
	ada.signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	ada.post("/logout", ada.fill("/login")).wantRedirect(t, "/login")
	ada.signIn("ada@example.com", "wrong password").want(t, http.StatusUnprocessableEntity)
	ada.signIn("ada@example.com", goodPassword).want(t, http.StatusTooManyRequests, "Please wait 60 seconds")

	s.clock.add(time.Minute)
	s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
}

func TestBusy(t *testing.T) {
	t.Parallel()
	s := newSite(t, withHashing(Hashing{MemoryKiB: 8, Passes: 1, Lanes: 1, Parallel: 1, Wait: 20 * time.Millisecond}),
		withLimits(Limits{Address: Rate{time.Hour, 1}}))
	s.addAccount("ada@example.com")
	link := s.invite("bob@example.com")
	s.service.hasher.turns <- struct{}{}
	res := s.visitor().signIn("ada@example.com", goodPassword)
	res.want(t, http.StatusServiceUnavailable, "The server is busy", "Please wait a few seconds and try again.")
	if got := res.header.Get("Retry-After"); got != "5" {
		t.Errorf("got Retry-After %q, want 5", got)
	}
	v := s.japaneseVisitor()
	v.post("/invite", v.fill(link, "password", goodPassword)).want(t, http.StatusServiceUnavailable, "サーバーが混み合っています")
	<-s.service.hasher.turns
	s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
}
