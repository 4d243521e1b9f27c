package oauth_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/oauth"
)

const cursorRedirect = "cursor://anysphere.cursor-mcp/oauth/callback"

func cursorAllowed(c *oauth.Config) { c.RedirectSchemes = []string{"cursor"} }

func TestSchemeOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cursorAllowed)
	a := w.register(map[string]any{"redirect_uris": []string{cursorRedirect}})
	b := w.newBrowser("acct_1")
	for language, text := range map[string]string{
		"en": "opens <strong>an app on this computer</strong>, with a link that begins with <strong>cursor:</strong>",
		"ja": "<strong>cursor:</strong> で始まるリンクで、<strong>このコンピューター上のアプリ</strong>を開きます",
	} {
		if r := b.get(b.begin(a.query()), "Accept-Language", language); !strings.Contains(r.body, text) || strings.Contains(r.body, "anysphere") {
			t.Errorf("%s: got %s", language, r.body)
		}
	}
	to := b.post("/consent", b.consentForm(b.begin(a.query()), "approve")).location(t)
	if got := to.String(); !strings.HasPrefix(got, cursorRedirect+"?code=paput_ac_") || to.Query().Get("iss") != w.url {
		t.Errorf("got %s", got)
	}
	if r := a.token(a.redeemForm(to.Query().Get("code"))); r.status != http.StatusOK {
		t.Errorf("got %d %s", r.status, r.body)
	}
	denied := b.get("/authorize?" + a.query("response_type", "token").Encode()).location(t)
	if denied.Scheme != "cursor" || denied.Query().Get("error") != "unsupported_response_type" {
		t.Errorf("got %s", denied)
	}
	// Nothing but the very same address.
	for _, other := range []string{
		"cursor://anysphere.cursor-mcp:1/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback/", "Cursor://anysphere.cursor-mcp/oauth/callback",
		"cursor://anysphere.cursor-mcp/oauth/callback?x", "cursor:/oauth/callback", "vscode://anysphere.cursor-mcp/oauth/callback",
	} {
		if r := b.get("/authorize?" + a.query("redirect_uri", other).Encode()); r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
			t.Errorf("%s: got %d %v", other, r.status, r.header)
		}
	}
	r := w.registerBody(`{"redirect_uris":["vscode://x/cb"]}`)
	r.wantError(t, 400, "invalid_redirect_uri", "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it")
}

// What was registered while a scheme was allowed is of no use afterwards.
func TestSchemeNoLongerAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cursorAllowed)
	a := w.register(map[string]any{"redirect_uris": []string{cursorRedirect, "http://localhost/cb"}})
	again, err := oauth.New(oauth.Config{
		Log: w.log, PublicURL: w.url, Key: []byte("0123456789abcdef0123456789abcdef"), SignedIn: signedIn, Now: w.Now,
		NewID: func(prefix string) string { return prefix }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.http.Config.Handler = again.Handler()
	for redirect, want := range map[string]int{cursorRedirect: http.StatusBadRequest, "http://localhost:99/cb": http.StatusFound} {
		if r := w.newBrowser("acct_1").get("/authorize?" + a.query("redirect_uri", redirect).Encode()); r.status != want {
			t.Errorf("%s: got %d, want %d", redirect, r.status, want)
		}
	}
}

// What an administrator registers needs no list.
func TestRegisteredScheme(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.preregister(&oauthv1.Client{AuthMethod: "none", RedirectUris: []string{"com.example.notes:/callback"}})
	b := w.newBrowser("acct_1")
	for language, text := range map[string]string{"en": "Registered on this server.", "ja": "このサーバーに登録されたアプリです。"} {
		if r := b.get(b.begin(a.query()), "Accept-Language", language); !strings.Contains(r.body, text) || strings.Contains(r.body, "Unverified") || strings.Contains(r.body, "未確認") {
			t.Errorf("%s: got %s", language, r.body)
		}
	}
	if tokens := a.login("acct_1"); !w.alive(tokens.access) {
		t.Error("the token is worth nothing")
	}
}

func TestSchemesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, scheme := range []string{"https", "javascript", "Cursor", "", "cursor:"} {
		_, err := oauth.New(oauth.Config{
			Log: w.log, PublicURL: w.url, Key: make([]byte, 32), SignedIn: signedIn, Now: w.Now, Logger: slog.New(slog.DiscardHandler),
			NewID: func(string) string { return "" }, RedirectSchemes: []string{"cursor", scheme},
		})
		if err == nil {
			t.Errorf("%q is taken", scheme)
		}
	}
}
