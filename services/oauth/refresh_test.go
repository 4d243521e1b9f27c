package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/oauth"
)

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
		{"unknown", a, []string{"refresh_token", "paput_rt_" + strings.Repeat("A", 54)}, "invalid_grant", textRefresh},
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
	changed := newWorld(t, func(c *oauth.Config) {
		c.Log, c.PublicURL, c.Key = w.log, w.url, []byte("another key of thirty-two bytes.")
	})
	b := &app{changed, a.id, "", "none", a.redirect, a.registration}
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

func TestMonthsOfRefreshes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	for range 200 {
		w.advance(10 * time.Hour)
		tokens = a.token(a.refreshForm(tokens.refresh)).tokens(t)
	}
	// Of refresh tokens, 72 have not expired. The expired go by chance: as many as this stay once in millions of runs.
	for table, most := range map[string]int{"oauth_access_tokens": 120, "oauth_refresh_tokens": 180} {
		var n int
		if err := w.log.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n > most {
			t.Errorf("%s: got %d kept, %v", table, n, err)
		}
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
	for _, token := range []string{"x", "paput_at_x", "paput_rt_" + strings.Repeat("A", 54)} {
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
