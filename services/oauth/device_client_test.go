package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

// An app with a metadata document asks as well; a person sees whose it is also while its site is away.
func TestDeviceWithADocument(t *testing.T) {
	t.Parallel()
	const id = "https://app.example/device.json"
	s := newSite(t)
	s.handle(id, jsonAnswer(`{"client_id":"`+id+`","client_name":"Kiosk","redirect_uris":["https://app.example/cb"],"grant_types":["`+deviceGrant+`"]}`))
	s.serve("https://app.example/none.json", `{"client_id":"https://app.example/none.json","client_name":"Kiosk","grant_types":["`+deviceGrant+`"]}`)
	w := newWorld(t, s.transport)
	w.documented("https://app.example/none.json", "").call("/device_authorization", url.Values{}).
		wantError(t, 401, "invalid_client", textClient)
	w.documented(id, "").ask()
	w.advance(5 * time.Minute)
	d := w.documented(id, "").ask()

	// The document may no longer be used without asking, and there is nobody to ask.
	w.advance(6 * time.Minute)
	s.handle(id, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	b := w.newBrowser("acct_1")
	if r := b.get(devicePage(d.shown)); !strings.Contains(r.body, "<bdi>Kiosk</bdi>") || !strings.Contains(r.body, "<strong>app.example</strong>") {
		t.Errorf("got %d %s", r.status, r.body)
	}
	b.answer(d, "approve")
	if tokens := d.poll().tokens(t); !w.alive(tokens.access) {
		t.Error("the outage of its site has ended a log-in")
	}
	// No log-in begins meanwhile.
	w.documented(id, "").call("/device_authorization", url.Values{}).wantError(t, 401, "invalid_client", textClient)
}

// Nobody proves with the id of an app without a secret that theirs is a device of that app.
func TestDevicesPoseAsApps(t *testing.T) {
	t.Parallel()
	const id = "https://app.example/device.json"
	s := newSite(t)
	s.handle(id, jsonAnswer(`{"client_id":"`+id+`","client_name":"Kiosk","redirect_uris":["https://app.example/cb"],"grant_types":["`+deviceGrant+`"]}`))
	w := newWorld(t, s.transport)
	b := w.newBrowser("acct_1")
	grants := []string{deviceGrant}
	for name, test := range map[string]struct {
		app    *app
		proven bool
	}{
		"with a document":             {w.documented(id, ""), false},
		"registered, without secret":  {w.preregister(&oauthv1.Client{AuthMethod: "none", GrantTypes: grants}), false},
		"registered, with its secret": {w.preregister(&oauthv1.Client{GrantTypes: grants}), true},
	} {
		d := test.app.ask()
		for language, words := range map[string][2]string{
			"en": {"<strong>Unverified app.</strong>", "Registered on this server."},
			"ja": {"<strong>未確認のアプリです。</strong>", "このサーバーに登録されたアプリです。"},
		} {
			r := b.get(devicePage(d.shown), "Accept-Language", language)
			if strings.Contains(r.body, words[0]) == test.proven || strings.Contains(r.body, words[1]) != test.proven {
				t.Errorf("%s, in %s: got %d %s", name, language, r.status, r.body)
			}
		}
	}
}

// A person may answer a page that was opened before the server's key was replaced.
func TestDeviceAcrossRotations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.Lifetimes.Transaction, c.Lifetimes.Grace = time.Second, time.Second })
	b := w.newBrowser("acct_1")
	d := w.registerDevice().ask()
	form := b.consentForm(devicePage(d.shown), "approve")
	w.useKeys(2, 1)
	w.advance(9*time.Minute + 59*time.Second)
	if r := b.post("/device", form); r.status != http.StatusOK {
		t.Fatalf("got %d: %s", r.status, r.body)
	}
	d.poll().tokens(t)
	form = b.consentForm(devicePage(d.ask().shown), "approve")
	w.useKeys(3)
	b.post("/device", form).wantPage(t, 403, "invalid_request", notOurPage)
}

// A client gets no scopes on a device that it would not get in a browser.
func TestDeviceScopesOfAClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.preregister(&oauthv1.Client{GrantTypes: []string{deviceGrant}, Scopes: []string{"paput.read"}})
	d := a.ask("scope", "paput.read paput.write")
	form := w.newBrowser("acct_1").consentForm(devicePage(d.shown), "approve")
	if got := form["scope"]; !slices.Equal(got, []string{"paput.read"}) {
		t.Errorf("got boxes %v", got)
	}
	a.call("/device_authorization", url.Values{"scope": {"paput.write"}}).
		wantError(t, 400, "invalid_scope", "scope names none that this server knows")
}

// No two open requests have one user code, and an old one may come again.
func TestUserCodesThatAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	open := func() (open bool) {
		t.Helper()
		err := w.log.Do(t.Context(), func(tx *eventlog.Tx) (err error) {
			open, err = oauth.IsUserCodeTaken(tx, strings.ReplaceAll(d.shown, "-", ""))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return open
	}
	if !open() {
		t.Error("the code of a request that waits is free")
	}
	w.newBrowser("acct_1").answer(d, "deny")
	w.advance(10*time.Minute - time.Second)
	if !open() {
		t.Error("the code of a request that was answered is free")
	}
	w.advance(time.Second)
	if open() {
		t.Error("the code of a request that is over is taken")
	}
}

// What was ended before the device came for it is not handed out.
func TestDeviceOfAGrantThatEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	b := w.newBrowser("acct_1")
	form := b.consentForm(devicePage(d.shown), "approve")
	b.post("/device", form)
	ended := &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_Revoked{Revoked: &oauthv1.GrantRevoked{}}}
	err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append("grant/"+form.Get("device"), ended) })
	if err != nil {
		t.Fatal(err)
	}
	d.poll().wantError(t, 400, "invalid_grant", textDeviceCode)
}
