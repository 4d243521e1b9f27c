package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

// outcome is one way in which a request can end: what the asker is told, and every event that is recorded, in order. A
// refusal leaves none unless it spends or ends something.
type outcome struct {
	endpoint, situation string
	// prepare brings a new world so far that act is the only request that is missing.
	prepare func(s *scene) (act func() reply)
	answer  string // as told gives it
	events  []string
}

// scene is a world with an app and a person at a browser.
type scene struct {
	*world
	*app
	browser *browser
}

func newScene(tb testing.TB, change ...func(*oauth.Config)) *scene {
	tb.Helper()
	w := newWorld(tb, append(change, func(c *oauth.Config) { c.RegisterRate, c.RegisterBurst = 0.1, 4 })...)
	return &scene{w, w.register(nil), w.newBrowser("acct_1")}
}

// nothing is what a request records that changes nothing.
func nothing() []string { return nil }

// told is what an asker gets to hear, in short.
func told(r reply) string {
	status := http.StatusText(r.status)
	to := r.header.Get("Location")
	switch {
	case to == "" && r.header.Get("X-Error") != "":
		return status + ", page " + r.header.Get("X-Error")
	case to == "" && r.text("error") != "":
		return status + ", " + r.text("error")
	case to == "":
		return status
	case strings.HasPrefix(to, "/"):
		path, _, _ := strings.Cut(to, "?")
		return status + " to " + path
	}
	u, err := url.Parse(to)
	if err != nil {
		return err.Error()
	}
	if code := u.Query().Get("error"); code != "" {
		return status + " to the app, " + code
	}
	if u.Query().Get("code") != "" {
		return status + " to the app, code"
	}
	return status + " to " + to
}

// TestEveryOutcome holds what each request leaves in the log, and on the audit stream, against the tables below.
func TestEveryOutcome(t *testing.T) {
	t.Parallel()
	for _, o := range outcomes() {
		t.Run(o.endpoint+"/"+o.situation, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			act := o.prepare(s)
			before, relayed := len(s.eventsOf("")), s.log.Ordinal("AUTH")
			if got := told(act()); got != o.answer {
				t.Errorf("got %q, want %q", got, o.answer)
			}
			var logged, published []string
			for r, err := range s.log.After(t.Context(), int64(before)) {
				if err != nil {
					t.Fatal(err)
				}
				kind, _, _ := strings.Cut(r.Stream, "/")
				name, _ := eventlog.Case(r.Event)
				logged = append(logged, kind+"."+name)
			}
			if !slices.Equal(logged, o.events) {
				t.Errorf("got events %v, want %v", logged, o.events)
			}
			for m, err := range s.log.Outgoing(t.Context(), "AUTH", relayed) {
				if err != nil {
					t.Fatal(err)
				}
				published = append(published, strings.TrimPrefix(m.Subject, "paput.auth."))
			}
			if !slices.Equal(published, o.events) {
				t.Errorf("got %v on the audit stream, want %v", published, o.events)
			}
		})
	}
}

// TestEveryEventHasAnOutcome fails for an event that no request is known to record.
func TestEveryEventHasAnOutcome(t *testing.T) {
	t.Parallel()
	recorded := map[string]bool{}
	for _, o := range outcomes() {
		for _, e := range o.events {
			recorded[e] = true
		}
	}
	known := 0
	for _, kind := range oauth.Kinds() {
		cases := kind.Event.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
		for i := range cases.Len() {
			known++
			if name := kind.Name + "." + string(cases.Get(i).Name()); !recorded[name] {
				t.Errorf("no outcome records %s", name)
			}
		}
	}
	if len(recorded) != known {
		t.Errorf("the outcomes know %d events, there are %d", len(recorded), known)
	}
}

func outcomes() []outcome {
	return slices.Concat(authorizeOutcomes(), consentOutcomes(), codeOutcomes(), refreshOutcomes(), tokenOutcomes(),
		revokeOutcomes(), registerOutcomes(), manageOutcomes(), sweepOutcomes(), readOutcomes(),
		rememberedOutcomes(), serviceOutcomes(), deviceOutcomes(), adminOutcomes())
}

