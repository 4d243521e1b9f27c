package oauth_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

	textPending     = "the person has not answered yet"
	textSlowDown    = "polled too early: wait 5 seconds longer from now on"
	textDeviceCode  = "the device code is unknown or used"
	textDeviceOver  = "the device code has expired: ask for another"
	textDenied      = "the person said no"
	textNoDevices   = "the client did not register the grant type urn:ietf:params:oauth:grant-type:device_code"
	wrongCode       = "No device waits with this code."
	tooManyGuesses  = "Too many codes were tried"
	textManyDevices = "too many devices ask from this address: try again later"
)

// registerDevice registers a client that has no way to a browser.
func (w *world) registerDevice(metadata ...string) *app {
	w.Helper()
	m := map[string]any{"grant_types": []string{deviceGrant, "refresh_token"}}
	for i := 0; i+1 < len(metadata); i += 2 {
		m[metadata[i]] = metadata[i+1]
	}
	return w.register(m)
}

// pendingDevice is a device that shows a code.
type pendingDevice struct {
	*app
	code, shown string
}

// ask makes a device ask for access.
func (a *app) ask(pairs ...string) pendingDevice {
	a.Helper()
	r := a.call("/device_authorization", alter(url.Values{"scope": {"paput.read paput.write"}}, pairs))
	if r.status != http.StatusOK {
		a.Fatalf("device authorization: got %d: %s", r.status, r.body)
	}
	return pendingDevice{a, r.text("device_code"), r.text("user_code")}
}

// poll asks for the tokens.
func (d pendingDevice) poll(pairs ...string) reply {
	d.Helper()
	return d.token(alter(url.Values{"grant_type": {deviceGrant}, "device_code": {d.code}}, pairs))
}

func devicePage(code string) string { return "/device?" + url.Values{"user_code": {code}}.Encode() }

// answer lets the person type the code and decide.
func (b *browser) answer(d pendingDevice, decision string) reply {
	b.Helper()
	return b.post("/device", b.consentForm(devicePage(d.shown), decision))
}

// wantWrongCode checks that a person is told that the code is no good.
func (r reply) wantWrongCode(tb testing.TB) {
	tb.Helper()
	if r.status != http.StatusBadRequest || !strings.Contains(r.body, wrongCode) || r.header.Get("X-Error") != "invalid_request" {
		tb.Errorf("got %d %s, want the page for a wrong code", r.status, r.body)
	}
	r.wantSafePage(tb)
}

func TestDeviceStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerDevice()
	r := a.call("/device_authorization", url.Values{"scope": {"paput.read paput.write"}, "resource": {w.url + "/mcp/"}})
	shown := r.text("user_code")
	if r.status != http.StatusOK || !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(shown) ||
		r.text("verification_uri") != w.url+"/device" || r.text("verification_uri_complete") != w.url+"/device?user_code="+shown ||
		r.json("expires_in") != 600.0 || r.json("interval") != 5.0 ||
		r.header.Get("Cache-Control") != "no-store" || r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("got %d %v %s", r.status, r.header, r.body)
	}
	d := pendingDevice{a, r.text("device_code"), shown}
	if !strings.HasPrefix(d.code, "paput_dc_") {
		t.Errorf("got the device code %q", d.code)
	}
	d.poll().wantError(t, 400, "authorization_pending", textPending)

	b := w.newBrowser("")
	page := devicePage(shown)
	if to := b.get(page).location(t).String(); to != "/login?next="+url.QueryEscape(page) {
		t.Errorf("got %s, want the sign-in", to)
	}
	b.signIn("acct_1")
	form := b.consentForm(page, "approve")
	form["scope"] = []string{"paput.read"}
	r = b.post("/device", form, "Origin", w.url, "Sec-Fetch-Site", "same-origin")
	r.wantSafePage(t)
	if r.status != http.StatusOK || !strings.Contains(r.body, "Go back to your device") {
		t.Errorf("got %d %s", r.status, r.body)
	}

	w.advance(5 * time.Second)
	got := d.poll("resource", w.url+"/mcp")
	if got.text("scope") != "paput.read" || got.text("token_type") != "Bearer" || got.json("expires_in") != 900.0 {
		t.Errorf("got %s", got.body)
	}
	tokens := got.tokens(t)
	c, _ := w.caller(tokens.access)
	if c.AccountID != "acct_1" || c.ClientID != a.id || c.Resource != w.url+"/mcp" || !slices.Equal(c.Scopes, []string{"paput.read"}) {
		t.Errorf("got %+v", c)
	}
	d.poll().wantError(t, 400, "invalid_grant", textDeviceCode)
	if !w.alive(tokens.access) {
		t.Error("a poll too many ends the grant")
	}
	b.get(page).wantWrongCode(t)

	// From here on the grant is as any other.
	a.token(a.refreshForm(tokens.refresh, "scope", "paput.write")).wantError(t, 400, "invalid_scope", "scope names more than was granted")
	next := a.token(a.refreshForm(tokens.refresh)).tokens(t)
	w.advance(time.Minute)
	a.token(a.refreshForm(tokens.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
	if w.alive(next.access) {
		t.Error("the grant survives a reuse")
	}
	w.wantEvents("device_authorization_requested", "consent_granted", "device_code_redeemed", "token_refreshed", "refresh_reused", "revoked")
	if all := w.dump() + w.logged.String(); strings.Contains(all, shown) || strings.Contains(all, d.code) {
		t.Error("a code is kept, or in the log")
	}
}

func TestDeviceRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	w.newBrowser("acct_1").answer(d, "approve")
	tokens := d.poll().tokens(t)
	if r := d.call("/revoke", url.Values{"token": {tokens.refresh}}); r.status != http.StatusOK || w.alive(tokens.access) {
		t.Errorf("got %d, and the token lives: %v", r.status, w.alive(tokens.access))
	}
	d.poll().wantError(t, 400, "invalid_grant", textDeviceCode)
}

// What a person allowed and the device did not fetch ends with the client.
func TestDeviceOfAClientThatGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	waiting := d.ask()
	b := w.newBrowser("acct_1")
	b.answer(d, "approve")
	form := b.consentForm(devicePage(waiting.shown), "approve")
	if r := w.send(http.MethodDelete, "/register/"+d.id, "", "Authorization", "Bearer "+d.registration); r.status != http.StatusNoContent {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	w.wantEvents("device_authorization_requested", "device_authorization_requested", "consent_granted", "revoked")
	d.poll().wantError(t, 401, "invalid_client", textClient)
	b.get(devicePage(waiting.shown)).wantPage(t, 400, "invalid_client", "This app is not known here")
	form.Del("scope")
	b.post("/device", form).wantPage(t, 400, "invalid_client", "This app is not known here")
}

func TestDeviceWithoutRefreshTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(map[string]any{"grant_types": []string{deviceGrant}, "token_endpoint_auth_method": "client_secret_basic"})
	d := a.ask("scope", "-")
	w.newBrowser("acct_1").answer(d, "approve")
	if got := d.poll(); got.tokens(t).refresh != "" || got.text("scope") != "paput.read paput.write" {
		t.Errorf("got %s", got.body)
	}
}

func TestDeviceDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	b := w.newBrowser("acct_1")
	r := b.answer(d, "deny")
	if r.status != http.StatusOK || !strings.Contains(r.body, "You have not allowed it") {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for range 2 {
		d.poll().wantError(t, 400, "access_denied", textDenied)
	}
	b.get(devicePage(d.shown)).wantWrongCode(t)
	w.wantEvents("device_authorization_requested", "consent_denied")
}

func TestDeviceAuthorizationRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	device, browserOnly := w.registerDevice(), w.register(nil)
	secret := w.registerDevice("token_endpoint_auth_method", "client_secret_post")
	imposter := *secret
	imposter.secret = "wrong"
	tests := []struct {
		name   string
		act    func() reply
		status int
		code   string
		text   string
	}{
		{"a client without the grant", func() reply { return browserOnly.call("/device_authorization", url.Values{}) }, 400, "unauthorized_client", textNoDevices},
		{"and that says the grant type", func() reply {
			return browserOnly.call("/device_authorization", url.Values{"grant_type": {"authorization_code"}})
		}, 400, "unauthorized_client", textNoDevices},
		{"an unknown client", func() reply { return (&app{world: w, id: "client_999"}).call("/device_authorization", url.Values{}) }, 401, "invalid_client", textClient},
		{"a wrong secret", func() reply { return imposter.call("/device_authorization", url.Values{}) }, 401, "invalid_client", textClient},
		{"an unknown resource", func() reply {
			return device.call("/device_authorization", url.Values{"resource": {"https://evil.example"}})
		}, 400, "invalid_target", "resource is not one of this server"},
		{"two resources", func() reply {
			return device.call("/device_authorization", url.Values{"resource": {w.url, w.url + "/mcp"}})
		}, 400, "invalid_target", "resource is not one of this server"},
		{"unknown scopes", func() reply { return device.call("/device_authorization", url.Values{"scope": {"root"}}) }, 400, "invalid_scope", "scope names none that this server knows"},
		{"a parameter twice", func() reply {
			return device.call("/device_authorization", url.Values{"scope": {"paput.read", "paput.write"}})
		}, 400, "invalid_request", "a parameter is given more than once"},
		{"by GET", func() reply { return w.send(http.MethodGet, "/device_authorization", "") }, 405, "invalid_request", "this endpoint needs POST"},
		{"parameters in the URL", func() reply {
			return w.send(http.MethodPost, "/device_authorization?client_id="+device.id, "", "Content-Type", formType)
		}, 400, "invalid_request", "parameters belong in the body, not in the URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.act().wantError(t, tt.status, tt.code, tt.text) })
	}
	w.wantEvents()
}

func TestDeviceTokenRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, other, browserOnly := w.registerDevice(), w.registerDevice(), w.register(nil)
	d := a.ask("resource", w.url)
	w.newBrowser("acct_1").answer(d, "approve")
	stolen := pendingDevice{other, d.code, d.shown}
	misused := pendingDevice{browserOnly, d.code, d.shown}
	tests := []struct {
		name   string
		act    func() reply
		code   string
		text   string
		status int
	}{
		{"another client", func() reply { return stolen.poll() }, "invalid_grant", textDeviceCode, 400},
		{"a client without the grant", func() reply { return misused.poll() }, "unauthorized_client", "grant_type " + deviceGrant + " not allowed", 400},
		{"another resource", func() reply { return d.poll("resource", w.url+"/mcp") }, "invalid_target", "resource is not the one that was granted", 400},
		{"an unknown resource", func() reply { return d.poll("resource", "https://evil.example") }, "invalid_target", "resource is not one of this server", 400},
		{"an unknown code", func() reply { return d.poll("device_code", "paput_dc_"+strings.Repeat("A", 54)) }, "invalid_grant", textDeviceCode, 400},
		{"the user code", func() reply { return d.poll("device_code", d.shown) }, "invalid_grant", textDeviceCode, 400},
		{"an authorization code's prefix", func() reply {
			return d.poll("device_code", strings.Replace(d.code, "_dc_", "_ac_", 1))
		}, "invalid_grant", textDeviceCode, 400},
		{"as an authorization code", func() reply { return browserOnly.token(browserOnly.redeemForm(d.code)) }, "invalid_grant", textCode, 400},
		{"as a refresh token", func() reply { return a.token(a.refreshForm(d.code)) }, "invalid_grant", textRefresh, 400},
		{"no code", func() reply { return d.poll("device_code", "-") }, "invalid_request", "device_code missing", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.act().wantError(t, tt.status, tt.code, tt.text) })
	}
	w.wantEvents("device_authorization_requested", "consent_granted")
	d.poll("resource", w.url+"/").tokens(t) // and none of them has spent it
}

