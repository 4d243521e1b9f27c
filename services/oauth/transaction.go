package oauth

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// transaction is an authorization request that waits for the person's answer. The server keeps nothing of it: it travels
// in the address of the consent page, sealed, and is good only in the browser that has its cookie. Strangers can
// therefore begin as many as they like at no cost. Answering it is recorded, and possible once.
type transaction struct {
	ID       string `json:"i"`
	ClientID string `json:"c"`
	// ClientName is what a metadata document said when the request was made, so that what the person reads does not change
	// and is not fetched again before they answer; empty for a client that registered.
	ClientName string `json:"n,omitempty"`
	// ClientDigest is the digest of what that document said; empty for a client that registered.
	ClientDigest []byte    `json:"d,omitempty"`
	RedirectURI  string    `json:"r"`
	State        []byte    `json:"s,omitempty"`
	HasState     bool      `json:"h,omitempty"`
	Challenge    []byte    `json:"p"`
	Resource     string    `json:"a"`
	Scopes       []string  `json:"o"`
	Expires      time.Time `json:"e"`
	// FreshSince is when the person must have signed in at the earliest; zero when it does not matter.
	FreshSince time.Time `json:"f,omitzero"`
	// Ask says that the page is shown whatever the person allowed before.
	Ask bool `json:"q,omitempty"`
	// CookieHash is the SHA-256 of the cookie's value.
	CookieHash []byte `json:"k"`
}

// seal makes the transaction fit for an address.
func (k keys) seal(t transaction) (string, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	payload := base64.RawURLEncoding.EncodeToString(body)
	return payload + "." + base64.RawURLEncoding.EncodeToString(mac(k.transaction, payload)), nil
}

// open is the reverse of seal; ok is false for anything that seal did not make.
func (k keys) open(sealed string) (t transaction, ok bool) {
	payload, tag, _ := strings.Cut(sealed, ".")
	got, err := base64.RawURLEncoding.DecodeString(tag)
	if err != nil || !hmac.Equal(got, mac(k.transaction, payload)) {
		return transaction{}, false
	}
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return transaction{}, false
	}
	return t, json.Unmarshal(body, &t) == nil
}

// formToken is the value that a consent form must carry: it fits one transaction in one browser for one sign-in.
func (k keys) formToken(t transaction, cookie, sessionID string) string {
	return base64.RawURLEncoding.EncodeToString(mac(k.csrf, t.ID+"|"+cookie+"|"+sessionID))
}

// boundTo says whether the request comes from the browser that began the transaction, and returns the cookie's value.
func (t transaction) boundTo(r *http.Request, secure bool) (cookie string, ok bool) {
	c, err := r.Cookie(t.cookieName(secure))
	if err != nil {
		return "", false
	}
	return c.Value, subtle.ConstantTimeCompare(hashSecret(c.Value), t.CookieHash) == 1
}

// cookie returns the cookie that binds the transaction to a browser; with a negative lifetime, the one that takes it away.
// Browsers keep a __Host- cookie to this very host and to https (RFC 6265bis, section 4.1.3); on loopback there is no https.
func (t transaction) cookie(value string, lifetime time.Duration, secure bool) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is off on loopback http only
		Name:     t.cookieName(secure),
		Value:    value,
		Path:     "/",
		MaxAge:   int(lifetime / time.Second),
		Secure:   secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

func (t transaction) cookieName(secure bool) string {
	if secure {
		return "__Host-paput-" + t.ID
	}
	return "paput-" + t.ID
}
