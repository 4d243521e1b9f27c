package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/oauth"
)

// registerFrom registers a client from an address of its own.
func (w *world) registerFrom(address, body string) reply {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, "/register", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = address
	recorded := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorded, r)
	if recorded.Code != http.StatusCreated {
		w.Fatalf("register: got %d %s", recorded.Code, recorded.Body)
	}
	return reply{recorded.Code, recorded.Header(), recorded.Body.String()}
}

const (
	publicBody = `{"redirect_uris":["http://127.0.0.1:4711/callback"],"token_endpoint_auth_method":"none","client_name":"Test app"}`
	here       = "203.0.113.7:1000"
)

func TestRegistrationRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.registerFrom(here, publicBody)
	w.advance(time.Hour)
	// Neither the port nor members that are ignored make a difference.
	second := w.registerFrom("203.0.113.7:2000", strings.Replace(publicBody, "{", `{ "client_uri":"https://app.example",`, 1))
	third := w.registerFrom(here, publicBody)

	for name, r := range map[string]reply{"second": second, "third": third} {
		if r.text("client_id") != first.text("client_id") || r.json("client_id_issued_at") != first.json("client_id_issued_at") ||
			r.text("client_name") != "Test app" || asJSON(t, r.json("redirect_uris")) != asJSON(t, first.json("redirect_uris")) {
			t.Errorf("%s: got %s, want what the first got: %s", name, r.body, first.body)
		}
		if strings.Contains(r.body, "registration_") {
			t.Errorf("%s: got means to manage another's registration: %s", name, r.body)
		}
	}
	if n := w.clientCount(); n != 1 {
		t.Errorf("got %d clients, want 1", n)
	}
	if got, want := w.eventsOf("client/"), []string{"registered", "registration_repeated"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// The first cannot end what the second may rely on.
	token := first.text("registration_access_token")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		w.manage(method, first.text("client_id"), "Authorization", "Bearer "+token).
			wantError(t, 401, "invalid_token", "the registration access token does not fit: register again")
	}
	// Nor does no token fit where there is none, whatever a proxy makes of the header.
	bare := httptest.NewRequest(http.MethodDelete, "/register/"+first.text("client_id"), nil)
	bare.Header.Set("Authorization", "Bearer ")
	recorded := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorded, bare)
	if recorded.Code != http.StatusUnauthorized {
		t.Errorf("got %d %s", recorded.Code, recorded.Body)
	}
	a := &app{w, second.text("client_id"), "", "none", loopbackRedirect, ""}
	if tokens := a.login("acct_1"); !w.alive(tokens.access) {
		t.Error("the client that was given back does not work")
	}
	w.wantRebuildEqual()
}

// wantRebuildEqual compares the tables with those made anew of the events.
func (w *world) wantRebuildEqual() {
	w.Helper()
	live := w.dump()
	if err := w.log.Rebuild(w.Context()); err != nil {
		w.Fatal(err)
	}
	if got := w.dump(); got != live {
		w.Errorf("after a rebuild: got\n%s\nwant\n%s", got, live)
	}
}

func TestRegistrationNotGivenBack(t *testing.T) {
	t.Parallel()
	const secret = `{"redirect_uris":["https://app.example/cb"]}`
	tests := []struct {
		name          string
		address       string // of the second
		first, second string
		between       func(w *world, a *app)
	}{
		{name: "from another address", first: publicBody, second: publicBody, address: "203.0.113.8:1000"},
		{name: "from another network", first: publicBody, second: publicBody, address: "[2001:db8::1]:1000"},
		{name: "another name", first: publicBody, second: strings.Replace(publicBody, "Test app", "Test App", 1), address: here},
		{name: "another redirect URI", first: publicBody, second: strings.Replace(publicBody, "4711", "4712", 1), address: here},
		{name: "with a secret", first: secret, second: secret, address: here},
		{
			name: "after a code was redeemed", first: publicBody, second: publicBody, address: here,
			between: func(_ *world, a *app) { a.login("acct_1") },
		},
		{
			name: "after it was deleted", first: publicBody, second: publicBody, address: here,
			between: func(w *world, a *app) { w.manage(http.MethodDelete, a.id, a.bearer()...) },
		},
		{
			name: "with no time left to sign in", first: publicBody, second: publicBody, address: here,
			between: func(w *world, _ *app) { w.advance(24*time.Hour - 11*time.Minute) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.registerFrom(here, tt.first)
			if tt.between != nil {
				tt.between(w, &app{w, first.text("client_id"), "", "none", loopbackRedirect, first.text("registration_access_token")})
			}
			second := w.registerFrom(tt.address, tt.second)
			if first.text("client_id") == second.text("client_id") || second.text("registration_access_token") == "" {
				t.Errorf("got %s\nafter %s", second.body, first.body)
			}
			if slices.Contains(w.eventsOf("client/"), "registration_repeated") {
				t.Error("a registration is said to be repeated")
			}
		})
	}
}

func TestRegistrationGivenBackUntilLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.registerFrom(here, publicBody)
	w.advance(24*time.Hour - 11*time.Minute - time.Millisecond)
	if again := w.registerFrom(here, publicBody); again.text("client_id") != first.text("client_id") {
		t.Errorf("got %s, want %s", again.body, first.body)
	}
}

// An address is personal data: it is in no event and no table.
func TestAddressIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.RegisterBurst = 100 })
	w.registerFrom(here, publicBody)
	w.registerFrom(here, publicBody)
	if strings.Contains(w.dump()+w.logged.String(), "203.0.113") {
		t.Errorf("got an address in\n%s\n%s", w.dump(), w.logged)
	}
}