func authorizeOutcomes() []outcome {
	visit := func(pairs ...string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			return func() reply { return s.browser.get("/authorize?" + s.query(pairs...).Encode()) }
		}
	}
	return []outcome{
		{"authorize", "a good request", visit(), "Found to /consent", nothing()},
		{"authorize", "nobody is signed in", func(s *scene) func() reply {
			s.browser = s.newBrowser("")
			return visit()(s)
		}, "Found to /consent", nothing()},
		{"authorize", "unknown client", visit("client_id", "client_999"), "Bad Request, page invalid_client", nothing()},
		{"authorize", "another redirect URI", visit("redirect_uri", "https://evil.example"), "Bad Request, page invalid_request", nothing()},
		{"authorize", "no PKCE", visit("code_challenge", "-"), "Found to the app, invalid_request", nothing()},
		{"authorize", "unknown resource", visit("resource", "https://evil.example"), "Found to the app, invalid_target", nothing()},
		{"authorize", "prompt=none, signed in", visit("prompt", "none"), "Found to the app, interaction_required", nothing()},
		{"authorize", "prompt=none, nobody signed in", func(s *scene) func() reply {
			s.browser = s.newBrowser("")
			return visit("prompt", "none")(s)
		}, "Found to the app, login_required", nothing()},
	}
}

func consentOutcomes() []outcome {
	// submit visits the page, and answers it after change has altered the form or the world.
	submit := func(decision string, change func(s *scene, form url.Values)) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			form := s.browser.consentForm(s.browser.begin(s.query()), decision)
			if change != nil {
				change(s, form)
			}
			return func() reply { return s.browser.post("/consent", form) }
		}
	}
	granted := []string{"grant.consent_granted", "grant.code_issued"}
	return []outcome{
		{"consent", "the page", func(s *scene) func() reply {
			page := s.browser.begin(s.query())
			return func() reply { return s.browser.get(page) }
		}, "OK", nothing()},
		{"consent", "the page, nobody signed in", func(s *scene) func() reply {
			b := s.newBrowser("")
			page := b.begin(s.query())
			return func() reply { return b.get(page) }
		}, "See Other to /login", nothing()},
		{"consent", "yes", submit("approve", nil), "See Other to the app, code", granted},
		{"consent", "yes to less", submit("approve", func(_ *scene, f url.Values) { f.Set("scope", "paput.read") }), "See Other to the app, code", granted},
		{"consent", "yes to nothing", submit("approve", func(_ *scene, f url.Values) { f.Del("scope") }), "Bad Request", nothing()},
		{"consent", "yes to more", submit("approve", func(_ *scene, f url.Values) { f.Add("scope", "paput.audit") }), "Bad Request, page invalid_request", nothing()},
		{"consent", "no", submit("deny", nil), "See Other to the app, access_denied", []string{"grant.consent_denied"}},
		{"consent", "yes, a second time", submit("approve", func(s *scene, f url.Values) { s.keepCookies(func() { s.browser.post("/consent", f) }) }), "Bad Request, page invalid_request", nothing()},
		{"consent", "no after yes", submit("approve", func(s *scene, f url.Values) {
			s.keepCookies(func() { s.browser.post("/consent", f) })
			f.Set("decision", "deny")
		}), "Bad Request, page invalid_request", nothing()},
		{"consent", "a forged form", submit("approve", func(_ *scene, f url.Values) { f.Set("csrf", "x") }), "Forbidden, page invalid_request", nothing()},
		{"consent", "too late", submit("approve", func(s *scene, _ url.Values) { s.advance(10 * time.Minute) }), "Bad Request, page invalid_request", nothing()},
		{"consent", "the app ended meanwhile", submit("approve", func(s *scene, _ url.Values) {
			s.manage(http.MethodDelete, s.id, s.bearer()...)
		}), "Bad Request, page invalid_client", nothing()},
	}
}

// keepCookies lets the browser forget what act did to its cookies.
func (s *scene) keepCookies(act func()) {
	u := s.request(http.MethodGet, "/consent", "").URL
	cookies := s.browser.client.Jar.Cookies(u)
	act()
	for _, c := range cookies {
		c.Path = "/"
	}
	s.browser.client.Jar.SetCookies(u, cookies)
}

