package oauth_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

const (
	notesResource  = "https://notes.example/api"
	otherResource  = "https://other.example"
	reportsSecret  = "paput_cs_reports" //nolint:gosec // of a test
	serviceGrant   = "client_credentials"
	ordinaryGrants = "authorization_code refresh_token"
)

// enroll registers a client as an administrator does: a service with a secret that may read for one account, unless change
// says otherwise.
func (w *world) enroll(change ...func(*oauthv1.ClientRegistered)) *app {
	w.Helper()
	id := fmt.Sprintf("client_service_%d", w.apps.Add(1))
	secret := reportsSecret + id
	hash := sha256.Sum256([]byte(secret))
	e := &oauthv1.ClientRegistered{
		Name: "Reports", AuthMethod: "client_secret_basic", SecretHash: hash[:], GrantTypes: []string{serviceGrant},
		Preregistered: true, Scopes: []string{"paput.read"}, AccountIds: []string{"acct_1"},
	}
	for _, f := range change {
		f(e)
	}
	w.append("client/"+id, &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_Registered{Registered: e}})
	a := &app{world: w, id: id, secret: secret, method: e.GetAuthMethod()}
	if len(e.GetRedirectUris()) > 0 {
		a.redirect = e.GetRedirectUris()[0]
	}
	return a
}

func (w *world) append(stream string, e *oauthv1.ClientEvent) {
	w.Helper()
	if err := w.log.Do(w.Context(), func(tx *eventlog.Tx) error { return tx.Append(stream, e) }); err != nil {
		w.Fatal(err)
	}
}

// serverOf makes a client the server of a resource, and nothing else.
func serverOf(resource string) func(*oauthv1.ClientRegistered) {
	return func(e *oauthv1.ClientRegistered) {
		e.Resource, e.GrantTypes, e.Scopes, e.AccountIds = resource, nil, nil, nil
	}
}

// serviceForm is a service's request for a token.
func serviceForm(pairs ...string) url.Values {
	return alter(url.Values{"grant_type": {serviceGrant}}, pairs)
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	two := func(e *oauthv1.ClientRegistered) { e.AccountIds = []string{"acct_1", "acct_2"} }
	none := func(e *oauthv1.ClientRegistered) { e.AccountIds = nil }
	writer := func(e *oauthv1.ClientRegistered) { e.Scopes = []string{"paput.write", "paput.account"} }
	for _, tt := range []struct {
		name    string
		client  func(*oauthv1.ClientRegistered)
		form    url.Values
		account string
		scope   string
		where   string // of the resource, behind the public URL
	}{
		{name: "nothing asked", form: serviceForm(), account: "acct_1", scope: "paput.read"},
		{name: "empty parameters are as good as none", form: serviceForm("account", "", "scope", ""), account: "acct_1", scope: "paput.read"},
		{name: "the account is named", form: serviceForm("account", "acct_1"), account: "acct_1", scope: "paput.read"},
		{name: "one of two accounts", client: two, form: serviceForm("account", "acct_2"), account: "acct_2", scope: "paput.read"},
		{name: "no account", client: none, form: serviceForm(), scope: "paput.read"},
		{name: "every scope", client: writer, form: serviceForm(), account: "acct_1", scope: "paput.write paput.account"},
		{name: "a scope", client: writer, form: serviceForm("scope", "paput.account"), account: "acct_1", scope: "paput.account"},
		{name: "an implied scope", client: writer, form: serviceForm("scope", "paput.read"), account: "acct_1", scope: "paput.read"},
		{name: "offline access means nothing", form: serviceForm("scope", "offline_access paput.read"), account: "acct_1", scope: "paput.read"},
		{name: "a resource", form: serviceForm("resource", "/mcp/"), account: "acct_1", scope: "paput.read", where: "/mcp"},
		{name: "the secret in the body", client: func(e *oauthv1.ClientRegistered) { e.AuthMethod = "client_secret_post" }, form: serviceForm(), account: "acct_1", scope: "paput.read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			change := tt.client
			if change == nil {
				change = func(*oauthv1.ClientRegistered) {}
			}
			a := w.enroll(change)
			if r := tt.form.Get("resource"); r != "" {
				tt.form.Set("resource", w.url+r)
			}
			r := a.token(tt.form)
			got := r.tokens(t)
			if got.refresh != "" || r.text("scope") != tt.scope || r.text("token_type") != "Bearer" || r.json("expires_in") != 900.0 ||
				r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %s", r.body)
			}
			c, ok := w.caller(got.access)
			if !ok || c.AccountID != tt.account || c.ClientID != a.id || strings.Join(c.Scopes, " ") != tt.scope || c.Resource != w.url+tt.where {
				t.Errorf("got %+v", c)
			}
			w.wantEvents("client_credentials_granted")
			w.advance(15 * time.Minute)
			if w.alive(got.access) {
				t.Error("the token outlives its time")
			}
		})
	}
}

func TestClientCredentialsRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.FailureBurst = 1000 })
	service := w.enroll()
	with := func(change func(*oauthv1.ClientRegistered)) *app { return w.enroll(change) }
	wrong := *service
	wrong.secret += "x"
	unknown := *service
	unknown.id += "x"
	for _, tt := range []struct {
		name       string
		app        *app
		form       url.Values
		status     int
		code, text string
	}{
		{"a registered app", w.register(nil), serviceForm(), 400, "unauthorized_client", "grant_type client_credentials not allowed"},
		{"a registered app with a secret", w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"}), serviceForm(), 400, "unauthorized_client", "grant_type client_credentials not allowed"},
		{"an app that wished for the grant type", w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic", "grant_types": []string{"authorization_code", serviceGrant}}), serviceForm(), 400, "unauthorized_client", "grant_type client_credentials not allowed"},
		{"a resource server", with(serverOf(notesResource)), serviceForm(), 400, "unauthorized_client", "grant_type client_credentials not allowed"},
		{"a public client", with(func(e *oauthv1.ClientRegistered) { e.AuthMethod, e.SecretHash = "none", nil }), serviceForm(), 401, "invalid_client", "client must be authenticated"},
		{"a client that no administrator registered", with(func(e *oauthv1.ClientRegistered) { e.Preregistered = false }), serviceForm(), 401, "invalid_client", textClient},
		{"a wrong secret", &wrong, serviceForm(), 401, "invalid_client", textClient},
		{"an unknown client", &unknown, serviceForm(), 401, "invalid_client", textClient},
		{"a scope that it has not", service, serviceForm("scope", "paput.read paput.write"), 400, "invalid_scope", "scope names more than this client is registered for"},
		{"an unknown scope", service, serviceForm("scope", "admin"), 400, "invalid_scope", "scope names more than this client is registered for"},
		{"no scopes registered", with(func(e *oauthv1.ClientRegistered) { e.Scopes = nil }), serviceForm(), 400, "invalid_scope", "scope names more than this client is registered for"},
		{"no scopes registered, one asked", with(func(e *oauthv1.ClientRegistered) { e.Scopes = nil }), serviceForm("scope", "paput.read"), 400, "invalid_scope", "scope names more than this client is registered for"},
		{"another account", service, serviceForm("account", "acct_2"), 400, "invalid_request", "account is not one that this client may act for"},
		{"an account, having none", with(func(e *oauthv1.ClientRegistered) { e.AccountIds = nil }), serviceForm("account", "acct_1"), 400, "invalid_request", "account is not one that this client may act for"},
		{"which of two accounts", with(func(e *oauthv1.ClientRegistered) { e.AccountIds = []string{"acct_1", "acct_2"} }), serviceForm(), 400, "invalid_request", "this client may act for several accounts: name one with the parameter account"},
		{"two accounts named", service, serviceForm("+account", "acct_1", "+account", "acct_2"), 400, "invalid_request", "a parameter is given more than once"},
		{"an unknown resource", service, serviceForm("resource", "https://nobody.example"), 400, "invalid_target", "resource is not one of this server"},
		{"two resources", service, serviceForm("+resource", w.url, "+resource", w.url+"/mcp"), 400, "invalid_target", "resource is not one of this server"},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.app.token(tt.form).wantError(t, tt.status, tt.code, tt.text) })
	}
	w.wantEvents()
}

// The grant of a service is a grant: it ends with the client, and when the service says so.
func TestServiceGrantsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, other := w.enroll(), w.enroll()
	first, second := a.token(serviceForm()).tokens(t).access, a.token(serviceForm()).tokens(t).access
	other.call("/revoke", url.Values{"token": {first}})
	if !w.alive(first) {
		t.Error("another service ended the grant")
	}
	a.call("/revoke", url.Values{"token": {first}})
	if w.alive(first) || !w.alive(second) {
		t.Error("a revocation did not end the one grant")
	}
	w.wantEvents("client_credentials_granted", "client_credentials_granted", "revoked")
	if used := w.count(`SELECT used_at FROM oauth_clients WHERE id = '` + a.id + `'`); used != w.Now().UnixMilli() {
		t.Errorf("got used_at %d, want %d", used, w.Now().UnixMilli())
	}
}

