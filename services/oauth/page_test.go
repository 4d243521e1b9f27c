package oauth_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/paput/paput/services/oauth"
)

// TestEveryPageRefersToTheLog goes down each path on which a person is refused something, in both languages.
func TestEveryPageRefersToTheLog(t *testing.T) {
	t.Parallel()
	logged := &lockedBuffer{}
	var failing atomic.Bool
	w := newWorld(t, func(c *oauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.PageRate, c.PageBurst = rate.Inf, 1
		c.SignedIn = func(r *http.Request) (oauth.Person, bool) {
			if failing.Load() {
				panic("the cause of it")
			}
			return signedIn(r)
		}
	})
	a := w.registerWeb()
	b := w.newBrowser("acct_1")
	old := b.begin(a.query())
	w.advance(time.Hour)
	done := b.begin(a.query())
	spent := b.consentForm(done, "approve")
	cookies := b.client.Jar.Cookies(b.request(http.MethodPost, "/consent", "").URL)
	b.post("/consent", spent)
	page := b.begin(a.query("prompt", "consent"))
	form := b.consentForm(page, "approve")
	gone := w.registerWeb()
	orphan := b.begin(gone.query())
	w.send(http.MethodDelete, "/register/"+gone.id, "", "Authorization", "Bearer "+gone.registration)
	authorize := func(pairs ...string) string { return "/authorize?" + a.query(pairs...).Encode() }
	visit := func(path string) func(...string) reply {
		return func(header ...string) reply { return b.get(path, header...) }
	}
	send := func(form url.Values) func(...string) reply {
		return func(header ...string) reply { return b.post("/consent", form, header...) }
	}
	with := func(method, path string) func(...string) reply {
		return func(header ...string) reply { return do(t, b.client, w.request(method, path, "", header...)) }
	}
	for _, tt := range []struct {
		name   string
		act    func(header ...string) reply
		status int
	}{
		{"authorize: unknown client", visit(authorize("client_id", "nobody")), 400},
		{"authorize: no client", visit(authorize("client_id", "-")), 400},
		{"authorize: other redirect", visit(authorize("redirect_uri", "https://evil.example/")), 400},
		{"authorize: no redirect", visit(authorize("redirect_uri", "-")), 400},
		{"authorize: malformed", visit("/authorize?client_id=%zz"), 400},
		{"authorize: too long", visit(authorize("state", strings.Repeat("x", 9<<10))), 414},
		{"authorize: document that cannot be had", visit(authorize("client_id", "https://127.0.0.1/x")), 400},
		{"authorize: method", with(http.MethodPut, "/authorize"), 405},
		{"consent: no transaction", visit("/consent"), 400},
		{"consent: forged transaction", visit("/consent?tx=e30.e30"), 400},
		{"consent: expired", visit(old), 400},
		{"consent: client that is no more", visit(orphan), 400},
		{"consent: forged form", send(alter(clone(form), []string{"csrf", "x"})), 403},
		{"consent: no decision", send(alter(clone(form), []string{"decision", "-"})), 400},
		{"consent: scope that was not asked for", send(alter(clone(form), []string{"+scope", "paput.audit"})), 400},
		{"consent: answered before", func(header ...string) reply {
			req := w.request(http.MethodPost, "/consent", spent.Encode(), append(header, "Content-Type", formType)...)
			for _, c := range cookies {
				req.AddCookie(c)
			}
			return do(t, &http.Client{CheckRedirect: b.client.CheckRedirect}, req)
		}, 400},
		{"consent: method", with(http.MethodDelete, page), 405},
		{"authorize: our fault", func(header ...string) reply {
			failing.Store(true)
			defer failing.Store(false)
			return b.get(authorize(), header...)
		}, 500},
		{"consent: our fault", func(header ...string) reply {
			failing.Store(true)
			defer failing.Store(false)
			return b.get(page, header...)
		}, 500},
	} {
		for language, label := range map[string]string{"en": "Reference: ", "ja": "参照番号："} {
			r := tt.act("Accept-Language", language)
			_, rest, _ := strings.Cut(r.body, label+"<code>")
			reference, _, _ := strings.Cut(rest, "</code>")
			if r.status != tt.status || reference == "" || strings.Count(logged.String(), "request_id="+reference+" ") != 1 {
				t.Errorf("%s: got %d with the reference %q, which the log does not have once: %s", tt.name, r.status, reference, r.body)
			}
			if strings.Contains(r.body, "cause of it") || !strings.Contains(r.body, `<html lang="`+language+`">`) {
				t.Errorf("%s: got %s", tt.name, r.body)
			}
			r.wantSafePage(t)
		}
	}
	for _, secret := range []string{"acct_1@", "st&te", "evil.example", form.Get("csrf"), form.Get("tx")} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log has %q: %s", secret, logged)
		}
	}
}
