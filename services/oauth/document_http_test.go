package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paput/paput/services/oauth"
)

// The documents of two clients that people use, which describe themselves like this.
const (
	claudeCodeID = "https://claude.ai/oauth/claude-code-client-metadata"
	claudeCode   = `{"client_id":"` + claudeCodeID + `","client_name":"Claude Code","client_uri":"https://claude.ai",
		"redirect_uris":["http://localhost/callback","http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"],
		"response_types":["code"],"token_endpoint_auth_method":"none"}`
	codexID = "https://chatgpt.com/oauth/codex/client.json"
	codex   = `{"client_id":"` + codexID + `","client_name":"Codex","logo_uri":"https://chatgpt.com/logo.png","application_type":"native",
		"redirect_uris":["http://127.0.0.1/callback","http://localhost/callback"],"token_endpoint_auth_method":"none"}`
	shopID = "https://app.example/client.json"
	shop   = `{"client_id":"` + shopID + `","client_name":"Web app","redirect_uris":["https://app.example/cb"],
		"logo_uri":"https://app.example/never/logo","client_uri":"https://app.example/never","jwks_uri":"https://app.example/never/keys"}`
)

// site serves documents for several hosts over TLS, with certificates of a test authority.
type site struct {
	http *httptest.Server
	pool *x509.CertPool
	hits atomic.Int64 // connections

	mu     sync.Mutex
	answer map[string]http.HandlerFunc // by address; guarded by mu
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pool: x509.NewCertPool(), answer: map[string]http.HandlerFunc{}}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer, ok := s.answer["https://"+r.Host+r.URL.Path]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.hits.Add(1)
		}
	}
	s.http.Config.ErrorLog = nil
	s.http.TLS = &tls.Config{Certificates: []tls.Certificate{s.certificate(t)}}
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
	for id, document := range map[string]string{claudeCodeID: claudeCode, codexID: codex, shopID: shop} {
		s.serve(id, document)
	}
	return s
}

// certificate makes an authority that clients of the site trust, and a certificate of it.
func (s *site) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	template := func(n int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: fmt.Sprint("test ", n)},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(c, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	authorityKey, key := newKey(), newKey()
	root := template(1)
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	authority := sign(root, root, authorityKey, authorityKey)
	s.pool.AddCert(authority)
	leaf := template(2)
	leaf.DNSNames = []string{"claude.ai", "chatgpt.com", "app.example"}
	return tls.Certificate{Certificate: [][]byte{sign(leaf, authority, key, authorityKey).Raw}, PrivateKey: key}
}

// transport leads every connection to the site.
func (s *site) transport(c *oauth.Config) {
	c.Documents = &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.pool},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.http.Listener.Addr().String())
		},
	}
}

func (s *site) handle(id string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[id] = answer
}

// serve answers with a document that may be cached for ten minutes.
func (s *site) serve(id, document string) { s.handle(id, jsonAnswer(document)) }

func jsonAnswer(document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write([]byte(document))
	}
}

// documented is a client with a metadata document.
func (w *world) documented(id, redirect string) *app {
	return &app{world: w, id: id, method: "none", redirect: redirect}
}

const unusable = "The app&#39;s description cannot be used"

