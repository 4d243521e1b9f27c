// Package visitor goes through the server's pages as a person with a browser does: it follows redirects, keeps cookies,
// fills in forms. Tests and benchmarks log in with it.
package visitor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// redirectURI is where the visitor's clients are sent back to; nothing listens there.
const redirectURI = "http://127.0.0.1:49152/callback"

var (
	formAction = regexp.MustCompile(`<form[^>]*\saction="([^"]*)"`)
	hiddenTag  = regexp.MustCompile(`<input[^>]*\stype="hidden"[^>]*>`)
	attribute  = regexp.MustCompile(`\s(name|value)="([^"]*)"`)
)

// ErrBusy is returned when so many people sign in at once that the server asks to come back later.
var ErrBusy = errors.New("the server is busy with other sign-ins")

// Visitor is a person at a browser of their own. It is not safe for concurrent use.
type Visitor struct {
	Base            string // the server's public URL
	Email, Password string
	browser         *http.Client
}

// From makes the visitor connect from an address of this machine, such as 127.0.0.9: the server limits what one address
// may do.
func (v *Visitor) From(address string) {
	v.Leave()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	v.browser.Transport = &http.Transport{DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(to)
		if err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
	}}
}

// Leave closes the visitor's connections.
func (v *Visitor) Leave() { v.browser.CloseIdleConnections() }

// Page is where a visit ended: a page of the server, or an address elsewhere that was not fetched.
type Page struct {
	Status int
	HTML   string
	URL    *url.URL
}

// Token is the answer of the token endpoint (RFC 6749, section 5.1).
type Token struct {
	ClientID string `json:"-"`
	Access   string `json:"access_token"`
	Refresh  string `json:"refresh_token"`
	Scope    string `json:"scope"`
}

// New returns a visitor of the server at base.
func New(base, email, password string) *Visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic("visitor: " + err.Error())
	}
	return &Visitor{Base: base, Email: email, Password: password, browser: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Get fetches a page and follows redirects as long as they stay on the server.
func (v *Visitor) Get(ctx context.Context, address string) (*Page, error) {
	for range 10 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		page, next, err := v.do(req)
		if err != nil || next == "" {
			return page, err
		}
		address = next
	}
	return nil, fmt.Errorf("%s redirects for ever", address)
}

// Submit fills in the form on a page, with its hidden fields, and follows where that leads.
func (v *Visitor) Submit(ctx context.Context, page *Page, fields url.Values) (*Page, error) {
	for _, tag := range hiddenTag.FindAllString(page.HTML, -1) {
		var name, value string
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			if m[1] == "name" {
				name = html.UnescapeString(m[2])
			} else {
				value = html.UnescapeString(m[2])
			}
		}
		fields.Set(name, value)
	}
	action := page.URL
	if m := formAction.FindStringSubmatch(page.HTML); m != nil {
		var err error
		if action, err = page.URL.Parse(html.UnescapeString(m[1])); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.Base)
	answer, next, err := v.do(req)
	if err != nil || next == "" {
		return answer, err
	}
	return v.Get(ctx, next)
}

// do sends one request. next is a redirect to follow; a redirect that leaves the server is returned as a page.
func (v *Visitor) do(req *http.Request) (page *Page, next string, err error) {
	req.Header.Set("Accept", "text/html")
	res, err := v.browser.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, "", err
	}
	to, err := res.Location()
	switch {
	case errors.Is(err, http.ErrNoLocation):
		return &Page{Status: res.StatusCode, HTML: string(body), URL: req.URL}, "", nil
	case err != nil:
		return nil, "", err
	case to.Host == req.URL.Host && to.Scheme == req.URL.Scheme:
		return nil, to.String(), nil
	default:
		return &Page{Status: res.StatusCode, URL: to}, "", nil
	}
}

// SetUp makes the first account with the link that is somewhere in what the server printed.
func (v *Visitor) SetUp(ctx context.Context, console string) error {
	link := regexp.MustCompile(`http\S+/setup\S+`).FindString(console)
	if link == "" {
		return fmt.Errorf("no set-up link on the console: %s", console)
	}
	page, err := v.Get(ctx, link)
	if err != nil {
		return err
	}
	page, err = v.Submit(ctx, page, url.Values{"email": {v.Email}, "password": {v.Password}})
	if err == nil && page.Status != http.StatusOK {
		err = fmt.Errorf("set-up answered %d: %s", page.Status, page.HTML)
	}
	return err
}

// Register registers a public client that may refresh (RFC 7591) and returns its id.
func (v *Visitor) Register(ctx context.Context) (clientID string, err error) {
	var client struct {
		ID string `json:"client_id"`
	}
	body := fmt.Sprintf(`{"client_name":"visitor","redirect_uris":[%q],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`, redirectURI)
	err = v.post(ctx, "/register", "application/json", body, &client)
	return client.ID, err
}

// Grant walks a client through sign-in and consent to its tokens. resource may be empty.
func (v *Visitor) Grant(ctx context.Context, clientID, resource string, scopes ...string) (*Token, error) {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {"s"},
		"scope": {strings.Join(scopes, " ")}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	if resource != "" {
		query.Set("resource", resource)
	}
	page, err := v.Approve(ctx, v.Base+"/authorize?"+query.Encode(), scopes...)
	if err != nil {
		return nil, err
	}
	answer := page.URL.Query()
	if answer.Get("code") == "" || answer.Get("iss") != v.Base {
		return nil, fmt.Errorf("the consent led to %s with status %d, not to a code: %s", page.URL, page.Status, page.HTML)
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "redirect_uri": {redirectURI},
		"code": {answer.Get("code")}, "code_verifier": {verifier},
	}
	token := &Token{ClientID: clientID}
	return token, v.post(ctx, "/token", "application/x-www-form-urlencoded", form.Encode(), token)
}

// Approve opens a client's authorization request, signs in when asked to, and allows the scopes. The page is the address that
// the browser is sent back to.
func (v *Visitor) Approve(ctx context.Context, authorization string, scopes ...string) (*Page, error) {
	page, err := v.Get(ctx, authorization)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(page.URL.Path, "/login") {
		if page, err = v.Submit(ctx, page, url.Values{"email": {v.Email}, "password": {v.Password}}); err != nil {
			return nil, err
		}
		if page.Status == http.StatusServiceUnavailable {
			return nil, ErrBusy
		}
	}
	return v.Submit(ctx, page, url.Values{"decision": {"approve"}, "scope": scopes})
}

// LogIn registers a client and returns its tokens.
func (v *Visitor) LogIn(ctx context.Context, scopes ...string) (*Token, error) {
	client, err := v.Register(ctx)
	if err != nil {
		return nil, err
	}
	return v.Grant(ctx, client, v.Base, scopes...)
}

func (v *Visitor) post(ctx context.Context, path, contentType, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.Base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	res, err := v.browser.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("POST %s answered %d: %s", path, res.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}