func TestPolling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	pending := func() { t.Helper(); d.poll().wantError(t, 400, "authorization_pending", textPending) }
	slowDown := func() { t.Helper(); d.poll().wantError(t, 400, "slow_down", textSlowDown) }
	pending()
	for range 3 {
		w.advance(5*time.Second - 400*time.Millisecond) // the network is no clock
		pending()
	}
	w.advance(4 * time.Second)
	slowDown() // 10 seconds from now on
	w.advance(9 * time.Second)
	slowDown() // 15
	w.advance(15 * time.Second)
	pending()
	other := d.ask() // whose polls are counted by themselves
	other.poll().wantError(t, 400, "authorization_pending", textPending)
	slowDown() // 20
	w.advance(20 * time.Second)
	pending()
	w.newBrowser("acct_1").answer(d, "approve")
	d.poll().tokens(t) // too early, but there is nothing to wait for
	w.wantEvents("device_authorization_requested", "device_authorization_requested", "consent_granted", "device_code_redeemed")
}

func TestPollingExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerDevice()
	waiting, allowed := a.ask(), a.ask()
	b := w.newBrowser("acct_1")
	late := b.consentForm(devicePage(waiting.shown), "approve")
	b.answer(allowed, "approve")
	w.advance(10*time.Minute - time.Second)
	waiting.poll().wantError(t, 400, "authorization_pending", textPending)
	w.advance(time.Second)
	w.registerDevice().ask() // forgets neither yet
	for _, d := range []pendingDevice{waiting, allowed} {
		d.poll().wantError(t, 400, "expired_token", textDeviceOver)
	}
	b.get(devicePage(waiting.shown)).wantWrongCode(t)
	b.post("/device", late).wantPage(t, 400, "invalid_request", cannotAnswer)
	late.Set("decision", "deny")
	b.post("/device", late).wantPage(t, 400, "invalid_request", cannotAnswer)
	w.wantEvents("device_authorization_requested", "device_authorization_requested", "consent_granted", "device_authorization_requested")

	w.advance(time.Hour)
	a.ask() // which forgets them
	waiting.poll().wantError(t, 400, "invalid_grant", textDeviceCode)
	b.post("/device", late).wantPage(t, 400, "invalid_request", cannotAnswer)
	if n := strings.Count(w.dump(), "oauth_devices "); n != 2 {
		t.Errorf("got %d requests, want the last two", n)
	}
}

func TestFiftyPolls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	w.newBrowser("acct_1").answer(d, "approve")
	won := 0
	for _, r := range parallel(50, func() reply { return d.poll() }) {
		if r.status == http.StatusOK {
			won++
			if !w.alive(r.text("access_token")) {
				t.Error("the winner's token does not work")
			}
			continue
		}
		r.wantError(t, 400, "invalid_grant", textDeviceCode)
	}
	if won != 1 {
		t.Errorf("got %d winners, want 1", won)
	}
	w.wantEvents("device_authorization_requested", "consent_granted", "device_code_redeemed")
}

// A device's consent is no one's for a browser, and the other way round.
func TestDeviceConsentIsNotRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(map[string]any{
		"grant_types": []string{"authorization_code", deviceGrant, "refresh_token"}, "redirect_uris": []string{"https://app.example/cb"},
	})
	b := w.newBrowser("acct_1")
	b.answer(a.ask(), "approve")
	if r := b.get(b.begin(a.query())); r.status != http.StatusOK {
		t.Errorf("the consent page is gone: got %d", r.status)
	}
	a.code(b)
	for range 2 {
		d := a.ask()
		if r := b.get(devicePage(d.shown)); r.status != http.StatusOK || !strings.Contains(r.body, `value="approve"`) {
			t.Errorf("nobody was asked: got %d %s", r.status, r.body)
		}
		d.poll().wantError(t, 400, "authorization_pending", textPending)
		b.answer(d, "approve")
	}
}

// A device client cannot send a browser anywhere.
func TestDeviceClientHasNoRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerDevice()
	a.redirect = loopbackRedirect
	w.newBrowser("acct_1").get("/authorize?"+a.query().Encode()).wantPage(t, 400, "invalid_request", "The app&#39;s return address is not registered")
}
