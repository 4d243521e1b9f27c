package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
)

// answered is what a program got.
type answered struct {
	status int
	header http.Header
	body   string
}

// ask sends a request to the server from an address of its own, as address, so that no limit is shared, and follows
// nothing. Pairs of header name and value follow the body.
func (r *running) ask(t *testing.T, address, method, path, body string, header ...string) answered {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(to)
		if err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
	}}
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{res.StatusCode, res.Header, string(read)}
}

const (
	asForm = "application/x-www-form-urlencoded"
	asJSON = "application/json"
	// ping is the smallest message that needs a token.
	ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// pinged asks the MCP endpoint with a token.
func (r *running) pinged(t *testing.T, endpoint, token string) answered {
	t.Helper()
	return r.ask(t, "127.0.0.1", http.MethodPost, endpoint, ping, "Content-Type", asJSON,
		"Accept", "application/json, text/event-stream", "MCP-Protocol-Version", "2025-11-25", "Authorization", "Bearer "+token)
}

// startWithAccounts starts a server with the account of newVisitor and another person's.
func startWithAccounts(t *testing.T, change ...func(*config)) *running {
	t.Helper()
	server := start(t, t.TempDir(), false, change...)
	for _, email := range []string{"aiko@example.com", "eve@example.com"} {
		_, err := server.app.accounts.Admin().CreateAccount(t.Context(), &accountv1.CreateAccountRequest{Email: email, Password: "correct horse battery"})
		if err != nil {
			t.Fatal(err)
		}
	}
	return server
}

// browse is a browser that takes part in nothing but what a test tells it to.
func browse(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

var formToken = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// signIn fills in the sign-in form.
func (r *running) signIn(t *testing.T, browser *http.Client, email string) {
	t.Helper()
	page := r.loginPage(t, browser, http.MethodGet, nil)
	token := formToken.FindStringSubmatch(page.body)
	if token == nil {
		t.Fatalf("no form: %s", page.body)
	}
	form := url.Values{"csrf": {token[1]}, "email": {email}, "password": {"correct horse battery"}}
	if got := r.loginPage(t, browser, http.MethodPost, form); got.status != http.StatusSeeOther {
		t.Fatalf("sign in: got %d %s", got.status, got.body)
	}
}

// loginPage visits the sign-in page, or sends its form.
func (r *running) loginPage(t *testing.T, browser *http.Client, method string, form url.Values) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", asForm)
		req.Header.Set("Origin", r.url)
	}
	res, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return answered{res.StatusCode, res.Header, string(body)}
}

// session returns the value of the cookie that says who is signed in.
func (r *running) session(t *testing.T, browser *http.Client) string {
	t.Helper()
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range browser.Jar.Cookies(u) {
		if c.Name == "paput_session" {
			return c.Value
		}
	}
	return ""
}

// TestSessionFixation plants a session of another person in the browser of someone who then signs in.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	eve, aiko := browse(t), browse(t)
	server.signIn(t, eve, "eve@example.com")
	planted := server.session(t, eve)
	u, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	aiko.Jar.SetCookies(u, []*http.Cookie{{Name: "paput_session", Value: planted, Path: "/"}})
	if page := server.loginPage(t, aiko, http.MethodGet, nil); !strings.Contains(page.body, "eve@example.com") {
		t.Fatalf("the cookie was not planted: %s", page.body)
	}
	server.signIn(t, aiko, "aiko@example.com")
	if got := server.session(t, aiko); got == planted || got == "" {
		t.Errorf("the session is still the planted one")
	}
	if page := server.loginPage(t, aiko, http.MethodGet, nil); !strings.Contains(page.body, "aiko@example.com") {
		t.Errorf("aiko is not signed in: %s", page.body)
	}
	if page := server.loginPage(t, eve, http.MethodGet, nil); strings.Contains(page.body, "@example.com") {
		t.Errorf("the planted session still signs in: %s", page.body)
	}
}