func codeOutcomes() []outcome {
	// redeem has a code, lets change alter the world, and redeems the code with the altered request.
	redeem := func(change func(s *scene, code string), pairs ...string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			code := s.code(s.browser)
			if change != nil {
				change(s, code)
			}
			return func() reply { return s.token(s.redeemForm(code, pairs...)) }
		}
	}
	later := func(d time.Duration) func(*scene, string) { return func(s *scene, _ string) { s.advance(d) } }
	once := func(pairs ...string) func(*scene, string) {
		return func(s *scene, code string) { s.token(s.redeemForm(code, pairs...)) }
	}
	refused := []string{"grant.code_refused"}
	return []outcome{
		{"code", "right", redeem(nil), "OK", []string{"grant.code_redeemed"}},
		{"code", "right, at the last moment", redeem(later(59 * time.Second)), "OK", []string{"grant.code_redeemed"}},
		{"code", "too late", redeem(later(60 * time.Second)), "Bad Request, invalid_grant", refused},
		{"code", "another redirect URI", redeem(nil, "redirect_uri", "http://127.0.0.1:1/callback"), "Bad Request, invalid_grant", refused},
		{"code", "wrong verifier", redeem(nil, "code_verifier", strings.Repeat("x", 43)), "Bad Request, invalid_grant", refused},
		{"code", "no verifier", redeem(nil, "code_verifier", "-"), "Bad Request, invalid_grant", refused},
		{"code", "after a wrong verifier", redeem(once("code_verifier", strings.Repeat("x", 43))), "Bad Request, invalid_grant", nothing()},
		{"code", "another resource", redeem(nil, "resource", "https://evil.example"), "Bad Request, invalid_target", nothing()},
		{"code", "a second time", redeem(once()), "Bad Request, invalid_grant", []string{"grant.code_replayed", "grant.revoked"}},
		{"code", "a third time", redeem(func(s *scene, code string) { once()(s, code); once()(s, code) }), "Bad Request, invalid_grant", nothing()},
		{"code", "another client", func(s *scene) func() reply {
			code := s.code(s.browser)
			other := s.register(nil)
			return func() reply { return other.token(other.redeemForm(code)) }
		}, "Bad Request, invalid_grant", nothing()},
		{"code", "another client, after it was redeemed", func(s *scene) func() reply {
			code := s.code(s.browser)
			s.token(s.redeemForm(code))
			other := s.register(nil)
			return func() reply { return other.token(other.redeemForm(code)) }
		}, "Bad Request, invalid_grant", nothing()},
		{"code", "unknown", redeem(nil, "code", "paput_ac_"+strings.Repeat("A", 54)), "Bad Request, invalid_grant", nothing()},
	}
}

func refreshOutcomes() []outcome {
	// refresh logs in, lets change alter the world, and refreshes with the altered request.
	refresh := func(change func(s *scene, t tokens), pairs ...string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			t := s.login("acct_1")
			if change != nil {
				change(s, t)
			}
			return func() reply { return s.token(s.refreshForm(t.refresh, pairs...)) }
		}
	}
	exchanged := func(later time.Duration) func(*scene, tokens) {
		return func(s *scene, t tokens) { s.token(s.refreshForm(t.refresh)); s.advance(later) }
	}
	return []outcome{
		{"refresh", "right", refresh(nil), "OK", []string{"grant.token_refreshed"}},
		{"refresh", "less scope", refresh(nil, "scope", "paput.read"), "OK", []string{"grant.token_refreshed"}},
		{"refresh", "again in the grace time", refresh(exchanged(30 * time.Second)), "OK", []string{"grant.refresh_repeated"}},
		{"refresh", "again after the grace time", refresh(exchanged(31 * time.Second)), "Bad Request, invalid_grant", []string{"grant.refresh_reused", "grant.revoked"}},
		{"refresh", "again after that", refresh(func(s *scene, t tokens) { exchanged(31*time.Second)(s, t); s.token(s.refreshForm(t.refresh)) }), "Bad Request, invalid_grant", nothing()},
		{"refresh", "more scope", refresh(nil, "scope", "paput.audit"), "Bad Request, invalid_scope", nothing()},
		{"refresh", "another resource", refresh(nil, "resource", "https://evil.example"), "Bad Request, invalid_target", nothing()},
		{"refresh", "idle for too long", refresh(func(s *scene, _ tokens) { s.advance(30 * day) }), "Bad Request, invalid_grant", nothing()},
		{"refresh", "after a revocation", refresh(func(s *scene, t tokens) { s.call("/revoke", url.Values{"token": {t.refresh}}) }), "Bad Request, invalid_grant", nothing()},
		{"refresh", "another client", func(s *scene) func() reply {
			t, other := s.login("acct_1"), s.register(nil)
			return func() reply { return other.token(other.refreshForm(t.refresh)) }
		}, "Bad Request, invalid_grant", nothing()},
		{"refresh", "unknown", refresh(nil, "refresh_token", "paput_rt_"+strings.Repeat("A", 54)), "Bad Request, invalid_grant", nothing()},
	}
}

