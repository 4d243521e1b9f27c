package oauth_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paput/paput/services/oauth"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.PublicURL = "https://mcp.example.com" })
	var first string
	for _, path := range []string{
		"/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/mcp", "/mcp/.well-known/oauth-authorization-server",
		"/.well-known/openid-configuration", "/.well-known/openid-configuration/mcp", "/mcp/.well-known/openid-configuration",
	} {
		r := w.send(http.MethodGet, path, "", "Origin", "https://inspector.example")
		if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" || r.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: got %d %v", path, r.status, r.header)
		}
		if first == "" {
			first = r.body
		}
		if r.body != first {
			t.Errorf("%s says something else: %s", path, r.body)
		}
		if r := w.send(http.MethodHead, path, ""); r.status != http.StatusOK || r.body != "" {
			t.Errorf("HEAD %s: got %d", path, r.status)
		}
		if r := w.send(http.MethodPost, path, ""); r.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d", path, r.status)
		}
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(first), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "metadata.json")
	if *update {
		if err := os.WriteFile(golden, append(pretty.Bytes(), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := pretty.String() + "\n"; got != string(want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if r := w.send(http.MethodGet, "/jwks", ""); r.status != http.StatusOK || r.body != `{"keys":[]}` {
		t.Errorf("jwks: got %d %q", r.status, r.body)
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{
		"/authorize/callback", "/userinfo", "/end_session", "/oauth/token", "/healthz", "/ready",
		"/keys", "/register/", "/register/client_1/x", "/authorize/", "/token/",
	} {
		if r := w.send(http.MethodGet, path, ""); r.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, r.status)
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/token", "/register", "/revoke", "/device_authorization", "/.well-known/oauth-authorization-server"} {
		r := w.send(http.MethodOptions, path, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
		if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Origin") != "*" ||
			r.header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: got %d %v", path, r.status, r.header)
		}
		r = w.send(http.MethodPost, path, "", "Origin", "https://evil.example")
		if r.header.Get("Access-Control-Allow-Origin") != "*" || r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("POST %s: got %v", path, r.header)
		}
	}
	for _, path := range []string{"/authorize", "/consent", "/device"} {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			r := w.send(method, path, "", "Origin", "https://evil.example")
			if r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: got %v", method, path, r.header)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*oauth.Config)
		want   string
	}{
		{"no log", func(c *oauth.Config) { c.Log = nil }, "oauth: one of Log, SignedIn, Now, NewID and Logger is missing"},
		{"short key", func(c *oauth.Config) { c.Key = []byte("x") }, "oauth: the key has 1 bytes, must have 32"},
		{"http elsewhere", func(c *oauth.Config) { c.PublicURL = "http://mcp.example" }, `oauth: the public URL "http://mcp.example" must begin with https:// unless it is on loopback`},
		{"path", func(c *oauth.Config) { c.PublicURL = "https://mcp.example/" }, `oauth: the public URL "https://mcp.example/" must be a scheme and a host, such as https://mcp.example.com`},
		{"user", func(c *oauth.Config) { c.PublicURL = "https://u@mcp.example" }, `oauth: the public URL "https://u@mcp.example" must be a scheme and a host, such as https://mcp.example.com`},
		{"long grace", func(c *oauth.Config) { c.Lifetimes.Grace = 301e9 }, "oauth: the grace time for refresh tokens is 5m1s, at most 5m"},
	}
	for _, tt := range tests {
		w := newWorld(t)
		c := oauth.Config{
			Log: w.log, PublicURL: w.url, Key: make([]byte, 32), SignedIn: signedIn, Now: w.Now,
			NewID: func(string) string { return "" }, Logger: slog.New(slog.DiscardHandler),
		}
		tt.change(&c)
		if _, err := oauth.New(c); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
