package oauth_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/paput/paput/services/oauth"
)

// manage calls the address that manages a client's registration.
func (w *world) manage(method, id string, header ...string) reply {
	w.Helper()
	return w.send(method, "/register/"+id, "", header...)
}

func (a *app) bearer() []string { return []string{"Authorization", "Bearer " + a.registration} }

func TestRegistrationIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const metadata = `{"client_name":"My app","application_type":"native","redirect_uris":["http://localhost:1/a","https://app.example/b"],
		"grant_types":["authorization_code"],"response_types":["code"],"software_id":"soft","software_version":"1.2",
		"token_endpoint_auth_method":"client_secret_post"}`
	r := w.registerBody(metadata)
	id, token := r.text("client_id"), r.text("registration_access_token")
	w.advance(3e9)
	for _, scheme := range []string{"Bearer ", "bearer  "} {
		got := w.manage(http.MethodGet, id, "Authorization", scheme+token)
		var want, members map[string]any
		if err := json.Unmarshal([]byte(r.body), &want); err != nil {
			t.Fatal(err)
		}
		delete(want, "client_secret") // is not known any more
		delete(want, "client_secret_expires_at")
		if err := json.Unmarshal([]byte(got.body), &members); err != nil {
			t.Fatal(err)
		}
		if g, w := asJSON(t, members), asJSON(t, want); got.status != http.StatusOK || g != w {
			t.Errorf("got %d\n%s\nwant\n%s", got.status, g, w)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("got header %v", got.header)
		}
	}
	if r := w.manage(http.MethodHead, id, "Authorization", "Bearer "+token); r.status != http.StatusOK || r.body != "" {
		t.Errorf("HEAD: got %d %q", r.status, r.body)
	}
	preflight := w.manage(http.MethodOptions, id, "Origin", "https://app.example", "Access-Control-Request-Method", "DELETE")
	if !strings.Contains(preflight.header.Get("Access-Control-Allow-Methods"), "DELETE") {
		t.Errorf("got %v", preflight.header)
	}
}

func TestRegistrationIsNotChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch} {
		r := w.manage(method, a.id, a.bearer()...)
		r.wantError(t, 405, "invalid_request", "a registration is read and deleted, not changed: register again")
		if got := r.header.Get("Allow"); got != "GET, HEAD, DELETE, OPTIONS" {
			t.Errorf("%s: got Allow %q", method, got)
		}
	}
}

// Whoever lacks the token learns nothing, not even whether there is such a client.
func TestRegistrationIsNobodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	other := w.register(nil)
	const none, wrong = `Bearer realm="paput"`, `Bearer realm="paput", error="invalid_token"`
	tests := []struct {
		name, id  string
		header    []string
		challenge string
	}{
		{"no token", a.id, nil, none},
		{"no token, unknown client", "client_0", nil, none},
		{"Basic", a.id, []string{"Authorization", "Basic " + a.registration}, none},
		{"two tokens", a.id, append(a.bearer(), other.bearer()...), none},
		{"the scheme alone", a.id, []string{"Authorization", "Bearer"}, none},
		{"empty token", a.id, []string{"Authorization", "Bearer "}, none},
		{"another client's token", a.id, other.bearer(), wrong},
		{"unknown client", "client_0", a.bearer(), wrong},
		{"the secret", a.id, []string{"Authorization", "Bearer " + a.secret}, wrong},
		{"one character more", a.id, []string{"Authorization", "Bearer " + a.registration + "A"}, wrong},
		{"odd id", "%2e%2e%27%00", a.bearer(), wrong},
	}
	for _, tt := range tests {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			r := w.manage(method, tt.id, tt.header...)
			r.wantError(t, 401, "invalid_token", "the registration access token does not fit: register again")
			if got := r.header.Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("%s: got WWW-Authenticate %q, want %q", tt.name, got, tt.challenge)
			}
		}
	}
	if r := w.manage(http.MethodGet, a.id, a.bearer()...); r.status != http.StatusOK {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if got := w.eventsOf("client/"); !slices.Equal(got, []string{"registered", "registered"}) {
		t.Errorf("got %v", got)
	}
}

func TestDeletedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, bystander := w.register(nil), w.register(map[string]any{"client_name": "Another"})
	one, two, spared := a.login("acct_1"), a.login("acct_2"), bystander.login("acct_1")
	waiting := a.code(w.newBrowser("acct_3"))
	b := w.newBrowser("acct_4")
	page := b.begin(a.query())
	for _, token := range []string{one.access, two.access, spared.access} { // from memory from here on
		if !w.alive(token) {
			t.Fatal("an access token does not work")
		}
	}

	r := w.manage(http.MethodDelete, a.id, a.bearer()...)
	if r.status != http.StatusNoContent || r.body != "" || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v %q", r.status, r.header, r.body)
	}
	if w.alive(one.access) || w.alive(two.access) {
		t.Error("a deleted client's access token works")
	}
	if !w.alive(spared.access) {
		t.Error("another client's access token does not work")
	}
	for name, form := range map[string]map[string][]string{
		"refresh": a.refreshForm(one.refresh), "code": a.redeemForm(waiting),
	} {
		t.Log(name)
		a.token(form).wantError(t, 401, "invalid_client", "client authentication failed: register again")
	}
	if r := b.get(page); r.status != http.StatusBadRequest || r.header.Get("X-Error") != "invalid_client" {
		t.Errorf("consent: got %d %s", r.status, r.body)
	}
	if r := b.get("/authorize?" + a.query().Encode()); r.status != http.StatusBadRequest || !strings.Contains(r.body, "connect again") {
		t.Errorf("authorize: got %d %s", r.status, r.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		w.manage(method, a.id, a.bearer()...).
			wantError(t, 401, "invalid_token", "the registration access token does not fit: register again")
	}

	if got, want := w.eventsOf("client/"), []string{"registered", "registered", "deleted"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := w.events(); !slices.Equal(got[len(got)-3:], []string{"revoked", "revoked", "revoked"}) {
		t.Errorf("got %v, want three grants revoked at the end", got)
	}
	if !strings.Contains(w.logged.String(), "client deleted") || strings.Contains(w.logged.String(), a.registration) {
		t.Errorf("got the log %s", w.logged)
	}
	live := w.dump()
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.dump(); got != live || strings.Contains(live, `client_id="`+a.id+`" revoked="0"`) {
		t.Errorf("got\n%s\nwant\n%s", got, live)
	}
}

// Many at once delete once.
func TestDeletedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.RegisterBurst = 100 })
	a := w.register(nil)
	a.login("acct_1")
	answers := make(chan int, 20)
	for range cap(answers) {
		go func() { answers <- w.manage(http.MethodDelete, a.id, a.bearer()...).status }()
	}
	got := map[int]int{}
	for range cap(answers) {
		got[<-answers]++
	}
	if got[http.StatusNoContent] != 1 || got[http.StatusUnauthorized] != cap(answers)-1 {
		t.Errorf("got %v", got)
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "revoked")
}
