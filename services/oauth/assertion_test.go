package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// signer is a client's private key.
type signer struct {
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
	keyID     string
}

func newSigner(tb testing.TB, algorithm jose.SignatureAlgorithm, keyID string) signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return signer{algorithm, key, keyID}
}

// jwks is the public key set of signers.
func jwks(tb testing.TB, signers ...signer) string {
	tb.Helper()
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.private.Public(), KeyID: s.keyID})
	}
	text, err := json.Marshal(set)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// sign makes a JWT by hand, so that it can be wrong.
func (s signer) sign(tb testing.TB, header map[string]any, claims any) string {
	tb.Helper()
	key := any(s.private)
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	options := &jose.SignerOptions{}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	if s.keyID != "" {
		key = jose.JSONWebKey{Key: s.private, KeyID: s.keyID}
	}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.algorithm, Key: key}, options)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := made.Sign(payload)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

var assertions atomic.Int64

// claims are good ones.
func (w *world) claims(id string) map[string]any {
	return map[string]any{
		"iss": id, "sub": id, "aud": w.url, "jti": fmt.Sprint("jti ", assertions.Add(1)),
		"iat": w.Now().Unix(), "exp": w.Now().Add(time.Minute).Unix(),
	}
}

// asserted is a form with an assertion.
func asserted(form url.Values, assertion string) url.Values {
	return alter(clone(form), []string{"client_assertion_type", assertionType, "client_assertion", assertion})
}

// signing is a client that signs, and its key.
type signing struct {
	*app
	signer
}

func (w *world) signing(algorithm jose.SignatureAlgorithm, keyID string) signing {
	w.Helper()
	s := newSigner(w, algorithm, keyID)
	a := w.preregister(&oauthv1.Client{
		AuthMethod: "private_key_jwt", Jwks: jwks(w, s), Scopes: []string{"paput.read"},
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"},
	})
	return signing{a, s}
}

func (s signing) post(path string, form url.Values) reply {
	s.Helper()
	return s.send(http.MethodPost, path, form.Encode(), "Content-Type", formType)
}

// fresh is a new good assertion.
func (s signing) fresh() string {
	s.Helper()
	return s.sign(s, map[string]any{}, s.claims(s.id))
}

func TestSignedAssertions(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.PS256, jose.EdDSA} {
		for _, keyID := range []string{"", "first"} {
			t.Run(string(algorithm)+keyID, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				c := w.signing(algorithm, keyID)
				if c.secret != "" {
					t.Error("it got a secret")
				}
				first := c.post("/token", asserted(c.redeemForm(c.code(w.newBrowser("acct_1"))), c.fresh())).tokens(t)
				second := c.post("/token", asserted(c.refreshForm(first.refresh), c.fresh())).tokens(t)
				if !w.alive(second.access) {
					t.Error("the token is worth nothing")
				}
				if r := c.post("/token", asserted(url.Values{"grant_type": {"client_credentials"}}, c.fresh())); r.status != http.StatusOK {
					t.Errorf("client_credentials: got %d %s", r.status, r.body)
				}
				if r := c.post("/revoke", asserted(url.Values{"token": {second.access}}, c.fresh())); r.status != http.StatusOK || w.alive(second.access) {
					t.Errorf("revoke: got %d %s", r.status, r.body)
				}
			})
		}
	}
}

// stray signs the claims, and says them in a way that decodes to the same: the last bits of the part mean nothing.
func (s signing) stray(claims map[string]any) string {
	s.Helper()
	for {
		parts := strings.Split(s.sign(s, map[string]any{}, claims), ".")
		if last := len(parts[1]) - 1; len(parts[1])%4 != 0 {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			parts[1] = parts[1][:last] + alphabet[strings.IndexByte(alphabet, parts[1][last])+1:][:1]
			return strings.Join(parts, ".")
		}
		claims["jti"] = fmt.Sprint(claims["jti"], "x")
	}
}

