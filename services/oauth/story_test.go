package oauth_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestALogIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	page := b.begin(a.query("resource", w.url+"/"))
	r := b.post("/consent", b.consentForm(page, "approve"))
	if r.status != http.StatusSeeOther {
		t.Fatalf("got %d, want 303: %s", r.status, r.body)
	}
	to := r.location(t)
	q := to.Query()
	if got := to.Scheme + "://" + to.Host + to.Path; got != loopbackRedirect || q.Get("state") != "st&te=1" || q.Get("iss") != w.url {
		t.Errorf("got answer %s", to)
	}
	answer := a.token(a.redeemForm(q.Get("code")))
	tokens := answer.tokens(t)
	if answer.text("token_type") != "Bearer" || answer.json("expires_in") != 900.0 || answer.text("scope") != "paput.read paput.write" {
		t.Errorf("got %s", answer.body)
	}
	c, ok := w.caller(tokens.access)
	if !ok || c.AccountID != "acct_1" || c.ClientID != a.id || c.Resource != w.url ||
		!slices.Equal(c.Scopes, []string{"paput.read", "paput.write"}) || !c.Expires.Equal(w.Now().Add(15*time.Minute)) {
		t.Errorf("got caller %+v, %v", c, ok)
	}
	w.advance(15 * time.Minute)
	if w.alive(tokens.access) {
		t.Error("the access token outlives its time")
	}
	next := a.token(a.refreshForm(tokens.refresh)).tokens(t)
	if !w.alive(next.access) || next.refresh == tokens.refresh {
		t.Errorf("got %+v after %+v", next, tokens)
	}
	if r := a.call("/revoke", map[string][]string{"token": {next.refresh}}); r.status != http.StatusOK || r.body != "" {
		t.Errorf("revoke: got %d %q", r.status, r.body)
	}
	if w.alive(next.access) {
		t.Error("the access token outlives its grant")
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "token_refreshed", "revoked")
}
