package account

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestFixation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	s.addAccount("eve@example.com")
	eve := s.visitor()
	eve.signIn("eve@example.com", goodPassword).wantRedirect(t, "/away")
	planted := eve.cookie("paput_session")

	victim := s.visitor()
	victim.setCookie("paput_session", planted)
	form := victim.fill("/login") // shows that eve is signed in, and so the sign-out form
	form.Set("email", "ada@example.com")
	form.Set("password", goodPassword)
	victim.post("/login", form).wantRedirect(t, "/login")
	if fresh := victim.cookie("paput_session"); fresh == planted || fresh == "" {
		t.Errorf("the session secret did not change: %q", fresh)
	}
	if got := victim.signedIn(); got != "ada@example.com" {
		t.Errorf("signed in is %q", got)
	}
	if got := eve.signedIn(); got != "" {
		t.Errorf("the planted secret opens the session of %q", got)
	}
	unknown := newSecret()
	other := s.visitor()
	other.setCookie("paput_session", unknown)
	other.signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	if other.cookie("paput_session") == unknown {
		t.Error("a secret that the server never gave out was taken over")
	}
}

func TestSessionLifetime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	idle, busy := s.visitor(), s.visitor()
	idle.signIn("ada@example.com", goodPassword)
	busy.signIn("ada@example.com", goodPassword)
	signedIn := s.clock.now()
	for day := range 9 {
		s.clock.add(10 * 24 * time.Hour)
		switch got := busy.signedIn(); {
		case day < 8 && got == "":
			t.Fatalf("a session in use ended on day %d", (day+1)*10)
		case day == 8 && got != "":
			t.Error("a session outlived 90 days")
		}
	}
	if got := idle.signedIn(); got != "" {
		t.Error("an idle session outlived 14 days")
	}

	last := s.visitor()
	last.signIn("ada@example.com", goodPassword)
	var sessions int
	if err := s.log.DB().QueryRow(`SELECT count(*) FROM account_sessions`).Scan(&sessions); err != nil || sessions != 1 {
		t.Errorf("%d sessions are kept (error %v), want only the live one", sessions, err)
	}
	s.clock.add(14*24*time.Hour - time.Minute)
	session, ok := s.service.SignedIn(requestWith(last.cookie("paput_session")))
	if !ok || !session.AuthTime.After(signedIn) {
		t.Errorf("got %+v, %v a minute before the idle time is over", session, ok)
	}
	s.clock.add(2 * time.Minute)
	if last.signedIn() == "" {
		t.Error("use did not prolong the session")
	}
	s.clock.add(14 * 24 * time.Hour)
	if last.signedIn() != "" {
		t.Error("a session outlived 14 days without use")
	}
}

func TestUseIsRecordedOncePerHour(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	v := s.visitor()
	v.signIn("ada@example.com", goodPassword)
	v.signedIn()
	s.clock.add(time.Hour)
	secret := v.cookie("paput_session")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { s.service.SignedIn(requestWith(secret)) })
	}
	wg.Wait()
	if got, want := s.events(), []string{"created", "activated", "signed_in", "continued"}; !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		s := startSite(t, tls)
		s.addAccount("ada@example.com")
		v := s.visitor()
		prefix := ""
		if tls {
			prefix = "__Host-"
		}
		cookies := (&http.Response{Header: v.signIn("ada@example.com", goodPassword).header}).Cookies()
		ages := map[string]int{prefix + "paput_session": 90 * 24 * 3600, prefix + "paput_browser": 365 * 24 * 3600}
		if len(cookies) != len(ages) {
			t.Fatalf("got the cookies %v", cookies)
		}
		for _, c := range cookies {
			age, ok := ages[c.Name]
			if !ok || !c.HttpOnly || c.Secure != tls || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != age {
				t.Errorf("got the cookie %v", c)
			}
		}
		if got := v.signedIn(); got != "ada@example.com" {
			t.Errorf("tls %v: signed in is %q", tls, got)
		}
	}
}
