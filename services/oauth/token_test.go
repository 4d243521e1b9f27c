package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
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
		{"an unknown code", []string{"code", "paput_ac_" + strings.Repeat("A", 54)}, "invalid_grant", textCode, false, false},
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
