package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/oauth"
)

const (
	textClient  = "client authentication failed: register again"
	textCode    = "the authorization code is unknown, expired or used"
	textRefresh = "the refresh token is unknown, expired, used or revoked"
	formType    = "application/x-www-form-urlencoded"
)

func TestTokenGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	good := a.redeemForm(a.code(w.newBrowser("acct_1")), "client_id", a.id)
	tests := []struct {
		name         string
		method, path string
		body         string
		header       []string
		status       int
		code, text   string
	}{
		{"GET", http.MethodGet, "/token?" + good.Encode(), "", nil, 405, "invalid_request", "this endpoint needs POST"},
		{"PUT", http.MethodPut, "/token", good.Encode(), []string{"Content-Type", formType}, 405, "invalid_request", "this endpoint needs POST"},
		{"parameters in the URL", http.MethodPost, "/token?" + good.Encode(), "", []string{"Content-Type", formType}, 400, "invalid_request", "parameters belong in the body, not in the URL"},
		{"the code in the URL", http.MethodPost, "/token?code=" + good.Get("code"), good.Encode(), []string{"Content-Type", formType}, 400, "invalid_request", "parameters belong in the body, not in the URL"},
		{"JSON", http.MethodPost, "/token", `{"grant_type":"authorization_code"}`, []string{"Content-Type", "application/json"}, 400, "invalid_request", "the content type must be application/x-www-form-urlencoded"},
		{"no content type", http.MethodPost, "/token", good.Encode(), nil, 400, "invalid_request", "the content type must be application/x-www-form-urlencoded"},
		{"too large", http.MethodPost, "/token", good.Encode() + "&x=" + strings.Repeat("x", 64<<10), []string{"Content-Type", formType}, 400, "invalid_request", "the form is malformed or larger than 64 KiB"},
		{"malformed", http.MethodPost, "/token", "grant_type=%zz", []string{"Content-Type", formType}, 400, "invalid_request", "the form is malformed or larger than 64 KiB"},
		{"the code twice", http.MethodPost, "/token", good.Encode() + "&code=x", []string{"Content-Type", formType}, 400, "invalid_request", "a parameter is given more than once"},
		{"no grant_type", http.MethodPost, "/token", "client_id=" + a.id, []string{"Content-Type", formType}, 400, "invalid_request", "grant_type missing"},
		{"no client", http.MethodPost, "/token", "grant_type=refresh_token", []string{"Content-Type", formType}, 400, "invalid_request", "client_id or client_assertion must be provided"},
		{"no code", http.MethodPost, "/token", "grant_type=authorization_code&client_id=" + a.id, []string{"Content-Type", formType}, 400, "invalid_request", "code missing"},
		{"no refresh token", http.MethodPost, "/token", "grant_type=refresh_token&client_id=" + a.id, []string{"Content-Type", formType}, 400, "invalid_request", "refresh_token missing"},
		{"password", http.MethodPost, "/token", "grant_type=password&username=a&password=b&client_id=" + a.id, []string{"Content-Type", formType}, 400, "unsupported_grant_type", "this grant type is not supported"},
		{"implicit", http.MethodPost, "/token", "grant_type=implicit&client_id=" + a.id, []string{"Content-Type", formType}, 400, "unsupported_grant_type", "this grant type is not supported"},
		{"jwt-bearer", http.MethodPost, "/token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x", []string{"Content-Type", formType}, 400, "unsupported_grant_type", "this grant type is not supported"},
		{"hostile grant type", http.MethodPost, "/token", "grant_type=%22%5C%0A%3Cx%3E", []string{"Content-Type", formType}, 400, "unsupported_grant_type", "this grant type is not supported"},
		{"client_credentials", http.MethodPost, "/token", "grant_type=client_credentials&client_id=" + a.id, []string{"Content-Type", formType}, 400, "unauthorized_client", "grant_type client_credentials not allowed"},
		{"token-exchange", http.MethodPost, "/token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=" + a.id, []string{"Content-Type", formType}, 400, "unauthorized_client", "grant_type urn:ietf:params:oauth:grant-type:token-exchange not allowed"},
		{"device code", http.MethodPost, "/token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=" + a.id, []string{"Content-Type", formType}, 400, "unauthorized_client", "grant_type urn:ietf:params:oauth:grant-type:device_code not allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.send(tt.method, tt.path, tt.body, tt.header...).wantError(t, tt.status, tt.code, tt.text)
		})
	}
	t.Run("and the code is still good", func(t *testing.T) { a.token(good).tokens(t) })
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public := w.register(nil)
	basic := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	post := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	unsaid := w.register(map[string]any{"token_endpoint_auth_method": ""})
	if unsaid.method != "client_secret_basic" {
		t.Errorf("got method %q for a client that named none", unsaid.method)
	}
	for _, a := range []*app{public, basic, post, unsaid} {
		if tokens := a.login("acct_1"); !w.alive(tokens.access) || !w.alive(a.token(a.refreshForm(tokens.refresh)).tokens(t).access) {
			t.Errorf("%s: the tokens do not work", a.method)
		}
	}
	header := func(id, secret string) []string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return []string{"Content-Type", formType, "Authorization", r.Header.Get("Authorization")}
	}
	body := func(pairs ...string) string {
		return alter(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"paput_rt_x"}}, pairs).Encode()
	}
	tests := []struct {
		name       string
		body       string
		header     []string
		status     int
		code, text string
	}{
		{"unknown client", body("client_id", "client_999"), nil, 401, "invalid_client", textClient},
		{"unknown client with a secret", body("client_id", "client_999", "client_secret", "x"), nil, 401, "invalid_client", textClient},
		{"unknown client in the header", body(), header("client_999", "x"), 401, "invalid_client", textClient},
		{"wrong secret in the body", body("client_id", post.id, "client_secret", "x"), nil, 401, "invalid_client", textClient},
		{"wrong secret in the header", body(), header(basic.id, "x"), 401, "invalid_client", textClient},
		{"another client's secret", body(), header(basic.id, post.secret), 401, "invalid_client", textClient},
		{"no secret", body("client_id", basic.id), nil, 401, "invalid_client", textClient},
		{"the secret's hash", body("client_id", post.id, "client_secret", ""), nil, 401, "invalid_client", textClient},
		{"basic client by body", body("client_id", basic.id, "client_secret", basic.secret), nil, 401, "invalid_client", textClient},
		{"post client by header", body(), header(post.id, post.secret), 401, "invalid_client", textClient},
		{"secret of a public client", body("client_id", public.id, "client_secret", "x"), nil, 401, "invalid_client", textClient},
		{"assertion without a signature", body("client_id", public.id, "client_assertion", "e30.e30.", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), nil, 401, "invalid_client", textClient},
		{"malformed header", body(), []string{"Content-Type", formType, "Authorization", "Basic " + "JXp6Ong="}, 401, "invalid_client", "invalid basic auth header"},
		{"header and secret", body("client_secret", basic.secret), header(basic.id, basic.secret), 400, "invalid_request", "client authentication must not use more than one method"},
		{"header and assertion", body("client_assertion", "x"), header(basic.id, basic.secret), 400, "invalid_request", "client authentication must not use more than one method"},
		{"another id in the body", body("client_id", public.id), header(basic.id, basic.secret), 400, "invalid_request", "client_id differs between the header and the body"},
		{"header without password", body("client_id", public.id), header(public.id, ""), 400, "invalid_grant", textRefresh},
		{"same id in the body", body("client_id", basic.id), header(basic.id, basic.secret), 400, "invalid_grant", textRefresh},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.header
			if h == nil {
				h = []string{"Content-Type", formType}
			}
			for _, path := range []string{"/token", "/revoke"} {
				form, err := url.ParseQuery(tt.body)
				if err != nil {
					t.Fatal(err)
				}
				if path == "/revoke" {
					form.Set("token", "x")
				}
				r := w.send(http.MethodPost, path, form.Encode(), h...)
				if path == "/revoke" && tt.code == "invalid_grant" {
					if r.status != http.StatusOK {
						t.Errorf("got %d %s from %s", r.status, r.body, path)
					}
					continue
				}
				r.wantError(t, tt.status, tt.code, tt.text)
				want := ""
				if tt.status == http.StatusUnauthorized && len(h) > 2 {
					want = `Basic realm="paput", charset="UTF-8"`
				}
				if got := r.header.Get("WWW-Authenticate"); got != want {
					t.Errorf("%s: got WWW-Authenticate %q, want %q", path, got, want)
				}
			}
		})
	}
}

func TestCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		pairs   []string // of the token request
		code    string
		text    string
		burnt   bool
		refused bool
	}{
		{"wrong verifier", []string{"code_verifier", strings.Repeat("x", 43)}, "invalid_grant", "code_verifier does not fit the code challenge", true, true},
		{"no verifier", []string{"code_verifier", "-"}, "invalid_grant", "code_verifier does not fit the code challenge", true, true},
		{"short verifier", []string{"code_verifier", "short"}, "invalid_grant", "code_verifier does not fit the code challenge", true, true},
		{"another redirect_uri", []string{"redirect_uri", "http://127.0.0.1:1/callback"}, "invalid_grant", "redirect_uri is not the one that the code was issued for", true, true},
		{"another resource", []string{"resource", "{url}/mcp"}, "invalid_target", "resource is not the one that was granted", false, false},
		{"an unknown resource", []string{"resource", "https://evil.example"}, "invalid_target", "resource is not one of this server", false, false},
		{"two resources", []string{"+resource", "{url}", "+resource", "{url}"}, "invalid_target", "resource is not one of this server", false, false},
		{"an unknown code", []string{"code", "paput_ac_" + strings.Repeat("A", 43)}, "invalid_grant", textCode, false, false},
		{"something else", []string{"code", "x"}, "invalid_grant", textCode, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.register(nil)
			code := a.code(w.newBrowser("acct_1"))
			pairs := slices.Clone(tt.pairs)
			for i := range pairs {
				pairs[i] = strings.ReplaceAll(pairs[i], "{url}", w.url)
			}
			a.token(a.redeemForm(code, pairs...)).wantError(t, 400, tt.code, tt.text)
			want := []string{"consent_granted", "code_issued"}
			if tt.refused {
				want = append(want, "code_refused")
			}
			w.wantEvents(want...)
			again := a.token(a.redeemForm(code))
			if tt.burnt {
				again.wantError(t, 400, "invalid_grant", textCode)
				w.wantEvents(want...)
				return
			}
			again.tokens(t)
		})
	}
}

