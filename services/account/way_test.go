package account

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

const awayPage = "/consent?tx=a.b-c"

func freshWay(since time.Time) string {
	return "/login?next=" + url.QueryEscape(awayPage) + "&fresh=" + strconv.FormatInt(since.UnixMilli(), 10)
}

func TestFreshSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	v := s.visitor()
	v.signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	s.clock.add(time.Hour)
	since := s.clock.now()
	v.get(freshWay(since.Add(-2*time.Hour))).wantRedirect(t, awayPage)

	page := v.get(freshWay(since))
	page.want(t, http.StatusOK, "<h1>Please sign in again</h1>", "An app asks for a fresh sign-in.", "Signed in as: <strong>ada@example.com</strong>",
		`autocomplete="username" required spellcheck="false" autocapitalize="none" value="ada@example.com"`,
		`<a href="/login?other=1&next=%2fconsent%3ftx%3da.b-c">Use another account</a>`)
	form := hiddenFields(page.body)
	form.Set("email", "ada@example.com")
	form.Set("password", "wrong password")
	wrong := v.post("/login", form)
	wrong.want(t, http.StatusUnprocessableEntity, "<h1>Please sign in again</h1>", "The e-mail address or the password is wrong.")
	v.get(freshWay(since)).want(t, http.StatusOK, "Please sign in again") // a failure does not count

	old := v.cookie("paput_session")
	s.clock.add(time.Second)
	form = hiddenFields(wrong.body)
	form.Set("email", "ada@example.com")
	form.Set("password", goodPassword)
	v.post("/login", form).wantRedirect(t, awayPage)
	session, ok := s.service.SignedIn(requestWith(v.cookie("paput_session")))
	if !ok || session.AuthTime.Before(since) {
		t.Errorf("got session %+v, %v, want one since %v", session, ok, since)
	}
	if _, ok := s.service.SignedIn(requestWith(old)); ok {
		t.Error("the session before the fresh sign-in is still good")
	}
	v.get(freshWay(since)).wantRedirect(t, awayPage) // and does not ask again

	ja := s.japaneseVisitor()
	ja.signIn("ada@example.com", goodPassword)
	ja.get(freshWay(s.clock.now().Add(time.Millisecond))).want(t, http.StatusOK, `<html lang="ja">`, "<h1>もう一度サインインしてください</h1>",
		"アプリが再度のサインインを求めています。", "サインイン中：<strong>ada@example.com</strong>", ">別のアカウントを使う</a>")

	// Nobody has to prove twice who was nobody before.
	s.visitor().get(freshWay(since)).want(t, http.StatusOK, "<h1>Sign in to Paput</h1>")
	// A time that makes no sense is none; one in the future shows the form and still leads on.
	v.get("/login?fresh=soon&next=%2Faway").wantRedirect(t, "/away")
	future := v.fill(freshWay(s.clock.now().Add(1000*time.Hour)), "email", "ada@example.com", "password", goodPassword)
	v.post("/login", future).wantRedirect(t, awayPage)
}

func TestOtherAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	s.addAccount("bob@example.com")
	v := s.visitor()
	v.signIn("ada@example.com", goodPassword)
	old := v.cookie("paput_session")
	page := v.get("/login?other=1&next=" + url.QueryEscape(awayPage))
	page.want(t, http.StatusOK, "<h1>Sign in with another account</h1>", "this browser changes to that account",
		"Signed in as: <strong>ada@example.com</strong>", `autocapitalize="none" value=""`, `<a href="`+awayPage+`">Stay with this account</a>`)
	form := hiddenFields(page.body)
	form.Set("email", "bob@example.com")
	form.Set("password", "wrong password")
	wrong := v.post("/login", form)
	wrong.want(t, http.StatusUnprocessableEntity, "Sign in with another account", `value="bob@example.com"`)
	if got := v.signedIn(); got != "ada@example.com" {
		t.Errorf("after a wrong password %q is signed in", got)
	}
	form = hiddenFields(wrong.body)
	form.Set("email", "bob@example.com")
	form.Set("password", goodPassword)
	v.post("/login", form).wantRedirect(t, awayPage)
	if got := v.signedIn(); got != "bob@example.com" {
		t.Errorf("signed in is %q", got)
	}
	if _, ok := s.service.SignedIn(requestWith(old)); ok {
		t.Error("the session of the account before is still good")
	}
	v.get("/login?other=1").want(t, http.StatusOK, `<a href="/login">Stay with this account</a>`)

	ja := s.japaneseVisitor()
	ja.signIn("ada@example.com", goodPassword)
	ja.get("/login?other=1").want(t, http.StatusOK, "<h1>別のアカウントでサインイン</h1>",
		"サインインすると、このブラウザーはそのアカウントに切り替わります。", ">このアカウントのまま続ける</a>")
	s.visitor().get("/login?other=1").want(t, http.StatusOK, "<h1>Sign in to Paput</h1>")
	for _, next := range []string{"//evil.example", `javascript:alert(1)`, "https://evil.example/"} {
		for _, way := range []string{"other=1", "fresh=9999999999999"} {
			r := v.get("/login?" + way + "&next=" + url.QueryEscape(next))
			if r.want(t, http.StatusOK); strings.Contains(r.body, "evil") || strings.Contains(r.body, "alert") {
				t.Errorf("the page leads elsewhere: %s", r.body)
			}
		}
	}
}

