package oauth

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
)

var start = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

func testLifetimes() Lifetimes {
	c := Config{}
	c.setDefaults()
	return c.Lifetimes
}

func testGrant() grant {
	return grant{
		id: "grant_1", clientID: "client_1", redirectURI: "http://localhost:1/cb",
		resource: "https://mcp.example", scopes: []string{"paput.read", "paput.write"},
	}
}

// names lists the cases of a verdict's events.
func (v verdict) names() []string {
	var names []string
	for _, e := range v.events {
		name, _ := eventlog.Case(e)
		names = append(names, name)
	}
	return names
}

func TestRedeem(t *testing.T) {
	t.Parallel()
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	good := redemption{
		clientID: "client_1", redirectURI: "http://localhost:1/cb", verifier: verifier, resource: "https://mcp.example",
		codeHash: []byte("code"), accessHash: []byte("access"), refreshHash: []byte("refresh"),
	}
	tests := []struct {
		name   string
		given  func(*code)
		wish   func(*redemption)
		after  time.Duration
		want   error
		events []string
	}{
		{name: "a good one", events: []string{"code_redeemed"}},
		{name: "in the last moment", after: time.Minute - time.Millisecond, events: []string{"code_redeemed"}},
		{name: "without redirect_uri and resource", wish: func(r *redemption) { r.redirectURI, r.resource = "", "" }, events: []string{"code_redeemed"}},
		{name: "of a client without refresh tokens", wish: func(r *redemption) { r.refreshHash = nil }, events: []string{"code_redeemed"}},
		{name: "of another client", wish: func(r *redemption) { r.clientID = "client_2" }, want: errCode},
		{name: "redeemed, of another client", given: func(c *code) { c.spent = redeemed }, wish: func(r *redemption) { r.clientID = "client_2" }, want: errCode},
		{name: "redeemed before", given: func(c *code) { c.spent = redeemed }, want: errCode, events: []string{"code_replayed", "revoked"}},
		{name: "redeemed long ago", given: func(c *code) { c.spent = redeemed }, after: time.Hour, want: errCode, events: []string{"code_replayed", "revoked"}},
		{name: "refused before", given: func(c *code) { c.spent = refused }, want: errCode},
		{name: "of a revoked grant", given: func(c *code) { c.spent, c.grant.revoked = redeemed, true }, want: errCode},
		{name: "expired", after: time.Minute, want: errCode, events: []string{"code_refused"}},
		{name: "for another resource", wish: func(r *redemption) { r.resource = "https://mcp.example/mcp" }, want: errTarget},
		{name: "for another redirect_uri", wish: func(r *redemption) { r.redirectURI += "x" }, want: errCodeRedirect, events: []string{"code_refused"}},
		{name: "with the wrong verifier", wish: func(r *redemption) { r.verifier = strings.Repeat("w", 43) }, want: errVerifier, events: []string{"code_refused"}},
		{name: "without a verifier", wish: func(r *redemption) { r.verifier = "" }, want: errVerifier, events: []string{"code_refused"}},
		{name: "with a short verifier", wish: func(r *redemption) { r.verifier = "v" }, want: errVerifier, events: []string{"code_refused"}},
	}
	for _, tt := range tests {
		c := code{grant: testGrant(), challenge: sum[:], expires: start.Add(time.Minute)}
		wish := good
		if tt.given != nil {
			tt.given(&c)
		}
		if tt.wish != nil {
			tt.wish(&wish)
		}
		got := redeem(c, wish, start.Add(tt.after), testLifetimes())
		if !errors.Is(got.refusal, tt.want) || !slices.Equal(got.names(), tt.events) {
			t.Errorf("%s: got %v and %v, want %v and %v", tt.name, got.refusal, got.names(), tt.want, tt.events)
		}
		if got.withRefresh != (got.refusal == nil && wish.refreshHash != nil) {
			t.Errorf("%s: got a refresh token: %v", tt.name, got.withRefresh)
		}
	}
}