// TestFloods sends more than one address may, and looks whether another still gets through.
func TestFloods(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	const registration = `{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none","client_name":"%d"}`
	for _, test := range []struct {
		name, method, path, body, contentType string
	}{
		{"registrations", http.MethodPost, "/register", registration, asJSON},
		{"visits", http.MethodGet, "/authorize?client_id=%d", "", ""},
		{"answers", http.MethodGet, "/consent?tx=%d", "", ""},
		{"unknown clients", http.MethodPost, "/token", "grant_type=refresh_token&refresh_token=x&client_id=c%d", asForm},
		{"revocations by unknown clients", http.MethodPost, "/revoke", "token=x&client_id=c%d", asForm},
	} {
		t.Run(test.name, func(t *testing.T) {
			numbered := func(format string, i int) string { return strings.ReplaceAll(format, "%d", fmt.Sprint(i)) }
			send := func(address string, i int) answered {
				return server.ask(t, address, test.method, numbered(test.path, i), numbered(test.body, i), "Content-Type", test.contentType)
			}
			for i := range 400 {
				got := send("127.0.49.1", i)
				if got.status != http.StatusTooManyRequests {
					continue
				}
				if got.header.Get("Retry-After") == "" || got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("got %v", got.header)
				}
				if other := send("127.0.49.2", i); other.status == http.StatusTooManyRequests {
					t.Error("another address is limited too")
				}
				return
			}
			t.Error("400 requests are not too many")
		})
	}
}

// register registers a client as another program would.
func (r *running) register(t *testing.T, address, metadata string) (id, registrationToken string) {
	t.Helper()
	got := r.ask(t, address, http.MethodPost, "/register", metadata, "Content-Type", asJSON)
	var client struct {
		ID    string `json:"client_id"`
		Token string `json:"registration_access_token"`
	}
	if err := json.Unmarshal([]byte(got.body), &client); err != nil || got.status != http.StatusCreated {
		t.Fatalf("register: got %d %s", got.status, got.body)
	}
	return client.ID, client.Token
}

const nativeApp = `{"redirect_uris":["http://127.0.0.1:49152/callback"],"token_endpoint_auth_method":"none","client_name":"Native app"}`

// TestEndOfARegistration ends a client with a wrong token and with its own, and calls a tool with what it was granted.
func TestEndOfARegistration(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	id, token := server.register(t, "127.0.50.1", nativeApp)
	granted, err := newVisitor(server).Grant(t.Context(), id, "", "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string][]string{
		"no token": nil, "another token": {"Authorization", "Bearer paput_ra_" + strings.Repeat("A", 43)},
		"an access token": {"Authorization", "Bearer " + granted.Access},
	} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			if got := server.ask(t, "127.0.50.1", method, "/register/"+id, "", header...); got.status != http.StatusUnauthorized {
				t.Errorf("%s, %s: got %d %s, want 401", method, name, got.status, got.body)
			}
		}
	}
	if got := server.pinged(t, "/", granted.Access); got.status != http.StatusOK {
		t.Errorf("before: got %d %s", got.status, got.body)
	}
	if got := server.ask(t, "127.0.50.1", http.MethodDelete, "/register/"+id, "", "Authorization", "Bearer "+token); got.status != http.StatusNoContent {
		t.Fatalf("delete: got %d %s", got.status, got.body)
	}
	if got := server.pinged(t, "/", granted.Access); got.status != http.StatusUnauthorized {
		t.Errorf("after: got %d %s, want 401", got.status, got.body)
	}
}