func TestSuggestion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	suggest := func(v *visitor, email string) bool {
		header := http.Header{}
		ok := s.service.Suggest(header, email)
		for _, c := range (&http.Response{Header: header}).Cookies() {
			if c.Name != "paput_hint" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || ok != (c.MaxAge == 600) {
				t.Errorf("got the cookie %v", c)
			}
			if strings.Contains(c.Value, "@") {
				t.Errorf("the cookie shows the address: %v", c)
			}
			u, _ := url.Parse(s.url)
			v.client.Jar.SetCookies(u, []*http.Cookie{c})
		}
		return ok
	}
	field := func(email string) string { return `autocapitalize="none" value="` + email + `"` }
	long := strings.Repeat("a", 64) + "@" + strings.Repeat("b", 189)
	for _, tc := range []struct{ hint, want string }{
		{"ada@example.com", "ada@example.com"},
		{" Ada.L+x@Example.com ", "Ada.L+x@Example.com"},
		{"jürgen@例え.jp", "jürgen@例え.jp"},
		{long, long},
		{long + "b", ""},
		{"", ""},
		{"ada", ""},
		{`"><script>alert(1)</script>@example.com`, ""},
		{"'onfocus=x@example.com", "'onfocus=x@example.com"},
		{"a&b@example.com", "a&b@example.com"},
		{"ada@example.com\r\nSet-Cookie: x=y", ""},
		{"a\u202eb@example.com", ""},
	} {
		v := s.visitor()
		suggest(v, "before@example.com")
		if ok := suggest(v, tc.hint); ok != (tc.want != "") {
			t.Errorf("%q: got %v", tc.hint, ok)
		}
		r := v.get("/login?next=%2Faway")
		r.want(t, http.StatusOK, field(tc.want))
		if strings.Contains(r.body, "<script") || strings.Contains(r.body, `value="'on`) {
			t.Errorf("%q is not escaped: %s", tc.hint, r.body)
		}
	}

	v := s.visitor()
	for _, planted := range []string{"%%%", base64.RawURLEncoding.EncodeToString([]byte(`"><b>@x`)), base64.RawURLEncoding.EncodeToString([]byte("x"))} {
		v.setCookie("paput_hint", planted)
		v.get("/login").want(t, http.StatusOK, field(""))
	}
	v.signIn("ada@example.com", goodPassword)
	s.clock.add(time.Hour)
	for _, tc := range []struct{ hint, path, want string }{
		{"bob@example.com", freshWay(s.clock.now()), "bob@example.com"},
		{"", freshWay(s.clock.now()), "ada@example.com"},
		{"bob@example.com", "/login?other=1", "bob@example.com"},
		{"ADA@example.com", "/login?other=1", ""},
		{"", "/login?other=1", ""},
	} {
		suggest(v, tc.hint)
		v.get(tc.path).want(t, http.StatusOK, field(tc.want))
	}
	suggest(v, "bob@example.com")
	v.get("/login?next=%2Faway").wantRedirect(t, "/away") // a hint alone asks nobody to sign in
}
