package account

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
)

func TestWrongPasswordAndUnknownAddressLookTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	s.invite("bob@example.com")
	var pages []string
	for _, email := range []string{"ada@example.com", "bob@example.com", "nobody@example.com", "not an address", strings.Repeat("x", 5000)} {
		v := s.visitor()
		before := s.service.hasher.runs.Load()
		res := v.signIn(email, "wrong password")
		res.want(t, http.StatusUnprocessableEntity, "The e-mail address or the password is wrong.", "Error: Sign in",
			`<a href="#email">`, `aria-describedby="errors"`, `<ul id="errors">`)
		if got := s.service.hasher.runs.Load() - before; got != 1 {
			t.Errorf("%.20q: %d hashes were computed, want 1", email, got)
		}
		if len(email) <= maxEmail && !strings.Contains(res.body, `value="`+email+`"`) {
			t.Errorf("the page does not keep the e-mail address %q", email)
		}
		if strings.Contains(res.body, "wrong password\"") {
			t.Error("the page repeats the password")
		}
		if hiddenFields(res.body).Get("next") != "/away" {
			t.Error("the page does not keep the way on")
		}
		body := strings.ReplaceAll(res.body, `value="`+email+`"`, `value=""`)
		pages = append(pages, strings.ReplaceAll(body, v.cookie("paput_form"), ""))
	}
	for _, p := range pages[1:] {
		if p != pages[0] {
			t.Errorf("two pages differ:\n%s\n%s", pages[0], p)
		}
	}
	s.japaneseVisitor().signIn("ada@example.com", "x").want(t, http.StatusUnprocessableEntity,
		"メールアドレスまたはパスワードが違います。", "入力内容をご確認ください", `<html lang="ja">`)

	var failed []string
	for r, err := range s.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := r.Event.(*accountv1.SessionEvent); ok {
			failed = append(failed, e.GetSignInFailed().GetAccountId())
		}
	}
	if failed[0] == "" || failed[1] == "" || failed[0] == failed[1] || failed[2] != "" {
		t.Errorf("the failed attempts are recorded for %q", failed)
	}
}

func TestSignInHashesOnceWhenRight(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	before := s.service.hasher.runs.Load()
	s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	if got := s.service.hasher.runs.Load() - before; got != 1 {
		t.Errorf("%d hashes were computed, want 1", got)
	}
}

func TestNewPasswordRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, email, password, again string
		field, english, japanese     string
	}{
		{"no address", "", goodPassword, goodPassword, "email",
			"Enter an e-mail address like name@example.com, at most 254 characters.",
			"メールアドレスを name@example.com のような形で、254 文字以内で入力してください。"},
		{"two addresses", "a@example.com, b@example.com", goodPassword, goodPassword, "email", "Enter an e-mail address", "メールアドレスを"},
		{"7 characters", "a@example.com", "1234あいう", "1234あいう", "password",
			"The password is too short. Use at least 8 characters.", "パスワードが短すぎます。8 文字以上にしてください。"},
		{"201 characters", "a@example.com", strings.Repeat("あ", 201), strings.Repeat("あ", 201), "password",
			"The password is too long. Use at most 200 characters.", "パスワードが長すぎます。200 文字以内にしてください。"},
		{"the address", "a@example.com", "A@Example.com", "A@Example.com", "password",
			"The password is your e-mail address. Choose something else.", "パスワードがメールアドレスと同じです。別のものにしてください。"},
		{"a common one", "a@example.com", "PassWord123", "PassWord123", "password",
			"This is one of the passwords that are guessed first. Choose another.", "とても推測されやすいパスワードです。別のものにしてください。"},
		{"not UTF-8", "a@example.com", "\xff2345678", "\xff2345678", "password",
			"The password has characters that cannot be read. Type it again.", "パスワードに読み取れない文字があります。もう一度入力してください。"},
		{"a slip of the finger", "a@example.com", goodPassword, goodPassword + "x", "password_again",
			"The two passwords are not the same. Type both again.", "二つのパスワードが一致しません。両方とももう一度入力してください。"},
	}
	s := newSite(t)
	setup, invitation := s.setupLink(), s.invite("a@example.com")
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for _, page := range []struct{ path, link string }{{"/setup", setup}, {"/invite", invitation}} {
				if tc.field == "email" && page.path == "/invite" {
					continue
				}
				for _, v := range []*visitor{s.visitor(), s.japaneseVisitor()} {
					text := tc.english
					if v.language != "" {
						text = tc.japanese
					}
					form := v.fill(page.link, "email", tc.email, "password", tc.password, "password_again", tc.again)
					res := v.post(page.path, form)
					res.want(t, http.StatusUnprocessableEntity, text, `<a href="#`+tc.field+`">`, `id="`+tc.field+`-error"`,
						tc.field+`-error"`, `aria-invalid="true"`, `value="`+tc.email+`"`)
					if strings.Contains(res.body, `value="`+tc.password) && tc.password != tc.email && !strings.EqualFold(tc.password, tc.email) {
						t.Error("the page repeats the password")
					}
					if hiddenFields(res.body).Get("token") == "" {
						t.Error("the page has lost its token")
					}
				}
			}
		})
	}
	if got, want := s.events(), []string{"created", "invited"}; !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

func TestForgedForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	tests := []struct {
		name   string
		change func(url.Values)
		header []string
		status int
	}{
		{"no token", func(f url.Values) { f.Del("csrf") }, nil, 403},
		{"empty token", func(f url.Values) { f.Set("csrf", "") }, nil, 403},
		{"a token of one's own", func(f url.Values) { f.Set("csrf", newSecret()) }, nil, 403},
		{"from another site", nil, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"from another port", nil, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another origin", nil, []string{"Origin", "https://evil.example"}, 403},
		{"no origin", nil, []string{"Origin", "null"}, 403},
		{"another content type", nil, []string{"Content-Type", "text/plain"}, 403},
		{"JSON", nil, []string{"Content-Type", "application/json"}, 403},
		{"too large", func(f url.Values) { f.Set("email", strings.Repeat("a", 65<<10)) }, nil, 413},
		{"our own origin", nil, []string{"Origin", s.url}, 303},
		{"from our page", nil, []string{"Sec-Fetch-Site", "same-origin", "Origin", s.url}, 303},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for _, v := range []*visitor{s.visitor(), s.japaneseVisitor()} {
				form := v.fill("/login", "email", "ada@example.com", "password", goodPassword)
				if tc.change != nil {
					tc.change(form)
				}
				text := map[int]string{403: "Please send the form again", 413: "The form is too large"}[tc.status]
				if v.language != "" {
					text = map[int]string{403: "もう一度送信してください", 413: "送信内容が大きすぎます"}[tc.status]
				}
				v.post("/login", form, tc.header...).want(t, tc.status, text)
				if tc.status != http.StatusSeeOther && v.signedIn() != "" {
					t.Error("a forged form signed in")
				}
			}
		})
	}
	t.Run("cookie missing", func(t *testing.T) {
		form := s.visitor().fill("/login", "email", "ada@example.com", "password", goodPassword)
		s.visitor().post("/login", form).want(t, http.StatusForbidden, "Your browser has to accept cookies")
	})
	t.Run("both empty", func(t *testing.T) {
		v := s.visitor()
		v.setCookie("paput_form", "")
		v.post("/login", url.Values{"csrf": {""}, "email": {"ada@example.com"}, "password": {goodPassword}}).want(t, http.StatusForbidden)
	})
	t.Run("logout", func(t *testing.T) {
		v := s.visitor()
		v.signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
		v.post("/logout", url.Values{}).want(t, http.StatusForbidden)
		if v.signedIn() == "" {
			t.Error("a forged form signed out")
		}
	})
}

func TestCredentialsInTheURLAreIgnored(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	v := s.visitor()
	form := v.fill("/login")
	query := url.Values{"email": {"ada@example.com"}, "password": {goodPassword}}.Encode()
	v.post("/login?"+query, form).want(t, http.StatusUnprocessableEntity, "The e-mail address or the password is wrong.")
	form.Set("email", "ada@example.com")
	v.post("/login?"+query, form).want(t, http.StatusUnprocessableEntity, "The e-mail address or the password is wrong.")
	v.get("/login?"+query).want(t, http.StatusOK)
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for path, allow := range map[string]string{
		"/login": "GET, HEAD, POST", "/logout": "POST", "/setup": "GET, HEAD, POST", "/invite": "GET, HEAD, POST",
	} {
		req := httptest.NewRequest(http.MethodPut, s.url+path, nil)
		req.RequestURI = ""
		v := s.visitor()
		res := v.do(req)
		res.want(t, http.StatusMethodNotAllowed, "This address takes no such request")
		if got := res.header.Get("Allow"); got != allow {
			t.Errorf("%s: got Allow %q, want %q", path, got, allow)
		}
	}
	s.japaneseVisitor().get("/logout").want(t, http.StatusMethodNotAllowed, "この方法ではアクセスできません")
}

