package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestRedirectFault(t *testing.T) {
	t.Parallel()
	const (
		scheme   = "a redirect URI begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"
		loopback = "http is only for localhost, 127.0.0.1 and [::1]: use https"
		ascii    = "a redirect URI is printable ASCII without spaces, backslashes, asterisks and brackets"
		host     = "a redirect URI needs a host name"
	)
	tests := []struct{ raw, kind, want string }{
		{"https://app.example/cb", "", ""},
		{"https://app.example:8443/cb?tenant=a", "web", ""},
		{"https://app.example", "native", ""},
		{"https://[2001:db8::1]/cb", "", ""},
		{"http://localhost/cb", "", ""},
		{"http://127.0.0.1:4711/cb", "native", ""},
		{"http://[::1]:4711/cb", "", ""},
		{"http://127.0.0.1", "", ""},
		{"http://localhost:1/cb", "web", "a web application's redirect URI begins with https://"},
		{"", "", "a redirect URI has 1 to 2048 characters"},
		{"https://app.example/" + strings.Repeat("a", 2048), "", "a redirect URI has 1 to 2048 characters"},
		{"http://app.example/cb", "", loopback},
		{"http://127.0.0.2/cb", "", loopback},
		{"http://LOCALHOST/cb", "", loopback},
		{"http://localhost.evil.example/cb", "", loopback},
		{"http://localhost:80@evil.example/", "", "a redirect URI has no user name"},
		{"http://localhost:0/cb", "", loopback},
		{"http://localhost:/cb", "", loopback},
		{"http://localhost:65536/cb", "", loopback},
		{"http://[::1%25lo]/cb", "", loopback},
		{"javascript:alert(1)", "", scheme},
		{"data:text/html,x", "", scheme},
		{"cursor://anysphere/cb", "", "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it"},
		{"HTTPS://app.example/cb", "", scheme},
		{"https:app.example/cb", "", scheme},
		{"/cb", "", scheme},
		{"https:///cb", "", host},
		{"https://?x", "", host},
		{"https://app.example:0/cb", "", host},
		{"https://app.example:/cb", "", host},
		{"https://app_example/cb", "", host},
		{"https://u:p@app.example/cb", "", "a redirect URI has no user name"},
		{"https://app.example/cb#x", "", "a redirect URI has no fragment"},
		{"https://app.example/cb#", "", "a redirect URI has no fragment"},
		{"https://app.example/../cb", "", "a redirect URI has no dot segments"},
		{"https://app.example/%2e%2e/cb", "", "a redirect URI has no dot segments"},
		{"https://*.example/cb", "", ascii},
		{"https://app.example\\@evil.example/", "", ascii},
		{"https://app.example/c b", "", ascii},
		{"https://app.example/\u202ecb", "", ascii},
		{"https://app.example/cb?code=1", "", "a redirect URI has no parameter that an answer has: code, state, iss or error"},
		{"https://app.example/%zz", "", "a redirect URI must be a URL"},
	}
	for _, tt := range tests {
		if got := redirectFault(tt.raw, tt.kind, noScheme); got != tt.want {
			t.Errorf("redirectFault(%.60q, %q): got %q, want %q", tt.raw, tt.kind, got, tt.want)
		}
	}
}

