package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/oauth"
)

const (
	cannotAnswer = "This request cannot be answered"
	notOurPage   = "The answer did not come from our page"
	answered     = "You have answered this already"
)

func TestConsentSendsStrangersToSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("")
	page := b.begin(a.query())
	r := b.get(page)
	if want := "/login?next=" + url.QueryEscape(page); r.status != http.StatusSeeOther || r.header.Get("Location") != want {
		t.Errorf("got %d to %q, want 303 to %q", r.status, r.header.Get("Location"), want)
	}
	b.signIn("acct_1")
	if r := b.get(page); r.status != http.StatusOK {
		t.Errorf("after the sign-in: got %d: %s", r.status, r.body)
	}
}

func TestConsentPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hostile := w.register(map[string]any{"client_name": `"><script>alert(1)</script>`})
	web := w.register(map[string]any{"client_name": "", "redirect_uris": []string{"https://app.example:8443/cb"}})
	b := w.newBrowser("acct_1")
	tests := []struct {
		name, path, language string
		want, never          []string
	}{
		{"English", b.begin(hostile.query()), "", []string{
			`<html lang="en">`, "Connect “<bdi>&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</bdi>”?", "<strong>Unverified app.</strong>",
			"<strong>on this computer</strong> (127.0.0.1)", "<dd>acct_1@example.com<br>", "<dd>" + w.url + "</dd>",
			`<label for="paput.read"><input type="checkbox" id="paput.read" name="scope" value="paput.read" checked> <span>Read and search your memos and notes, and see your e-mail address</span></label>`,
			`<button class="primary" type="submit" name="decision" value="approve">Allow</button>`,
			`<button class="quiet" type="submit" name="decision" value="deny">Don’t allow</button>`,
			`<meta name="viewport"`, `<link rel="stylesheet" href="/assets/paput.css">`,
		}, []string{"<script", "paput.publish"}},
		{"Japanese", b.begin(hostile.query("scope", "paput.capture")), "ja,en;q=0.5", []string{
			`<html lang="ja">`, "「<bdi>&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</bdi>」を接続しますか？", "<strong>未確認のアプリです。</strong>",
			"<strong>このコンピューター上のプログラム</strong>（127.0.0.1）", ">許可する</button>", ">許可しない</button>",
			`<span>メモの候補を提案する（承認するのはあなたです）</span>`,
		}, []string{"<script", "paput.read"}},
		{"Japanese is second", b.begin(hostile.query()), "en,ja;q=0.5", []string{`<html lang="en">`}, nil},
		{"neither", b.begin(hostile.query()), "fr", []string{`<html lang="en">`}, nil},
		{"a web app without a name", b.begin(web.query("state", `"><script>alert(2)</script>`)), "", []string{
			"Connect an app that gave no name?", "goes to <strong>app.example:8443</strong>",
		}, []string{"<script", "on this computer"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := b.get(tt.path, "Accept-Language", tt.language)
			if r.status != http.StatusOK {
				t.Fatalf("got %d", r.status)
			}
			r.wantSafePage(t)
			if deny, approve := strings.Index(r.body, `value="deny"`), strings.Index(r.body, `value="approve"`); deny < 0 || approve < deny {
				t.Error("Enter in the form would allow: the first button must deny")
			}
			for _, want := range tt.want {
				if !strings.Contains(r.body, want) {
					t.Errorf("the page lacks %q:\n%s", want, r.body)
				}
			}
			for _, never := range tt.never {
				if strings.Contains(r.body, never) {
					t.Errorf("the page has %q", never)
				}
			}
		})
	}
}

func TestConsentToLess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	form := b.consentForm(b.begin(a.query("scope", "paput.read paput.write paput.publish")), "approve")
	if got, want := form["scope"], []string{"paput.read", "paput.write", "paput.publish"}; !slices.Equal(got, want) {
		t.Fatalf("got boxes %v, want %v", got, want)
	}
	form["scope"] = []string{"paput.read"}
	code := b.post("/consent", form).location(t).Query().Get("code")
	tokens := a.token(a.redeemForm(code)).tokens(t)
	if c, _ := w.caller(tokens.access); !slices.Equal(c.Scopes, []string{"paput.read"}) {
		t.Errorf("got scopes %v, want paput.read", c.Scopes)
	}
	a.token(a.refreshForm(tokens.refresh, "scope", "paput.write")).
		wantError(t, 400, "invalid_scope", "scope names more than was granted")
}

