package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paput/paput/services/oauth"
)

// wantPage checks that a person is told something, that no cache, frame or foreign script comes near it, and that the
// browser is sent nowhere.
func (r reply) wantPage(tb testing.TB, status int, code, title string) {
	tb.Helper()
	if r.status != status || r.header.Get("X-Error") != code || !strings.Contains(r.body, "<h1>"+title+"</h1>") {
		tb.Errorf("got %d %q, want %d %q titled %q: %s", r.status, r.header.Get("X-Error"), status, code, title, r.body)
	}
	if to := r.header.Get("Location"); to != "" {
		tb.Errorf("the browser is sent to %q", to)
	}
	if !strings.Contains(r.body, "<code>req_") {
		tb.Errorf("the page has no reference: %s", r.body)
	}
	r.wantSafePage(tb)
}

func (r reply) wantSafePage(tb testing.TB) {
	tb.Helper()
	for name, want := range map[string]string{
		"Content-Type":                 "text/html; charset=utf-8",
		"Content-Security-Policy":      "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Frame-Options":              "DENY",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin",
		"Cache-Control":                "no-store",
		"Access-Control-Allow-Origin":  "",
		"Access-Control-Allow-Methods": "",
	} {
		if got := r.header.Get(name); got != want {
			tb.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	for _, bad := range []string{"<script", "style=", "javascript:", " on"} {
		if i := strings.Index(r.body, bad); i >= 0 && strings.Contains(r.body[i:min(i+20, len(r.body))], "=") {
			tb.Errorf("the page has %q", r.body[i:min(i+20, len(r.body))])
		}
	}
}

const (
	unknownApp      = "This app is not known here"
	unknownRedirect = "The app&#39;s return address is not registered"
	incomplete      = "This address is not complete"
)

func TestAuthorizeRefusesOnAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(map[string]any{"redirect_uris": []string{"http://localhost:4711/cb?x=1", "https://app.example/cb"}})
	b := w.newBrowser("acct_1")
	long := strings.Repeat("a", 70<<10)
	tests := []struct {
		name   string
		query  url.Values
		status int
		code   string
		title  string
	}{
		{"unknown client", a.query("client_id", "client_999"), 400, "invalid_client", unknownApp},
		{"no client", a.query("client_id", "-"), 400, "invalid_client", unknownApp},
		{"empty client", a.query("client_id", ""), 400, "invalid_client", unknownApp},
		{"client twice", a.query("+client_id", a.id), 400, "invalid_client", unknownApp},
		{"no redirect_uri", a.query("redirect_uri", "-"), 400, "invalid_request", unknownRedirect},
		{"empty redirect_uri", a.query("redirect_uri", ""), 400, "invalid_request", unknownRedirect},
		{"other host", a.query("redirect_uri", "https://evil.example/cb"), 400, "invalid_request", unknownRedirect},
		{"javascript", a.query("redirect_uri", "javascript:alert(1)"), 400, "invalid_request", unknownRedirect},
		{"data", a.query("redirect_uri", "data:text/html,x"), 400, "invalid_request", unknownRedirect},
		{"https for http", a.query("redirect_uri", "https://localhost:4711/cb?x=1"), 400, "invalid_request", unknownRedirect},
		{"http for https", a.query("redirect_uri", "http://app.example/cb"), 400, "invalid_request", unknownRedirect},
		{"127.0.0.1 for localhost", a.query("redirect_uri", "http://127.0.0.1:4711/cb?x=1"), 400, "invalid_request", unknownRedirect},
		{"another host behind @", a.query("redirect_uri", "http://localhost:80@evil.example/cb?x=1"), 400, "invalid_request", unknownRedirect},
		{"user name", a.query("redirect_uri", "http://u:p@localhost:4711/cb?x=1"), 400, "invalid_request", unknownRedirect},
		{"longer host", a.query("redirect_uri", "http://localhost.evil.example/cb?x=1"), 400, "invalid_request", unknownRedirect},
		{"fragment", a.query("redirect_uri", "http://localhost:4711/cb?x=1#f"), 400, "invalid_request", unknownRedirect},
		{"escaped path", a.query("redirect_uri", "http://localhost:4711/%63b?x=1"), 400, "invalid_request", unknownRedirect},
		{"longer path", a.query("redirect_uri", "http://localhost:4711/cb/?x=1"), 400, "invalid_request", unknownRedirect},
		{"dot segments", a.query("redirect_uri", "http://localhost:4711/x/../cb?x=1"), 400, "invalid_request", unknownRedirect},
		{"query dropped", a.query("redirect_uri", "http://localhost:4711/cb"), 400, "invalid_request", unknownRedirect},
		{"query added", a.query("redirect_uri", "https://app.example/cb?y=2"), 400, "invalid_request", unknownRedirect},
		{"https port", a.query("redirect_uri", "https://app.example:8443/cb"), 400, "invalid_request", unknownRedirect},
		{"good and evil", a.query("+redirect_uri", "https://evil.example/cb"), 400, "invalid_request", unknownRedirect},
		{"evil and good", url.Values{"client_id": {a.id}, "redirect_uri": {"https://evil.example/cb", a.redirect}}, 400, "invalid_request", unknownRedirect},
		{"bad client and evil redirect", a.query("client_id", "x", "redirect_uri", "https://evil.example/", "response_type", "token"), 400, "invalid_client", unknownApp},
		{"too long", a.query("state", long), 414, "invalid_request", incomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.get("/authorize?"+tt.query.Encode()).wantPage(t, tt.status, tt.code, tt.title)
		})
	}
	t.Run("malformed query", func(t *testing.T) {
		b.get("/authorize?client_id=%zz").wantPage(t, 400, "invalid_request", incomplete)
	})
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodOptions} {
		t.Run(method, func(t *testing.T) {
			r := w.send(method, "/authorize?"+a.query().Encode(), "", "Origin", "https://evil.example")
			if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET" || r.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("got %d %v", r.status, r.header)
			}
		})
	}
	w.wantEvents()
}

func TestAuthorizeRefusesToTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(map[string]any{"redirect_uris": []string{"http://localhost:4711/cb?x=%31"}})
	tests := []struct {
		name    string
		query   url.Values
		account string
		code    string
		text    string
	}{
		{"no PKCE", a.query("code_challenge", "-", "code_challenge_method", "-"), "acct_1", "invalid_request", "code_challenge_method must be S256"},
		{"plain", a.query("code_challenge_method", "plain"), "acct_1", "invalid_request", "code_challenge_method must be S256"},
		{"short challenge", a.query("code_challenge", "abc"), "acct_1", "invalid_request", "code_challenge must be 43 base64url characters"},
		{"implicit", a.query("response_type", "token"), "acct_1", "unsupported_response_type", "response_type must be code"},
		{"hybrid", a.query("response_type", "id_token token"), "acct_1", "unsupported_response_type", "response_type must be code"},
		{"no response_type", a.query("response_type", "-"), "acct_1", "invalid_request", "response_type is missing: it must be code"},
		{"fragment answer", a.query("response_mode", "fragment"), "acct_1", "invalid_request", "response_mode must be query"},
		{"form_post answer", a.query("response_mode", "form_post"), "acct_1", "invalid_request", "response_mode must be query"},
		{"request object", a.query("request", "eyJhbGciOiJub25lIn0.e30."), "acct_1", "request_not_supported", "the request parameter is not supported"},
		{"request_uri", a.query("request_uri", "http://169.254.169.254/"), "acct_1", "request_uri_not_supported", "the request_uri parameter is not supported"},
		{"unknown scopes", a.query("scope", "admin"), "acct_1", "invalid_scope", "scope names none that this server knows"},
		{"unknown resource", a.query("resource", "https://evil.example"), "acct_1", "invalid_target", "resource is not one of this server"},
		{"two resources", a.query("+resource", w.url, "+resource", w.url+"/mcp"), "acct_1", "invalid_target", "resource is not one of this server"},
		{"repeated parameter", a.query("+scope", "paput.read"), "acct_1", "invalid_request", "a parameter is given more than once"},
		{"prompt=none", a.query("prompt", "none"), "acct_1", "interaction_required", "the person must be asked"},
		{"prompt=none, signed out", a.query("prompt", "none"), "", "login_required", "nobody is signed in"},
		{"prompt=none login", a.query("prompt", "none login"), "acct_1", "invalid_request", "prompt=none stands alone"},
		{"max_age of letters", a.query("max_age", "abc"), "acct_1", "invalid_request", "max_age must be a number of seconds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.newBrowser(tt.account).get("/authorize?" + tt.query.Encode())
			if r.status != http.StatusFound {
				t.Fatalf("got %d, want 302: %s", r.status, r.body)
			}
			want := "http://localhost:4711/cb?x=%31&" + url.Values{
				"error": {tt.code}, "error_description": {tt.text}, "iss": {w.url}, "state": {"st&te=1"},
			}.Encode()
			if got := r.header.Get("Location"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if r.header.Get("X-Frame-Options") != "DENY" || r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got headers %v", r.header)
			}
		})
	}
	t.Run("without state", func(t *testing.T) {
		r := w.newBrowser("").get("/authorize?" + a.query("scope", "admin", "state", "-").Encode())
		if q := r.location(t).Query(); q.Has("state") {
			t.Errorf("got a state nobody sent: %v", q)
		}
	})
	w.wantEvents()
}

func TestAuthorizeGoesOnToConsent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		pairs []string
	}{
		{"prompt=consent", []string{"prompt", "consent"}},
		{"another loopback port", []string{"redirect_uri", "http://127.0.0.1:59999/callback"}},
		{"no scope", []string{"scope", "-"}},
		{"offline_access", []string{"scope", "paput.read offline_access"}},
		{"unknown parameters", []string{"foo", "bar", "nonce", "n", "ui_locales", "xx-invalid-", "display", "popup", "claims", "{"}},
		{"max_age", []string{"max_age", "3600"}},
		{"no state", []string{"state", "-"}},
	}
	w := newWorld(t)
	a := w.register(nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if code := a.code(w.newBrowser("acct_1"), tt.pairs...); code == "" {
				t.Error("got no code")
			}
		})
	}
}

func TestConsentCookie(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"https://mcp.example": "__Host-paput-tx_2=; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
		"http://[::1]:8080":   "paput-tx_2=; Path=/; Max-Age=600; HttpOnly; SameSite=Lax",
	} {
		w := newWorld(t, func(c *oauth.Config) { c.PublicURL = public })
		a := w.register(nil)
		r := w.newBrowser("").get("/authorize?" + a.query().Encode())
		name, rest, _ := strings.Cut(r.header.Get("Set-Cookie"), "=")
		secret, attributes, _ := strings.Cut(rest, ";")
		if got := name + "=;" + attributes; got != want || len(secret) != 43 {
			t.Errorf("got %q and a secret of %d characters, want %q", got, len(secret), want)
		}
	}
}