func TestCodeWithoutRedirectURI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	a.token(a.redeemForm(a.code(w.newBrowser("acct_1")), "redirect_uri", "-")).tokens(t)
}

func TestCodeOfAnotherClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, thief := w.register(nil), w.register(nil)
	code := a.code(w.newBrowser("acct_1"))
	thief.token(thief.redeemForm(code)).wantError(t, 400, "invalid_grant", textCode)
	tokens := a.token(a.redeemForm(code)).tokens(t)
	thief.token(thief.redeemForm(code)).wantError(t, 400, "invalid_grant", textCode)
	if !w.alive(tokens.access) {
		t.Error("another client's attempt ended the grant")
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed")
}

func TestCodeReplay(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 61 * time.Second} {
		w := newWorld(t)
		a := w.register(nil)
		code := a.code(w.newBrowser("acct_1"))
		tokens := a.token(a.redeemForm(code)).tokens(t)
		if !w.alive(tokens.access) {
			t.Fatal("the access token does not work")
		}
		w.advance(after)
		a.token(a.redeemForm(code)).wantError(t, 400, "invalid_grant", textCode)
		if w.alive(tokens.access) {
			t.Error("the access token survives a replay")
		}
		a.token(a.refreshForm(tokens.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
		a.token(a.redeemForm(code)).wantError(t, 400, "invalid_grant", textCode)
		w.wantEvents("consent_granted", "code_issued", "code_redeemed", "code_replayed", "revoked")
	}
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	code := a.code(w.newBrowser("acct_1"))
	w.advance(61 * time.Second)
	a.token(a.redeemForm(code)).wantError(t, 400, "invalid_grant", textCode)
	a.token(a.redeemForm(code)).wantError(t, 400, "invalid_grant", textCode)
	w.wantEvents("consent_granted", "code_issued", "code_refused")
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, other := w.register(nil), w.register(nil)
	narrow := w.register(map[string]any{"grant_types": []string{"authorization_code"}})
	if tokens := narrow.login("acct_1"); tokens.refresh != "" {
		t.Error("a client that did not register the grant type gets a refresh token")
	}
	tokens := a.login("acct_1", "resource", w.url+"/mcp")
	tests := []struct {
		name       string
		app        *app
		pairs      []string
		code, text string
	}{
		{"unknown", a, []string{"refresh_token", "paput_rt_" + strings.Repeat("A", 43)}, "invalid_grant", textRefresh},
		{"access token", a, []string{"refresh_token", tokens.access}, "invalid_grant", textRefresh},
		{"another client's", other, nil, "invalid_grant", textRefresh},
		{"more scope", a, []string{"scope", "paput.read paput.publish"}, "invalid_scope", "scope names more than was granted"},
		{"unknown scope", a, []string{"scope", "admin"}, "invalid_scope", "scope names more than was granted"},
		{"another resource", a, []string{"resource", w.url}, "invalid_target", "resource is not the one that was granted"},
		{"unknown resource", a, []string{"resource", "https://evil.example/"}, "invalid_target", "resource is not one of this server"},
		{"client without the grant type", narrow, nil, "unauthorized_client", "grant_type refresh_token not allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.app.token(tt.app.refreshForm(tokens.refresh, tt.pairs...)).wantError(t, 400, tt.code, tt.text)
		})
	}
	next := a.token(a.refreshForm(tokens.refresh, "resource", w.url+"/mcp/", "scope", "paput.read")).tokens(t)
	if c, _ := w.caller(next.access); !slices.Equal(c.Scopes, []string{"paput.read"}) {
		t.Errorf("got scopes %v, want paput.read alone", c.Scopes)
	}
	next = a.token(a.refreshForm(next.refresh)).tokens(t)
	if c, _ := w.caller(next.access); !slices.Equal(c.Scopes, []string{"paput.read", "paput.write"}) || c.Resource != w.url+"/mcp" {
		t.Errorf("got %v for %s: the narrowing lasts", c.Scopes, c.Resource)
	}
}

func TestRefreshInTheGraceTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	first := a.login("acct_1")
	second := a.token(a.refreshForm(first.refresh)).tokens(t)
	third := a.token(a.refreshForm(second.refresh)).tokens(t)
	w.advance(30 * time.Second)
	again := a.token(a.refreshForm(first.refresh)).tokens(t)
	if again.refresh != second.refresh || again.access == second.access || !w.alive(again.access) || !w.alive(third.access) {
		t.Errorf("got %+v, want the successor %q and a fresh access token", again, second.refresh)
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "token_refreshed", "token_refreshed", "refresh_repeated")

	w.advance(time.Second)
	a.token(a.refreshForm(first.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
	for name, token := range map[string]string{"first": first.access, "second": second.access, "third": third.access, "repeated": again.access} {
		if w.alive(token) {
			t.Errorf("the %s access token survives the reuse of a refresh token", name)
		}
	}
	a.token(a.refreshForm(third.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "token_refreshed", "token_refreshed", "refresh_repeated",
		"refresh_reused", "revoked")
}

// With another key the successor that was handed out cannot be told again. The client is refused and the grant lives.
func TestGraceTimeWithAnotherKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	first := a.login("acct_1")
	second := a.token(a.refreshForm(first.refresh)).tokens(t)
	changed := newWorld(t, func(c *oauth.Config) { c.Log, c.Key = w.log, []byte("another key of thirty-two bytes.") })
	b := &app{changed, a.id, "", "none", a.redirect}
	b.token(b.refreshForm(first.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
	third := b.token(b.refreshForm(second.refresh)).tokens(t)
	if !changed.alive(third.access) || !changed.alive(second.access) {
		t.Error("the grant did not survive the change of the key")
	}
}

func TestRefreshLifetimes(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	w := newWorld(t)
	a := w.register(nil)
	idle, used := a.login("acct_1").refresh, a.login("acct_1").refresh
	for range 3 {
		w.advance(29 * day)
		used = a.token(a.refreshForm(used)).tokens(t).refresh
	}
	a.token(a.refreshForm(idle)).wantError(t, 400, "invalid_grant", textRefresh)
	w.advance(3*day - time.Second)
	last := a.token(a.refreshForm(used)).tokens(t)
	if c, _ := w.caller(last.access); c.Expires.Sub(w.Now()) != time.Second {
		t.Errorf("the access token outlives the grant: %v", c.Expires)
	}
	w.advance(time.Second)
	a.token(a.refreshForm(last.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
}

func TestAMonthOfRefreshes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	for range 100 {
		w.advance(14 * time.Minute)
		tokens = a.token(a.refreshForm(tokens.refresh)).tokens(t)
	}
	var n int
	if err := w.log.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM oauth_access_tokens`).Scan(&n); err != nil || n > 20 {
		t.Errorf("got %d access tokens kept, %v", n, err)
	}
	if !w.alive(tokens.access) {
		t.Error("the last access token does not work")
	}
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !w.alive(a.token(a.refreshForm(tokens.refresh)).tokens(t).access) {
		t.Error("after a rebuild: the access token does not work")
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, other := w.register(nil), w.register(nil)
	revoke := func(a *app, token string) {
		t.Helper()
		if r := a.call("/revoke", url.Values{"token": {token}, "token_type_hint": {"anything"}}); r.status != http.StatusOK || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	mine, also := a.login("acct_1"), a.login("acct_1")
	for _, token := range []string{mine.refresh, mine.access} {
		revoke(other, token)
	}
	for _, token := range []string{"x", "paput_at_x", "paput_rt_" + strings.Repeat("A", 43)} {
		revoke(a, token)
	}
	if !w.alive(mine.access) {
		t.Fatal("another client ended the grant")
	}
	revoke(a, mine.access)
	if w.alive(mine.access) || !w.alive(also.access) {
		t.Error("a revocation ends one grant, and all of it")
	}
	a.token(a.refreshForm(mine.refresh)).wantError(t, 400, "invalid_grant", textRefresh)
	next := a.token(a.refreshForm(also.refresh)).tokens(t)
	revoke(a, also.refresh) // exchanged, and still its own
	if w.alive(next.access) || w.alive(also.access) {
		t.Error("access tokens survive the revocation of the refresh token")
	}
	a.call("/revoke", url.Values{}).wantError(t, 400, "invalid_request", "token missing")
	w.send(http.MethodGet, "/revoke?token="+next.access, "").wantError(t, 405, "invalid_request", "this endpoint needs POST")
}

func TestAuthenticateKnowsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	for _, token := range []string{"", "x", tokens.refresh, tokens.access + "x", "Bearer " + tokens.access, "paput_at_" + strings.Repeat("A", 43)} {
		if w.alive(token) {
			t.Errorf("%q works", token)
		}
	}
	for range 3 { // from the tables, then from memory
		if !w.alive(tokens.access) {
			t.Error("the access token does not work")
		}
	}
}

func TestTroubleIsNotToldToStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	tokens := a.login("acct_1")
	if err := w.log.DB().Close(); err != nil {
		t.Fatal(err)
	}
	confidential := "client_999" // not in memory
	checks := map[string]reply{
		"token":     w.send(http.MethodPost, "/token", "grant_type=refresh_token&refresh_token=x&client_id="+confidential, "Content-Type", formType),
		"revoke":    w.send(http.MethodPost, "/revoke", "token=x&client_id="+confidential, "Content-Type", formType),
		"authorize": b.get("/authorize?" + a.query("client_id", confidential).Encode()),
	}
	for name, r := range checks {
		if r.status != http.StatusInternalServerError || strings.Contains(strings.ToLower(r.body), "sql") || strings.Contains(r.body, "closed") {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
	if r := checks["token"]; r.text("error") != "server_error" || !strings.HasPrefix(r.text("error_description"), "something went wrong here: try again. Reference: req_") {
		t.Errorf("got %s", r.body)
	}
	if _, err := w.server.Authenticate(t.Context(), tokens.access); err == nil {
		t.Error("a token is believed without the tables")
	}
	if !strings.Contains(w.logged.String(), "database is closed") {
		t.Errorf("the log does not say what happened: %s", w.logged)
	}
}

func TestStoppingServer(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := eventlog.Open(t.Context(), store, eventlog.Config{Kinds: oauth.Kinds(), Projections: oauth.Projections(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := stopped.Close(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *oauth.Config) { c.Log = stopped })
	r := w.registerBody(`{"redirect_uris":["http://localhost/cb"]}`)
	r.wantError(t, 503, "server_error", "the server cannot take this just now: try again. Reference: req_2")
	if r.header.Get("Retry-After") != "5" {
		t.Errorf("got Retry-After %q", r.header.Get("Retry-After"))
	}
}

// A client that hangs up has asked all the same: what it asked for happens, so that caches and tables agree.
func TestHangingUpUndoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	access := a.login("acct_1").access
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	form := url.Values{"client_id": {a.id}, "token": {access}}.Encode()
	r := w.request(http.MethodPost, "/revoke", form, "Content-Type", formType).WithContext(ctx)
	recorded := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorded, r)
	if recorded.Code != http.StatusOK || w.alive(access) {
		t.Errorf("got %d %s, and the token lives: %v", recorded.Code, recorded.Body, w.alive(access))
	}
}

func TestMemoryIsShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	if !w.alive(tokens.access) {
		t.Fatal("the access token does not work")
	}
	// Revoked without this server's doing, as after a time-out.
	grant, _ := w.caller(tokens.access)
	err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		return tx.Append("grant/"+grant.GrantID, &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_Revoked{Revoked: &oauthv1.GrantRevoked{}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.advance(10 * time.Second)
	if w.alive(tokens.access) {
		t.Error("the access token is remembered for too long")
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	code := a.code(w.newBrowser("acct_1"))
	tokens := a.token(a.redeemForm(code)).tokens(t)
	next := a.token(a.refreshForm(tokens.refresh)).tokens(t)
	w.advance(time.Hour)
	a.token(a.refreshForm(tokens.refresh))
	secrets := []string{a.secret, code, tokens.access, tokens.refresh, next.access, next.refresh, verifier, "st&te", "acct_1@example.com"}
	for r, err := range w.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(fmt.Sprint(r.Event), secret) {
				t.Errorf("the event %v has a secret", r.Event)
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(w.logged.String(), secret) {
			t.Errorf("the log has %q: %s", secret, w.logged)
		}
	}
}