// part writes one part of a JWT.
func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestAssertionRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, other := w.signing(jose.ES256, "a"), w.signing(jose.ES256, "a")
	rsaClient := w.signing(jose.RS256, "")
	secret := w.preregister(&oauthv1.Client{AuthMethod: "client_secret_post"})
	public := w.register(nil)
	stranger := signer{jose.ES256, scalarOne(t), ""}
	claims := func(pairs ...any) map[string]any {
		m := c.claims(c.id)
		for i := 0; i+1 < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
			if pairs[i+1] == nil {
				delete(m, pairs[i].(string))
			}
		}
		return m
	}
	none := map[string]any{}
	at := func(d time.Duration) int64 { return w.Now().Add(d).Unix() }
	forged := func(header string, key []byte) string {
		text, _ := json.Marshal(claims())
		input := part(header) + "." + part(string(text))
		return input + "." + base64.RawURLEncoding.EncodeToString(hmacSHA256(key, input))
	}
	public256, _ := json.Marshal(jose.JSONWebKey{Key: rsaClient.private.Public()})
	half := strings.Split(c.fresh(), ".")
	tests := map[string]string{
		"no JWT":                          "x",
		"two parts":                       half[0] + "." + half[1],
		"five parts":                      half[0] + "." + half[1] + "." + half[2] + ".x.y",
		"not base64url":                   half[0] + ".%." + half[2],
		"padding":                         half[0] + "=." + half[1] + "." + half[2],
		"stray bits":                      c.stray(claims()),
		"line break":                      half[0] + "\n." + half[1] + "." + half[2],
		"JSON serialization":              `{"payload":"` + half[1] + `","protected":"` + half[0] + `","signature":"` + half[2] + `"}`,
		"no signature":                    half[0] + "." + half[1] + ".",
		"no algorithm":                    part(`{"alg":"none"}`) + "." + half[1] + ".",
		"HS256 with the public key":       forged(`{"alg":"HS256"}`, public256),
		"HS256 with nothing":              forged(`{"alg":"HS256"}`, nil),
		"RS384":                           signer{jose.RS384, rsaClient.private, ""}.sign(t, none, w.claims(rsaClient.id)),
		"another sort of key":             signer{jose.EdDSA, newSigner(t, jose.EdDSA, "").private, "a"}.sign(t, none, claims()),
		"another client's key":            signer{jose.ES256, other.private, "a"}.sign(t, none, claims()),
		"another client":                  c.sign(t, none, w.claims(other.id)),
		"unknown kid":                     signer{jose.ES256, c.private, "b"}.sign(t, none, claims()),
		"changed claims":                  half[0] + "." + part(fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"jti":"x","exp":%d}`, c.id, c.id, w.url, at(time.Minute))) + "." + half[2],
		"crit":                            c.sign(t, map[string]any{"crit": []string{"exp"}, "exp": 1}, claims()),
		"crit of nothing":                 c.sign(t, map[string]any{"crit": []string{}}, claims()),
		"b64":                             c.sign(t, map[string]any{"b64": true}, claims()),
		"access token's type":             c.sign(t, map[string]any{"typ": "at+jwt"}, claims()),
		"DPoP proof's type":               c.sign(t, map[string]any{"typ": "dpop+jwt"}, claims()),
		"issuer missing":                  c.sign(t, none, claims("iss", nil)),
		"another issuer":                  c.sign(t, none, claims("iss", other.id)),
		"subject missing":                 c.sign(t, none, claims("sub", nil)),
		"another subject":                 c.sign(t, none, claims("sub", other.id)),
		"audience missing":                c.sign(t, none, claims("aud", nil)),
		"audience empty":                  c.sign(t, none, claims("aud", []string{})),
		"audience of another server":      c.sign(t, none, claims("aud", "https://evil.example")),
		"one more audience":               c.sign(t, none, claims("aud", []string{w.url, "https://evil.example"})),
		"audience with a slash":           c.sign(t, none, claims("aud", w.url+"/")),
		"audience of the revocation":      c.sign(t, none, claims("aud", w.url+"/revoke")),
		"audience no string":              c.sign(t, none, claims("aud", []any{w.url, 1})),
		"id missing":                      c.sign(t, none, claims("jti", nil)),
		"id empty":                        c.sign(t, none, claims("jti", "")),
		"id no string":                    c.sign(t, none, claims("jti", 1)),
		"id too long":                     c.sign(t, none, claims("jti", strings.Repeat("x", 256))),
		"expiry missing":                  c.sign(t, none, claims("exp", nil)),
		"expiry no number":                c.sign(t, none, claims("exp", fmt.Sprint(at(time.Minute)))),
		"expiry null":                     c.sign(t, none, claims("exp", json.RawMessage("null"))),
		"expiry beyond all":               c.sign(t, none, claims("exp", 1e300)),
		"expired":                         c.sign(t, none, claims("exp", at(-30*time.Second))),
		"for too long":                    c.sign(t, none, claims("exp", at(5*time.Minute+31*time.Second))),
		"not yet":                         c.sign(t, none, claims("nbf", at(31*time.Second))),
		"not before all":                  c.sign(t, none, claims("nbf", 1e300)),
		"never":                           c.sign(t, none, claims("nbf", at(20*time.Second), "exp", at(10*time.Second))),
		"no number before which":          c.sign(t, none, claims("nbf", "now")),
		"made tomorrow":                   c.sign(t, none, claims("iat", at(31*time.Second))),
		"made long ago":                   c.sign(t, none, claims("iat", at(-5*time.Minute-31*time.Second))),
		"of a client with a secret":       c.sign(t, none, w.claims(secret.id)),
		"of a public client":              c.sign(t, none, w.claims(public.id)),
		"of nobody":                       c.sign(t, none, w.claims("client_999")),
		"of nobody with the public decoy": stranger.sign(t, none, w.claims("client_999")),
		"with the public decoy":           stranger.sign(t, none, claims()),
		"of a document":                   c.sign(t, none, w.claims("https://app.example/client.json")),
		"a claim twice":                   half[0] + "." + part(`{"iss":"a","iss":"b"}`) + "." + half[2],
		"no object":                       half[0] + "." + part(`[]`) + "." + half[2],
		"too large":                       c.sign(t, none, claims("x", strings.Repeat("x", 8<<10))),
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}
	for name, assertion := range tests {
		t.Run(name, func(t *testing.T) {
			for path, form := range map[string]url.Values{"/token": refresh, "/revoke": {"token": {"x"}}, "/introspect": {"token": {"x"}}} {
				r := c.post(path, asserted(form, assertion))
				r.wantError(t, 401, "invalid_client", "client authentication failed: register again")
				if got := r.header.Get("WWW-Authenticate"); got != "" {
					t.Errorf("%s: got WWW-Authenticate %q", path, got)
				}
			}
		})
	}
	for name, form := range map[string]url.Values{
		"client_id of another":    alter(asserted(refresh, c.fresh()), []string{"client_id", other.id}),
		"client_id of a document": alter(asserted(refresh, c.fresh()), []string{"client_id", "https://app.example/client.json"}),
		"no assertion at all":     alter(clone(refresh), []string{"client_id", c.id}),
		"a secret instead":        alter(clone(refresh), []string{"client_id", c.id, "client_secret", "x"}),
	} {
		t.Run(name, func(t *testing.T) {
			c.post("/token", form).wantError(t, 401, "invalid_client", "client authentication failed: register again")
		})
	}
	for want, form := range map[string]url.Values{
		"client_assertion_type must be " + assertionType:           alter(asserted(refresh, c.fresh()), []string{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}),
		"client_assertion_type must be  " + assertionType:          alter(asserted(refresh, c.fresh()), []string{"client_assertion_type", "-"}),
		"client_assertion is missing":                              alter(asserted(refresh, ""), []string{"client_id", c.id}),
		"client authentication must not use more than one method":  alter(asserted(refresh, c.fresh()), []string{"client_id", c.id, "client_secret", "x"}),
		"client authentication must not use  more than one method": alter(asserted(refresh, c.fresh()), []string{"client_secret", "x"}),
		"a parameter is given more than once":                      alter(asserted(refresh, c.fresh()), []string{"+client_assertion", "x"}),
	} {
		t.Run(want, func(t *testing.T) {
			c.post("/token", form).wantError(t, 400, "invalid_request", strings.ReplaceAll(want, "  ", " "))
		})
	}
	if log := w.logged.String(); strings.Contains(log, half[1]) || !strings.Contains(log, "client not authenticated") {
		t.Errorf("got log %s", log)
	}
}

func TestAssertionAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.signing(jose.ES256, "a")
	at := func(d time.Duration) float64 { return float64(w.Now().Add(d).UnixMilli()) / 1000 }
	for name, change := range map[string][]any{
		"token endpoint":       {"aud", w.url + "/token"},
		"both":                 {"aud", []string{w.url + "/token", w.url}},
		"within the skew":      {"exp", at(-29 * time.Second)},
		"as long as may be":    {"exp", at(5*time.Minute + 30*time.Second)},
		"clock ahead":          {"nbf", at(29 * time.Second), "iat", at(29 * time.Second)},
		"clock behind":         {"iat", at(-5*time.Minute - 29*time.Second)},
		"fraction of a second": {"exp", at(1500 * time.Millisecond)},
		"other claims":         {"scope", "x", "nbf", 1},
		"long id":              {"jti", strings.Repeat("x", 255)},
		"no iat":               {"iat", nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.claims(c.id)
			for i := 0; i+1 < len(change); i += 2 {
				m[change[i].(string)] = change[i+1]
				if change[i+1] == nil {
					delete(m, change[i].(string))
				}
			}
			r := c.post("/token", alter(asserted(c.refreshForm("x"), c.sign(t, map[string]any{"typ": "client-authentication+jwt"}, m)), []string{"client_id", c.id}))
			r.wantError(t, 400, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
		})
	}
	for _, kind := range []string{"JWT", "application/jwt", "application/client-authentication+jwt"} {
		t.Run(kind, func(t *testing.T) {
			r := c.post("/token", asserted(c.refreshForm("x"), c.sign(t, map[string]any{"typ": kind}, c.claims(c.id))))
			r.wantError(t, 400, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
		})
	}
}

// An assertion is good once, wherever it is shown, however many show it at once.
func TestAssertionIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, other := w.signing(jose.ES256, "a"), w.signing(jose.ES256, "a")
	const refused, id = "client authentication failed: register again", "the same id"
	m := c.claims(c.id)
	m["jti"] = id
	once := c.sign(t, map[string]any{}, m)
	if r := c.post("/revoke", asserted(url.Values{"token": {"x"}}, once)); r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	again := c.sign(t, map[string]any{}, m) // with another signature
	for _, path := range []string{"/token", "/revoke", "/introspect"} {
		for _, assertion := range []string{once, again} {
			form := alter(c.refreshForm("x"), []string{"token", "x"})
			c.post(path, asserted(form, assertion)).wantError(t, 401, "invalid_client", refused)
		}
	}
	theirs := w.claims(other.id)
	theirs["jti"] = id
	if r := c.post("/revoke", asserted(url.Values{"token": {"x"}}, other.sign(t, map[string]any{}, theirs))); r.status != http.StatusOK {
		t.Errorf("another client's assertion with the same id: got %d %s", r.status, r.body)
	}
	for _, service := range []signing{c, other} {
		m := service.claims(service.id)
		m["jti"] = "the same id at client_credentials"
		service.post("/token", asserted(serviceForm(), service.sign(t, map[string]any{}, m))).tokens(t)
	}
	// When it is forgotten it has expired.
	w.advance(time.Minute + 29*time.Second)
	c.post("/token", asserted(c.refreshForm("x"), once)).wantError(t, 401, "invalid_client", refused)
	w.advance(time.Second)
	c.post("/token", asserted(c.refreshForm("x"), once)).wantError(t, 401, "invalid_client", refused)

	shared := c.fresh()
	var good atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if r := c.post("/token", asserted(url.Values{"grant_type": {"client_credentials"}}, shared)); r.status == http.StatusOK {
				good.Add(1)
			}
		})
	}
	group.Wait()
	if good.Load() != 1 {
		t.Errorf("got %d tokens of one assertion", good.Load())
	}
}

// golang.org/x/oauth2 signs nothing itself, and sends along what it is given.
func TestGoServiceSigns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.signing(jose.EdDSA, "a")
	config := clientcredentials.Config{
		ClientID: c.id, TokenURL: w.http.URL + "/token", AuthStyle: oauth2.AuthStyleInParams,
		EndpointParams: asserted(url.Values{}, c.fresh()),
	}
	token, err := config.Token(t.Context())
	if err != nil || !w.alive(token.AccessToken) {
		t.Fatalf("got %v, %v", token, err)
	}
	var refused *oauth2.RetrieveError
	if _, err := config.Token(t.Context()); !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" {
		t.Errorf("the second time: got %v", err)
	}
}

// A failed assertion can be shown again: it was not used.
func TestRefusedAssertionIsNotSpent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.signing(jose.ES256, "a")
	m := c.claims(c.id)
	m["nbf"] = w.Now().Add(time.Minute).Unix()
	m["exp"] = w.Now().Add(2 * time.Minute).Unix()
	early := c.sign(t, map[string]any{}, m)
	c.post("/token", asserted(c.refreshForm("x"), early)).wantError(t, 401, "invalid_client", "client authentication failed: register again")
	w.advance(time.Minute)
	c.post("/token", asserted(c.refreshForm("x"), early)).wantError(t, 400, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
}

// Keys are changed over by registering both for a while.
func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, third := newSigner(t, jose.ES256, "1"), newSigner(t, jose.ES256, "2"), newSigner(t, jose.EdDSA, "")
	a := w.preregister(&oauthv1.Client{AuthMethod: "private_key_jwt", Jwks: jwks(t, first, second, third)})
	for _, s := range []signer{first, second, third, {jose.ES256, second.private, ""}, {jose.EdDSA, third.private, "unheard of"}} {
		c := signing{a, s}
		c.post("/token", asserted(c.refreshForm("x"), c.fresh())).wantError(t, 400, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
	}
	c := signing{a, signer{jose.ES256, second.private, "1"}}
	c.post("/token", asserted(c.refreshForm("x"), c.fresh())).wantError(t, 401, "invalid_client", "client authentication failed: register again")
}

func TestIntrospectionByAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newSigner(t, jose.EdDSA, "")
	c := signing{w.preregister(&oauthv1.Client{AuthMethod: "private_key_jwt", Jwks: jwks(t, s), Resource: "https://api.example"}), s}
	token := w.register(nil).login("acct_1", "resource", "https://api.example").access
	once := c.fresh()
	if r := c.post("/introspect", asserted(url.Values{"token": {token}}, once)); r.json("active") != true {
		t.Errorf("got %d %s", r.status, r.body)
	}
	c.post("/introspect", asserted(url.Values{"token": {token}}, once)).wantError(t, 401, "invalid_client", "client authentication failed: register again")
}

func TestKeySetRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ec, r := newSigner(t, jose.ES256, "a"), newSigner(t, jose.RS256, "a")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key := func(s signer, members ...any) map[string]any {
		var m struct{ Keys []map[string]any }
		if err := json.Unmarshal([]byte(jwks(t, s)), &m); err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(members); i += 2 {
			m.Keys[0][members[i].(string)] = members[i+1]
		}
		return m.Keys[0]
	}
	set := func(keys ...any) string {
		text, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: ec.private})
	if err != nil {
		t.Fatal(err)
	}
	const shape, sort = "the key set must be a JSON object with the member keys (RFC 7517, section 5)", "key 1: it is no EC key on P-256, P-384 or P-521, no RSA key of 2048 to 4096 bits and no Ed25519 key"
	const hasPrivate = "key 1: it has private parts: give the public part only, and use another key if these have been seen by anyone"
	tests := []struct{ name, jwks, want string }{
		{"no JSON", "x", shape},
		{"a key alone", string(private), shape},
		{"no keys", set(), shape},
		{"no list", `{"keys":{}}`, shape},
		{"two lists", `{"keys":[],"keys":[]}`, shape},
		{"eleven", set(make([]any, 11)...), "the key set has more than 10 keys"},
		{"large", `{"keys":[],"x":"` + strings.Repeat("x", 16<<10) + `"}`, "the key set is larger than 16 KiB"},
		{"no key", set(1), "key 1: it is no JSON object with each member once"},
		{"private", set(json.RawMessage(private)), hasPrivate},
		{"private RSA", set(key(r, "dp", "AA")), hasPrivate},
		{"shared", set(map[string]any{"kty": "oct", "k": "AAAA"}), "key 1: it is a shared secret: give the public part of an EC, RSA or Ed25519 key"},
		{"another curve", set(key(ec, "crv", "secp256k1")), sort},
		{"X25519", set(map[string]any{"kty": "OKP", "crv": "X25519", "x": part(strings.Repeat("x", 32))}), sort},
		{"not on the curve", set(key(ec, "y", part(strings.Repeat("x", 32)))), sort},
		{"small RSA", set(key(signer{jose.RS256, small, ""})), "key 1: it is an RSA key of 1024 bits: 2048 to 4096 are allowed"},
		{"large RSA", set(map[string]any{"kty": "RSA", "e": "AQAB", "n": part(strings.Repeat("\xff", 513))}), sort},
		{"exponent of one", set(key(r, "e", "AQ")), "key 1: it is no RSA key"},
		{"even exponent", set(key(r, "e", "AQAA")), "key 1: it is no RSA key"},
		{"even modulus", set(map[string]any{"kty": "RSA", "e": "AQAB", "n": part(strings.Repeat("\xfe", 256))}), "key 1: it is no RSA key"},
		{"for encryption", set(key(ec, "use", "enc")), "key 1: its use must be sig"},
		{"another algorithm", set(key(ec, "alg", "ES384")), "key 1: its alg must be one of [ES256]"},
		{"HMAC", set(key(r, "alg", "HS256")), "key 1: its alg must be one of [RS256 PS256]"},
		{"kid of another type", set(key(ec, "kid", 1)), "key 1: its kid 1 is no string of 1 to 255 bytes"},
		{"the same kid", set(key(ec), key(r)), "key 2: each key needs a kid of its own"},
		{"no kids", set(key(signer{jose.ES256, ec.private, ""}), key(signer{jose.RS256, r.private, ""})), "key 2: each key needs a kid of its own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.admin().CreateClient(t.Context(), &oauthv1.CreateClientRequest{Client: &oauthv1.Client{
				Name: "App", AuthMethod: "private_key_jwt", Jwks: tt.jwks, RedirectUris: []string{loopbackRedirect}, GrantTypes: []string{"authorization_code"},
			}})
			if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.HasSuffix(err.Error(), ": jwks: "+tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	// What is not needed is not kept, and a key that says what it is for is held to it.
	pinned := w.preregister(&oauthv1.Client{AuthMethod: "private_key_jwt", Jwks: set(key(r, "alg", "PS256", "x5u", "https://evil.example", "key_ops", []string{"verify"}))})
	list, err := w.admin().ListClients(t.Context(), &oauthv1.ListClientsRequest{})
	if err != nil || strings.Contains(list.GetClients()[0].GetJwks(), "evil") || !strings.Contains(list.GetClients()[0].GetJwks(), `"kid":"a"`) {
		t.Errorf("got %v, %v", list, err)
	}
	for algorithm, want := range map[jose.SignatureAlgorithm]string{jose.RS256: "invalid_client", jose.PS256: "invalid_grant"} {
		c := signing{pinned, signer{algorithm, r.private, "a"}}
		if got := c.post("/token", asserted(c.refreshForm("x"), c.fresh())); got.text("error") != want {
			t.Errorf("%s: got %s, want %s", algorithm, got.body, want)
		}
	}
}

// Apps that register themselves have no keys that anyone has vouched for.
func TestRegistrationWithKeysRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.registerBody(`{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":` + jwks(t, newSigner(t, jose.ES256, "")) + `}`)
	r.wantError(t, 400, "invalid_client_metadata", "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")
}

func hmacSHA256(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// scalarOne is the private key that belongs to the generator of P-256, whose public key anyone may be thought to have.
func scalarOne(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	raw, err := hex.DecodeString(strings.Repeat("0", 63) + "1")
	if err != nil {
		tb.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
