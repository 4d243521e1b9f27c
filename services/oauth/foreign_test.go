package oauth_test

import (
	"errors"
	"net/http"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
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

// A client that shows its secret in the wrong place is told so, and the code that it brought is still good.
func TestGoClientInTheWrongStyle(t *testing.T) {
	t.Parallel()
	for method, styles := range map[string][2]oauth2.AuthStyle{
		"client_secret_basic": {oauth2.AuthStyleInParams, oauth2.AuthStyleInHeader},
		"client_secret_post":  {oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.register(map[string]any{"token_endpoint_auth_method": method})
			c := oauth2.Config{
				ClientID: a.id, ClientSecret: a.secret, RedirectURL: a.redirect, Scopes: []string{"paput.read"},
				Endpoint: oauth2.Endpoint{AuthURL: w.url + "/authorize", TokenURL: w.http.URL + "/token"},
			}
			secret := oauth2.GenerateVerifier()
			b := w.newBrowser("acct_1")
			page := b.get(c.AuthCodeURL("state", oauth2.S256ChallengeOption(secret), oauth2.SetAuthURLParam("resource", w.url))).location(t)
			code := b.post("/consent", b.consentForm(page.String(), "approve")).location(t).Query().Get("code")
			c.Endpoint.AuthStyle = styles[0]
			_, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(secret))
			var refused *oauth2.RetrieveError
			if !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" || refused.Response.StatusCode != http.StatusUnauthorized {
				t.Errorf("the wrong style: got %v, want 401 invalid_client", err)
			}
			c.Endpoint.AuthStyle = styles[1]
			if token, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(secret)); err != nil || !w.alive(token.AccessToken) {
				t.Errorf("the right one then: got %v", err)
			}
		})
	}
}

func TestGoService(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method string
		style  oauth2.AuthStyle
	}{
		{"client_secret_basic", oauth2.AuthStyleAutoDetect},
		{"client_secret_basic", oauth2.AuthStyleInHeader},
		{"client_secret_post", oauth2.AuthStyleAutoDetect},
		{"client_secret_post", oauth2.AuthStyleInParams},
	} {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.enroll(func(e *oauthv1.ClientRegistered) { e.AuthMethod = tt.method })
			c := clientcredentials.Config{
				ClientID: a.id, ClientSecret: a.secret, TokenURL: w.http.URL + "/token", AuthStyle: tt.style,
				Scopes: []string{"paput.read"}, EndpointParams: map[string][]string{"account": {"acct_1"}, "resource": {w.url}},
			}
			token, err := c.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !w.alive(token.AccessToken) || token.RefreshToken != "" || token.Extra("scope") != "paput.read" {
				t.Errorf("got %+v", token)
			}
		})
	}
}
