package oauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

const (
	elsewhere         = "203.0.113.8:1000"
	tooMany           = "Too many requests"
	textTooManyFailed = "too many failed requests from this address: try again later"
)

// from sends a request from an address.
func (w *world) from(address, method, path, body string) reply {
	w.Helper()
	r := w.request(method, path, body, "Content-Type", formType)
	r.RemoteAddr = address
	return w.serve(r)
}

// serve answers a request without the network, from the address that it says.
func (w *world) serve(r *http.Request) reply {
	w.Helper()
	r.RequestURI = r.URL.RequestURI()
	recorded := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorded, r)
	return reply{recorded.Code, recorded.Header(), recorded.Body.String()}
}

func (r reply) wantRetryAfter(tb testing.TB, seconds string) {
	tb.Helper()
	if got := r.header.Get("Retry-After"); got != seconds {
		tb.Errorf("got Retry-After %q, want %q", got, seconds)
	}
}

// wantTooManyFailures checks that a program is told to wait, and not what was wrong.
func (r reply) wantTooManyFailures(tb testing.TB, seconds string) {
	tb.Helper()
	r.wantError(tb, 429, "temporarily_unavailable", textTooManyFailed)
	r.wantRetryAfter(tb, seconds)
	if got := r.header.Get("WWW-Authenticate"); got != "" {
		tb.Errorf("got WWW-Authenticate %q, want none", got)
	}
}

func TestLimitOfAuthorize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.PageRate, c.PageBurst = 0.1, 3 })
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	path := "/authorize?" + a.query().Encode()
	page := b.begin(a.query())
	b.get("/authorize").wantPage(t, 400, "invalid_client", "This app is not known here") // counts too
	b.begin(a.query())
	for range 3 { // waiting gets no longer
		r := b.get(path)
		r.wantPage(t, 429, "temporarily_unavailable", tooMany)
		r.wantRetryAfter(t, "10")
		if !strings.Contains(r.body, "Wait a minute, then reload this page.") {
			t.Errorf("got %s", r.body)
		}
	}
	r := b.get(path, "Accept-Language", "ja")
	r.wantPage(t, 429, "temporarily_unavailable", "アクセスが多すぎます")
	r.wantRetryAfter(t, "10")

	if r := w.from(elsewhere, http.MethodGet, path, ""); r.status != http.StatusFound {
		t.Errorf("the flood harms another address: got %d %s", r.status, r.body)
	}
	// Who has got as far as the consent page can answer there, and the app gets its tokens.
	answered := b.post("/consent", b.consentForm(page, "approve"))
	a.token(a.redeemForm(answered.location(t).Query().Get("code"))).tokens(t)

	w.advance(9 * time.Second)
	b.get(path).wantRetryAfter(t, "1")
	w.advance(time.Second)
	b.begin(a.query())
	b.get(path).wantPage(t, 429, "temporarily_unavailable", tooMany)
}

func TestLimitOfConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.PageRate, c.PageBurst = 0.1, 3 })
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	page := b.begin(a.query())
	form := b.consentForm(page, "approve")
	for range 2 {
		b.get("/consent?tx=x").wantPage(t, 400, "invalid_request", "This request cannot be answered")
	}
	for _, r := range []reply{b.get(page), b.post("/consent", form)} {
		r.wantPage(t, 429, "temporarily_unavailable", tooMany)
		r.wantRetryAfter(t, "10")
	}
	w.wantEvents()
	w.from(elsewhere, http.MethodGet, "/consent?tx=x", "").wantPage(t, 400, "invalid_request", "This request cannot be answered")
	w.advance(10 * time.Second)
	if r := b.post("/consent", form); r.status != http.StatusSeeOther {
		t.Errorf("sent once more, the answer does not count: got %d %s", r.status, r.body)
	}
}

func TestLimitOfFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate, c.FailureBurst = 0.1, 3 })
	a := w.register(nil)
	confidential := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	mine, others := a.login("acct_1"), confidential.login("acct_2")
	code := a.code(w.newBrowser("acct_1"))
	stranger := *confidential
	stranger.secret = "wrong"
	guess := "paput_rt_" + strings.Repeat("A", 54)

	// What is malformed costs nothing and is not counted; nor is a revocation of nothing, which is no failure.
	for range 5 {
		a.token(url.Values{"grant_type": {"refresh_token"}}).wantError(t, 400, "invalid_request", "refresh_token missing")
		a.token(a.refreshForm(mine.refresh, "scope", "paput.audit")).wantError(t, 400, "invalid_scope", "scope names more than was granted")
		if r := a.call("/revoke", url.Values{"token": {guess}}); r.status != http.StatusOK {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	stranger.token(a.refreshForm(guess)).wantError(t, 401, "invalid_client", textClient)
	a.token(a.refreshForm(guess)).wantError(t, 400, "invalid_grant", textRefresh)
	a.token(a.redeemForm("x")).wantError(t, 400, "invalid_grant", textCode)

	for name, refused := range map[string]func() reply{
		"client":               func() reply { return stranger.token(a.refreshForm(guess)) },
		"client at revocation": func() reply { return stranger.call("/revoke", url.Values{"token": {others.refresh}}) },
		"refresh token":        func() reply { return a.token(a.refreshForm(guess)) },
		"another's token":      func() reply { return a.token(a.refreshForm(others.refresh)) },
		"code":                 func() reply { return a.token(a.redeemForm("paput_ac_" + strings.Repeat("A", 54))) },
	} {
		t.Run(name, func(t *testing.T) { refused().wantTooManyFailures(t, "10") })
	}
	a.token(url.Values{"grant_type": {"refresh_token"}}).wantError(t, 400, "invalid_request", "refresh_token missing")

	form := a.refreshForm(guess, "client_id", a.id).Encode()
	w.from(elsewhere, http.MethodPost, "/token", form).wantError(t, 400, "invalid_grant", textRefresh)
	// What is right is answered, whoever else shares the address.
	a.token(a.redeemForm(code)).tokens(t)
	next := a.token(a.refreshForm(mine.refresh)).tokens(t)
	if r := a.call("/revoke", url.Values{"token": {next.refresh}}); r.status != http.StatusOK || w.alive(next.access) {
		t.Errorf("got %d %s, and the token lives: %v", r.status, r.body, w.alive(next.access))
	}
	confidential.token(confidential.refreshForm(others.refresh)).tokens(t)

	w.advance(10 * time.Second)
	a.token(a.refreshForm(guess)).wantError(t, 400, "invalid_grant", textRefresh)
	a.token(a.refreshForm(guess)).wantTooManyFailures(t, "10")
}

// Being told to wait is no shelter: a code that comes twice ends its grant all the same.
func TestReplayInAFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate, c.FailureBurst = 0.1, 1 })
	a := w.register(nil)
	form := a.redeemForm(a.code(w.newBrowser("acct_1")))
	tokens := a.token(form).tokens(t)
	a.token(a.redeemForm("x")).wantError(t, 400, "invalid_grant", textCode)
	a.token(form).wantTooManyFailures(t, "10")
	if w.alive(tokens.access) {
		t.Error("the grant survives")
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "code_replayed", "revoked")
}

