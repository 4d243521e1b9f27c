package account

import (
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
)

const goodPassword = "correct horse battery"

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// site is a service behind a real HTTP server.
type site struct {
	t       testing.TB
	service *Service
	log     *eventlog.Log
	clock   *clock
	server  *httptest.Server
	url     string
}

type option func(*Config)

func withLimits(l Limits) option   { return func(c *Config) { c.Limits = l } }
func withHashing(h Hashing) option { return func(c *Config) { c.Hashing = h } }

// cheap is hashing that costs next to nothing.
func cheap() Hashing { return Hashing{MemoryKiB: 8, Passes: 1, Lanes: 1} }

// generous limits stay out of the way.
func generous() Limits {
	r := Rate{Every: time.Millisecond, Burst: 10_000}
	return Limits{Address: r, Email: r, Browser: r}
}

func newSite(t testing.TB, options ...option) *site { return startSite(t, false, options...) }

func startSite(t testing.TB, tls bool, options ...option) *site {
	t.Helper()
	s := &site{t: t, clock: &clock{at: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)}}
	mux := http.NewServeMux()
	s.server = httptest.NewUnstartedServer(mux)
	if tls {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(s.server.Close)
	s.url = s.server.URL
	s.log = eventlogtest.Open(t, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Now: s.clock.now})
	var ids atomic.Int64
	c := Config{
		Log: s.log, PublicURL: s.url, Now: s.clock.now,
		NewID:   func(prefix string) string { return fmt.Sprintf("%s_%04d", prefix, ids.Add(1)) },
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		Hashing: cheap(), Limits: generous(),
	}
	for _, o := range options {
		o(&c)
	}
	s.service = New(c)
	s.service.Register(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "elsewhere "+r.URL.String()) })
	return s
}

// addAccount makes an account that can sign in.
func (s *site) addAccount(email string) *accountv1.Account {
	s.t.Helper()
	res, err := s.service.Admin().CreateAccount(s.t.Context(), &accountv1.CreateAccountRequest{Email: email, Password: goodPassword})
	if err != nil {
		s.t.Fatal(err)
	}
	return res.GetAccount()
}

func (s *site) invite(email string) string {
	s.t.Helper()
	res, err := s.service.Admin().CreateAccount(s.t.Context(), &accountv1.CreateAccountRequest{Email: email})
	if err != nil {
		s.t.Fatal(err)
	}
	return res.GetInvitationUrl()
}

func (s *site) setupLink() string {
	s.t.Helper()
	link, err := s.service.SetupLink(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return link
}

// events lists the cases of all events so far, in order.
func (s *site) events() []string {
	s.t.Helper()
	var names []string
	for r, err := range s.log.After(s.t.Context(), 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		name, _ := eventlog.Case(r.Event)
		names = append(names, name)
	}
	return names
}

// visitor is a browser: it keeps cookies and stops at redirects.
type visitor struct {
	*site
	client   *http.Client
	language string
}

func (s *site) visitor() *visitor {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &visitor{site: s, client: &http.Client{
		Jar:           jar,
		Transport:     s.server.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s *site) japaneseVisitor() *visitor {
	v := s.visitor()
	v.language = "ja,en;q=0.5"
	return v
}

// answer is what a server answered.
type answer struct {
	status int
	header http.Header
	body   string
}

func (v *visitor) do(req *http.Request) answer {
	v.t.Helper()
	if v.language != "" {
		req.Header.Set("Accept-Language", v.language)
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (v *visitor) get(ref string) answer {
	v.t.Helper()
	if strings.HasPrefix(ref, "/") {
		ref = v.url + ref
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, ref, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.do(req)
}

func (v *visitor) post(path string, form url.Values, header ...string) answer {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return v.do(req)
}

// fill reads the form on a page and sets fields of it, as a person does.
func (v *visitor) fill(ref string, fields ...string) url.Values {
	v.t.Helper()
	form := hiddenFields(v.get(ref).body)
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form
}

func (v *visitor) signIn(email, password string) answer {
	v.t.Helper()
	return v.post("/login", v.fill("/login?next=/away", "email", email, "password", password))
}

// signedIn says who is signed in, "" for nobody.
func (v *visitor) signedIn() string {
	v.t.Helper()
	body := v.get("/login").body
	if m := regexp.MustCompile(`<strong>(.*?)</strong>`).FindStringSubmatch(body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

func (v *visitor) cookie(name string) string {
	v.t.Helper()
	u, err := url.Parse(v.url)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (v *visitor) setCookie(name, value string) {
	v.t.Helper()
	u, err := url.Parse(v.url)
	if err != nil {
		v.t.Fatal(err)
	}
	v.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="(.*?)" value="(.*?)">`)

func hiddenFields(body string) url.Values {
	form := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(body, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	return form
}

// want checks an answer's status and that its page says all of texts, and has the headers that every page has.
func (a answer) want(t testing.TB, status int, says ...string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("got status %d, want %d\n%s", a.status, status, a.body)
	}
	body := html.UnescapeString(a.body)
	for _, text := range says {
		if !strings.Contains(body, text) {
			t.Errorf("the page does not say %q:\n%s", text, body)
		}
	}
	for name, value := range map[string]string{
		"Cache-Control":           "no-store",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'",
		"X-Frame-Options":         "DENY",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "same-origin",
	} {
		if got := a.header.Get(name); got != value {
			t.Errorf("header %s: got %q, want %q", name, got, value)
		}
	}
}

// wantRedirect checks that the answer leads to a path.
func (a answer) wantRedirect(t testing.TB, to string) {
	t.Helper()
	a.want(t, http.StatusSeeOther)
	if got := a.header.Get("Location"); got != to {
		t.Fatalf("got redirect to %q, want %q", got, to)
	}
}

// reference returns the reference that an error page gives, "" for none.
func (a answer) reference(language string) string {
	before := "Reference: "
	if language == "ja" {
		before = "参照番号："
	}
	_, rest, _ := strings.Cut(a.body, `<p class="muted"><small>`+before+`<code>`)
	reference, _, _ := strings.Cut(rest, "</code></small></p>")
	return reference
}

// lockedBuffer is a log that a test reads.
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

// lineWith returns the line that has a text, "" when none has.
func (l *lockedBuffer) lineWith(text string) string {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line+" ", text+" ") {
			return line
		}
	}
	return ""
}

func logTo(l *lockedBuffer) option {
	return func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(l, nil)) }
}