// tokenOutcomes are refusals of the token endpoint before it looks at a grant.
func tokenOutcomes() []outcome {
	post := func(form url.Values) func(s *scene) func() reply {
		return func(s *scene) func() reply { return func() reply { return s.token(form) } }
	}
	return []outcome{
		{"token", "no grant type", post(url.Values{}), "Bad Request, invalid_request", nothing()},
		{"token", "an unknown grant type", post(url.Values{"grant_type": {"password"}}), "Bad Request, unsupported_grant_type", nothing()},
		{"token", "a grant type that the client lacks", post(url.Values{"grant_type": {"client_credentials"}}), "Bad Request, unauthorized_client", nothing()},
		{"token", "an unknown client", func(s *scene) func() reply {
			stranger := *s.app
			stranger.id = "client_999"
			return func() reply { return stranger.token(stranger.refreshForm("x")) }
		}, "Unauthorized, invalid_client", nothing()},
		{"token", "a wrong secret", func(s *scene) func() reply {
			a := s.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
			t := a.login("acct_1")
			a.secret = "wrong"
			return func() reply { return a.token(a.refreshForm(t.refresh)) }
		}, "Unauthorized, invalid_client", nothing()},
	}
}

func revokeOutcomes() []outcome {
	revoke := func(token func(tokens) string, change func(s *scene, t tokens)) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			t := s.login("acct_1")
			if change != nil {
				change(s, t)
			}
			return func() reply { return s.call("/revoke", url.Values{"token": {token(t)}}) }
		}
	}
	access := func(t tokens) string { return t.access }
	refresh := func(t tokens) string { return t.refresh }
	ended := []string{"grant.revoked"}
	return []outcome{
		{"revoke", "an access token", revoke(access, nil), "OK", ended},
		{"revoke", "a refresh token", revoke(refresh, nil), "OK", ended},
		{"revoke", "an exchanged refresh token", revoke(refresh, func(s *scene, t tokens) { s.token(s.refreshForm(t.refresh)) }), "OK", ended},
		{"revoke", "a second time", revoke(refresh, func(s *scene, t tokens) { s.call("/revoke", url.Values{"token": {t.access}}) }), "OK", nothing()},
		{"revoke", "another client's", func(s *scene) func() reply {
			t, other := s.login("acct_1"), s.register(nil)
			return func() reply { return other.call("/revoke", url.Values{"token": {t.refresh}}) }
		}, "OK", nothing()},
		{"revoke", "an unknown one", revoke(func(tokens) string { return "paput_at_" + strings.Repeat("A", 54) }, nil), "OK", nothing()},
		{"revoke", "something else", revoke(func(tokens) string { return "x" }, nil), "OK", nothing()},
	}
}