// TestNoEgress registers a client that names addresses of a site that listens, and lets it log in: nobody visits the site.
func TestNoEgress(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	site := httptest.NewUnstartedServer(http.NotFoundHandler())
	site.Config.ConnState = func(net.Conn, http.ConnState) { visits.Add(1) }
	site.StartTLS()
	defer site.Close()
	server := startWithAccounts(t, func(c *config) { c.documents = true })
	metadata := strings.TrimSuffix(nativeApp, "}")
	for _, member := range []string{"logo_uri", "client_uri", "jwks_uri", "policy_uri", "tos_uri", "sector_identifier_uri", "software_statement", "initiate_login_uri"} {
		metadata += fmt.Sprintf(",%q:%q", member, site.URL+"/"+member)
	}
	id, _ := server.register(t, "127.0.54.1", metadata+"}")
	aiko := newVisitor(server)
	if _, err := aiko.Grant(t.Context(), id, "", "paput.read"); err != nil {
		t.Fatal(err)
	}
	query := url.Values{"client_id": {id}, "redirect_uri": {"http://127.0.0.1:49152/callback"}, "request_uri": {site.URL}}
	server.ask(t, "127.0.54.1", http.MethodGet, "/authorize?"+query.Encode(), "")
	document := url.Values{"client_id": {site.URL + "/client.json"}, "redirect_uri": {"http://127.0.0.1:49152/callback"}}
	server.ask(t, "127.0.54.1", http.MethodGet, "/authorize?"+document.Encode(), "")
	if got := visits.Load(); got != 0 {
		t.Errorf("got %d connections, want none", got)
	}
}

// TestTokensAtTheTools presents to the MCP endpoint what is no access token for it. Access tokens are opaque and looked
// up: there is no key, algorithm or claim that a made-up one could get right.
func TestTokensAtTheTools(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	id, _ := server.register(t, "127.0.55.1", nativeApp)
	aiko := newVisitor(server)
	granted, err := aiko.Grant(t.Context(), id, "", "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims := part(`{"iss":"` + server.url + `","aud":"` + server.url + `","sub":"acct_1","scope":"paput.read","exp":99999999999,"client_id":"` + id + `"}`)
	for name, token := range map[string]string{
		"a refresh token":                granted.Refresh,
		"nothing that was given out":     "paput_at_" + strings.Repeat("A", 43),
		"one character more":             granted.Access + "A",
		"one character less":             granted.Access[:len(granted.Access)-1],
		"a JWT without algorithm":        part(`{"alg":"none","typ":"at+jwt"}`) + "." + claims + ".",
		"a JWT with a symmetric key":     part(`{"alg":"HS256","typ":"at+jwt"}`) + "." + claims + "." + part("signature"),
		"a JWT with an unknown key":      part(`{"alg":"ES256","kid":"x","typ":"at+jwt"}`) + "." + claims + "." + part(strings.Repeat("s", 64)),
		"a JWT of another type":          part(`{"alg":"ES256","typ":"JWT"}`) + "." + claims + "." + part(strings.Repeat("s", 64)),
		"a JWT with the prefix":          "paput_at_" + part(`{"alg":"none"}`) + "." + claims + ".",
		"the hash of a token, as stored": "paput_at_" + strings.Repeat("0", 64),
	} {
		for _, endpoint := range []string{"/", "/mcp"} {
			got := server.pinged(t, endpoint, token)
			if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("%s at %s: got %d %s", name, endpoint, got.status, got.header.Get("WWW-Authenticate"))
			}
		}
	}
	bare := server.ask(t, "127.0.55.1", http.MethodPost, "/mcp", ping, "Content-Type", asJSON)
	if challenge := bare.header.Get("WWW-Authenticate"); bare.status != http.StatusUnauthorized || challenge == "" || strings.Contains(challenge, "error=") {
		t.Errorf("no token: got %d %s", bare.status, challenge)
	}
	inURL := server.ask(t, "127.0.55.1", http.MethodPost, "/mcp?access_token="+granted.Access, ping, "Content-Type", asJSON)
	if inURL.status != http.StatusBadRequest {
		t.Errorf("in the URL: got %d %s", inURL.status, inURL.body)
	}
	publish := strings.Replace(ping, `"method":"ping"`, `"method":"tools/call","params":{"name":"paput_create_memos","arguments":{"memos":[{"title":"x"}]}}`, 1)
	small := server.ask(t, "127.0.55.1", http.MethodPost, "/mcp", publish, "Content-Type", asJSON, "Accept", "application/json, text/event-stream",
		"MCP-Protocol-Version", "2025-11-25", "Authorization", "Bearer "+granted.Access)
	if challenge := small.header.Get("WWW-Authenticate"); small.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) ||
		!strings.Contains(challenge, `scope="paput.write"`) || !strings.Contains(challenge, "resource_metadata=") {
		t.Errorf("too little scope: got %d %s", small.status, challenge)
	}
}

