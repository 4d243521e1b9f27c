package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"github.com/paput/paput/services/oauth"
)

func TestUserCodesAsTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.GuessRate, c.GuessFromRate = rate.Inf, rate.Inf })
	d := w.registerDevice().ask()
	plain := strings.ReplaceAll(d.shown, "-", "")
	wide := strings.Map(func(r rune) rune { return r + '！' - '!' }, d.shown)
	b := w.newBrowser("acct_1")
	for _, typed := range []string{
		d.shown, plain, strings.ToLower(plain), " " + strings.ToLower(d.shown) + " ", plain[:4] + " " + plain[4:], wide, strings.ToLower(wide),
		plain[:4] + "ー" + plain[4:], plain[:4] + "　" + plain[4:], plain[:4] + "—" + plain[4:], strings.Join(strings.Split(plain, ""), " "),
	} {
		r := b.get(devicePage(typed))
		if r.status != http.StatusOK || !strings.Contains(r.body, "<h2>"+d.shown+"</h2>") {
			t.Errorf("%q: got %d", typed, r.status)
		}
	}
	for _, typed := range []string{
		"", "-", plain[:7], plain + "B", plain + plain, "AEIOUAEI", "12345678", `"><script>alert(1)</script>`, strings.Repeat("B", 100), "\x00", plain[:7] + "é",
	} {
		r := b.get(devicePage(typed))
		r.wantWrongCode(t)
		if strings.Contains(r.body, "<script") {
			t.Errorf("%q comes back as it was", typed)
		}
	}
	if r := b.get("/device"); r.status != http.StatusOK || strings.Contains(r.body, wrongCode) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	b.get(devicePage(d.shown)+"&user_code=x").wantPage(t, 400, "invalid_request", incomplete)
}

func TestDevicePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hostile := w.registerDevice("client_name", `"><script>alert(1)</script>`).ask("scope", "paput.read paput.publish")
	nameless := w.registerDevice("client_name", "").ask()
	b := w.newBrowser("acct_1")
	tests := []struct {
		name, path, language string
		want, never          []string
	}{
		{"the code in English", "/device", "", []string{
			`<html lang="en">`, `<form method="get" action="/device">`, `<label for="user_code">Code</label>`, `autocomplete="off"`,
			`autocapitalize="characters"`, `spellcheck="false"`, `inputmode="text"`, `aria-describedby="hint"`, "acct_1@example.com",
		}, []string{"aria-invalid"}},
		{"a wrong code in Japanese", devicePage("bbbbbbbb"), "ja", []string{
			`<html lang="ja">`, "端末を接続する", "このコードで待っている端末はありません。", `value="bbbbbbbb"`, `aria-invalid="true"`, `role="alert"`,
		}, nil},
		{"the question in English", devicePage(hostile.shown), "", []string{
			"Connect “<bdi>&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</bdi>” on a device?", "<strong>Unverified app.</strong>",
			"<h2>" + hostile.shown + "</h2>", "in front of you", "somebody else sent you", "acct_1@example.com", "<dd>" + w.url + "</dd>",
			`name="scope" value="paput.publish" checked>`, `<button class="primary" type="submit" name="decision" value="approve">Allow</button>`,
		}, []string{"<script", "paput.write", "on this computer"}},
		{"the question in Japanese", devicePage(nameless.shown), "ja", []string{
			"端末の名前のないアプリを接続しますか？", "お手元の端末", "<h2>" + nameless.shown + "</h2>", "未確認のアプリです。", ">許可しない</button>",
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := b.get(tt.path, "Accept-Language", tt.language)
			r.wantSafePage(t)
			if deny, approve := strings.Index(r.body, `value="deny"`), strings.Index(r.body, `value="approve"`); approve < deny {
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
	for decision, want := range map[string]string{"approve": "端末にお戻りください", "deny": "許可しませんでした"} {
		d := w.registerDevice().ask()
		r := b.post("/device", b.consentForm(devicePage(d.shown), decision), "Accept-Language", "ja")
		if r.status != http.StatusOK || !strings.Contains(r.body, want) {
			t.Errorf("%s: got %d %s", decision, r.status, r.body)
		}
	}
}

func TestDeviceAnswerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerDevice()
	d, another := a.ask(), a.ask()
	b, mallory := w.newBrowser("acct_1"), w.newBrowser("acct_2")
	good := b.consentForm(devicePage(d.shown), "approve")
	others := b.consentForm(devicePage(another.shown), "approve")
	mallorys := mallory.consentForm(devicePage(d.shown), "approve")
	browserApp := w.register(nil)
	consent := b.consentForm(b.begin(browserApp.query()), "approve")
	with := func(pairs ...string) url.Values { return alter(clone(good), pairs) }
	tests := []struct {
		name   string
		act    func() reply
		status int
		title  string
	}{
		{"no csrf", func() reply { return b.post("/device", with("csrf", "-")) }, 403, notOurPage},
		{"another person's csrf", func() reply { return b.post("/device", with("csrf", mallorys.Get("csrf"))) }, 403, notOurPage},
		{"another request's csrf", func() reply { return b.post("/device", with("csrf", others.Get("csrf"))) }, 403, notOurPage},
		{"another request", func() reply { return b.post("/device", with("device", others.Get("device"))) }, 403, notOurPage},
		{"another code", func() reply { return b.post("/device", with("user_code", others.Get("user_code"))) }, 403, notOurPage},
		{"no code", func() reply { return b.post("/device", with("user_code", "-")) }, 403, notOurPage},
		{"a consent form's csrf", func() reply { return b.post("/device", with("csrf", consent.Get("csrf"))) }, 403, notOurPage},
		{"another person's form", func() reply { return mallory.post("/device", good) }, 403, notOurPage},
		{"a foreign origin", func() reply { return b.post("/device", good, "Origin", "https://evil.example") }, 403, notOurPage},
		{"the origin null", func() reply { return b.post("/device", good, "Origin", "null") }, 403, notOurPage},
		{"cross-site", func() reply { return b.post("/device", good, "Origin", w.url, "Sec-Fetch-Site", "cross-site") }, 403, notOurPage},
		{"a form of no use at the consent page", func() reply { return b.post("/consent", good) }, 400, cannotAnswer},
		{"no decision", func() reply { return b.post("/device", with("decision", "-")) }, 400, incomplete},
		{"another decision", func() reply { return b.post("/device", with("decision", "maybe")) }, 400, incomplete},
		{"a scope that was not asked for", func() reply { return b.post("/device", with("+scope", "paput.audit")) }, 400, incomplete},
		{"parameters in the URL", func() reply { return b.post("/device?decision=approve", good) }, 400, incomplete},
		{"a huge form", func() reply { return b.post("/device", with("x", strings.Repeat("x", 70<<10))) }, 400, incomplete},
		{"PUT", func() reply { return do(w, b.client, w.request(http.MethodPut, "/device", "")) }, 405, incomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.act().wantPage(t, tt.status, "invalid_request", tt.title) })
	}
	t.Run("an answer by GET", func(t *testing.T) {
		if r := b.get("/device?" + good.Encode()); !strings.Contains(r.body, `value="approve"`) {
			t.Errorf("got %d %s, want to be asked", r.status, r.body)
		}
	})
	t.Run("nothing ticked", func(t *testing.T) {
		r := b.post("/device", with("scope", "-"))
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, `role="alert">Tick at least one thing to allow`) ||
			!strings.Contains(r.body, "<h2>"+d.shown+"</h2>") || !strings.Contains(r.body, good.Get("csrf")) {
			t.Errorf("got %d %s", r.status, r.body)
		}
	})
	t.Run("nobody is signed in any more", func(t *testing.T) {
		to := w.newBrowser("").post("/device", good).location(t)
		if want := "/device?user_code=" + good.Get("user_code"); to.Path != "/login" || to.Query().Get("next") != want {
			t.Errorf("got %s, want to sign in and come back", to)
		}
	})
	w.wantEvents("device_authorization_requested", "device_authorization_requested")
	d.poll().wantError(t, 400, "authorization_pending", textPending)
	t.Run("and the good one still counts", func(t *testing.T) {
		if r := b.post("/device", good); r.status != http.StatusOK {
			t.Errorf("got %d: %s", r.status, r.body)
		}
	})
}

func TestDeviceIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.registerDevice().ask()
	b, other := w.newBrowser("acct_1"), w.newBrowser("acct_2")
	form := b.consentForm(devicePage(d.shown), "approve")
	denial := other.consentForm(devicePage(d.shown), "deny")
	won := 0
	for _, r := range parallel(20, func() reply { return b.post("/device", form) }) {
		if r.status == http.StatusOK {
			won++
			continue
		}
		r.wantPage(t, 400, "invalid_request", answered)
	}
	if won != 1 {
		t.Errorf("got %d answers that count, want 1", won)
	}
	other.post("/device", denial).wantPage(t, 400, "invalid_request", answered)
	form.Del("scope") // and is not asked again either
	b.post("/device", form).wantPage(t, 400, "invalid_request", answered)
	other.get(devicePage(d.shown)).wantWrongCode(t)
	w.wantEvents("device_authorization_requested", "consent_granted")
	if c, _ := w.caller(d.poll().tokens(t).access); c.AccountID != "acct_1" {
		t.Errorf("got the account %s", c.AccountID)
	}
}
