package account

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"time"
)

// cookies names and sets the cookies. With the prefix "__Host-" a browser accepts a cookie only over https, for this host
// alone and from this host alone; over plain http, which is for one's own machine, there is no such prefix.
type cookies struct{ secure bool }

func (c cookies) name(base string) string {
	if c.secure {
		return "__Host-" + base
	}
	return base
}

const (
	sessionCookie = "paput_session"
	browserCookie = "paput_browser"
	formCookie    = "paput_form"
)

// read returns the secret in a cookie; "" when there is none or it is nothing that newSecret made.
func (c cookies) read(r *http.Request, base string) string {
	cookie, err := r.Cookie(c.name(base))
	if err != nil {
		return ""
	}
	if b, err := base64.RawURLEncoding.DecodeString(cookie.Value); err != nil || len(b) != 32 {
		return ""
	}
	return cookie.Value
}

func (c cookies) session(r *http.Request) string { return c.read(r, sessionCookie) }

func (c cookies) browser(r *http.Request) browser {
	return browser{session: c.session(r), known: c.read(r, browserCookie)}
}

// set sets a cookie; with an empty value it deletes it. A life of 0 ends with the browser.
func (c cookies) set(w http.ResponseWriter, base, value string, life time.Duration) {
	http.SetCookie(w, c.make(base, value, life))
}

// make is the cookie that set sets.
//
// SameSite is Lax because people arrive at these pages by redirects from other sites.
func (c cookies) make(base, value string, life time.Duration) *http.Cookie {
	age := int(life / time.Second)
	if value == "" {
		age = -1
	}
	return &http.Cookie{ //nolint:gosec // Secure is missing on http only, which is for loopback
		Name: c.name(base), Value: value, Path: "/", MaxAge: age,
		Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func (c cookies) setBrowser(w http.ResponseWriter, b browser) {
	c.set(w, sessionCookie, b.session, sessionLife)
	c.set(w, browserCookie, b.known, browserLife)
}

// formToken returns the token that forms on a page carry and sets the cookie that has to come back with it. A page of
// another site can make a browser send a form here, but knows neither.
func (c cookies) formToken(w http.ResponseWriter, r *http.Request) string {
	token := c.read(r, formCookie)
	if token == "" {
		token = newSecret()
		c.set(w, formCookie, token, 0)
	}
	return token
}

// formTokenMatches says whether a form's token is that of the cookie.
func (c cookies) formTokenMatches(r *http.Request, token string) bool {
	want := c.read(r, formCookie)
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(token)) == 1
}

// originCheck refuses forms that another site's page sent: those with a Sec-Fetch-Site header that says so or, from
// browsers without that, with an Origin that is neither the request's host nor the public one.
type originCheck struct{ protection *http.CrossOriginProtection }

func newOriginCheck(public string) originCheck {
	p := http.NewCrossOriginProtection()
	if err := p.AddTrustedOrigin(public); err != nil {
		panic("account: " + err.Error())
	}
	return originCheck{p}
}

func (o originCheck) allows(r *http.Request) bool { return o.protection.Check(r) == nil }