// TestTokenOfAnotherServer presents the token of one server to another whose store knows it by the same public name only.
func TestTokenOfAnotherServer(t *testing.T) {
	t.Parallel()
	here, there := startWithAccounts(t), startWithAccounts(t)
	token := logIn(t, newVisitor(there), "paput.read")
	if got := there.pinged(t, "/", token); got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := here.pinged(t, "/", token); got.status != http.StatusUnauthorized {
		t.Errorf("got %d %s, want 401", got.status, got.body)
	}
}

// TestNoPageIsSharedWithOrigins sends a page's requests from another site to everything that knows a browser's cookies.
func TestNoPageIsSharedWithOrigins(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	for _, path := range []string{"/authorize", "/consent", "/login", "/logout", "/setup", "/invite", "/introspect"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			got := server.ask(t, "127.0.59.1", method, path, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
			for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods"} {
				if value := got.header.Get(name); value != "" {
					t.Errorf("%s %s: got %s %q", method, path, name, value)
				}
			}
		}
	}
}

// TestNothingIsCached looks at what carries tokens, or says why there are none.
func TestNothingIsCached(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	id, token := server.register(t, "127.0.60.1", nativeApp)
	granted, err := newVisitor(server).Grant(t.Context(), id, "", "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, path, contentType, body string
		status                                int
		header                                []string
	}{
		{"tokens", http.MethodPost, "/token", asForm, "grant_type=refresh_token&client_id=" + id + "&refresh_token=" + granted.Refresh, 200, nil},
		{"a refused refresh", http.MethodPost, "/token", asForm, "grant_type=refresh_token&refresh_token=x&client_id=" + id, 400, nil},
		{"an unknown client", http.MethodPost, "/token", asForm, "grant_type=refresh_token&refresh_token=x&client_id=x", 401, nil},
		{"GET", http.MethodGet, "/token", "", "", 405, nil},
		{"a registration", http.MethodPost, "/register", asJSON, `{"redirect_uris":["https://app.example/"]}`, 201, nil},
		{"a refused registration", http.MethodPost, "/register", asJSON, `{}`, 400, nil},
		{"a registration shown", http.MethodGet, "/register/" + id, "", "", 200, []string{"Authorization", "Bearer " + token}},
		{"a registration not shown", http.MethodGet, "/register/" + id, "", "", 401, nil},
		{"a revocation", http.MethodPost, "/revoke", asForm, "token=x&client_id=" + id, 200, nil},
		{"a refused revocation", http.MethodPost, "/revoke", asForm, "token=x&client_id=x", 401, nil},
		{"a refused authorization", http.MethodGet, "/authorize?client_id=x", "", "", 400, nil},
		{"a refused consent", http.MethodGet, "/consent?tx=x", "", "", 400, nil},
		{"a registration deleted", http.MethodDelete, "/register/" + id, "", "", 204, []string{"Authorization", "Bearer " + token}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := server.ask(t, "127.0.60.1", test.method, test.path, test.body, append(test.header, "Content-Type", test.contentType)...)
			if cache := got.header.Get("Cache-Control"); got.status != test.status || cache != "no-store" {
				t.Errorf("got %d with Cache-Control %q, want %d with no-store: %s", got.status, cache, test.status, got.body)
			}
		})
	}
}