// An app may ask for everything that a person keeps; only the person ticks that box.
func TestConsentProposesNotTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.newBrowser("acct_1")
	a := w.register(nil)
	page := b.begin(a.query("scope", "paput.read paput.account"))
	if r := b.get(page); !strings.Contains(r.body, `value="paput.account"> <span>Take out everything you keep here, bring in such an archive, approve suggestions in your place, and erase your account for good</span>`) {
		t.Errorf("the page has no empty box for the account:\n%s", r.body)
	}
	form := b.consentForm(page, "approve")
	if got, want := form["scope"], []string{"paput.read"}; !slices.Equal(got, want) {
		t.Errorf("got the boxes %v ticked, want %v", got, want)
	}
	form.Add("scope", "paput.account")
	tokens := a.token(a.redeemForm(b.post("/consent", form).location(t).Query().Get("code"))).tokens(t)
	if c, _ := w.caller(tokens.access); !slices.Equal(c.Scopes, []string{"paput.read", "paput.account"}) {
		t.Errorf("got scopes %v, want what was ticked", c.Scopes)
	}
	device := w.registerDevice().ask("scope", "paput.read paput.account")
	if got, want := b.consentForm(devicePage(device.shown), "approve")["scope"], []string{"paput.read"}; !slices.Equal(got, want) {
		t.Errorf("for a device: got the boxes %v ticked, want %v", got, want)
	}
	known := w.preregister(&oauthv1.Client{Name: "Ours", RedirectUris: []string{"https://ours.example/cb"}})
	if got, want := b.consentForm(b.begin(known.query("scope", "paput.account")), "approve")["scope"], []string{"paput.account"}; !slices.Equal(got, want) {
		t.Errorf("for an app of the administrator's: got the boxes %v ticked, want %v", got, want)
	}
}

func TestConsentToNothingAsksAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	form := b.consentForm(b.begin(a.query()), "approve")
	form.Del("scope")
	r := b.post("/consent", form)
	if r.status != http.StatusBadRequest || !strings.Contains(r.body, `role="alert">Tick at least one thing to allow`) {
		t.Errorf("got %d: %s", r.status, r.body)
	}
	form.Set("scope", "paput.publish")
	b.post("/consent", form).wantPage(t, 400, "invalid_request", incomplete)
	w.wantEvents()
}

func TestDeny(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	page := b.begin(a.query())
	r := b.post("/consent", b.consentForm(page, "deny"))
	want := loopbackRedirect + "?" + url.Values{
		"error": {"access_denied"}, "error_description": {"the person said no"}, "iss": {w.url}, "state": {"st&te=1"},
	}.Encode()
	if got := r.header.Get("Location"); r.status != http.StatusSeeOther || got != want {
		t.Errorf("got %d to %s, want 303 to %s", r.status, got, want)
	}
	if r := b.get(page); r.status != http.StatusBadRequest {
		t.Errorf("the page is still there: %d", r.status)
	}
	w.wantEvents("consent_denied")
}

func TestConsentRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	other := w.newBrowser("acct_1")
	mallory := w.newBrowser("acct_2")
	page := b.begin(a.query())
	good := b.consentForm(page, "approve")
	otherForm := other.consentForm(other.begin(a.query()), "approve")
	mallorysForm := mallory.consentForm(mallory.begin(a.query()), "approve")

	tests := []struct {
		name   string
		act    func() reply
		status int
		code   string
		title  string
	}{
		{"the page in another browser", func() reply { return other.get(page) }, 400, "invalid_request", cannotAnswer},
		{"the form in another browser", func() reply { return other.post("/consent", good) }, 400, "invalid_request", cannotAnswer},
		{"another transaction's form", func() reply { return b.post("/consent", otherForm) }, 400, "invalid_request", cannotAnswer},
		{"no transaction", func() reply { return b.post("/consent", alter(clone(good), []string{"tx", "-"})) }, 400, "invalid_request", cannotAnswer},
		{"a forged transaction", func() reply { return b.get("/consent?tx=e30.e30") }, 400, "invalid_request", cannotAnswer},
		{"an answer by GET", func() reply { return b.get("/consent?" + good.Encode()) }, 400, "invalid_request", cannotAnswer},
		{"no csrf", func() reply { return b.post("/consent", alter(clone(good), []string{"csrf", "-"})) }, 403, "invalid_request", notOurPage},
		{"another person's csrf", func() reply {
			return b.post("/consent", alter(clone(good), []string{"csrf", mallorysForm.Get("csrf")}))
		}, 403, "invalid_request", notOurPage},
		{"a foreign origin", func() reply { return b.post("/consent", good, "Origin", "https://evil.example") }, 403, "invalid_request", notOurPage},
		{"the origin null", func() reply { return b.post("/consent", good, "Origin", "null") }, 403, "invalid_request", notOurPage},
		{"two origins", func() reply { return b.post("/consent", good, "Origin", w.url, "Origin", w.url) }, 403, "invalid_request", notOurPage},
		{"cross-site", func() reply { return b.post("/consent", good, "Origin", w.url, "Sec-Fetch-Site", "cross-site") }, 403, "invalid_request", notOurPage},
		{"same-site", func() reply { return b.post("/consent", good, "Sec-Fetch-Site", "same-site") }, 403, "invalid_request", notOurPage},
		{"no decision", func() reply { return b.post("/consent", alter(clone(good), []string{"decision", "-"})) }, 400, "invalid_request", incomplete},
		{"another decision", func() reply { return b.post("/consent", alter(clone(good), []string{"decision", "maybe"})) }, 400, "invalid_request", incomplete},
		{"parameters in the URL", func() reply { return b.post("/consent?decision=approve", good) }, 400, "invalid_request", incomplete},
		{"a huge form", func() reply {
			return b.post("/consent", alter(clone(good), []string{"x", strings.Repeat("x", 70<<10)}))
		}, 400, "invalid_request", incomplete},
		{"PUT", func() reply { return do(w, b.client, w.request(http.MethodPut, page, "")) }, 405, "invalid_request", incomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.act().wantPage(t, tt.status, tt.code, tt.title) })
	}
	t.Run("a cookie of that name with another value", func(t *testing.T) {
		u := b.request(http.MethodGet, "/consent", "").URL
		for _, c := range b.client.Jar.Cookies(u) {
			if strings.HasPrefix(c.Name, "paput-tx_") {
				other.client.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: strings.Repeat("A", 43), Path: "/"}})
			}
		}
		other.get(page).wantPage(t, 400, "invalid_request", cannotAnswer)
		other.post("/consent", good).wantPage(t, 400, "invalid_request", cannotAnswer)
	})
	t.Run("another person in the same browser", func(t *testing.T) {
		b.signIn("acct_2")
		b.post("/consent", good).wantPage(t, 403, "invalid_request", notOurPage)
		b.signIn("acct_1")
	})
	w.wantEvents()
	t.Run("and the good one still counts", func(t *testing.T) {
		r := b.post("/consent", good, "Origin", w.url, "Sec-Fetch-Site", "same-origin")
		if r.status != http.StatusSeeOther {
			t.Errorf("got %d: %s", r.status, r.body)
		}
	})
}

func TestConsentExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	page := b.begin(a.query())
	form := b.consentForm(page, "approve")
	w.advance(10 * time.Minute)
	b.post("/consent", form).wantPage(t, 400, "invalid_request", cannotAnswer)
	b.get(page).wantPage(t, 400, "invalid_request", cannotAnswer)
	w.wantEvents()
}

func TestConsentIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	form := b.consentForm(b.begin(a.query()), "approve")
	cookies := b.client.Jar.Cookies(b.request(http.MethodPost, "/consent", "").URL)
	replies := make([]reply, 20)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() {
			req := b.request(http.MethodPost, "/consent", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
			for _, c := range cookies {
				req.AddCookie(c)
			}
			replies[i] = do(t, &http.Client{CheckRedirect: b.client.CheckRedirect}, req)
		})
	}
	wg.Wait()
	won := 0
	for _, r := range replies {
		if r.status == http.StatusSeeOther {
			won++
			continue
		}
		r.wantPage(t, 400, "invalid_request", answered)
	}
	if won != 1 {
		t.Errorf("got %d answers that count, want 1", won)
	}
	w.wantEvents("consent_granted", "code_issued")
}

func TestFreshSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	w.advance(time.Hour + 400*time.Microsecond)
	for _, tt := range []struct {
		pairs []string
		since time.Duration
	}{{[]string{"prompt", "login"}, 0}, {[]string{"max_age", "0"}, 0}, {[]string{"max_age", "60"}, time.Minute}} {
		page := b.begin(a.query(tt.pairs...))
		want := "/login?next=" + url.QueryEscape(page) + "&fresh=" + strconv.FormatInt(w.Now().Add(-tt.since).UnixMilli(), 10)
		form := url.Values{"tx": {strings.TrimPrefix(page, "/consent?tx=")}, "decision": {"approve"}, "scope": {"paput.read"}}
		for _, r := range []reply{b.get(page), b.get(page), b.post("/consent", form)} { // it can not be passed by
			if got := r.header.Get("Location"); r.status != http.StatusSeeOther || got != want {
				t.Errorf("%v: got %d to %q, want 303 to %q", tt.pairs, r.status, got, want)
			}
		}
		w.advance(700 * time.Millisecond)
		b.signIn("acct_1")
		for range 2 {
			if r := b.get(page); r.status != http.StatusOK {
				t.Errorf("%v: got %d after a fresh sign-in: %s", tt.pairs, r.status, r.body)
			}
		}
		w.advance(time.Hour)
	}
	if r := b.get(b.begin(a.query("max_age", "7200"))); r.status != http.StatusOK {
		t.Errorf("got %d for a sign-in that is fresh enough", r.status)
	}
	w.wantEvents()
}

// A sign-in within the millisecond of the request is fresh: the browser would be sent to and fro otherwise.
func TestFreshSignInAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) {
		c.SignedIn = func(r *http.Request) (oauth.Person, bool) {
			p, ok := signedIn(r)
			p.AuthTime = c.Now().Truncate(time.Millisecond)
			return p, ok
		}
	})
	w.advance(400 * time.Microsecond)
	b := w.newBrowser("acct_1")
	b.wantEnd("page", w.register(nil).query("max_age", "0"))
}

func TestOtherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	page := b.begin(a.query())
	before := b.consentForm(page, "approve")
	link := `<a href="/login?next=` + url.QueryEscape(page) + `&amp;other=1">`
	if r := b.get(page); !strings.Contains(r.body, `<dd>acct_1@example.com<br><small>Not you? `+link+"Use another account</a>") {
		t.Errorf("got %s", r.body)
	}
	if r := b.get(page, "Accept-Language", "ja"); !strings.Contains(r.body, `このアカウントではありませんか？ `+link+"別のアカウントを使う</a>") {
		t.Errorf("got %s", r.body)
	}
	b.signIn("acct_2")
	form := b.consentForm(page, "approve")
	if r := b.get(page); !strings.Contains(r.body, "<dd>acct_2@example.com<br>") {
		t.Errorf("got %s", r.body)
	}
	b.post("/consent", before).wantPage(t, 403, "invalid_request", notOurPage)
	code := b.post("/consent", form).location(t).Query().Get("code")
	if c, ok := w.caller(a.token(a.redeemForm(code)).tokens(t).access); !ok || c.AccountID != "acct_2" {
		t.Errorf("got caller %+v, %v, want acct_2", c, ok)
	}
}

func TestProblemPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.newBrowser("").get("/authorize?client_id=%3Cscript%3E&redirect_uri=x&state=hidden-state", "Accept-Language", "ja")
	r.wantPage(t, 400, "invalid_client", "このアプリは登録されていません")
	_, rest, _ := strings.Cut(r.body, "<code>")
	reference, _, _ := strings.Cut(rest, "</code>")
	if reference == "" || !strings.Contains(w.logged.String(), "request_id="+reference) {
		t.Errorf("the log does not know the reference %q: %s", reference, w.logged)
	}
	if strings.Contains(w.logged.String(), "hidden-state") || strings.Contains(r.body, "script") {
		t.Errorf("what the client sent comes back: %s %s", w.logged, r.body)
	}
}
