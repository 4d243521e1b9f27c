package oauth_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

func parallel(n int, call func() reply) []reply {
	replies := make([]reply, n)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() { replies[i] = call() })
	}
	wg.Wait()
	return replies
}

func TestFiftyRedemptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	form := a.redeemForm(a.code(w.newBrowser("acct_1")))
	won := 0
	for _, r := range parallel(50, func() reply { return a.token(form) }) {
		if r.status == http.StatusOK {
			won++
			if w.alive(r.text("access_token")) {
				t.Error("the winner's token survives 49 replays")
			}
			continue
		}
		r.wantError(t, 400, "invalid_grant", textCode)
	}
	if won != 1 {
		t.Errorf("got %d winners, want 1", won)
	}
	w.wantEvents("consent_granted", "code_issued", "code_redeemed", "code_replayed", "revoked")
}

func TestFiftyRefreshes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	token := a.login("acct_1").refresh
	for range 3 {
		successors, accesses := map[string]bool{}, map[string]bool{}
		for _, r := range parallel(50, func() reply { return a.token(a.refreshForm(token)) }) {
			got := r.tokens(t)
			successors[got.refresh], accesses[got.access] = true, true
			if !w.alive(got.access) {
				t.Error("an access token does not work")
			}
		}
		if len(successors) != 1 || len(accesses) != 50 {
			t.Fatalf("got %d successors and %d access tokens, want 1 and 50", len(successors), len(accesses))
		}
		for token = range successors {
			w.advance(time.Minute)
		}
	}
	next := a.token(a.refreshForm(token)).tokens(t)
	w.advance(31 * time.Second)
	a.token(a.refreshForm(token)).wantError(t, 400, "invalid_grant", textRefresh)
	if w.alive(next.access) {
		t.Error("the grant survives a reuse")
	}
}

// A revocation must win over a lookup that runs at the same time: once it is answered, the token is dead, for everyone.
func TestRevocationDuringLookups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	for range 8 {
		access := a.login("acct_1").access
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						w.alive(access)
					}
				}
			})
		}
		a.call("/revoke", map[string][]string{"token": {access}})
		if w.alive(access) {
			t.Error("the token works after its revocation")
		}
		close(stop)
		wg.Wait()
		if w.alive(access) {
			t.Error("the token works again")
		}
	}
}
