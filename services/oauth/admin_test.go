package oauth_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/proto"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	"github.com/paput/paput/services/oauth"
	"github.com/paput/paput/services/rpc"
)

// admin is what the administrator calls.
func (w *world) admin() oauthv1connect.OAuthAdminServiceClient {
	w.Helper()
	server := rpc.NewServer(rpc.Config{Log: slog.New(slog.NewTextHandler(w.logged, nil)), Codes: []rpc.Codes{oauth.Codes}})
	oauthv1connect.RegisterOAuthAdminServiceHandler(server, w.server.Admin())
	return oauthv1connect.NewOAuthAdminServiceClient(connect.NewClient(connectinprocess.New(server)))
}

// preregister has the administrator register a client; one of an app for people where nothing is said.
func (w *world) preregister(c *oauthv1.Client) *app {
	w.Helper()
	if c.GetName() == "" {
		c.Name = "Registered app"
	}
	if c.GetAuthMethod() == "" {
		c.AuthMethod = "client_secret_basic"
	}
	if c.GetGrantTypes() == nil && c.GetResource() == "" {
		c.GrantTypes = []string{"authorization_code", "refresh_token"}
	}
	if c.GetRedirectUris() == nil && len(c.GetGrantTypes()) > 0 && c.GetGrantTypes()[0] == "authorization_code" {
		c.RedirectUris = []string{loopbackRedirect}
	}
	res, err := w.admin().CreateClient(w.Context(), &oauthv1.CreateClientRequest{Client: c})
	if err != nil {
		w.Fatal(err)
	}
	a := &app{world: w, id: res.GetClient().GetId(), secret: res.GetClientSecret(), method: c.GetAuthMethod()}
	if uris := res.GetClient().GetRedirectUris(); len(uris) > 0 {
		a.redirect = uris[0]
	}
	return a
}

func (a *app) rotate(keep time.Duration) (secret string, until time.Time) {
	a.Helper()
	res, err := a.admin().RotateClientSecret(a.Context(), &oauthv1.RotateClientSecretRequest{ClientId: a.id, KeepSeconds: int64(keep / time.Second)})
	if err != nil {
		a.Fatal(err)
	}
	return res.GetClientSecret(), res.GetPreviousExpireTime().AsTime()
}

// with is the client with another secret.
func (a *app) with(secret string) *app {
	b := *a
	b.secret = secret
	return &b
}

func (a *app) authenticates() bool {
	a.Helper()
	switch r := a.token(a.refreshForm("x")); r.text("error") {
	case "invalid_grant":
		return true
	case "invalid_client":
		return false
	default:
		a.Fatalf("got %d %s", r.status, r.body)
		return false
	}
}

func TestPreregisteredClientLogsIn(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.preregister(&oauthv1.Client{AuthMethod: method})
			if (a.secret == "") != (method == "none") {
				t.Errorf("got a secret of %d characters", len(a.secret))
			}
			tokens := a.login("acct_1")
			if !w.alive(tokens.access) || tokens.refresh == "" {
				t.Errorf("got %v", tokens)
			}
			w.sweepAfter(200 * day)
			if _, err := w.admin().RotateClientSecret(t.Context(), &oauthv1.RotateClientSecretRequest{ClientId: a.id}); connect.CodeOf(err) == connect.CodeNotFound {
				t.Error("the client has expired")
			}
			if got := w.eventsOf("client/"); got[0] != "registered" || strings.Contains(w.logged.String(), "paput_cs_") {
				t.Errorf("got %v and log %s", got, w.logged)
			}
		})
	}
}

func TestPreregistrationRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const known = "each must be one of authorization_code, refresh_token, client_credentials, urn:ietf:params:oauth:grant-type:device_code"
	w.preregister(&oauthv1.Client{Resource: "https://api.example/v1"})
	w.preregister(&oauthv1.Client{Resource: w.url})
	w.preregister(&oauthv1.Client{Resource: w.url + "/"})
	tests := []struct {
		name   string
		change func(*oauthv1.Client)
		want   string
	}{
		{"no name", func(c *oauthv1.Client) { c.Name = " " }, "name: say what the client is called"},
		{"name that turns the writing", func(c *oauthv1.Client) { c.Name = "a\u202eb" }, "name: it has at most 100 characters, none of them control or invisible ones"},
		{"no method", func(c *oauthv1.Client) { c.AuthMethod = "" }, "auth_method: it must be one of none, client_secret_basic, client_secret_post, private_key_jwt"},
		{"mutual TLS", func(c *oauthv1.Client) { c.AuthMethod = "tls_client_auth" }, "auth_method: it must be one of none, client_secret_basic, client_secret_post, private_key_jwt"},
		{"public service", func(c *oauthv1.Client) {
			c.AuthMethod, c.GrantTypes, c.Scopes = "none", append(c.GrantTypes, "client_credentials"), []string{"paput.read"}
		}, "auth_method: client_credentials needs a secret or private_key_jwt"},
		{"public resource server", func(c *oauthv1.Client) { c.AuthMethod, c.Resource = "none", "https://b.example" }, "auth_method: the server of a resource needs a secret or private_key_jwt"},
		{"password", func(c *oauthv1.Client) { c.GrantTypes = []string{"password"} }, "grant_types: " + known},
		{"no grant types", func(c *oauthv1.Client) { c.GrantTypes = nil }, "grant_types: name at least one: only the server of a resource can do without"},
		{"refresh alone", func(c *oauthv1.Client) { c.GrantTypes = []string{"refresh_token"} }, "grant_types: refresh_token goes with authorization_code or the device code"},
		{"service that may do all", func(c *oauthv1.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") }, "scopes: say what a client with client_credentials may do: nobody else is asked"},
		{"unknown scope", func(c *oauthv1.Client) { c.Scopes = []string{"paput.read", "admin"} }, "scopes: each must be one of paput.read, paput.capture, paput.write, paput.publish, paput.account, paput.audit"},
		{"no redirect URI", func(c *oauthv1.Client) { c.RedirectUris = nil }, "redirect_uris: authorization_code needs at least one"},
		{"redirect URI for nothing", func(c *oauthv1.Client) {
			c.GrantTypes, c.Scopes = []string{"client_credentials"}, []string{"paput.read"}
		}, "redirect_uris: they are for the grant type authorization_code alone"},
		{"eleven redirect URIs", func(c *oauthv1.Client) { c.RedirectUris = strings.Fields(strings.Repeat(loopbackRedirect+" ", 11)) }, "redirect_uris: there are more than 10"},
		{"http elsewhere", func(c *oauthv1.Client) { c.RedirectUris = []string{"http://app.example/cb"} }, "redirect_uris: http is only for localhost, 127.0.0.1 and [::1]: use https"},
		{"script", func(c *oauthv1.Client) { c.RedirectUris = []string{"javascript:/alert"} }, "redirect_uris: a redirect URI begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"},
		{"opaque scheme", func(c *oauthv1.Client) { c.RedirectUris = []string{"com.example.app:cb"} }, "redirect_uris: a redirect URI with a scheme of its own has a slash after the colon, as in com.example.app:/callback"},
		{"web on loopback", func(c *oauthv1.Client) { c.ApplicationType = "web" }, "redirect_uris: a web application's redirect URI begins with https://"},
		{"web with a scheme", func(c *oauthv1.Client) {
			c.ApplicationType, c.RedirectUris = "web", []string{"com.example.app:/cb"}
		}, "redirect_uris: a web application's redirect URI begins with https://"},
		{"application type", func(c *oauthv1.Client) { c.ApplicationType = "desktop" }, "application_type: it must be web or native"},
		{"keys for nothing", func(c *oauthv1.Client) { c.Jwks = "{}" }, "jwks: keys are for private_key_jwt alone"},
		{"no keys", func(c *oauthv1.Client) { c.AuthMethod = "private_key_jwt" }, "jwks: private_key_jwt needs the client's public keys"},
		{"resource of http", func(c *oauthv1.Client) { c.Resource = "http://api.example" }, "resource: it is a URL that begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"},
		{"resource with a fragment", func(c *oauthv1.Client) { c.Resource = "https://api.example/#x" }, "resource: it has no user, query or fragment"},
		{"resource with a user", func(c *oauthv1.Client) { c.Resource = "https://a@api.example" }, "resource: it has no user, query or fragment"},
		{"resource with dots", func(c *oauthv1.Client) { c.Resource = "https://api.example/%2e%2e/b" }, "resource: its path has no dot segments, and at most one slash at its end"},
		{"resource with slashes", func(c *oauthv1.Client) { c.Resource = "https://api.example//" }, "resource: its path has no dot segments, and at most one slash at its end"},
		{"resource in capitals", func(c *oauthv1.Client) { c.Resource = "https://API.example" }, "resource: its host is a name in lower case, without the port when that is 443"},
		{"resource with the port", func(c *oauthv1.Client) { c.Resource = "https://api.example:443" }, "resource: its host is a name in lower case, without the port when that is 443"},
		{"resource with spaces", func(c *oauthv1.Client) { c.Resource = "https://api.example/a b" }, "resource: it is printable ASCII without spaces, at most 2048 characters"},
		{"taken resource", func(c *oauthv1.Client) { c.Resource = "https://api.example/v1/" }, "resource: the client client_1 is the server of this resource: remove it first"},
		{"accounts for nothing", func(c *oauthv1.Client) { c.AccountIds = []string{"acct_1"} }, "account_ids: a client acts for accounts with the grant type client_credentials alone"},
		{"account with a space", func(c *oauthv1.Client) {
			c.GrantTypes, c.RedirectUris, c.Scopes = []string{"client_credentials"}, nil, []string{"paput.read"}
			c.AccountIds = []string{"acct_1 acct_2"}
		}, "account_ids: each is the id of an account"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &oauthv1.Client{
				Name: "App", AuthMethod: "client_secret_post", RedirectUris: []string{loopbackRedirect},
				GrantTypes: []string{"authorization_code", "refresh_token"},
			}
			tt.change(c)
			_, err := w.admin().CreateClient(t.Context(), &oauthv1.CreateClientRequest{Client: c})
			var e *connect.Error
			if !errors.As(err, &e) || e.Code() != connect.CodeInvalidArgument || e.Message() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if got := w.eventsOf("client/"); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

func TestListClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	self := w.register(nil)
	w.advance(time.Second)
	service := &oauthv1.Client{
		Name: " Backup ", AuthMethod: "client_secret_basic", GrantTypes: []string{"client_credentials"},
		Scopes: []string{"paput.write", "paput.read", "paput.write"}, AccountIds: []string{"acct_2", "acct_1", "acct_2"},
		Resource: "https://api.example/v1/", Id: "chosen", Preregistered: false,
	}
	res, err := w.admin().CreateClient(t.Context(), &oauthv1.CreateClientRequest{Client: service})
	if err != nil {
		t.Fatal(err)
	}
	self.login("acct_1")
	list, err := w.admin().ListClients(t.Context(), &oauthv1.ListClientsRequest{})
	if err != nil || len(list.GetClients()) != 2 {
		t.Fatalf("got %v, %v", list, err)
	}
	first, second := list.GetClients()[0], list.GetClients()[1]
	if first.GetId() != self.id || first.GetPreregistered() || !first.GetUseTime().AsTime().Equal(w.Now()) {
		t.Errorf("got %v", first)
	}
	if !proto.Equal(second, res.GetClient()) {
		t.Errorf("got %v, want %v", second, res.GetClient())
	}
	if second.GetId() == "chosen" || second.GetName() != "Backup" || !second.GetPreregistered() || second.GetUseTime() != nil ||
		strings.Join(second.GetScopes(), " ") != "paput.read paput.write" || second.GetResource() != "https://api.example/v1" ||
		strings.Join(second.GetAccountIds(), " ") != "acct_2 acct_1" || !second.GetRegisterTime().AsTime().Equal(w.Now()) {
		t.Errorf("got %v", second)
	}
}

func TestRotateClientSecret(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.preregister(&oauthv1.Client{AuthMethod: method})
			first := a.login("acct_1")
			secret, until := a.rotate(time.Hour)
			b := a.with(secret)
			if !until.Equal(w.Now().Add(time.Hour)) || !a.authenticates() || !b.authenticates() || a.with(secret+"x").authenticates() {
				t.Errorf("after the rotation: got until %s, old %v, new %v", until, a.authenticates(), b.authenticates())
			}
			if r := b.token(b.refreshForm(first.refresh)); r.status != http.StatusOK {
				t.Errorf("got %d %s: what people allowed ends with the secret", r.status, r.body)
			}
			w.advance(time.Hour - time.Millisecond)
			if !a.authenticates() {
				t.Error("the secret before ends too early")
			}
			w.advance(time.Millisecond)
			if a.authenticates() || !b.authenticates() {
				t.Error("the secret before has not ended")
			}
			// Of two rotations, only the last one's predecessor lives on.
			secret, _ = b.rotate(time.Hour)
			c := a.with(secret)
			secret, _ = c.rotate(time.Hour)
			if d := a.with(secret); b.authenticates() || !c.authenticates() || !d.authenticates() {
				t.Errorf("got %v %v %v", b.authenticates(), c.authenticates(), d.authenticates())
			}
			secret, until = a.rotate(0)
			if !until.Equal(w.Now()) || a.with("").authenticates() || c.authenticates() || !a.with(secret).authenticates() {
				t.Error("a rotation at once is not one")
			}
			if got := strings.Join(w.eventsOf("client/"), " "); got != "registered secret_rotated secret_rotated secret_rotated secret_rotated" {
				t.Errorf("got %s", got)
			}
			if log := w.logged.String(); strings.Contains(log, secret) {
				t.Errorf("the log has the secret: %s", log)
			}
		})
	}
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public, secret := w.preregister(&oauthv1.Client{AuthMethod: "none"}), w.register(map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	for _, tt := range []struct {
		id   string
		keep int64
		want connect.Code
	}{
		{"client_999", 0, connect.CodeNotFound},
		{public.id, 0, connect.CodeFailedPrecondition},
		{secret.id, -1, connect.CodeInvalidArgument},
		{secret.id, 7_776_001, connect.CodeInvalidArgument},
		{secret.id, 7_776_000, 0},
	} {
		_, err := w.admin().RotateClientSecret(t.Context(), &oauthv1.RotateClientSecretRequest{ClientId: tt.id, KeepSeconds: tt.keep})
		if err == nil && tt.want == 0 {
			continue
		}
		if connect.CodeOf(err) != tt.want {
			t.Errorf("%s %d: got %v, want %v", tt.id, tt.keep, err, tt.want)
		}
	}
}

func TestRemoveClient(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_basic"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, other := w.preregister(&oauthv1.Client{AuthMethod: method}), w.register(nil)
			tokens, others := a.login("acct_1"), other.login("acct_1")
			if !w.alive(tokens.access) || !w.alive(others.access) { // and in memory
				t.Fatal("the log-in has failed")
			}
			code := a.code(w.newBrowser("acct_2"))
			if _, err := w.admin().RemoveClient(t.Context(), &oauthv1.RemoveClientRequest{ClientId: a.id}); err != nil {
				t.Fatal(err)
			}
			if w.alive(tokens.access) || !w.alive(others.access) {
				t.Error("the wrong tokens ended")
			}
			a.wantForgotten(tokens.refresh)
			a.token(a.redeemForm(code)).wantError(t, 401, "invalid_client", "client authentication failed: register again")
			if got := w.revocations(); len(got) != 2 || got[0] != oauthv1.RevokeReason_REVOKE_REASON_CLIENT_REMOVED || got[1] != got[0] {
				t.Errorf("got %v", got)
			}
			if got := w.eventsOf("client/" + a.id); len(got) != 2 || got[1] != "removed" {
				t.Errorf("got %v", got)
			}
			if _, err := w.admin().RemoveClient(t.Context(), &oauthv1.RemoveClientRequest{ClientId: a.id}); connect.CodeOf(err) != connect.CodeNotFound {
				t.Errorf("the second time: got %v", err)
			}
		})
	}
}