func TestAnswersWantsOneSpelling(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]bool{42: false, 43: true, 128: true, 129: false} {
		verifier := strings.Repeat("v", length)
		sum := sha256.Sum256([]byte(verifier))
		if got := answers(verifier, sum[:]); got != want {
			t.Errorf("a verifier of %d characters: got %v, want %v", length, got, want)
		}
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	good := refreshing{
		clientID: "client_1", presentedHash: []byte("presented"), successorHash: []byte("successor"), accessHash: []byte("access"),
	}
	rotated := func(t *refreshToken) { t.rotated = start.Add(-30 * time.Second) }
	known := func(r *refreshing) { r.successorKnown = true }
	tests := []struct {
		name   string
		given  func(*refreshToken)
		wish   func(*refreshing)
		after  time.Duration
		want   error
		scopes string
		events []string
	}{
		{name: "a good one", scopes: "paput.read paput.write", events: []string{"token_refreshed"}},
		{name: "with its resource", wish: func(r *refreshing) { r.resource = "https://mcp.example" }, scopes: "paput.read paput.write", events: []string{"token_refreshed"}},
		{name: "with less scope", wish: func(r *refreshing) { r.scope = "paput.read" }, scopes: "paput.read", events: []string{"token_refreshed"}},
		{name: "with an implied scope", wish: func(r *refreshing) { r.scope = "paput.capture offline_access" }, scopes: "paput.capture", events: []string{"token_refreshed"}},
		{name: "with more scope", wish: func(r *refreshing) { r.scope = "paput.read paput.publish" }, want: errScope},
		{name: "for another resource", wish: func(r *refreshing) { r.resource = "https://mcp.example/mcp" }, want: errTarget},
		{name: "of another client", wish: func(r *refreshing) { r.clientID = "client_2" }, want: errRefresh},
		{name: "of a revoked grant", given: func(t *refreshToken) { t.grant.revoked = true }, want: errRefresh},
		{name: "unused for 30 days", after: 30 * day, want: errRefresh},
		{name: "after 90 days", given: func(t *refreshToken) { t.expires = start.Add(200 * day) }, after: 90 * day, want: errRefresh},
		{name: "repeated in the grace time", given: rotated, wish: known, scopes: "paput.read paput.write", events: []string{"refresh_repeated"}},
		{name: "repeated with less scope", given: rotated, wish: func(r *refreshing) { r.successorKnown, r.scope = true, "paput.read" }, scopes: "paput.read", events: []string{"refresh_repeated"}},
		{name: "repeated, and the successor is not known", given: rotated, want: errRefresh},
		{name: "reused after the grace time", given: rotated, wish: known, after: time.Millisecond, want: errRefresh, events: []string{"refresh_reused", "revoked"}},
		{name: "reused with more scope", given: rotated, wish: func(r *refreshing) { r.scope = "paput.publish" }, after: time.Millisecond, want: errRefresh, events: []string{"refresh_reused", "revoked"}},
		{name: "reused by another client", given: rotated, wish: func(r *refreshing) { r.clientID = "client_2" }, after: time.Hour, want: errRefresh},
	}
	for _, tt := range tests {
		token := refreshToken{grant: testGrant(), expires: start.Add(30 * day)}
		token.grant.expires = start.Add(90 * day)
		wish := good
		if tt.given != nil {
			tt.given(&token)
		}
		if tt.wish != nil {
			tt.wish(&wish)
		}
		got := refresh(token, wish, start.Add(tt.after), testLifetimes())
		if !errors.Is(got.refusal, tt.want) || !slices.Equal(got.names(), tt.events) || list(got.scopes) != tt.scopes {
			t.Errorf("%s: got %v, %v and %q, want %v, %v and %q",
				tt.name, got.refusal, got.names(), list(got.scopes), tt.want, tt.events, tt.scopes)
		}
	}
}

func TestTokensEndWithTheirGrant(t *testing.T) {
	t.Parallel()
	token := refreshToken{grant: testGrant(), expires: start.Add(time.Hour)}
	token.grant.expires = start.Add(time.Minute)
	got := refresh(token, refreshing{clientID: "client_1"}, start, testLifetimes())
	e := got.events[0].GetTokenRefreshed()
	if end := e.GetAccessToken().GetExpireTime().AsTime(); !end.Equal(token.grant.expires) || got.expiresIn != 60 {
		t.Errorf("got an access token until %v, for %d s", end, got.expiresIn)
	}
	if end := e.GetSuccessor().GetExpireTime().AsTime(); !end.Equal(token.grant.expires) {
		t.Errorf("got a refresh token until %v", end)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	g := testGrant()
	if got := revoke(g, "client_1"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	if got := revoke(g, "client_2"); got != nil {
		t.Errorf("another client revoked it: %v", got)
	}
	g.revoked = true
	if got := revoke(g, "client_1"); got != nil {
		t.Errorf("it was revoked twice: %v", got)
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	k, err := deriveKeys(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, err := deriveKeys(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	first := newToken(refreshPrefix, start)
	second := k.successor(first)
	switch {
	case second != k.successor(first):
		t.Error("a token has two successors")
	case !isToken(refreshPrefix, second):
		t.Errorf("the successor %q is no refresh token", second)
	case second == other.successor(first) || second == k.successor(second) || second == first:
		t.Error("successors are not told apart")
	case bytes.Equal(k.refresh, k.csrf) || bytes.Equal(k.refresh, k.transaction):
		t.Error("two purposes share a key")
	}
}

func TestSealedTransaction(t *testing.T) {
	t.Parallel()
	k, err := deriveKeys(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.seal(transaction{ID: "tx_1", State: []byte("\xff"), Expires: start})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := k.open(sealed); !ok || got.ID != "tx_1" || string(got.State) != "\xff" || !got.Expires.Equal(start) {
		t.Errorf("got %+v, %v", got, ok)
	}
	for i := range len(sealed) {
		forged := []byte(sealed)
		forged[i] ^= 1
		if got, ok := k.open(string(forged)); ok && got.ID != "tx_1" {
			t.Fatalf("a change at %d is not noticed", i)
		}
	}
	for _, s := range []string{"", ".", "e30", "e30.", sealed + "A", strings.Split(sealed, ".")[0]} {
		if _, ok := k.open(s); ok {
			t.Errorf("%q opens", s)
		}
	}
}