func registerOutcomes() []outcome {
	post := func(body string, times int) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			for range times {
				s.registerBody(body)
			}
			return func() reply { return s.registerBody(body) }
		}
	}
	const confidential = `{"redirect_uris":["http://localhost/cb"]}`
	return []outcome{
		{"register", "a public client", post(publicBody, 0), "Created", []string{"client.registered"}},
		{"register", "an equal one", post(publicBody, 1), "Created", []string{"client.registration_repeated"}},
		{"register", "an equal one again", post(publicBody, 2), "Created", nothing()},
		{"register", "a confidential client", post(confidential, 0), "Created", []string{"client.registered"}},
		{"register", "an equal one with a secret", post(confidential, 1), "Created", []string{"client.registered"}},
		{"register", "bad metadata", post(`{"redirect_uris":["http://localhost/cb"],"grant_types":["implicit"]}`, 0), "Bad Request, invalid_client_metadata", nothing()},
		{"register", "a bad redirect URI", post(`{"redirect_uris":["javascript:alert(1)"]}`, 0), "Bad Request, invalid_redirect_uri", nothing()},
		{"register", "a flood", post(confidential, 3), "Too Many Requests, temporarily_unavailable", nothing()},
	}
}

func manageOutcomes() []outcome {
	call := func(method string, change func(s *scene)) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			if change != nil {
				change(s)
			}
			return func() reply { return s.manage(method, s.id, s.bearer()...) }
		}
	}
	stranger := func(s *scene) { s.registration = "paput_ra_" + strings.Repeat("A", 43) }
	return []outcome{
		{"registration", "shown", call(http.MethodGet, nil), "OK", nothing()},
		{"registration", "shown, wrong token", call(http.MethodGet, stranger), "Unauthorized, invalid_token", nothing()},
		{"registration", "deleted", call(http.MethodDelete, nil), "No Content", []string{"client.deleted"}},
		{"registration", "deleted with a grant and a code", call(http.MethodDelete, func(s *scene) { s.login("acct_1"); s.code(s.browser) }), "No Content",
			[]string{"grant.revoked", "grant.revoked", "client.deleted"}},
		{"registration", "deleted after a revocation", call(http.MethodDelete, func(s *scene) {
			s.call("/revoke", url.Values{"token": {s.login("acct_1").refresh}})
		}), "No Content", []string{"client.deleted"}},
		{"registration", "deleted, wrong token", call(http.MethodDelete, stranger), "Unauthorized, invalid_token", nothing()},
		{"registration", "deleted a second time", call(http.MethodDelete, func(s *scene) { s.manage(http.MethodDelete, s.id, s.bearer()...) }), "Unauthorized, invalid_token", nothing()},
		{"registration", "changed", call(http.MethodPut, nil), "Method Not Allowed, invalid_request", nothing()},
	}
}

func sweepOutcomes() []outcome {
	sweep := func(change func(s *scene), later time.Duration) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			if change != nil {
				change(s)
			}
			return func() reply { s.sweepAfter(later); return reply{status: http.StatusOK} }
		}
	}
	return []outcome{
		{"sweep", "nothing is too old", sweep(nil, day-time.Second), "OK", nothing()},
		{"sweep", "an unused client", sweep(nil, day), "OK", []string{"client.expired"}},
		{"sweep", "an unused client with a code", sweep(func(s *scene) { s.code(s.browser) }, day), "OK", []string{"grant.revoked", "client.expired"}},
		{"sweep", "a client that was used", sweep(func(s *scene) { s.login("acct_1") }, day), "OK", nothing()},
		{"sweep", "an idle client", sweep(func(s *scene) { s.login("acct_1") }, 91*day), "OK", []string{"client.expired"}},
	}
}

// readOutcomes are requests that only read.
func readOutcomes() []outcome {
	get := func(path string) func(s *scene) func() reply {
		return func(s *scene) func() reply { return func() reply { return s.send(http.MethodGet, path, "") } }
	}
	return []outcome{
		{"documents", "metadata", get("/.well-known/oauth-authorization-server"), "OK", nothing()},
		{"documents", "keys", get("/jwks"), "OK", nothing()},
		{"access token", "good", func(s *scene) func() reply {
			token := s.login("acct_1").access
			return func() reply {
				if !s.alive(token) {
					return reply{status: http.StatusUnauthorized}
				}
				return reply{status: http.StatusOK}
			}
		}, "OK", nothing()},
		{"access token", "expired", func(s *scene) func() reply {
			token := s.login("acct_1").access
			s.advance(15 * time.Minute)
			return func() reply {
				if !s.alive(token) {
					return reply{status: http.StatusUnauthorized}
				}
				return reply{status: http.StatusOK}
			}
		}, "Unauthorized", nothing()},
	}
}