// revocations lists the reasons of all revocations so far.
func (w *world) revocations() (reasons []oauthv1.RevokeReason) {
	w.Helper()
	for r, err := range w.log.After(w.Context(), 0) {
		if err != nil {
			w.Fatal(err)
		}
		if e, ok := r.Event.(*oauthv1.GrantEvent); ok && e.GetRevoked() != nil {
			reasons = append(reasons, e.GetRevoked().GetReason())
		}
	}
	return reasons
}

// A client that was registered for some scopes is asked for no others, whatever it names.
func TestRegisteredScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.preregister(&oauthv1.Client{AuthMethod: "none", Scopes: []string{"paput.write"}})
	for _, tt := range []struct{ asked, want string }{
		{"-", "paput.read paput.write"},
		{"offline_access", "paput.read paput.write"},
		{"paput.read", "paput.read"}, // is implied
		{"paput.read paput.write paput.publish paput.account", "paput.read paput.write"},
	} {
		tokens := a.login("acct_1", "scope", tt.asked)
		if c, _ := w.caller(tokens.access); strings.Join(c.Scopes, " ") != tt.want {
			t.Errorf("%s: got %v, want %s", tt.asked, c.Scopes, tt.want)
		}
	}
	to := w.newBrowser("acct_1").get("/authorize?" + a.query("scope", "paput.publish").Encode()).location(t).Query()
	if to.Get("error") != "invalid_scope" || to.Get("error_description") != "scope names none that this server knows" || to.Get("iss") != w.url {
		t.Errorf("got %v", to)
	}
}
