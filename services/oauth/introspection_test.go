package oauth_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/oauth"
)

// introspect asks what a token is worth to a resource server.
func (a *app) introspect(token string, pairs ...string) reply {
	a.Helper()
	return a.call("/introspect", alter(url.Values{"token": {token}}, pairs))
}

// wantInactive checks that the answer says nothing but that.
func (r reply) wantInactive(tb testing.TB) {
	tb.Helper()
	if r.status != http.StatusOK || strings.TrimSpace(r.body) != `{"active":false}` {
		tb.Errorf("got %d %s, want 200 and nothing but that it is inactive", r.status, r.body)
	}
}

// resourceServer registers the server of a resource, and an app that people let use it.
func resourceServer(w *world, resource string) (server, client *app) {
	return w.enroll(serverOf(resource)), w.register(nil)
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, a := resourceServer(w, otherResource)
			server := w.enroll(serverOf(notesResource), func(e *oauthv1.ClientRegistered) { e.AuthMethod = method })
			w.advance(300 * time.Millisecond) // an odd moment
			token := a.login("acct_1", "resource", notesResource).access
			for range 2 { // from the tables, and from memory
				r := server.introspect(token, "token_type_hint", "refresh_token")
				want := fmt.Sprintf(`{"active":true,"scope":"paput.read paput.write","client_id":%q,"sub":"acct_1","aud":%q,"iss":%q,`+
					`"exp":%d,"iat":%d,"token_type":"Bearer"}`, a.id, notesResource, w.url, w.Now().Add(15*time.Minute).Unix(), w.Now().Unix())
				if r.status != http.StatusOK || strings.TrimSpace(r.body) != want {
					t.Errorf("got %d %s, want %s", r.status, r.body, want)
				}
				if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
					t.Errorf("got %v", r.header)
				}
			}
		})
	}
}

// Scopes in the answer are those of the token, which may be fewer than those of the grant, and a service without an account
// has no subject.
func TestIntrospectionOfServices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, _ := resourceServer(w, notesResource)
	a := w.enroll(func(e *oauthv1.ClientRegistered) { e.AccountIds, e.Scopes = nil, []string{"paput.read", "paput.audit"} })
	r := server.introspect(a.token(serviceForm("resource", notesResource+"/", "scope", "paput.audit")).tokens(t).access)
	if r.json("active") != true || r.text("scope") != "paput.audit" || r.json("sub") != nil || r.text("client_id") != a.id {
		t.Errorf("got %s", r.body)
	}
}

func TestInactive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, a := resourceServer(w, notesResource)
	other, _ := resourceServer(w, otherResource)
	own := a.login("acct_1")
	foreign := a.login("acct_1", "resource", otherResource)
	mine := a.login("acct_1", "resource", notesResource)
	if r := server.introspect(mine.access); r.json("active") != true {
		t.Fatalf("got %s", r.body)
	}
	for name, token := range map[string]string{
		"of this server":             own.access,
		"of another resource server": foreign.access,
		"a refresh token":            mine.refresh,
		"unknown":                    mine.access[:len(mine.access)-1] + "~",
		"malformed":                  "x",
		"with a space behind":        mine.access + " ",
		"empty after a prefix":       "paput_at_",
		"a client secret":            server.secret,
	} {
		t.Run(name, func(t *testing.T) { server.introspect(token).wantInactive(t) })
	}
	other.introspect(mine.access).wantInactive(t)

	revoked := a.login("acct_1", "resource", notesResource)
	server.introspect(revoked.access)
	a.call("/revoke", url.Values{"token": {revoked.refresh}})
	server.introspect(revoked.access).wantInactive(t) // at once, though it was in memory

	w.advance(15 * time.Minute)
	server.introspect(mine.access).wantInactive(t)
}

func TestIntrospectionRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureBurst = 1000 })
	server, a := resourceServer(w, notesResource)
	token := a.login("acct_1", "resource", notesResource).access
	server.introspect(token) // and is remembered
	as := func(change func(*app)) *app { c := *server; change(&c); return &c }
	public := w.enroll(serverOf(notesResource), func(e *oauthv1.ClientRegistered) { e.AuthMethod, e.SecretHash = "none", nil })
	for _, tt := range []struct {
		name       string
		app        *app
		form       url.Values
		status     int
		code, text string
	}{
		{"a public client", a, url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"a public client with a resource", public, url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"nobody", as(func(c *app) { c.id, c.method = "", "none" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"an unknown client", as(func(c *app) { c.id += "x" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"a document", as(func(c *app) { c.id = "https://app.example/client" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"a wrong secret", as(func(c *app) { c.secret += "x" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"no secret", as(func(c *app) { c.method = "none" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"an empty secret", as(func(c *app) { c.secret = "" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"another method", as(func(c *app) { c.method = "client_secret_post" }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"the token as the secret", as(func(c *app) { c.secret = token }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"id and secret divided elsewhere", as(func(c *app) { c.id, c.secret = c.id[:len(c.id)-1], c.id[len(c.id)-1:]+c.secret }), url.Values{"token": {token}}, 401, "invalid_client", textClient},
		{"two methods", server, url.Values{"token": {token}, "client_secret": {server.secret}}, 400, "invalid_request", "client authentication must not use more than one method"},
		{"another id in the body", server, url.Values{"token": {token}, "client_id": {"x"}}, 400, "invalid_request", "client_id differs between the header and the body"},
		{"an app with a secret", w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"}), url.Values{"token": {token}}, 400, "unauthorized_client", "this client is not registered as a resource server: it may not introspect"},
		{"a service", w.enroll(), url.Values{"token": {token}}, 400, "unauthorized_client", "this client is not registered as a resource server: it may not introspect"},
		{"a resource server that no administrator registered", w.enroll(serverOf(notesResource), func(e *oauthv1.ClientRegistered) { e.Preregistered = false }), url.Values{"token": {token}}, 400, "unauthorized_client", "this client is not registered as a resource server: it may not introspect"},
		{"no token", server, url.Values{}, 400, "invalid_request", "token is missing: it is the access token to introspect"},
		{"two tokens", server, url.Values{"token": {token, token}}, 400, "invalid_request", "a parameter is given more than once"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.app.call("/introspect", tt.form)
			r.wantError(t, tt.status, tt.code, tt.text)
			challenged := strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ")
			if basic := tt.app.method == "client_secret_basic"; tt.status == 401 && challenged != basic {
				t.Errorf("got WWW-Authenticate %q", r.header.Get("WWW-Authenticate"))
			}
		})
	}
	if r := server.introspect(token); r.json("active") != true {
		t.Errorf("got %s after the refusals", r.body)
	}
}

func TestIntrospectionIsAFormByPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, method, path, body, contentType string
		status                                int
	}{
		{"GET", http.MethodGet, "/introspect?token=x", "", "", 405},
		{"a preflight", http.MethodOptions, "/introspect", "", "", 405},
		{"a query", http.MethodPost, "/introspect?token=x", "", formType, 400},
		{"JSON", http.MethodPost, "/introspect", `{"token":"x"}`, "application/json", 400},
		{"too large", http.MethodPost, "/introspect", "token=" + strings.Repeat("x", 70<<10), formType, 400},
		{"nobody", http.MethodPost, "/introspect", "token=x", formType, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.send(tt.method, tt.path, tt.body, "Content-Type", tt.contentType, "Origin", "https://evil.example",
				"Access-Control-Request-Method", "POST")
			if r.status != tt.status || r.header.Get("Cache-Control") != "no-store" || r.text("error") == "" {
				t.Errorf("got %d %v %s", r.status, r.header, r.body)
			}
			for name := range r.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("got %s: no page of another site has business here", name)
				}
			}
			if tt.status == 405 && r.header.Get("Allow") != "POST" {
				t.Errorf("got Allow %q", r.header.Get("Allow"))
			}
		})
	}
}

func TestIntrospectionFailuresAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate, c.FailureBurst = rate.Limit(0.1), 2 })
	server, a := resourceServer(w, notesResource)
	token := a.login("acct_1", "resource", notesResource).access
	wrong := *server
	wrong.secret = "wrong"
	for range 2 {
		wrong.introspect(token).wantError(t, 401, "invalid_client", textClient)
	}
	r := wrong.introspect(token)
	r.wantError(t, 429, "temporarily_unavailable", "too many failed requests from this address: try again later")
	if r.header.Get("Retry-After") != "10" {
		t.Errorf("got Retry-After %q, want 10", r.header.Get("Retry-After"))
	}
	if r := server.introspect(token); r.json("active") != true {
		t.Errorf("got %s for whoever gets it right", r.body)
	}
}

// What is remembered of a resource server ends with its secret and with itself.
func TestIntrospectionAfterRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := w.preregister(&oauthv1.Client{Resource: notesResource})
	token := w.register(nil).login("acct_1", "resource", notesResource).access
	active := func(a *app) bool {
		r := a.introspect(token)
		if r.status != http.StatusOK {
			r.wantError(t, 401, "invalid_client", textClient)
			return false
		}
		return r.json("active") == true
	}
	if !active(server) {
		t.Fatal("the first secret does not work")
	}
	secret, _ := server.rotate(5 * time.Second)
	second := server.with(secret)
	if !active(second) || !active(server) {
		t.Error("one of the secrets does not work while both should")
	}
	w.advance(5 * time.Second)
	if active(server) || !active(second) {
		t.Error("the secret before works for longer than it should, or the other does not")
	}
	secret, _ = server.rotate(0)
	if active(second) || !active(server.with(secret)) {
		t.Error("a secret that was ended at once works, or the other does not")
	}
	if _, err := w.admin().RemoveClient(t.Context(), &oauthv1.RemoveClientRequest{ClientId: server.id}); err != nil {
		t.Fatal(err)
	}
	if active(server.with(secret)) {
		t.Error("a client that was removed may introspect")
	}
}

// A secret that is remembered is checked again after a while, in case its rotation was not noticed.
func TestProofsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, a := resourceServer(w, notesResource)
	token := a.login("acct_1", "resource", notesResource).access
	server.introspect(token)
	hash := sha256.Sum256([]byte("another"))
	w.append("client/"+server.id, &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_SecretRotated{SecretRotated: &oauthv1.ClientSecretRotated{
		SecretHash: hash[:], PreviousExpireTime: timestamppb.New(w.Now()),
	}}})
	w.advance(10 * time.Second)
	server.introspect(token).wantError(t, 401, "invalid_client", textClient)
}