// count returns the number that a query selects.
func (w *world) count(query string) (n int64) {
	w.Helper()
	if err := w.log.DB().QueryRowContext(w.Context(), query).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

// Tokens that services got and that are over are forgotten as others come, in a rebuild as in life.
func TestServiceGrantsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.enroll()
	var first []string
	for range 12 {
		first = append(first, a.token(serviceForm()).tokens(t).access)
	}
	person := w.register(nil).login("acct_1").access
	w.advance(14 * time.Minute)
	last := a.token(serviceForm()).tokens(t).access
	if got := w.count(`SELECT count(*) FROM oauth_service_grants`); got != 13 {
		t.Errorf("got %d grants of services before the first is over, want 13", got)
	}
	for _, token := range first {
		if !w.alive(token) {
			t.Fatal("a token that is not over is forgotten")
		}
	}
	w.advance(time.Minute)
	for range 3 {
		a.token(serviceForm()).tokens(t)
	}
	for _, table := range []string{"oauth_service_grants", "oauth_grants WHERE redirect_uri = ''"} {
		if got := w.count(`SELECT count(*) FROM ` + table); got != 4 {
			t.Errorf("got %d in %s, want the 4 that work", got, table)
		}
	}
	if !w.alive(last) || w.alive(person) || w.count(`SELECT count(*) FROM oauth_grants WHERE redirect_uri <> ''`) != 1 {
		t.Error("something else was forgotten")
	}
	live := w.dump()
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.dump(); got != live {
		t.Errorf("got\n%s\nwant\n%s", got, live)
	}
}

// A client that an administrator registered for some scopes asks people for those and no others.
func TestScopesOfAClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	enroll := func(scopes ...string) *app {
		return w.enroll(func(e *oauthv1.ClientRegistered) {
			e.GrantTypes, e.Scopes, e.AccountIds = strings.Fields(ordinaryGrants), scopes, nil
			e.RedirectUris = []string{loopbackRedirect}
		})
	}
	for _, tt := range []struct {
		name       string
		registered []string
		asked      string
		want       []string // nil for invalid_scope
	}{
		{"one of two", []string{"paput.read", "paput.capture"}, "paput.read paput.write", []string{"paput.read"}},
		{"what it implies", []string{"paput.write"}, "paput.read", []string{"paput.read"}},
		{"nothing asked", []string{"paput.read", "paput.audit"}, "-", []string{"paput.read"}},
		{"nothing asked, none of the usual", []string{"paput.audit"}, "-", []string{"paput.audit"}},
		{"offline access alone", []string{"paput.read"}, "offline_access", []string{"paput.read"}},
		{"every scope", nil, "paput.audit paput.publish", []string{"paput.publish", "paput.audit"}},
		{"nothing left", []string{"paput.read"}, "paput.write", nil},
		{"nothing left but offline access", []string{"paput.read"}, "paput.write offline_access", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := enroll(tt.registered...)
			b := w.newBrowser("acct_1")
			if tt.want == nil {
				to := b.get("/authorize?" + a.query("scope", tt.asked).Encode()).location(t)
				if got := to.Query().Get("error"); got != "invalid_scope" || to.Query().Has("code") {
					t.Errorf("got %s, want invalid_scope", to)
				}
				return
			}
			form := b.consentForm(b.begin(a.query("scope", tt.asked)), "approve")
			if got := form["scope"]; !slices.Equal(got, tt.want) {
				t.Errorf("got %v on the page, want %v", got, tt.want)
			}
		})
	}
}

func TestMetadataOfServices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enroll(serverOf(notesResource))
	r := w.send(http.MethodGet, "/.well-known/oauth-authorization-server", "")
	if got, want := fmt.Sprint(r.json("protected_resources")), fmt.Sprintf("[%s/ %s/mcp]", w.url, w.url); got != want {
		t.Errorf("got protected resources %s, want this server's own alone", got)
	}
	if got := r.text("introspection_endpoint"); got != w.url+"/introspect" {
		t.Errorf("got introspection endpoint %q", got)
	}
}

// A service's assertion is good once, even when this server starts again in between, or makes its tables anew.
func TestAssertionAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.signing(jose.ES256, "a")
	form := asserted(serviceForm(), a.fresh())
	a.post("/token", form).tokens(t)
	for range 2 {
		restarted := newWorld(t, func(c *oauth.Config) { c.Log, c.PublicURL, c.Now = w.log, w.url, w.Now })
		restarted.send(http.MethodPost, "/token", form.Encode(), "Content-Type", formType).wantError(t, 401, "invalid_client", textClient)
		if err := w.log.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.wantEvents("client_credentials_granted")

	w.advance(2 * time.Minute)
	a.post("/token", asserted(serviceForm(), a.fresh())).tokens(t)
	if got := w.count(`SELECT count(*) FROM oauth_assertions`); got != 1 {
		t.Errorf("got %d assertions remembered, want the one that has not expired", got)
	}
}
