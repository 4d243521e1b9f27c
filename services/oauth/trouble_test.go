package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/oauth"
)

func TestAuthenticateKnowsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	for _, token := range []string{"", "x", tokens.refresh, tokens.access + "x", "Bearer " + tokens.access, "paput_at_" + strings.Repeat("A", 54)} {
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
