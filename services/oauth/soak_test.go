package oauth_test

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/paput/paput/services/oauth"
)

var soak = flag.Bool("soak", false, "run the long versions of the tests that have one")

// TestParallelRefreshes lets two hundred callers present one refresh token at once, round after round: all get the same
// successor, none is refused. The long version takes a hundred rounds.
func TestParallelRefreshes(t *testing.T) {
	t.Parallel()
	rounds := 3
	if *soak {
		rounds = 100
	}
	w := newWorld(t, func(c *oauth.Config) { c.RefreshRate = rate.Inf })
	a := w.register(nil)
	programs := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	token := a.login("acct_1").refresh
	for round := range rounds {
		body := a.refreshForm(token, "client_id", a.id).Encode()
		successors := map[string]bool{}
		for _, r := range parallel(200, func() reply {
			return do(t, programs, w.request(http.MethodPost, "/token", body, "Content-Type", formType))
		}) {
			if r.status != http.StatusOK {
				t.Fatalf("round %d: got %d %s", round, r.status, r.body)
			}
			successors[r.text("refresh_token")] = true
		}
		if len(successors) != 1 {
			t.Fatalf("round %d: got %d successors, want 1", round, len(successors))
		}
		for token = range successors {
			w.advance(time.Duration(rand.IntN(40)) * time.Second)
		}
	}
	var live int
	err := w.log.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM oauth_grants WHERE revoked = 0`).Scan(&live)
	if err != nil || live != 1 {
		t.Errorf("got %d live grants, %v, want the one", live, err)
	}
}

// TestEndsAmongRefreshes lets what ends a grant race with refreshes of it: whatever was handed out on the way, nothing of
// it works afterwards.
func TestEndsAmongRefreshes(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		name string
		by   func(a *app, code string, t tokens) reply
	}{
		{"revocation of the access token", func(a *app, _ string, t tokens) reply {
			return a.call("/revoke", url.Values{"token": {t.access}})
		}},
		{"revocation of the refresh token", func(a *app, _ string, t tokens) reply {
			return a.call("/revoke", url.Values{"token": {t.refresh}})
		}},
		{"replay of the code", func(a *app, code string, _ tokens) reply { return a.token(a.redeemForm(code)) }},
		{"deletion of the client", func(a *app, _ string, _ tokens) reply {
			return a.manage(http.MethodDelete, a.id, a.bearer()...)
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.register(nil)
			code := a.code(w.newBrowser("acct_1"))
			first := a.token(a.redeemForm(code)).tokens(t)
			turn := make(chan int, 50)
			for i := range cap(turn) {
				turn <- i
			}
			var handedOut []tokens
			for _, r := range parallel(cap(turn), func() reply {
				if <-turn%5 == 4 {
					end.by(a, code, first)
					return reply{}
				}
				r := a.token(a.refreshForm(first.refresh))
				w.alive(r.text("access_token")) // put into memory, if at all
				return r
			}) {
				if r.status == http.StatusOK {
					handedOut = append(handedOut, r.tokens(t))
				}
			}
			for _, got := range append(handedOut, first) {
				if w.alive(got.access) {
					t.Error("an access token works after the end")
				}
				if r := a.token(a.refreshForm(got.refresh)); r.status == http.StatusOK {
					t.Errorf("a refresh token works after the end: %s", r.body)
				}
			}
			ends := 0
			for _, name := range w.events() {
				if name == "revoked" {
					ends++
				}
			}
			if ends != 1 {
				t.Errorf("got %d ends of the grant, want 1: %s", ends, strings.Join(w.events(), " "))
			}
		})
	}
}