// A flood of guesses does not stand in the line for transactions.
func TestGuessesNeedNoTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate, c.FailureBurst = 0.1, 1 })
	a := w.register(nil)
	tokens := a.login("acct_1")
	a.token(a.redeemForm("x")).wantError(t, 400, "invalid_grant", textCode)
	begun, busy, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- w.log.Do(t.Context(), func(*eventlog.Tx) error { close(begun); <-busy; return nil })
	}()
	<-begun
	guess := strings.Repeat("A", 54)
	a.token(a.redeemForm("paput_ac_"+guess)).wantTooManyFailures(t, "10")
	a.token(a.refreshForm("paput_rt_"+guess)).wantTooManyFailures(t, "10")
	for _, token := range []string{"paput_rt_" + guess, "paput_at_" + guess} {
		if r := a.call("/revoke", url.Values{"token": {token}}); r.status != http.StatusOK {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	close(busy)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r := a.call("/revoke", url.Values{"token": {tokens.access}}); r.status != http.StatusOK || w.alive(tokens.access) {
		t.Errorf("got %d %s for a token that is none", r.status, r.body)
	}
}

func TestSuccessesAreNotLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate, c.FailureBurst, c.PageRate = 0.001, 1, rate.Inf })
	a := w.register(nil)
	a.token(a.redeemForm("x")) // even when there is no failure left
	grants := make(chan tokens, 64)
	for range cap(grants) {
		grants <- a.login("acct_1")
	}
	for range 8 {
		for _, r := range parallel(cap(grants), func() reply {
			r := a.token(a.refreshForm((<-grants).refresh))
			grants <- tokens{refresh: r.text("refresh_token")}
			return r
		}) {
			r.tokens(t)
		}
	}
	for _, r := range parallel(cap(grants), func() reply { return a.call("/revoke", url.Values{"token": {(<-grants).refresh}}) }) {
		if r.status != http.StatusOK {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
}

func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/authorize", "/consent"} {
		for range 60 {
			if r := w.from(here, http.MethodGet, path, ""); r.status != http.StatusBadRequest {
				t.Fatalf("%s: got %d", path, r.status)
			}
		}
		r := w.from(here, http.MethodGet, path, "")
		r.wantPage(t, 429, "temporarily_unavailable", tooMany)
		r.wantRetryAfter(t, "1")
	}
	const form = "grant_type=refresh_token&refresh_token=x&client_id=client_999"
	for range 300 {
		w.from(here, http.MethodPost, "/token", form).wantError(t, 401, "invalid_client", textClient)
	}
	w.from(here, http.MethodPost, "/token", form).wantTooManyFailures(t, "1")
	w.advance(time.Second)
	for range 5 {
		w.from(here, http.MethodPost, "/token", form).wantError(t, 401, "invalid_client", textClient)
	}
	w.from(here, http.MethodPost, "/token", form).wantTooManyFailures(t, "1")
}

// A stranger can not fill the log, and does not keep the references of others out of it.
func TestLogIsNotFlooded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lines := func() int { return strings.Count(w.logged.String(), "\n") }
	const unknown = "/authorize?client_id=client_999&redirect_uri=x"
	for i := range 200 {
		w.from(here, http.MethodGet, unknown, "")
		w.from(here, http.MethodGet, "/consent", "")
		w.from(here, http.MethodPost, "/token", fmt.Sprint("grant_type=refresh_token&refresh_token=x&client_id=https://x/?", i))
	}
	if got := lines(); got != 20 {
		t.Errorf("got %d lines, want 20", got)
	}
	w.from(elsewhere, http.MethodGet, unknown, "")
	if got := lines(); got != 21 {
		t.Errorf("got %d lines, want one for another address", got)
	}
	w.advance(10 * time.Second)
	for range 2 {
		w.from(here, http.MethodGet, unknown, "")
	}
	if got := lines(); got != 22 {
		t.Errorf("got %d lines, want one more after ten seconds", got)
	}
}

// TestLimitOfRefreshes keeps one log-in from filling the log. Nobody but who has its token can use up what is its own.
func TestLimitOfRefreshes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.RefreshRate, c.RefreshBurst = 0.1, 2 })
	a := w.register(nil)
	tokens := a.login("acct_1")
	w.advance(time.Millisecond) // no two people answer at once; log-ins that do share the limit
	others := a.login("acct_1")
	guess := tokens.refresh[:len("paput_rt_")+10] + strings.Repeat("A", 44)
	for range 5 {
		a.token(a.refreshForm(guess)).wantError(t, 400, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
	}
	for range 2 {
		r := a.token(a.refreshForm(tokens.refresh))
		if r.status != http.StatusOK {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		tokens.refresh = r.text("refresh_token")
	}
	r := a.token(a.refreshForm(tokens.refresh))
	r.wantError(t, 429, "temporarily_unavailable", "this log-in was refreshed too often: use each access token until it expires")
	if r.header.Get("Retry-After") == "" {
		t.Error("got no Retry-After")
	}
	if r := a.token(a.refreshForm(others.refresh)); r.status != http.StatusOK {
		t.Errorf("another log-in: got %d %s", r.status, r.body)
	}
	w.advance(10 * time.Second)
	if r := a.token(a.refreshForm(tokens.refresh)); r.status != http.StatusOK {
		t.Errorf("later: got %d %s", r.status, r.body)
	}
}
