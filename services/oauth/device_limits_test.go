package oauth_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/paput/paput/services/oauth"
)

// Someone who guesses codes is stopped by their account, from wherever they come, and by their address, whoever they are.
func TestLimitOfGuesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	guess := func(account, from, code string) reply {
		r := w.request(http.MethodGet, devicePage(code), "")
		r.RemoteAddr = from
		r.AddCookie(&http.Cookie{Name: "session", Value: account + "/" + w.Now().Format(time.RFC3339)})
		return w.serve(r)
	}
	for i := range 10 {
		guess("acct_1", fmt.Sprintf("192.0.2.%d:1", i), "BBBB-BBBB").wantWrongCode(t)
	}
	r := guess("acct_1", "198.51.100.1:1", d.shown)
	r.wantPage(t, 429, "temporarily_unavailable", tooManyGuesses)
	r.wantRetryAfter(t, "60")
	// What cannot be a code is no guess.
	guess("acct_1", "198.51.100.1:1", "AAAA").wantWrongCode(t)

	for i := range 30 {
		guess(fmt.Sprint("acct_", 10+i), elsewhere, "BBBB-BBBB").wantWrongCode(t)
	}
	r = guess("acct_99", elsewhere, d.shown)
	r.wantPage(t, 429, "temporarily_unavailable", tooManyGuesses)
	r.wantRetryAfter(t, "10")
	if r := guess("acct_99", "198.51.100.2:1", d.shown); r.status != http.StatusOK {
		t.Errorf("the guesses of others keep out whoever knows the code: got %d %s", r.status, r.body)
	}
	w.advance(time.Minute + time.Second)
	guess("acct_1", "198.51.100.1:1", "BBBB-BBBB").wantWrongCode(t)
	guess("acct_1", "198.51.100.1:1", "BBBB-BBBB").wantPage(t, 429, "temporarily_unavailable", tooManyGuesses)
}

// One address has a bounded number of requests at a time, and the limit is no one else's.
func TestLimitOfDevices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerDevice()
	form := "client_id=" + a.id
	open := 0
	for range 600 {
		switch r := w.from(here, http.MethodPost, "/device_authorization", form); r.status {
		case http.StatusOK:
			open++
		default:
			r.wantError(t, 429, "temporarily_unavailable", textManyDevices)
			if r.header.Get("Retry-After") == "" {
				t.Error("got no Retry-After")
			}
		}
		w.advance(time.Second)
	}
	if open < 58 || open > 60 {
		t.Errorf("got %d open requests, want 60", open)
	}
	if r := w.from(elsewhere, http.MethodPost, "/device_authorization", form); r.status != http.StatusOK {
		t.Errorf("the flood harms another address: got %d %s", r.status, r.body)
	}
	// Bad requests count as well, and nothing is looked up for them.
	for range 29 {
		w.from(elsewhere, http.MethodPost, "/device_authorization", "client_id=client_999")
	}
	w.from(elsewhere, http.MethodPost, "/device_authorization", form).wantError(t, 429, "temporarily_unavailable", textManyDevices)
}

// Who polls without end is told to wait like anyone who fails too often, and gets the tokens all the same.
func TestLimitOfPolls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate, c.FailureBurst = 0.1, 3 })
	d := w.registerDevice().ask()
	d.poll().wantError(t, 400, "authorization_pending", textPending)
	for range 3 {
		d.poll().wantError(t, 400, "slow_down", textSlowDown)
	}
	d.poll().wantTooManyFailures(t, "10")
	w.newBrowser("acct_1").answer(d, "approve")
	d.poll().tokens(t)
}
