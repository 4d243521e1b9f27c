package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	pingMessage = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	discover    = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
)

// challengeParameter is one parameter of a challenge (RFC 9110, section 11.2), with its value as a quoted string.
var challengeParameter = regexp.MustCompile(`^([a-z_]+)="((?:[^"\\]|\\.)*)"(?:, *|$)`)

// parseChallenge reads the one challenge that an answer may have.
func parseChallenge(t *testing.T, header http.Header) map[string]string {
	t.Helper()
	values := header.Values("WWW-Authenticate")
	if len(values) == 0 {
		return nil
	}
	rest, isBearer := strings.CutPrefix(values[0], "Bearer ")
	if len(values) > 1 || !isBearer {
		t.Fatalf("got the challenges %q, want one of the scheme Bearer", values)
	}
	found := make(map[string]string)
	for rest != "" {
		m := challengeParameter.FindStringSubmatch(rest)
		if m == nil || found[m[1]] != "" {
			t.Fatalf("the challenge %q is malformed at %q", values[0], rest)
		}
		found[m[1]] = m[2]
		rest = rest[len(m[0]):]
	}
	return found
}

// knock sends a request to the server; headers come in pairs, and one that is named twice is sent twice.
func knock(t *testing.T, method, address, body string, headers ...string) (knocked, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return knocked{res.StatusCode, res.Header}, string(said)
}

// knocked is how a request was answered.
type knocked struct {
	StatusCode int
	Header     http.Header
}

// checkResourceMetadata follows a challenge as a client does that was told the address: what is there must name that very
// address (RFC 9728, section 3.3), and an authorization server whose metadata name itself (RFC 8414, section 3.3).
func checkResourceMetadata(t *testing.T, server *running, document, address string) {
	t.Helper()
	if !strings.Contains(strings.TrimPrefix(address, "http://"), "/") {
		address += "/" // a client asks for the path / where there is none
	}
	res, body := knock(t, http.MethodGet, document, "")
	var about struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
		Methods  []string `json:"bearer_methods_supported"`
		Name     string   `json:"resource_name"`
	}
	if err := json.Unmarshal([]byte(body), &about); err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: got %d %s (%v)", document, res.StatusCode, body, err)
	}
	if about.Resource != address {
		t.Errorf("%s: got the resource %s, want %s", document, about.Resource, address)
	}
	if !slices.Equal(about.Scopes, []string{"paput.read", "paput.write"}) || !slices.Equal(about.Methods, []string{"header"}) ||
		about.Name != "Paput" || !slices.Equal(about.Servers, []string{server.url}) {
		t.Errorf("%s: got %s", document, body)
	}
	_, body = knock(t, http.MethodGet, about.Servers[0]+"/.well-known/oauth-authorization-server", "")
	var issuer struct {
		Issuer    string   `json:"issuer"`
		Scopes    []string `json:"scopes_supported"`
		Resources []string `json:"protected_resources"`
	}
	if err := json.Unmarshal([]byte(body), &issuer); err != nil || issuer.Issuer != about.Servers[0] {
		t.Errorf("got the issuer %q (%v), want %q", issuer.Issuer, err, about.Servers[0])
	}
	if want := []string{"paput.read", "paput.capture", "paput.write", "paput.publish", "paput.account", "paput.audit", "offline_access"}; !slices.Equal(issuer.Scopes, want) {
		t.Errorf("the authorization server: got the scopes %v, want %v", issuer.Scopes, want)
	}
	if !slices.Contains(issuer.Resources, strings.TrimSuffix(address, "/")) && !slices.Contains(issuer.Resources, address) {
		t.Errorf("the authorization server: got the resources %v, want among them %s", issuer.Resources, address)
	}
}

// TestStrangersAreChallenged sends every method to every spelling of the endpoint, as clients of both eras do.
func TestStrangersAreChallenged(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	for _, path := range []string{"", "/", "/mcp", "/mcp/"} {
		for _, kind := range []struct {
			name, body string
			headers    []string
		}{
			{"a probe", "", []string{"Accept", "*/*"}},
			{"a probe of Codex", "", []string{"Accept", "*/*", "MCP-Protocol-Version", "2024-11-05"}},
			{"a stream", "", []string{"Accept", "text/event-stream", "MCP-Protocol-Version", "2025-11-25", "Mcp-Session-Id", "s-1"}},
			{"handshake era", pingMessage, []string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"}},
			{"handshake era, in a session", pingMessage, []string{
				"Content-Type", "application/json", "Accept", "application/json, text/event-stream", "MCP-Protocol-Version", "2025-06-18", "Mcp-Session-Id", "s-1",
			}},
			{"stateless era", discover, []string{
				"Content-Type", "application/json", "Accept", "application/json, text/event-stream", "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "server/discover",
			}},
			{"nonsense", "{", []string{"Content-Type", "text/plain", "MCP-Protocol-Version", "1", "Cookie", "a=b"}},
			{"another scheme", "", []string{"Authorization", "Basic YTpi"}},
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH"} {
				t.Run(cmp.Or(path, "root")+" "+kind.name+" "+method, func(t *testing.T) {
					t.Parallel()
					res, body := knock(t, method, server.url+path, kind.body, kind.headers...)
					challenge := parseChallenge(t, res.Header)
					if res.StatusCode != http.StatusUnauthorized || len(challenge) != 2 || challenge["scope"] != "paput.read paput.write" {
						t.Fatalf("got %d %v, want 401 with resource_metadata, scope and no error", res.StatusCode, challenge)
					}
					if res.Header.Get("Cache-Control") != "no-store" || (body == "") != (method == "HEAD") {
						t.Errorf("got %v and the body %q", res.Header, body)
					}
					checkResourceMetadata(t, server, challenge["resource_metadata"], server.url+path)
				})
			}
		}
		t.Run(cmp.Or(path, "root")+" preflight", func(t *testing.T) {
			t.Parallel()
			res, _ := knock(t, http.MethodOptions, server.url+path, "", "Origin", "http://localhost:6274", "Access-Control-Request-Method", "POST",
				"Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version")
			if res.StatusCode != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Origin") != "http://localhost:6274" || parseChallenge(t, res.Header) != nil {
				t.Errorf("got %d %v, want 204 and no challenge", res.StatusCode, res.Header)
			}
		})
	}
}