func TestMatchRedirect(t *testing.T) {
	t.Parallel()
	registered := []string{"https://app.example/cb?tenant=a", "http://localhost:1234/cb", "http://127.0.0.1/cb", "http://[::1]:1/cb"}
	tests := []struct {
		asked string
		want  bool
	}{
		{"https://app.example/cb?tenant=a", true},
		{"http://localhost:1234/cb", true},
		{"http://localhost:59999/cb", true},
		{"http://localhost/cb", true},
		{"http://127.0.0.1:8/cb", true},
		{"http://[::1]/cb", true},
		{"", false},
		{"https://app.example:8443/cb?tenant=a", false},
		{"https://app.example/cb", false},
		{"https://app.example/cb?tenant=a&x=1", false},
		{"http://app.example/cb?tenant=a", false},
		{"https://APP.example/cb?tenant=a", false},
		{"https://localhost:1234/cb", false},
		{"http://127.0.0.2/cb", false},
		{"http://localhost:80@evil.example/cb", false},
		{"http://u:p@localhost/cb", false},
		{"http://localhost.evil.example/cb", false},
		{"http://localhost:1234/cb#frag", false},
		{"http://localhost:1234/%63b", false},
		{"http://localhost:1234/cb/", false},
		{"http://localhost:1234/x/../cb", false},
		{"http://localhost:1234/cb?x=1", false},
		{"http://localhost:01/cb", false},
		{"http://localhost:+1/cb", false},
		{"http://localhost:0/cb", false},
		{"http://localhost:70000/cb", false},
		{"http://localhost:/cb", false},
		{"http://localhost\\@evil.example/cb", false},
		{"HTTP://localhost/cb", false},
		{"http://LOCALHOST/cb", false},
	}
	for _, tt := range tests {
		if got := matchRedirect(registered, tt.asked); got != tt.want {
			t.Errorf("matchRedirect(%q): got %v, want %v", tt.asked, got, tt.want)
		}
	}
	if matchRedirect([]string{"http://localhost/cb"}, "http://127.0.0.1/cb") {
		t.Error("localhost and 127.0.0.1 are taken for the same")
	}
}

// FuzzRedirect checks what must hold of any two addresses: what matches a registered one leads to the same host, path and
// query, and to nothing that could be read as another.
func FuzzRedirect(f *testing.F) {
	for _, s := range []string{
		"http://localhost:1/cb", "http://127.0.0.1/cb?x=1", "https://app.example/cb", "http://localhost:80@evil/", "http://[::1]/",
		"http://localhost\\.evil/cb", "http://localhost%2eevil/", "https://a@b/", "http://127.0.0.1:999999/cb", "http://localhost?x#y",
	} {
		f.Add(s, "http://localhost:2/cb")
		f.Add("http://127.0.0.1/cb", s)
	}
	f.Fuzz(func(t *testing.T, registered, asked string) {
		if redirectFault(registered, "", noScheme) != "" {
			return // it could not have been registered
		}
		if !matchRedirect([]string{registered}, registered) {
			t.Fatalf("%q does not match itself", registered)
		}
		if !matchRedirect([]string{registered}, asked) {
			return
		}
		want, err := url.Parse(registered)
		if err != nil {
			t.Fatal(err)
		}
		got, err := url.Parse(asked)
		if err != nil {
			t.Fatalf("%q matches %q and is no URL: %v", asked, registered, err)
		}
		if got.Scheme != want.Scheme || got.Hostname() != want.Hostname() || got.User != nil || got.Fragment != "" ||
			got.EscapedPath() != want.EscapedPath() || got.RawQuery != want.RawQuery || redirectFault(asked, "", noScheme) != "" {
			t.Fatalf("%q matches %q", asked, registered)
		}
		if want.Scheme == "https" && asked != registered {
			t.Fatalf("%q matches %q", asked, registered)
		}
	})
}

func noScheme(string) bool { return false }

func TestRememberedHost(t *testing.T) {
	t.Parallel()
	for redirectURI, want := range map[string]string{
		"https://app.example/cb":          "app.example",
		"https://App.Example:8443/cb?x=1": "app.example:8443",
		"https://10.0.0.1/cb":             "10.0.0.1",
		"http://localhost:1/cb":           "",
		"http://app.example/cb":           "",
		"cursor://anysphere.example/cb":   "",
		"com.example.app:/cb":             "",
		"https://localhost/cb":            "",
		"https://127.0.0.1:1/cb":          "",
		"https://[::ffff:127.0.0.1]/cb":   "",
		"https://0.0.0.0/cb":              "",
		"https:///cb":                     "",
		"":                                "", // of a device
		"%zz":                             "",
	} {
		if got, ok := rememberedHost(redirectURI); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", redirectURI, got, ok, want)
		}
	}
}