func TestLogInWithDocument(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, id, redirect string
		english, japanese  []string
	}{
		{"Claude Code", claudeCodeID, "http://localhost:53682/callback",
			[]string{"Connect “<bdi>Claude Code</bdi>”?", "published by <strong>claude.ai</strong>", "<strong>on this computer</strong> (localhost)"},
			[]string{"「<bdi>Claude Code</bdi>」を接続しますか？", "このアプリは <strong>claude.ai</strong> が公開しています", "（localhost）"}},
		{"Codex", codexID, "http://127.0.0.1:49152/callback",
			[]string{"Connect “<bdi>Codex</bdi>”?", "published by <strong>chatgpt.com</strong>", "<strong>on this computer</strong> (127.0.0.1)"},
			[]string{"「<bdi>Codex</bdi>」を接続しますか？", "このアプリは <strong>chatgpt.com</strong> が公開しています", "（127.0.0.1）"}},
		{"web app", shopID, "https://app.example/cb",
			[]string{"published by <strong>app.example</strong>", "goes to <strong>app.example</strong>"},
			[]string{"このアプリは <strong>app.example</strong> が公開しています", "<strong>app.example</strong> に移動します"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			w := newWorld(t, s.transport)
			a := w.documented(tt.id, tt.redirect)
			b := w.newBrowser("acct_1")
			page := b.begin(a.query())
			for language, want := range map[string][]string{"en": tt.english, "ja": tt.japanese} {
				r := b.get(page, "Accept-Language", language)
				r.wantSafePage(t)
				for _, text := range want {
					if !strings.Contains(r.body, text) {
						t.Errorf("the page lacks %q:\n%s", text, r.body)
					}
				}
				for _, never := range []string{"Unverified", "未確認", "logo"} {
					if strings.Contains(r.body, never) {
						t.Errorf("the page has %q", never)
					}
				}
			}
			answer := b.post("/consent", b.consentForm(page, "approve")).location(t)
			if !strings.HasPrefix(answer.String(), tt.redirect+"?") || answer.Query().Get("iss") != w.url {
				t.Errorf("got answer %s", answer)
			}
			first := a.token(a.redeemForm(answer.Query().Get("code"))).tokens(t)
			if c, ok := w.caller(first.access); !ok || c.ClientID != tt.id {
				t.Errorf("got caller %+v, %v, want client %s", c, ok, tt.id)
			}
			next := a.token(a.refreshForm(first.refresh)).tokens(t)
			if got := s.hits.Load(); got != 1 {
				t.Errorf("got %d fetches for a log-in, want one", got)
			}
			w.advance(10 * time.Minute)
			if r := a.call("/revoke", url.Values{"token": {next.refresh}}); r.status != http.StatusOK || w.alive(next.access) {
				t.Errorf("revoke: got %d, and the token lives: %v", r.status, w.alive(next.access))
			}
			if got := s.hits.Load(); got != 2 {
				t.Errorf("got %d fetches after ten minutes, want another", got)
			}
			w.wantEvents("consent_granted", "code_issued", "code_redeemed", "token_refreshed", "revoked")
		})
	}
}

func TestDocumentBindsTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSite(t).transport)
	b := w.newBrowser("acct_1")
	claude := w.documented(claudeCodeID, "http://localhost:1/callback")
	for _, redirect := range []string{
		"https://evil.example/callback", "http://localhost:1/callback/", "http://localhost:1/callback?x", "http://[::1]:1/callback",
		"https://localhost/callback", "http://localhost:1@evil.example/callback",
	} {
		b.get("/authorize?"+claude.query("redirect_uri", redirect).Encode()).
			wantPage(t, 400, "invalid_request", "The app&#39;s return address is not registered")
	}
	code := claude.code(b)
	other := w.documented(codexID, claude.redirect)
	other.token(other.redeemForm(code)).wantError(t, 400, "invalid_grant", "the authorization code is unknown, expired or used")
	withSecret := *claude
	withSecret.method, withSecret.secret = "client_secret_post", "x"
	withSecret.token(claude.redeemForm(code)).wantError(t, 401, "invalid_client", "client authentication failed: register again")
	if claude.token(claude.redeemForm(code)).status != http.StatusOK {
		t.Error("the owner cannot redeem its code any more")
	}
}

// The person answers what they read, though the document changes meanwhile.
func TestDocumentChangesDuringConsent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport)
	b := w.newBrowser("acct_1")
	a := w.documented(claudeCodeID, "http://localhost:1/callback")
	s.handle(claudeCodeID, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write([]byte(claudeCode))
	})
	page := b.begin(a.query())
	s.serve(claudeCodeID, strings.Replace(claudeCode, "Claude Code", "Somebody else", 1))
	w.advance(9 * time.Minute)
	if r := b.get(page); !strings.Contains(r.body, "<bdi>Claude Code</bdi>") {
		t.Errorf("got %s", r.body)
	}
	if r := b.get(b.begin(a.query())); !strings.Contains(r.body, "<bdi>Somebody else</bdi>") {
		t.Errorf("the next request: got %s", r.body)
	}
}

func TestRefetchFailsAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport)
	a := w.documented(claudeCodeID, "http://localhost:1/callback")
	tokens := a.login("acct_1")
	w.advance(10 * time.Minute)
	s.handle(claudeCodeID, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	if tokens = a.token(a.refreshForm(tokens.refresh)).tokens(t); !w.alive(tokens.access) {
		t.Error("the outage of its site has ended a log-in")
	}
	if r := w.newBrowser("acct_1").get("/authorize?" + a.query().Encode()); r.status != http.StatusBadRequest || !strings.Contains(r.body, unusable) {
		t.Errorf("got %d %s, want no new log-in with a document that cannot be had", r.status, r.body)
	}
	s.handle(claudeCodeID, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	for range 2 {
		a.token(a.refreshForm(tokens.refresh)).wantError(t, 401, "invalid_client", "client authentication failed: register again")
	}
	s.serve(claudeCodeID, claudeCode)
	if next := a.token(a.refreshForm(tokens.refresh)).tokens(t); !w.alive(next.access) {
		t.Error("the site is back, and the token does not work")
	}
}

func TestBadDocuments(t *testing.T) {
	t.Parallel()
	const good = `{"client_id":"` + shopID + `","client_name":"App","redirect_uris":["http://127.0.0.1:4711/callback"]}`
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			w.Header().Set("Content-Type", "application/json")
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(good))
		}
	}
	member := func(m string) http.HandlerFunc { return jsonAnswer(strings.Replace(good, "{", "{"+m+",", 1)) }
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"another client_id", jsonAnswer(claudeCode)},
		{"secret member", member(`"client_secret":"x"`)},
		{"secret method", member(`"token_endpoint_auth_method":"client_secret_basic"`)},
		{"signed method", member(`"token_endpoint_auth_method":"private_key_jwt"`)},
		{"HTML", answer(200, "Content-Type", "text/html")},
		{"plain text", answer(200, "Content-Type", "text/plain")},
		{"two content types", answer(200, "Content-Type", "application/json, text/html")},
		{"404", answer(404)},
		{"201", answer(201)},
		{"206", answer(206)},
		{"500", answer(500)},
		{"redirect", answer(302, "Location", claudeCodeID)},
		{"permanent redirect to the same host", answer(308, "Location", "https://app.example/other")},
		{"oversize", member(`"x":"` + strings.Repeat("x", 5<<10) + `"`)},
		{"padded with white space", jsonAnswer(good + strings.Repeat(" ", 5<<10))},
		{"padded client_id", jsonAnswer(strings.Replace(good, shopID, " "+shopID, 1))},
		{"compressed", answer(200, "Content-Encoding", "gzip", "Content-Type", "application/gzip")},
		{"bad redirect URI", jsonAnswer(strings.Replace(good, "http://127.0.0.1:4711/callback", "http://evil.example/cb", 1))},
		{"empty", jsonAnswer("")},
		{"hang-up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"hang-up in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answer(200)(w, nil)
			panic(http.ErrAbortHandler)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			w := newWorld(t, s.transport)
			b := w.newBrowser("acct_1")
			a := w.documented(shopID, loopbackRedirect)
			s.handle(shopID, tt.answer)
			for i := range int64(2) {
				b.get("/authorize?"+a.query().Encode()).wantPage(t, 400, "invalid_client", unusable)
				if got := s.hits.Load(); got != i+1 {
					t.Errorf("got %d fetches after request %d", got, i+1)
				}
			}
			a.token(a.refreshForm("x")).wantError(t, 401, "invalid_client", "client authentication failed: register again")
			s.serve(shopID, good)
			b.begin(a.query()) // the failure was not remembered
			for _, line := range []string{
				`msg="authorization refused" request_id=req_1 error=invalid_client reason="the app's metadata document cannot be used" cause="` + shopID + `: `,
				`msg="client not authenticated" cause="` + shopID + `: `,
			} {
				if !strings.Contains(w.logged.String(), line) {
					t.Errorf("the log lacks %s: %s", line, w.logged)
				}
			}
			w.wantEvents()
		})
	}
}

