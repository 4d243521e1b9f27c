package oauth

import "testing"

func TestPrivateScheme(t *testing.T) {
	t.Parallel()
	for scheme, want := range map[string]bool{
		"cursor": true, "vscode": true, "com.example.app": true, "a1+b-c.d": true, "vscode-insiders": true,
		"": false, "c": false, "1a": false, ".a": false, "Cursor": false, "cur sor": false, "cursor:": false, "cürsor": false, "a_b": false,
		"http": false, "https": false, "javascript": false, "data": false, "file": false, "vbscript": false, "blob": false, "about": false,
		"view-source": false, "intent": false, "mailto": false, "ms-settings": false, "web+notes": false, "ws": false, "urn": false,
		"a234567890123456789012345678901234567890123456789012345678901234":  true,
		"a2345678901234567890123456789012345678901234567890123456789012345": false,
	} {
		if got := IsPrivateScheme(scheme); got != want {
			t.Errorf("%q: got %v, want %v", scheme, got, want)
		}
	}
}

func TestPrivateRedirect(t *testing.T) {
	t.Parallel()
	const (
		slash = "a redirect URI with a scheme of its own has a slash after the colon, as in com.example.app:/callback"
		other = "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it"
		none  = "a redirect URI begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"
	)
	for _, tt := range []struct{ raw, kind, want string }{
		{"cursor://anysphere.cursor-mcp/oauth/callback", "", ""},
		{"cursor://anysphere.cursor-mcp/oauth/callback?x=1", "native", ""},
		{"com.example.app:/callback", "", ""},
		{"com.example.app:///callback", "", ""},
		{"cursor:callback", "", slash},
		{"cursor:", "", slash},
		{"Cursor://anysphere/cb", "", slash},
		{"cursor://anysphere/cb", "web", "a web application's redirect URI begins with https://"},
		{"cursor://u@anysphere/cb", "", "a redirect URI has no user name"},
		{"cursor://anysphere/cb#x", "", "a redirect URI has no fragment"},
		{"cursor://anysphere/../cb", "", "a redirect URI has no dot segments"},
		{"cursor:/../cb", "", "a redirect URI has no dot segments"},
		{"cursor://anysphere/cb?state=1", "", "a redirect URI has no parameter that an answer has: code, state, iss or error"},
		{"cursor://any%20sphere/cb", "", "a redirect URI must be a URL"},
		{"cursor://a;b/cb", "", "a redirect URI has a plain name behind its slashes"},
		{"vscode://x/cb", "", other},
		{"javascript://anysphere/%0aalert(1)", "", none},
		{"file:///etc/passwd", "", none},
	} {
		allow := func(s string) bool {
			return s == "cursor" || s == "com.example.app" || s == "javascript" || s == "file"
		}
		if got := redirectFault(tt.raw, tt.kind, allow); got != tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.raw, tt.kind, got, tt.want)
		}
	}
}
