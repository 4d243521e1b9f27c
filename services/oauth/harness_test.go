package oauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/oauth"
	"github.com/paput/paput/services/rpc"
)

// clock is the time of a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is an authorization server on a port, with a log and a clock of its own.
type world struct {
	testing.TB
	*clock
	log    *eventlog.Log
	server *oauth.Server
	http   *httptest.Server
	url    string // the public URL
	logged *lockedBuffer
	ids    atomic.Int64
	apps   atomic.Int64
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startOfTime is when every test begins.
var startOfTime = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// newWorld starts a server; change, if any, alters its configuration first.
func newWorld(tb testing.TB, change ...func(*oauth.Config)) *world {
	tb.Helper()
	w := &world{TB: tb, clock: &clock{now: startOfTime}, logged: &lockedBuffer{}}
	w.log = eventlogtest.Open(tb, eventlog.Config{Kinds: oauth.Kinds(), Projections: oauth.Projections(), Now: w.Now})
	mux := http.NewServeMux()
	w.http = httptest.NewServer(mux)
	tb.Cleanup(w.http.Close)
	w.url = strings.Replace(w.http.URL, "127.0.0.1", "localhost", 1)
	c := oauth.Config{
		Log: w.log, PublicURL: w.url, Key: []byte("0123456789abcdef0123456789abcdef"), SignedIn: signedIn, Now: w.Now,
		NewID:  func(prefix string) string { return fmt.Sprintf("%s_%d", prefix, w.ids.Add(1)) },
		Logger: slog.New(slog.NewTextHandler(w.logged, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	w.url, w.log = c.PublicURL, c.Log
	var err error
	if w.server, err = oauth.New(c); err != nil {
		tb.Fatal(err)
	}
	w.server.Register(mux)
	return w
}

// signedIn believes the cookie "session", which is the account's id, a slash and the time of the sign-in.
func signedIn(r *http.Request) (oauth.Person, bool) {
	c, err := r.Cookie("session")
	if err != nil {
		return oauth.Person{}, false
	}
	account, at, _ := strings.Cut(c.Value, "/")
	authTime, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return oauth.Person{}, false
	}
	return oauth.Person{AccountID: account, Email: account + "@example.com", SessionID: "session of " + c.Value, AuthTime: authTime}, true
}

// browser is a person's, with cookies, and does not follow redirects.
type browser struct {
	*world
	client *http.Client
}

// newBrowser returns a browser in which the account is signed in; nobody for "".
func (w *world) newBrowser(account string) *browser {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	b := &browser{w, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if account != "" {
		b.signIn(account)
	}
	return b
}

func (b *browser) signIn(account string) {
	u, _ := url.Parse(b.http.URL)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: account + "/" + b.Now().Format(time.RFC3339), Path: "/"}})
}

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	body   string
}

// json reads a member of the body.
func (r reply) json(member string) any {
	var m map[string]any
	_ = json.Unmarshal([]byte(r.body), &m)
	return m[member]
}

func (r reply) text(member string) string { s, _ := r.json(member).(string); return s }

// location is where the answer leads.
func (r reply) location(tb testing.TB) *url.URL {
	tb.Helper()
	u, err := url.Parse(r.header.Get("Location"))
	if err != nil || r.header.Get("Location") == "" {
		tb.Fatalf("got status %d and Location %q, want one: %s", r.status, r.header.Get("Location"), r.body)
	}
	return u
}