func TestDocumentAddressesThatLeadInside(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, port, err := net.SplitHostPort(s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	guarded := newWorld(t)
	led := newWorld(t, s.transport) // whatever the address, a fetch would arrive
	for _, id := range []string{
		"https://127.0.0.1/c", "https://127.0.0.1:" + port + "/c", "https://localhost/c", "https://localhost:" + port + "/c",
		"https://169.254.169.254/c", "https://10.0.0.1/c", "https://172.16.0.1/c", "https://192.168.0.1/c", "https://[::1]/c",
		"https://[::1]:" + port + "/c", "https://[::ffff:127.0.0.1]/c", "https://[::ffff:7f00:1]:" + port + "/c", "https://2130706433/c",
		"https://127.1/c", "https://0x7f.1/c", "https://0177.0.0.1/c", "https://0/c", "https://[64:ff9b::7f00:1]/c", "https://[fd00::1]/c",
		"https://app.example:8443/client.json", "https://app.example:" + port + "/client.json", "https://u@app.example/client.json",
		"https://u:p@app.example/client.json", "https://app.example/x/../client.json", "https://app.example/./client.json",
		"https://app.example/%2e%2e/client.json", "https://app.example/client.json?x", "https://app.example/client.json#x",
		"https://app.example", "https://", "https://app.example/" + strings.Repeat("a", 512),
		"http://app.example/client.json", "HTTPS://app.example/client.json", "file:///etc/passwd", "//app.example/client.json",
	} {
		for _, w := range []*world{guarded, led} {
			a := w.documented(id, loopbackRedirect)
			title := unusable
			if !strings.HasPrefix(id, "https://") {
				title = "This app is not known here"
			}
			w.newBrowser("acct_1").get("/authorize?"+a.query().Encode()).wantPage(t, 400, "invalid_client", title)
			a.token(a.refreshForm("x")).wantError(t, 401, "invalid_client", "client authentication failed: register again")
		}
	}
	if got := s.hits.Load(); got != 0 {
		t.Errorf("got %d connections, want none", got)
	}
}

func TestOnlyTheDocumentIsFetched(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport)
	w.documented(shopID, "https://app.example/cb").login("acct_1")
	w.register(map[string]any{"logo_uri": "https://app.example/logo", "client_uri": "https://app.example/", "jwks_uri": "https://app.example/keys"})
	if got := s.hits.Load(); got != 1 {
		t.Errorf("got %d fetches, want that of the document", got)
	}
}

func TestTooManyDocuments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport)
	b := w.newBrowser("acct_1")
	registered := w.register(nil)
	w.documented(claudeCodeID, "http://localhost:1/callback").login("acct_1")
	for i := range 29 {
		a := w.documented(fmt.Sprint("https://app.example/", i), loopbackRedirect)
		b.get("/authorize?"+a.query().Encode()).wantPage(t, 400, "invalid_client", unusable)
	}
	a := w.documented("https://app.example/too-many", loopbackRedirect)
	page := b.get("/authorize?" + a.query().Encode())
	page.wantPage(t, 429, "temporarily_unavailable", "Too many apps at once")
	token := a.token(a.refreshForm("x"))
	token.wantError(t, 429, "temporarily_unavailable", "too many metadata documents for this address: try again later")
	for _, r := range []reply{page, token} {
		if r.header.Get("Retry-After") != "5" {
			t.Errorf("got Retry-After %q", r.header.Get("Retry-After"))
		}
	}
	elsewhere := httptest.NewRequest(http.MethodGet, "/authorize?"+w.documented(shopID, "https://app.example/cb").query().Encode(), nil)
	elsewhere.RemoteAddr = "198.51.100.7:4711"
	recorded := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorded, elsewhere)
	if recorded.Code != http.StatusFound {
		t.Errorf("from another address: got %d: %s", recorded.Code, recorded.Body)
	}
	// Who is known already is not locked out.
	w.documented(claudeCodeID, "http://localhost:1/callback").login("acct_1")
	registered.login("acct_1")
}

