package oauth_test

import (
	"strings"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

// A token that is bound to another service's resource is worth nothing at this server's own RPCs, nor at its MCP endpoint,
// which asks through an RPC.
func TestForeignResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, a := resourceServer(w, notesResource)
	got := a.login("acct_1", "resource", notesResource+"/")
	refreshed := a.token(a.refreshForm(got.refresh)).tokens(t)
	for name, token := range map[string]string{
		"of a code":                            got.access,
		"of a refresh":                         refreshed.access,
		"of a refresh that names the resource": a.token(a.refreshForm(refreshed.refresh, "resource", notesResource)).tokens(t).access,
		"of a service":                         w.enroll().token(serviceForm("resource", notesResource)).tokens(t).access,
	} {
		if w.alive(token) {
			t.Errorf("the token %s works here", name)
		}
		if r := server.introspect(token); r.json("active") != true || r.text("aud") != notesResource {
			t.Errorf("the token %s: got %s", name, r.body)
		}
	}
	own := a.login("acct_1").refresh
	a.token(a.refreshForm(own, "resource", notesResource)).wantError(t, 400, "invalid_target", "resource is not the one that was granted")
	a.token(a.redeemForm(a.code(w.newBrowser("acct_1")), "resource", notesResource)).wantError(t, 400, "invalid_target", "resource is not the one that was granted")
}

func TestForeignResourceMustMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, a := resourceServer(w, notesResource)
	for _, resource := range []string{
		"https://notes.example", notesResource + "//", notesResource + "/x", notesResource + "?x", notesResource + "#x",
		strings.ToUpper(notesResource), "http://notes.example/api", "https://notes.example:443/api", "https://u@notes.example/api", "/api", "",
	} {
		to := w.newBrowser("acct_1").get("/authorize?" + a.query("resource", resource).Encode()).location(t)
		if got := to.Query().Get("error"); got != "invalid_target" {
			t.Errorf("%q: got %s, want invalid_target", resource, to)
		}
	}
}

// A resource is known as soon as its server is registered, and no longer than that. What happens behind this server's back
// is noticed a few seconds later.
func TestResourcesComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.enroll()
	refused := func() {
		t.Helper()
		a.token(serviceForm("resource", notesResource)).wantError(t, 400, "invalid_target", "resource is not one of this server")
	}
	refused()
	server := w.preregister(&oauthv1.Client{Resource: notesResource + "/"})
	token := a.token(serviceForm("resource", notesResource)).tokens(t).access
	if r := server.introspect(token); r.json("active") != true {
		t.Errorf("got %s", r.body)
	}
	if _, err := w.admin().RemoveClient(t.Context(), &oauthv1.RemoveClientRequest{ClientId: server.id}); err != nil {
		t.Fatal(err)
	}
	refused()
	w.enroll(serverOf(notesResource))
	w.advance(10 * time.Second)
	a.token(serviceForm("resource", notesResource)).tokens(t)
}

// The person is told when the access is for somebody else.
func TestConsentNamesTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const resource = "https://notes.example:8443/api?x=<b>"
	w.enroll(serverOf(resource))
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	for _, tt := range []struct{ language, resource, want string }{
		{"en", resource, "The access is for another service: <strong>notes.example:8443</strong>."},
		{"ja", resource, "このアクセスは、別のサービス <strong>notes.example:8443</strong> のためのものです。"},
		{"en", w.url, ""},
		{"ja", w.url + "/mcp", ""},
	} {
		r := b.get(b.begin(a.query("resource", tt.resource)), "Accept-Language", tt.language)
		if tt.want == "" {
			if strings.Contains(r.body, "another service") || strings.Contains(r.body, "別のサービス") {
				t.Errorf("%s: the page speaks of another service", tt.resource)
			}
			continue
		}
		if r.status != 200 || !strings.Contains(r.body, tt.want) || strings.Contains(r.body, "<b>") {
			t.Errorf("%s: got %d %s", tt.language, r.status, r.body)
		}
	}
}
