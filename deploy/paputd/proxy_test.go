package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// via sends requests to the server from one of this machine's addresses, as a reverse proxy there does.
func via(t *testing.T, server *running, address string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	to := strings.Replace(server.url, "http://localhost", "127.0.0.1", 1)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp4", to)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// fill uses up the registrations of a client.
func fill(t *testing.T, server *running, c *http.Client, header ...string) {
	t.Helper()
	for n := range 300 {
		if status := register(t, server, c, header...); status == http.StatusTooManyRequests && n >= 60 {
			return
		} else if status != http.StatusCreated {
			t.Fatalf("registration %d: got %d", n, status)
		}
	}
	t.Fatal("no registration is refused")
}

func register(t *testing.T, server *running, c *http.Client, header ...string) int {
	t.Helper()
	return request(t, c, http.MethodPost, server.url+"/register",
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none"}`, append(header, "Content-Type", "application/json")...)
}

// request sends a request and returns the status of the answer.
func request(t *testing.T, c *http.Client, method, address, body string, header ...string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestLimitsBehindAProxy(t *testing.T) {
	t.Parallel()
	const forwarded = "X-Forwarded-For"
	server := start(t, t.TempDir(), false, func(c *config) { c.proxies = []string{"127.0.0.1", "10.0.0.0/8"} })
	proxy := via(t, server, "127.0.0.1")
	fill(t, server, proxy, forwarded, "203.0.113.7")
	for _, test := range []struct {
		name, forwarded string
		want            int
	}{
		{"another client", "203.0.113.8", http.StatusCreated},
		{"the same with a port", "203.0.113.7:4711", http.StatusTooManyRequests},
		{"the same through another proxy of ours", "203.0.113.7, 10.0.0.1", http.StatusTooManyRequests},
		{"the same with a lie in front", "198.51.100.1, 203.0.113.7", http.StatusTooManyRequests},
	} {
		if got := register(t, server, proxy, forwarded, test.forwarded); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
	fill(t, server, proxy, forwarded, "2001:db8:1:2::7")
	if got := register(t, server, proxy, forwarded, "2001:db8:1:2:3:4:5:6"); got != http.StatusTooManyRequests {
		t.Errorf("another address of the same 64 bits: got %d, want 429", got)
	}
	if got := register(t, server, proxy, forwarded, "2001:db8:1:3::7"); got != http.StatusCreated {
		t.Errorf("another network: got %d, want 201", got)
	}

	// A peer that is no proxy says what it likes.
	liar := via(t, server, "127.0.0.2")
	refused := false
	for i := range 70 {
		if register(t, server, liar, forwarded, fmt.Sprintf("203.0.113.%d", 100+i), "Forwarded", "for=203.0.113.1", "X-Real-IP", "203.0.113.2") == http.StatusTooManyRequests {
			refused = true
		}
	}
	if !refused {
		t.Error("a peer that is no proxy was counted by its own word")
	}
}

func TestForwardedIsIgnoredByDefault(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	refused := 0
	for i := range 70 {
		if register(t, server, via(t, server, "127.0.0.1"), "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("got no refusal, want everybody counted by the peer's address")
	}
}

// TestPasswordsBehindAProxy sees to it that the limit on wrong passwords, too, is each client's.
func TestPasswordsBehindAProxy(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false, func(c *config) { c.proxies = []string{"127.0.0.1"} })
	proxy := via(t, server, "127.0.0.1")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Jar = jar
	try := func(client string, n int) int {
		t.Helper()
		res, err := proxy.Get(server.url + "/login")
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		m := regexp.MustCompile(`name="csrf" value="([^"]*)"`).FindSubmatch(page)
		if m == nil {
			t.Fatalf("no form token on %s", page)
		}
		form := url.Values{"email": {fmt.Sprintf("nobody%d@example.com", n)}, "password": {"not the right one"}, "csrf": {string(m[1])}}
		return request(t, proxy, http.MethodPost, server.url+"/login", form.Encode(),
			"Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-For", client)
	}
	last := 0
	for n := range 25 {
		if last = try("203.0.113.7", n); last == http.StatusTooManyRequests {
			break
		}
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("got %d, want 429 in the end", last)
	}
	if got := try("203.0.113.8", 99); got != http.StatusUnprocessableEntity {
		t.Errorf("another client: got %d, want 422", got)
	}
}

// TestHeadersDoNotNameTheServer sends what makes other servers believe that they are somebody else.
func TestHeadersDoNotNameTheServer(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false, func(c *config) { c.proxies = []string{"127.0.0.1"} })
	for _, path := range []string{
		"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/mcp", "/mcp",
	} {
		var plain, told string
		for _, to := range []*string{&plain, &told} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if to == &told {
				for name, value := range map[string]string{
					"Forwarded": "for=203.0.113.7;host=evil.example;proto=https", "X-Forwarded-For": "203.0.113.7",
					"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444", "X-Original-URL": "/evil",
				} {
					req.Header.Set(name, value)
				}
			}
			res, err := via(t, server, "127.0.0.1").Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			*to = fmt.Sprint(res.StatusCode, res.Header.Get("WWW-Authenticate"), string(body))
		}
		if plain != told || strings.Contains(told, "evil") {
			t.Errorf("%s: got %s, want %s", path, told, plain)
		}
	}
}