// A stranger behind the same address is in the way of new log-ins there, and of none that there was before.
func TestTooManyDocumentsEndNoLogIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport)
	a := w.documented(claudeCodeID, "http://localhost:1/callback")
	tokens := a.login("acct_1")
	w.advance(10 * time.Minute) // after which the document is asked for again
	for i := range 31 {
		r := httptest.NewRequest(http.MethodGet, "/authorize?"+w.documented(fmt.Sprint("https://app.example/", i), loopbackRedirect).query().Encode(), nil)
		r.RemoteAddr = "127.0.0.1:4711"
		w.server.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	if next := a.token(a.refreshForm(tokens.refresh)).tokens(t); !w.alive(next.access) {
		t.Error("the token does not work")
	}
}

// TestSiteIsNotHammered has many strangers, each from elsewhere, ask for what is not there on the site of an app.
func TestSiteIsNotHammered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport)
	a := w.documented(claudeCodeID, "http://localhost:1/callback")
	tokens := a.login("acct_1")
	strangers := 0
	visit := func(a *app, language string) *httptest.ResponseRecorder {
		strangers++
		r := httptest.NewRequest(http.MethodGet, "/authorize?"+a.query().Encode(), nil)
		r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1", 100+strangers/200, strangers%200)
		r.Header.Set("Accept-Language", language)
		recorded := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(recorded, r)
		return recorded
	}
	absent := func(i int) *app { return w.documented(fmt.Sprint("https://claude.ai/absent/", i), loopbackRedirect) }
	before := s.hits.Load()
	last := 0
	for i := range 200 {
		last = visit(absent(i), "en").Code
	}
	if fetched := s.hits.Load() - before; last != http.StatusTooManyRequests || fetched > 60 {
		t.Errorf("got status %d and %d fetches of the site, want 429 and no more than 60", last, fetched)
	}
	for language, want := range map[string]string{"en": "Wait a minute", "ja": "1 分ほど待ってから"} {
		r := visit(absent(1), language)
		if r.Code != http.StatusTooManyRequests || !strings.Contains(r.Body.String(), want) || r.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got %d %v, want 429 with %s: %s", language, r.Code, r.Header(), want, r.Body)
		}
	}
	refused := absent(2).token(absent(2).refreshForm("x"))
	refused.wantError(t, 429, "temporarily_unavailable", "the site of the metadata document was asked too often: try again later")

	if got := visit(w.documented(shopID, "https://app.example/cb"), "en").Code; got != http.StatusFound {
		t.Errorf("an app of another site: got %d, want 302", got)
	}
	w.advance(10 * time.Minute) // after which the document is asked for again
	for i := range 100 {
		visit(absent(i), "en")
	}
	a.login("acct_1") // what is asked of the site is another thing for apps that were here before
	s.handle(claudeCodeID, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	w.advance(10 * time.Minute)
	for range 200 {
		if visit(a, "en").Code == http.StatusTooManyRequests {
			break
		}
	}
	if got := visit(a, "en").Code; got != http.StatusTooManyRequests {
		t.Errorf("its site is away and was asked often: got %d, want 429", got)
	}
	if next := a.token(a.refreshForm(tokens.refresh)).tokens(t); !w.alive(next.access) {
		t.Error("sparing the site has ended a log-in")
	}
}

func TestWithoutDocuments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, s.transport, func(c *oauth.Config) { c.NoDocuments = true })
	if r := w.send(http.MethodGet, "/.well-known/oauth-authorization-server", ""); strings.Contains(r.body, `"client_id_metadata_document_supported":true`) {
		t.Errorf("got %s, want nothing advertised", r.body)
	}
	a := w.documented(claudeCodeID, "http://localhost:1/callback")
	if r := w.newBrowser("acct_1").get("/authorize?" + a.query().Encode()); r.status != http.StatusBadRequest || s.hits.Load() != 0 {
		t.Errorf("got %d after %d fetches, want 400 after none", r.status, s.hits.Load())
	}
}
