package oauth_test

import (
	"bytes"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/paput/paput/services/oauth"
)

// testKey is another key for each number; the first is the one that newWorld begins with.
func testKey(n byte) []byte {
	if n == 1 {
		return []byte("0123456789abcdef0123456789abcdef")
	}
	return bytes.Repeat([]byte{n}, 32)
}

// useKeys puts key number current in use; those of the other numbers were retired just now.
func (w *world) useKeys(current byte, earlier ...byte) {
	w.Helper()
	var retired []oauth.EarlierKey
	for _, n := range earlier {
		retired = append(retired, oauth.EarlierKey{Key: testKey(n), Retired: w.Now()})
	}
	if err := w.server.UseKeys(testKey(current), retired...); err != nil {
		w.Fatal(err)
	}
}

func TestConsentAcrossRotations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.register(nil), w.newBrowser("acct_1")
	path := b.begin(a.query())
	w.useKeys(2, 1)
	form := b.consentForm(path, "approve") // the page is opened after one rotation
	w.useKeys(3, 2, 1)
	w.advance(9*time.Minute + 59*time.Second) // and answered after another, at the last moment
	r := b.post("/consent", form)
	if r.status != http.StatusSeeOther {
		t.Fatalf("got %d: %s", r.status, r.body)
	}
	a.token(a.redeemForm(r.location(t).Query().Get("code"))).tokens(t)
}

func TestConsentUnderAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	overlap := oauth.Lifetimes{}.KeyOverlap()
	for _, test := range []struct {
		name  string
		ended time.Duration // how long ago the key was retired
		want  int
	}{
		{"past its time", overlap, http.StatusBadRequest},
		{"in its last second", overlap - time.Second, http.StatusSeeOther},
		{"retired by a clock that was ahead", -5 * time.Minute, http.StatusSeeOther},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, b := w.register(nil), w.newBrowser("acct_1")
			path := b.begin(a.query())
			form := b.consentForm(path, "approve")
			if err := w.server.UseKeys(testKey(2), oauth.EarlierKey{Key: testKey(1), Retired: w.Now().Add(-test.ended)}); err != nil {
				t.Fatal(err)
			}
			if r := b.post("/consent", form); r.status != test.want {
				t.Errorf("answer: got %d, want %d: %s", r.status, test.want, r.body)
			}
		})
	}
}

func TestConsentUnderAForgottenKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.register(nil), w.newBrowser("acct_1")
	path := b.begin(a.query())
	form := b.consentForm(path, "approve")
	w.useKeys(2)
	if r := b.post("/consent", form); r.status != http.StatusBadRequest {
		t.Errorf("answer: got %d, want 400: %s", r.status, r.body)
	}
	if r := b.get(path); r.status != http.StatusBadRequest {
		t.Errorf("page: got %d, want 400: %s", r.status, r.body)
	}
	a.code(b) // what begins afterwards goes well
}

// TestTokenOfAnotherRequest sees to it that with more keys than one a form token still fits one request alone.
func TestTokenOfAnotherRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.register(nil), w.newBrowser("acct_1")
	before := b.consentForm(b.begin(a.query()), "approve")
	w.useKeys(2, 1)
	after := b.consentForm(b.begin(a.query()), "approve")
	after.Set("csrf", before.Get("csrf"))
	if r := b.post("/consent", after); r.status != http.StatusForbidden {
		t.Errorf("got %d, want 403", r.status)
	}
}

func TestRefreshAcrossRotations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	first := a.login("acct_1").refresh
	second := a.token(a.refreshForm(first)).tokens(t).refresh
	w.useKeys(2, 1)
	if got := a.token(a.refreshForm(first)).tokens(t).refresh; got != second {
		t.Errorf("repeated after a rotation: got another successor")
	}
	third := a.token(a.refreshForm(second)).tokens(t).refresh
	w.useKeys(3, 2, 1)
	if got := a.token(a.refreshForm(second)).tokens(t).refresh; got != third {
		t.Errorf("repeated after two rotations: got another successor")
	}
	w.advance(30 * time.Second)
	if got := a.token(a.refreshForm(second)).tokens(t).refresh; got != third {
		t.Errorf("repeated at the end of the grace time: got another successor")
	}
	fourth := a.token(a.refreshForm(third)).tokens(t).refresh
	w.advance(31 * time.Second)
	w.useKeys(4, 3, 2, 1)
	a.token(a.refreshForm(third)).wantError(t, http.StatusBadRequest, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
	if r := a.token(a.refreshForm(fourth)); r.status != http.StatusBadRequest {
		t.Errorf("a rotation must not hide reuse: got %d", r.status)
	}
}

// TestRefreshUnderAForgottenKey says what forgetting breaks, and what it does not.
func TestRefreshUnderAForgottenKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	first := a.login("acct_1").refresh
	second := a.token(a.refreshForm(first)).tokens(t)
	w.useKeys(2)
	a.token(a.refreshForm(first)).wantError(t, http.StatusBadRequest, "invalid_grant", "the refresh token is unknown, expired, used or revoked")
	if !w.alive(second.access) {
		t.Error("the access token ended")
	}
	third := a.token(a.refreshForm(second.refresh)).tokens(t)
	if got := a.token(a.refreshForm(second.refresh)).tokens(t).refresh; got != third.refresh {
		t.Error("repeated: got another successor")
	}
}

// TestRefreshesRaceWithRotations lets many processes refresh with one token while the key changes under them.
func TestRefreshesRaceWithRotations(t *testing.T) {
	t.Parallel()
	const rounds, processes = 10, 16
	w := newWorld(t)
	a := w.register(nil)
	token := a.login("acct_1").refresh
	for round := range byte(rounds) {
		got := make([]string, processes)
		var all sync.WaitGroup
		for i := range processes {
			all.Go(func() {
				r := a.token(a.refreshForm(token))
				if got[i] = r.text("refresh_token"); r.status != http.StatusOK {
					t.Errorf("round %d: got %d: %s", round, r.status, r.body)
				}
			})
		}
		all.Go(func() { w.useKeys(round+2, round+1) })
		all.Wait()
		for _, successor := range got {
			if successor != got[0] {
				t.Fatalf("round %d: got two successors", round)
			}
		}
		token = got[0]
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.server.UseKeys(make([]byte, 31)); err == nil {
		t.Error("a short key: got no error")
	}
	if err := w.server.UseKeys(testKey(2), oauth.EarlierKey{Key: nil, Retired: w.Now()}); err == nil {
		t.Error("an empty earlier key: got no error")
	}
	a := w.register(nil)
	a.login("acct_1") // with the key from before
}

func TestKeyOverlap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give oauth.Lifetimes
		want time.Duration
	}{
		{oauth.Lifetimes{}, 15 * time.Minute},
		{oauth.Lifetimes{Transaction: time.Hour}, 65 * time.Minute},
		{oauth.Lifetimes{Transaction: time.Minute, Grace: 5 * time.Minute}, 15 * time.Minute}, // a device's time
	} {
		if got := test.give.KeyOverlap(); got != test.want {
			t.Errorf("%+v: got %s, want %s", test.give, got, test.want)
		}
	}
}
