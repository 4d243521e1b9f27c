package oauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/oauth"
)

const webRedirect = "https://app.example/cb"

// registerWeb registers a client whose consent may be remembered.
func (w *world) registerWeb() *app {
	return w.register(map[string]any{"redirect_uris": []string{webRedirect, "https://app.example/other", "https://other.example/cb", loopbackRedirect}})
}

// ask sends the browser to the authorization endpoint, and on to our consent page if it leads there. It says how that
// ends: "page", "sign-in", "code", or the error that the client gets.
func (b *browser) ask(q url.Values, header ...string) string {
	b.Helper()
	r := b.get("/authorize?"+q.Encode(), header...)
	if to := r.header.Get("Location"); strings.HasPrefix(to, "/consent?tx=") {
		r = b.get(to, header...)
	}
	return r.end(b)
}

func (r reply) end(tb interface{ Fatalf(string, ...any) }) string {
	to, err := url.Parse(r.header.Get("Location"))
	switch {
	case r.status == http.StatusOK && strings.Contains(r.body, `action="/consent"`):
		return "page"
	case err != nil || r.status != http.StatusFound && r.status != http.StatusSeeOther:
		tb.Fatalf("got %d to %q: %s", r.status, r.header.Get("Location"), r.body)
		return ""
	case to.Path == "/login":
		return "sign-in"
	case to.Query().Get("code") != "":
		return "code"
	default:
		return to.Query().Get("error")
	}
}

func (b *browser) wantEnd(want string, q url.Values) {
	b.Helper()
	if got := b.ask(q); got != want {
		b.Errorf("got %q, want %q for %v", got, want, q)
	}
}

func TestConsentIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerWeb()
	b := w.newBrowser("acct_1")
	first := a.token(a.redeemForm(a.code(b))).tokens(t)

	r := b.get("/authorize?" + a.query("state", "again", "resource", w.url+"/").Encode())
	to := r.location(t)
	q := to.Query()
	if r.status != http.StatusFound || to.Scheme+"://"+to.Host+to.Path != webRedirect || q.Get("state") != "again" || q.Get("iss") != w.url {
		t.Errorf("got %d to %s", r.status, to)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Set-Cookie") != "" {
		t.Errorf("got headers %v", r.header)
	}
	second := a.token(a.redeemForm(q.Get("code"))).tokens(t)
	c, ok := w.caller(second.access)
	if !ok || c.AccountID != "acct_1" || c.ClientID != a.id || c.Resource != w.url || !slices.Equal(c.Scopes, []string{"paput.read", "paput.write"}) {
		t.Errorf("got caller %+v, %v", c, ok)
	}
	if before, _ := w.caller(first.access); before.GrantID == c.GrantID {
		t.Error("the second log-in shares the grant of the first")
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "consent_granted", "code_issued", "code_redeemed")
	var remembered []bool
	transactions := map[string]bool{}
	for r, err := range w.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := r.Event.(*oauthv1.GrantEvent); ok && e.GetConsentGranted() != nil {
			remembered = append(remembered, e.GetConsentGranted().GetRemembered())
			transactions[e.GetConsentGranted().GetTransactionId()] = true
		}
	}
	if !slices.Equal(remembered, []bool{false, true}) || len(transactions) != 2 || transactions[""] {
		t.Errorf("got remembered %v of %v", remembered, transactions)
	}
	w.wantRebuildEqual()
}