// TestBrowsersSeeAPage checks who is shown the landing page instead of a challenge.
func TestBrowsersSeeAPage(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, test := range []struct {
		name, method, path string
		headers            []string
		want               int
	}{
		{"a browser", "GET", "/", []string{"Accept", browser}, 200},
		{"its head", "HEAD", "/", []string{"Accept", browser}, 200},
		{"at /mcp", "GET", "/mcp", []string{"Accept", browser}, 401},
		{"with a token", "GET", "/", []string{"Accept", browser, "Authorization", "Bearer x"}, 401},
		{"that takes streams", "GET", "/", []string{"Accept", "text/html, text/event-stream"}, 401},
		{"that posts", "POST", "/", []string{"Accept", browser}, 401},
		{"that takes anything", "GET", "/", []string{"Accept", "*/*"}, 401},
		{"that says nothing", "GET", "/", nil, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res, _ := knock(t, test.method, server.url+test.path, "", test.headers...)
			if isPage := strings.HasPrefix(res.Header.Get("Content-Type"), "text/html"); res.StatusCode != test.want || isPage != (test.want == 200) {
				t.Errorf("got %d %s, want %d", res.StatusCode, res.Header.Get("Content-Type"), test.want)
			}
			if (parseChallenge(t, res.Header) != nil) != (test.want == 401) {
				t.Errorf("got %d with %q", res.StatusCode, res.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

// TestTokensThatAreRefused sends tokens that are of no use, in every place where one can be put.
func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	aiko := newVisitor(server)
	if err := aiko.SetUp(t.Context(), server.console); err != nil {
		t.Fatal(err)
	}
	reader, err := aiko.LogIn(t.Context(), "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := aiko.LogIn(t.Context(), "paput.read", "paput.write")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": {revoked.Refresh}, "client_id": {revoked.ClientID}}.Encode()
	if res, body := knock(t, "POST", server.url+"/revoke", form, "Content-Type", "application/x-www-form-urlencoded"); res.StatusCode != http.StatusOK {
		t.Fatalf("revoke: got %d %s", res.StatusCode, body)
	}
	const write = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"paput_create_memos","arguments":{"memos":[{"title":"x"}]}}}`
	good := "Bearer " + reader.Access
	for _, test := range []struct {
		name, query, body string
		authorization     []string
		status            int
		code, scope       string
	}{
		{"a good token", "", pingMessage, []string{good}, 200, "", ""},
		{"the scheme in another case", "", pingMessage, []string{"bearer " + reader.Access}, 200, "", ""},
		{"an unknown token", "", pingMessage, []string{"Bearer paput_at_" + strings.Repeat("x", 43)}, 401, "invalid_token", "paput.read paput.write"},
		{"a revoked token", "", pingMessage, []string{"Bearer " + revoked.Access}, 401, "invalid_token", "paput.read paput.write"},
		{"a refresh token", "", pingMessage, []string{"Bearer " + reader.Refresh}, 401, "invalid_token", "paput.read paput.write"},
		{"no token at all", "", pingMessage, []string{"Bearer"}, 401, "invalid_token", "paput.read paput.write"},
		{"two tokens in one header", "", pingMessage, []string{good + ", " + good}, 401, "invalid_token", "paput.read paput.write"},
		{"two headers", "", pingMessage, []string{good, good}, 400, "invalid_request", "paput.read paput.write"},
		{"a token in the URL", "?access_token=" + reader.Access, pingMessage, nil, 400, "invalid_request", "paput.read paput.write"},
		{"a token in the URL too", "?access_token=x", pingMessage, []string{good}, 400, "invalid_request", "paput.read paput.write"},
		{"too small a scope", "", write, []string{good}, 403, "insufficient_scope", "paput.write"},
	} {
		for _, path := range []string{"/", "/mcp", "/mcp/"} {
			t.Run(test.name+" at "+path, func(t *testing.T) {
				t.Parallel()
				headers := []string{"Content-Type", "application/json"}
				for _, value := range test.authorization {
					headers = append(headers, "Authorization", value)
				}
				res, body := knock(t, "POST", server.url+path+test.query, test.body, headers...)
				challenge := parseChallenge(t, res.Header)
				if res.StatusCode != test.status || challenge["error"] != test.code || challenge["scope"] != test.scope {
					t.Fatalf("got %d %v %s, want %d %s for %q", res.StatusCode, challenge, body, test.status, test.code, test.scope)
				}
				if test.status == 200 {
					return
				}
				if len(challenge) != 4 || challenge["error_description"] == "" {
					t.Errorf("got %v, want error, error_description, resource_metadata and scope", challenge)
				}
				checkResourceMetadata(t, server, challenge["resource_metadata"], server.url+path)
			})
		}
	}
}