// TestIssuer compares what the metadata calls the issuer with what answers to apps call it, good ones and bad.
func TestIssuer(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	got := server.ask(t, "127.0.63.1", http.MethodGet, "/.well-known/oauth-authorization-server", "")
	if err := json.Unmarshal([]byte(got.body), &metadata); err != nil || metadata.Issuer != server.url {
		t.Fatalf("got %s, %v", got.body, err)
	}
	id, _ := server.register(t, "127.0.63.1", nativeApp)
	query := url.Values{
		"client_id": {id}, "redirect_uri": {"http://127.0.0.1:49152/callback"}, "response_type": {"code"}, "scope": {"paput.read"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"},
	}
	aiko := newVisitor(server)
	for decision, answer := range map[string]string{"approve": "code", "deny": "error"} {
		page, err := aiko.Get(t.Context(), server.url+"/authorize?"+query.Encode())
		if err == nil && strings.HasPrefix(page.URL.Path, "/login") {
			page, err = aiko.Submit(t.Context(), page, url.Values{"email": {aiko.Email}, "password": {aiko.Password}})
		}
		if err == nil {
			page, err = aiko.Submit(t.Context(), page, url.Values{"decision": {decision}, "scope": {"paput.read"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		if q := page.URL.Query(); q.Get("iss") != metadata.Issuer || q.Get(answer) == "" {
			t.Errorf("%s: got %s", decision, page.URL)
		}
	}
	query.Set("response_type", "token")
	refused := server.ask(t, "127.0.63.1", http.MethodGet, "/authorize?"+query.Encode(), "")
	to, err := url.Parse(refused.header.Get("Location"))
	if err != nil || to.Query().Get("iss") != metadata.Issuer || to.Query().Get("error") != "unsupported_response_type" {
		t.Errorf("got %d to %s", refused.status, refused.header.Get("Location"))
	}
}

// TestLibraryLeftovers looks for endpoints that the OAuth library has and this server does not.
func TestLibraryLeftovers(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	for _, path := range []string{
		"/authorize/callback", "/authorize/callback?id=x", "/userinfo", "/end_session", "/oauth/token", "/oauth/v2/token", "/keys",
		"/oauth/introspect", "/endsession", "/ready",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if got := server.ask(t, "127.0.64.1", method, path, ""); got.status != http.StatusNotFound {
				t.Errorf("%s %s: got %d, want 404", method, path, got.status)
			}
		}
	}
}

var referenceIn = regexp.MustCompile(`(?:Reference: |<code>|error )((?:req|err)_[0-9a-z]+)`)

// TestDatabaseGone closes the database under the whole program and asks everything that needs it. Nobody is told more than a
// reference, by which the log knows the cause.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	id, token := server.register(t, "127.0.62.1", nativeApp)
	aiko := newVisitor(server)
	granted, err := aiko.Grant(t.Context(), id, "", "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	confidential := `{"redirect_uris":["https://app.example/"]}`
	if err := server.app.events.DB().Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, path, contentType, body string
		header                                []string
	}{
		{"authorize", http.MethodGet, "/authorize?client_id=x&redirect_uri=x", "", "", nil},
		{"token, code", http.MethodPost, "/token", asForm, "grant_type=authorization_code&code=x&client_id=x", nil},
		{"token, refresh", http.MethodPost, "/token", asForm, "grant_type=refresh_token&refresh_token=x&client_id=x", nil},
		{"revoke", http.MethodPost, "/revoke", asForm, "client_id=" + id + "&token=" + granted.Access, nil},
		{"a registration shown", http.MethodGet, "/register/" + id, "", "", []string{"Authorization", "Bearer " + token}},
		{"MCP", http.MethodPost, "/mcp", asJSON, ping, []string{"Authorization", "Bearer " + granted.Access, "Accept", "application/json, text/event-stream"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := server.ask(t, "127.0.62.1", test.method, test.path, test.body, append(test.header, "Content-Type", test.contentType)...)
			if got.status != http.StatusInternalServerError && got.status != http.StatusServiceUnavailable {
				t.Errorf("got %d %s", got.status, got.body)
			}
			for _, inner := range []string{"sql", "database", "closed"} {
				if strings.Contains(strings.ToLower(got.body), inner) {
					t.Errorf("the answer says %q: %s", inner, got.body)
				}
			}
			said := referenceIn.FindStringSubmatch(got.body)
			if said == nil || !strings.Contains(server.logs(), said[1]) {
				t.Errorf("the log does not know the reference in %s", got.body)
			}
		})
	}
	if got := server.ask(t, "127.0.62.1", http.MethodPost, "/register", confidential, "Content-Type", asJSON); got.status != http.StatusCreated {
		t.Errorf("what reads nothing fails: got %d %s", got.status, got.body)
	}
	if !strings.Contains(server.logs(), "database is closed") {
		t.Error("the log does not say what happened")
	}
}
