package oauth_test

import (
	"net/http"
	"testing"

	"golang.org/x/oauth2"
)

// golang.org/x/oauth2 tries a header first, and remembers nothing of what it was told about the client.
func TestGoClient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method string
		style  oauth2.AuthStyle
	}{
		{"none", oauth2.AuthStyleAutoDetect},
		{"none", oauth2.AuthStyleInParams},
		{"none", oauth2.AuthStyleInHeader},
		{"client_secret_basic", oauth2.AuthStyleAutoDetect},
		{"client_secret_basic", oauth2.AuthStyleInHeader},
		{"client_secret_post", oauth2.AuthStyleAutoDetect},
		{"client_secret_post", oauth2.AuthStyleInParams},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.register(map[string]any{"token_endpoint_auth_method": tt.method})
			c := oauth2.Config{
				ClientID: a.id, ClientSecret: a.secret, RedirectURL: a.redirect, Scopes: []string{"paput.read", "offline_access"},
				Endpoint: oauth2.Endpoint{AuthURL: w.url + "/authorize", TokenURL: w.http.URL + "/token", AuthStyle: tt.style},
			}
			secret := oauth2.GenerateVerifier()
			b := w.newBrowser("acct_1")
			page := b.get(c.AuthCodeURL("state", oauth2.S256ChallengeOption(secret), oauth2.SetAuthURLParam("resource", w.url))).location(t)
			answer := b.post("/consent", b.consentForm(page.String(), "approve")).location(t).Query()
			first, err := c.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(secret))
			if err != nil {
				t.Fatal(err)
			}
			if !w.alive(first.AccessToken) || first.Type() != "Bearer" || first.Extra("scope") != "paput.read" {
				t.Errorf("got %+v", first)
			}
			w.advance(3600e9)
			expired := *first
			expired.Expiry = expired.Expiry.AddDate(-10, 0, 0)
			second, err := c.TokenSource(t.Context(), &expired).Token()
			if err != nil {
				t.Fatal(err)
			}
			if !w.alive(second.AccessToken) || second.RefreshToken == first.RefreshToken {
				t.Errorf("got %+v after %+v", second, first)
			}
			res, err := c.Client(t.Context(), second).Get(w.http.URL + "/jwks")
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("got %v, %v", res, err)
			}
			res.Body.Close()
		})
	}
}