func TestWhatIsRemembered(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		pairs []string
		want  string
	}{
		{"the same", nil, "code"},
		{"less", []string{"scope", "paput.write"}, "code"},
		{"what is implied", []string{"scope", "paput.read"}, "code"},
		{"another order", []string{"scope", "paput.write paput.capture"}, "code"},
		{"no page", []string{"prompt", "none"}, "code"},
		{"a sign-in that is fresh enough", []string{"max_age", "7200"}, "code"},
		{"another path of the host", []string{"redirect_uri", "https://app.example/other"}, "code"},
		{"more", []string{"scope", "paput.write paput.publish"}, "page"},
		{"something else", []string{"scope", "paput.account"}, "page"},
		{"more, without a page", []string{"scope", "paput.publish", "prompt", "none"}, "interaction_required"},
		{"prompt=consent", []string{"prompt", "consent"}, "page"},
		{"prompt=consent and login", []string{"prompt", "login consent"}, "sign-in"},
		{"prompt=select_account", []string{"prompt", "select_account"}, "page"},
		{"another host", []string{"redirect_uri", "https://other.example/cb"}, "page"},
		{"another resource", []string{"resource", "%s/mcp"}, "page"},
		{"loopback", []string{"redirect_uri", loopbackRedirect}, "page"},
		{"loopback, without a page", []string{"redirect_uri", loopbackRedirect, "prompt", "none"}, "interaction_required"},
		{"prompt=login", []string{"prompt", "login"}, "sign-in"},
		{"max_age=0", []string{"max_age", "0"}, "sign-in"},
		{"a stale sign-in, without a page", []string{"max_age", "60", "prompt", "none"}, "login_required"},
	}
	w := newWorld(t)
	a := w.registerWeb()
	b := w.newBrowser("acct_1")
	a.code(b, "scope", "paput.write paput.capture")
	w.advance(time.Hour)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, s := range tt.pairs {
				tt.pairs[i] = strings.Replace(s, "%s", w.url, 1)
			}
			q := a.query(append([]string{"scope", "paput.write"}, tt.pairs...)...)
			if got := b.ask(q); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	other := w.registerWeb()
	b.wantEnd("page", other.query())
	w.newBrowser("acct_2").wantEnd("page", a.query("scope", "paput.write"))
	w.newBrowser("acct_2").wantEnd("interaction_required", a.query("scope", "paput.write", "prompt", "none"))
	w.newBrowser("").wantEnd("sign-in", a.query("scope", "paput.write"))
	w.newBrowser("").wantEnd("login_required", a.query("scope", "paput.write", "prompt", "none"))
}

// Any program on the computer could be behind a loopback address (RFC 8252, section 8.6), whatever its scheme.
func TestLoopbackIsNeverRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.newBrowser("acct_1")
	for _, redirect := range []string{
		"http://127.0.0.1:4711/cb", "http://localhost/cb", "http://[::1]:1/cb",
		"https://localhost/cb", "https://LOCALHOST:8443/cb", "https://localhost./cb", "https://x.localhost/cb", "https://127.0.0.1/cb", "https://127.9.9.9/cb", "https://[::1]/cb", "https://[::ffff:127.0.0.1]/cb",
	} {
		a := w.register(map[string]any{"redirect_uris": []string{redirect}})
		for range 2 {
			a.code(b) // the page is shown each time
		}
		if r := b.get(b.begin(a.query())); !strings.Contains(r.body, "a program <strong>on this computer</strong>") {
			t.Errorf("%s: the page does not warn: %s", redirect, r.body)
		}
		b.wantEnd("interaction_required", a.query("prompt", "none"))
	}
	if got := w.dump(); strings.Contains(got, "oauth_consents") {
		t.Errorf("something is remembered: %s", got)
	}
}

func TestConsentIsForgotten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		forget func(w *world, a *app, b *browser, code string, tokens tokens)
	}{
		{"after 90 days, however often it was remembered", func(w *world, a *app, b *browser, _ string, _ tokens) {
			for range 90 {
				b.wantEnd("code", a.query())
				w.advance(24 * time.Hour)
			}
		}},
		{"when the client logs out", func(_ *world, a *app, _ *browser, _ string, t tokens) {
			a.call("/revoke", url.Values{"token": {t.refresh}})
		}},
		{"when the code is replayed", func(_ *world, a *app, _ *browser, code string, _ tokens) {
			a.token(a.redeemForm(code)).wantError(a, 400, "invalid_grant", "the authorization code is unknown, expired or used")
		}},
		{"when a refresh token is reused", func(w *world, a *app, _ *browser, _ string, t tokens) {
			a.token(a.refreshForm(t.refresh)).tokens(a)
			w.advance(time.Minute)
			a.token(a.refreshForm(t.refresh)).wantError(a, 400, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
		}},
		{"when the person says no", func(_ *world, a *app, b *browser, _ string, _ tokens) {
			b.post("/consent", b.consentForm(b.begin(a.query("prompt", "consent")), "deny")).location(a)
		}},
		{"when the person allows less", func(_ *world, a *app, b *browser, _ string, _ tokens) {
			form := b.consentForm(b.begin(a.query("prompt", "consent")), "approve")
			form["scope"] = []string{"paput.read"}
			b.post("/consent", form).location(a)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.registerWeb()
			b, bystander := w.newBrowser("acct_1"), w.newBrowser("acct_2")
			code := a.code(b)
			tokens := a.token(a.redeemForm(code)).tokens(t)
			if !strings.Contains(tt.name, "90 days") {
				a.code(bystander)
			}
			b.wantEnd("code", a.query())
			tt.forget(w, a, b, code, tokens)
			b.wantEnd("page", a.query())
			b.wantEnd("interaction_required", a.query("prompt", "none"))
			if !strings.Contains(tt.name, "90 days") {
				bystander.wantEnd("code", a.query())
			}
			w.wantRebuildEqual()
		})
	}
}

func TestConsentEndsWithTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.Lifetimes.Grant = time.Hour })
	deleted, expired, stays := w.registerWeb(), w.registerWeb(), w.registerWeb()
	b := w.newBrowser("acct_1")
	deleted.token(deleted.redeemForm(deleted.code(b))).tokens(t)
	w.advance(time.Hour) // it has no grant left
	expired.code(b)
	stays.token(stays.redeemForm(stays.code(b))).tokens(t)
	if n := strings.Count(w.dump(), "oauth_consents "); n != 3 {
		t.Fatalf("%d are remembered, want 3", n)
	}
	w.send(http.MethodDelete, "/register/"+deleted.id, "", "Authorization", "Bearer "+deleted.registration)
	w.sweepAfter(day)
	got := w.dump()
	if strings.Count(got, "oauth_consents ") != 1 || !strings.Contains(got, `oauth_consents account_id="acct_1" client_id="`+stays.id) {
		t.Errorf("got %s", got)
	}
	w.wantRebuildEqual()
}

// Old answers do not pile up.
func TestOldConsentsAreDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerWeb()
	a.code(w.newBrowser("acct_1"))
	w.advance(90 * day)
	a.code(w.newBrowser("acct_2"))
	if got := w.dump(); strings.Count(got, "oauth_consents ") != 1 {
		t.Errorf("got %s", got)
	}
}

func TestRememberedForADocument(t *testing.T) {
	t.Parallel()
	documentOf := func(name string, redirects ...string) string {
		uris, _ := json.Marshal(redirects)
		return fmt.Sprintf(`{"client_id":%q,"client_name":%q,"redirect_uris":%s,"token_endpoint_auth_method":"none"}`, shopID, name, uris)
	}
	s := newSite(t)
	w := newWorld(t, s.transport)
	s.serve(shopID, documentOf("Web app", webRedirect))
	a := w.documented(shopID, webRedirect)
	b := w.newBrowser("acct_1")
	a.code(b)
	b.wantEnd("code", a.query())
	for _, changed := range []string{documentOf("Another app", webRedirect), documentOf("Web app", webRedirect, "https://evil.example/cb")} {
		s.serve(shopID, changed)
		w.advance(11 * time.Minute) // longer than it may be cached
		b.wantEnd("page", a.query())
		b.wantEnd("interaction_required", a.query("prompt", "none"))
	}
	s.serve(shopID, documentOf("Web app", webRedirect))
	w.advance(11 * time.Minute)
	b.wantEnd("code", a.query())
	w.wantRebuildEqual()
}

// Whoever signs in on the way gets the remembered answer as well, once.
func TestRememberedAfterSigningIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerWeb()
	a.code(w.newBrowser("acct_1"))
	b := w.newBrowser("")
	page := b.begin(a.query())
	if got := b.get(page).end(t); got != "sign-in" {
		t.Fatalf("got %q, want sign-in", got)
	}
	b.signIn("acct_1")
	if r := do(t, b.client, b.request(http.MethodHead, page, "")); r.status != http.StatusOK || r.header.Get("Location") != "" {
		t.Errorf("HEAD: got %d %v", r.status, r.header)
	}
	cookies := b.client.Jar.Cookies(b.request(http.MethodGet, "/consent", "").URL)
	ends := make([]reply, 10)
	var wg sync.WaitGroup
	for i := range ends {
		wg.Go(func() {
			req := b.request(http.MethodGet, page, "")
			for _, c := range cookies {
				req.AddCookie(c)
			}
			ends[i] = do(t, &http.Client{CheckRedirect: b.client.CheckRedirect}, req)
		})
	}
	wg.Wait()
	codes := 0
	for _, r := range ends {
		if r.status != http.StatusSeeOther {
			r.wantPage(t, 400, "invalid_request", answered)
			continue
		}
		codes++
		if q := r.location(t).Query(); q.Get("iss") != w.url || q.Get("state") != "st&te=1" || q.Get("code") == "" {
			t.Errorf("got %v", q)
		}
	}
	if codes != 1 {
		t.Errorf("got %d codes, want 1", codes)
	}
	w.wantEvents("consent_granted", "code_issued", "consent_granted", "code_issued")
	other := w.newBrowser("")
	page = other.begin(a.query())
	other.signIn("acct_2")
	if got := other.get(page).end(t); got != "page" {
		t.Errorf("another person: got %q, want the page", got)
	}
}

