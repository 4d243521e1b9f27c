package oauth_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/oauth"
)

const day = 24 * time.Hour

// sweepAfter advances the clock and sweeps.
func (w *world) sweepAfter(d time.Duration) {
	w.Helper()
	w.advance(d)
	if err := w.server.Sweep(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// wantExpired compares the reasons of all expiries so far.
func (w *world) wantExpired(want ...oauthv1.ClientExpiry) {
	w.Helper()
	var got []oauthv1.ClientExpiry
	for r, err := range w.log.After(w.Context(), 0) {
		if err != nil {
			w.Fatal(err)
		}
		if e, ok := r.Event.(*oauthv1.ClientEvent); ok && e.GetExpired() != nil {
			got = append(got, e.GetExpired().GetReason())
		}
	}
	if !slices.Equal(got, want) {
		w.Errorf("got expiries %v, want %v", got, want)
	}
}

// wantForgotten checks what a client and a person get to hear of a client that is no more.
func (a *app) wantForgotten(refresh string) {
	a.Helper()
	a.token(a.refreshForm(refresh)).wantError(a, 401, "invalid_client", "client authentication failed: register again")
	for language, text := range map[string]string{
		"en": "or it has expired. In the app, remove the connection to Paput and connect again.",
		"ja": "もう一度接続してください",
	} {
		r := a.newBrowser("acct_1").get("/authorize?"+a.query().Encode(), "Accept-Language", language)
		if r.status != http.StatusBadRequest || r.header.Get("Location") != "" || !strings.Contains(r.body, text) {
			a.Errorf("authorize: got %d %v %s", r.status, r.header, r.body)
		}
	}
}

func TestUnusedClientExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unused, used := w.register(nil), w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	// Asked for, but no code was redeemed.
	code := unused.code(w.newBrowser("acct_1"))
	tokens := used.login("acct_1")

	w.sweepAfter(day - time.Millisecond)
	w.wantExpired()
	w.sweepAfter(time.Millisecond)
	w.wantExpired(oauthv1.ClientExpiry_CLIENT_EXPIRY_UNUSED)
	unused.wantForgotten("paput_rt_" + strings.Repeat("A", 54))
	unused.token(unused.redeemForm(code)).wantError(t, 401, "invalid_client", "client authentication failed: register again")
	if r := used.token(used.refreshForm(tokens.refresh)); r.status != http.StatusOK {
		t.Errorf("a used client: got %d %s", r.status, r.body)
	}
	w.wantEvents("consent_granted", "code_issued", "consent_granted", "code_issued", "code_redeemed", "revoked", "token_refreshed")
	w.wantRebuildEqual()
}

func TestIdleClientExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	for range 3 {
		w.advance(29 * day)
		tokens = a.token(a.refreshForm(tokens.refresh)).tokens(t)
	}
	// A use within an hour of the last is not written down: the client has the benefit of it.
	w.advance(59 * time.Minute)
	tokens = a.token(a.refreshForm(tokens.refresh)).tokens(t)

	w.sweepAfter(90 * day)
	w.wantExpired()
	w.sweepAfter(time.Minute)
	w.wantExpired(oauthv1.ClientExpiry_CLIENT_EXPIRY_IDLE)
	a.wantForgotten(tokens.refresh)
	w.sweepAfter(0)
	w.wantExpired(oauthv1.ClientExpiry_CLIENT_EXPIRY_IDLE)
	w.wantRebuildEqual()
}

// What people have allowed a client ends with it, also what would last longer.
func TestExpiredClientLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.AccessTTL, c.Lifetimes.Idle = 20*time.Hour, 2*time.Hour })
	a, other := w.register(nil), w.register(nil)
	tokens := a.login("acct_1")
	w.advance(3 * time.Hour)
	spared := other.login("acct_1")
	if !w.alive(tokens.access) || !w.alive(spared.access) {
		t.Fatal("an access token does not work")
	}
	w.sweepAfter(0)
	if w.alive(tokens.access) {
		t.Error("an expired client's access token works")
	}
	if !w.alive(spared.access) {
		t.Error("another client's access token does not work")
	}
	a.wantForgotten(tokens.refresh)
}

func TestSweepTakesAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.RegisterRate = rate.Inf })
	const many = 101 // two batches and one
	for range many {
		w.register(nil)
	}
	w.advance(day)
	kept := w.register(nil)
	w.sweepAfter(0)
	if n := w.clientCount(); n != 1 {
		t.Errorf("got %d clients, want 1", n)
	}
	if tokens := kept.login("acct_1"); !w.alive(tokens.access) {
		t.Error("the one that is left does not work")
	}
}

func TestExpiredRegistrationIsNotGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.registerFrom(here, publicBody)
	w.sweepAfter(day)
	if again := w.registerFrom(here, publicBody); again.text("client_id") == first.text("client_id") {
		t.Errorf("got %s again", again.body)
	}
}

func TestRunSweeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(nil)
	w.advance(day)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); w.clientCount() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was swept")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