func TestNextStaysOnThisServer(t *testing.T) {
	t.Parallel()
	tests := []struct{ next, want string }{
		{"/", "/"},
		{"/consent?tx=a%2Fb&x=1", "/consent?tx=a%2Fb&x=1"},
		{"/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&state=%22%3E", "/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&state=%22%3E"},
		{"/a%20b", "/a%20b"},
		{"/a#b", "/a"},
		{"", ""},
		{"consent", ""},
		{"https://evil.example/", ""},
		{"//evil.example/", ""},
		{"///evil.example", ""},
		{`/\evil.example`, ""},
		{`\\evil.example`, ""},
		{"/%2Fevil.example", ""},
		{"/%5Cevil.example", ""},
		{"/a//evil.example", ""},
		{"/.//evil.example", ""},
		{"/..%2F/evil.example", ""},
		{"/a/../b", ""},
		{"/%09/evil.example", ""},
		{"/\t/evil.example", ""},
		{"\t//evil.example", ""},
		{" //evil.example", ""},
		{"/\r\nSet-Cookie: a=b", ""},
		{"/a%0d%0aSet-Cookie:%20a=b", ""},
		{"javascript:alert(1)", ""},
		{"/a b", ""},
		{"/%zz", ""},
		{"/é", ""},
		{"/a?b=é", ""},
		{"http:/evil.example", ""},
		{"?next=//evil.example", ""},
		{"/" + strings.Repeat("a", maxNext), ""},
	}
	s := newSite(t)
	s.addAccount("ada@example.com")
	in := s.visitor()
	in.signIn("ada@example.com", goodPassword)
	for _, tc := range tests {
		t.Run(fmt.Sprintf("%.40q", tc.next), func(t *testing.T) {
			if got := localPath(tc.next); got != tc.want {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			to := tc.want
			if to == "" {
				to = "/login"
			}
			if res := in.get("/login?next=" + url.QueryEscape(tc.next)); tc.want == "" {
				res.want(t, http.StatusOK, "You are signed in")
			} else {
				res.wantRedirect(t, to)
			}
			v := s.visitor()
			v.post("/login", v.fill("/login", "email", "ada@example.com", "password", goodPassword, "next", tc.next)).wantRedirect(t, to)
		})
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/a?b=c#d", "//e", `/\e`, "/%2f/e", "/a/../b", "/;@e:80/", "/?//e"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://paput.example/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := localPath(s)
		if got == "" {
			return
		}
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme || to.User != nil {
			t.Errorf("%q became %q, which leads to %v (%v)", s, got, to, err)
		}
		if strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t ") {
			t.Errorf("%q became %q", s, got)
		}
		if again := localPath(got); again != got {
			t.Errorf("%q became %q and then %q", s, got, again)
		}
	})
}

func TestDatabaseTrouble(t *testing.T) {
	t.Parallel()
	backend, err := sqlite.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), backend, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	mux := http.NewServeMux()
	var logged strings.Builder
	New(Config{
		Log: log, PublicURL: s.url, Now: time.Now, NewID: func(p string) string { return p },
		Logger: slog.New(slog.NewTextHandler(&logged, nil)), Hashing: cheap(),
	}).Register(mux)
	s.server.Config.Handler = mux
	v := s.visitor()
	res := v.signIn("ada@example.com", "secret-in-the-form")
	res.want(t, http.StatusInternalServerError, "Something went wrong", "The server could not do that.")
	if reference := res.reference(""); reference == "" || !strings.Contains(logged.String(), `msg="page failed" request_id=`+reference) {
		t.Errorf("the log does not know the reference %q: %s", reference, logged.String())
	}
	if strings.Contains(res.body, "sql") || strings.Contains(res.body, "closed") {
		t.Errorf("the page tells internals:\n%s", res.body)
	}
	if !strings.Contains(logged.String(), "page failed") || strings.Contains(logged.String(), "secret-in-the-form") ||
		strings.Contains(logged.String(), "ada@") {
		t.Errorf("logged:\n%s", logged.String())
	}
}