// A client that nobody here has allowed anything learns whether somebody is signed in and nothing else.
func TestSilenceTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, suggesting)
	known, stranger := w.registerWeb(), w.registerWeb()
	b := w.newBrowser("acct_1")
	known.code(b)
	w.advance(time.Hour)
	for _, pairs := range [][]string{
		{}, {"max_age", "0"}, {"max_age", "3000"}, {"max_age", "7200"}, {"scope", "paput.capture"}, {"scope", "paput.audit"},
		{"login_hint", "acct_1@example.com"}, {"login_hint", "acct_2@example.com"},
	} {
		pairs = append(pairs, "prompt", "none")
		b.wantEnd("interaction_required", stranger.query(pairs...))
		w.newBrowser("").wantEnd("login_required", stranger.query(pairs...))
		w.newBrowser("").wantEnd("login_required", known.query(pairs...))
	}
	w.wantEvents("consent_granted", "code_issued")
}

// suggesting makes a world whose sign-in page can be filled in: with whatever has an @.
func suggesting(c *oauth.Config) {
	c.Suggest = func(h http.Header, email string) bool {
		ok := strings.Contains(email, "@")
		if !ok {
			email = ""
		}
		h.Add("Set-Cookie", "hint="+url.QueryEscape(email)+"; Path=/")
		return ok
	}
}

func TestLoginHint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, suggesting)
	a := w.registerWeb()
	b := w.newBrowser("acct_1")
	a.code(b)
	for _, tt := range []struct{ hint, want, cookie string }{
		{"acct_1@example.com", "code", ""},
		{" ACCT_1@example.com ", "code", ""},
		{"not an address", "code", ""},
		{"", "code", ""},
		{"acct_2@example.com", "page", "hint=acct_2%40example.com; Path=/"},
		{`"><script>alert(1)</script>@x`, "page", "hint=%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E%40x; Path=/"},
	} {
		q := a.query("login_hint", tt.hint)
		r := b.get("/authorize?" + q.Encode())
		if got := strings.Join(r.header["Set-Cookie"], "\n"); tt.cookie != "" && !strings.HasSuffix(got, "\n"+tt.cookie) || tt.cookie == "" && got != "" {
			t.Errorf("%q: got cookies %q, want %q", tt.hint, got, tt.cookie)
		}
		if strings.Contains(r.header.Get("Location"), "script") || strings.Contains(r.header.Get("Location"), "acct_") {
			t.Errorf("%q: the hint travels in %q", tt.hint, r.header.Get("Location"))
		}
		b.wantEnd(tt.want, q)
	}
	b.wantEnd("interaction_required", a.query("login_hint", "acct_2@example.com", "prompt", "none"))
	if r := w.newBrowser("").get("/authorize?" + a.query().Encode()); !slices.Contains(r.header["Set-Cookie"], "hint=; Path=/") {
		t.Errorf("an earlier hint stays: %v", r.header)
	}
	// Who was named signs in, and is shown the page though they allowed it before.
	a.code(w.newBrowser("acct_2"))
	page := b.begin(a.query("login_hint", "acct_2@example.com"))
	b.signIn("acct_2")
	if got := b.get(page).end(t); got != "page" {
		t.Errorf("got %q, want the page", got)
	}
	if strings.Contains(w.logged.String(), "example.com") || strings.Contains(w.logged.String(), "alert(1)") {
		t.Errorf("the log has a hint: %s", w.logged)
	}

	plain := newWorld(t)
	p := plain.registerWeb()
	pb := plain.newBrowser("acct_1")
	p.code(pb)
	pb.wantEnd("code", p.query("login_hint", "acct_2@example.com"))
}

// What is remembered when the request comes may be forgotten when it is answered.
func TestForgottenMeanwhile(t *testing.T) {
	t.Parallel()
	var forget atomic.Pointer[func()]
	w := newWorld(t, func(c *oauth.Config) {
		newID := c.NewID
		c.NewID = func(prefix string) string {
			if prefix == "grant" {
				if f := forget.Swap(nil); f != nil {
					(*f)()
				}
			}
			return newID(prefix)
		}
	})
	a := w.registerWeb()
	b := w.newBrowser("acct_1")
	for _, prompt := range []string{"-", "none"} {
		tokens := a.token(a.redeemForm(a.code(b))).tokens(t)
		b.wantEnd("code", a.query())
		logOut := func() { a.call("/revoke", url.Values{"token": {tokens.refresh}}) }
		forget.Store(&logOut)
		want := map[string]string{"-": "page", "none": "interaction_required"}[prompt]
		b.wantEnd(want, a.query("prompt", prompt))
		if forget.Load() != nil {
			t.Error("nothing was forgotten meanwhile")
		}
	}
}