func do(tb testing.TB, c *http.Client, req *http.Request) reply {
	tb.Helper()
	res, err := c.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func (w *world) request(method, path, body string, header ...string) *http.Request {
	w.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(w.Context()), method, w.http.URL+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// send sends a request from a program.
func (w *world) send(method, path, body string, header ...string) reply {
	w.Helper()
	return do(w, http.DefaultClient, w.request(method, path, body, header...))
}

// get visits a path of the server.
func (b *browser) get(path string, header ...string) reply {
	b.Helper()
	return do(b, b.client, b.request(http.MethodGet, strings.TrimPrefix(path, b.url), "", header...))
}

// post submits a form.
func (b *browser) post(path string, form url.Values, header ...string) reply {
	b.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	return do(b, b.client, b.request(http.MethodPost, path, form.Encode(), header...))
}

// app is a registered client.
type app struct {
	*world
	id, secret, method string
	redirect           string
	registration       string // the token that manages the registration
}

const loopbackRedirect = "http://127.0.0.1:4711/callback"

// registerBody registers a client.
func (w *world) registerBody(body string) reply {
	w.Helper()
	return w.send(http.MethodPost, "/register", body, "Content-Type", "application/json")
}

// register registers a client from its metadata, a public one with a loopback redirect URI where nothing is said.
func (w *world) register(metadata map[string]any) *app {
	w.Helper()
	// No two are equal, so that none is given back for another.
	m := map[string]any{"software_id": fmt.Sprint(w.apps.Add(1)), "redirect_uris": []string{loopbackRedirect}, "token_endpoint_auth_method": "none", "client_name": "Test app"}
	for k, v := range metadata {
		m[k] = v
	}
	body, err := json.Marshal(m)
	if err != nil {
		w.Fatal(err)
	}
	r := w.registerBody(string(body))
	if r.status != http.StatusCreated {
		w.Fatalf("register: got %d %s", r.status, r.body)
	}
	var redirect string
	if redirects, _ := r.json("redirect_uris").([]any); len(redirects) > 0 {
		redirect, _ = redirects[0].(string)
	}
	return &app{w, r.text("client_id"), r.text("client_secret"), r.text("token_endpoint_auth_method"), redirect, r.text("registration_access_token")}
}

const verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// query is a good authorization request, altered by pairs of name and value; a value of "-" takes the parameter away.
func (a *app) query(pairs ...string) url.Values {
	q := url.Values{
		"client_id": {a.id}, "redirect_uri": {a.redirect}, "response_type": {"code"}, "state": {"st&te=1"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}, "scope": {"paput.read paput.write"},
	}
	return alter(q, pairs)
}

func alter(form url.Values, pairs []string) url.Values {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch name, value := pairs[i], pairs[i+1]; {
		case value == "-":
			form.Del(name)
		case strings.HasPrefix(name, "+"):
			form.Add(name[1:], value)
		default:
			form.Set(name, value)
		}
	}
	return form
}

// begin sends the browser to the authorization endpoint and returns the path of the consent page.
func (b *browser) begin(q url.Values) string {
	b.Helper()
	r := b.get("/authorize?" + q.Encode())
	to := r.header.Get("Location")
	if r.status != http.StatusFound || !strings.HasPrefix(to, "/consent?tx=") {
		b.Fatalf("authorize: got %d to %q, want the consent page: %s", r.status, to, r.body)
	}
	return to
}

var (
	hidden   = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	checkbox = regexp.MustCompile(`<input type="checkbox" id="[^"]*" name="scope" value="([^"]*)" checked>`)
)

// consentForm visits the consent page and returns its form as it stands, with the decision.
func (b *browser) consentForm(path, decision string) url.Values {
	b.Helper()
	r := b.get(path)
	if r.status != http.StatusOK {
		b.Fatalf("consent page: got %d: %s", r.status, r.body)
	}
	form := url.Values{"decision": {decision}}
	for _, m := range hidden.FindAllStringSubmatch(r.body, -1) {
		form.Set(m[1], m[2])
	}
	for _, m := range checkbox.FindAllStringSubmatch(r.body, -1) {
		form.Add("scope", m[1])
	}
	return form
}

// code lets the person allow everything and returns the code.
func (a *app) code(b *browser, pairs ...string) string {
	a.Helper()
	r := b.post("/consent", b.consentForm(b.begin(a.query(pairs...)), "approve"))
	if r.status != http.StatusSeeOther {
		a.Fatalf("consent: got %d: %s", r.status, r.body)
	}
	return r.location(a).Query().Get("code")
}

// token posts a form to the token endpoint, with the client's credentials the way it registered.
func (a *app) token(form url.Values) reply { return a.call("/token", form) }

func (a *app) call(path string, form url.Values) reply {
	a.Helper()
	header := []string{"Content-Type", "application/x-www-form-urlencoded"}
	switch a.method {
	case "client_secret_basic":
		req := &http.Request{Header: http.Header{}}
		req.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret))
		header = append(header, "Authorization", req.Header.Get("Authorization"))
	case "client_secret_post":
		form = alter(clone(form), []string{"client_id", a.id, "client_secret", a.secret})
	default:
		form = alter(clone(form), []string{"client_id", a.id})
	}
	return a.send(http.MethodPost, path, form.Encode(), header...)
}

func clone(form url.Values) url.Values {
	c := url.Values{}
	for k, v := range form {
		c[k] = slices.Clone(v)
	}
	return c
}

// redeemForm is a good token request for a code.
func (a *app) redeemForm(code string, pairs ...string) url.Values {
	return alter(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.redirect}, "code_verifier": {verifier},
	}, pairs)
}

func (a *app) refreshForm(token string, pairs ...string) url.Values {
	return alter(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, pairs)
}

// tokens are what a client has after a log-in.
type tokens struct{ access, refresh string }

func (r reply) tokens(tb testing.TB) tokens {
	tb.Helper()
	if r.status != http.StatusOK {
		tb.Fatalf("token: got %d: %s", r.status, r.body)
	}
	return tokens{r.text("access_token"), r.text("refresh_token")}
}

// login is a whole log-in.
func (a *app) login(account string, pairs ...string) tokens {
	a.Helper()
	return a.token(a.redeemForm(a.code(a.newBrowser(account), pairs...))).tokens(a)
}

// caller returns what an access token is worth; ok is false for nothing.
func (w *world) caller(token string) (rpc.Caller, bool) {
	w.Helper()
	c, err := w.server.Authenticate(w.Context(), token)
	if err != nil && err != rpc.ErrUnauthenticated { //nolint:errorlint // exactly that one is promised
		w.Fatal(err)
	}
	return c, err == nil
}

func (w *world) alive(token string) bool { w.Helper(); _, ok := w.caller(token); return ok }

// events lists what happened to grants, in order, by the names of their cases.
func (w *world) events() []string { w.Helper(); return w.eventsOf("grant/") }

// eventsOf lists what happened in the streams that begin so, in order, by the names of their cases.
func (w *world) eventsOf(streams string) []string {
	w.Helper()
	var names []string
	for r, err := range w.log.After(w.Context(), 0) {
		if err != nil {
			w.Fatal(err)
		}
		if strings.HasPrefix(r.Stream, streams) {
			name, _ := eventlog.Case(r.Event)
			names = append(names, name)
		}
	}
	return names
}

func (w *world) wantEvents(want ...string) {
	w.Helper()
	if got := w.events(); !slices.Equal(got, want) {
		w.Errorf("got events %v, want %v", got, want)
	}
}

// wantError checks an answer of a program's endpoint.
func (r reply) wantError(tb testing.TB, status int, code, text string) {
	tb.Helper()
	if r.status != status || r.text("error") != code || r.text("error_description") != text {
		tb.Errorf("got %d %s %q, want %d %s %q", r.status, r.text("error"), r.text("error_description"), status, code, text)
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		tb.Errorf("got Cache-Control %q, want no-store", got)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		tb.Errorf("got Content-Type %q, want application/json", got)
	}
}
