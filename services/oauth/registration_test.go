package oauth_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/oauth"
)

func TestRegistrationRefuses(t *testing.T) {
	t.Parallel()
	const (
		metadata = "invalid_client_metadata"
		redirect = "invalid_redirect_uri"
		scheme   = "a redirect URI begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"
		ascii    = "a redirect URI is printable ASCII without spaces, backslashes, asterisks and brackets"
		name     = "client_name is at most 100 characters, without control or invisible ones"
		grants   = "grant_types must include authorization_code or urn:ietf:params:oauth:grant-type:device_code"
		shape    = "the client metadata must be a JSON object with members of the right types"
	)
	uri := func(u string) string { return `{"redirect_uris":["https://app.example/cb",` + u + `]}` }
	with := func(members string) string { return `{"redirect_uris":["http://localhost/cb"],` + members + `}` }
	tests := []struct{ name, body, code, text string }{
		{"http elsewhere", uri(`"http://app.example/cb"`), redirect, "http is only for localhost, 127.0.0.1 and [::1]: use https"},
		{"javascript", uri(`"javascript:alert(1)"`), redirect, scheme},
		{"data", uri(`"data:text/html,x"`), redirect, scheme},
		{"custom scheme", uri(`"cursor://cb"`), redirect, "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it"},
		{"user name", uri(`"https://u:p@app.example/"`), redirect, "a redirect URI has no user name"},
		{"wildcard", uri(`"https://*.example/"`), redirect, ascii},
		{"backslash", uri(`"https://app.example\\@evil.example/"`), redirect, ascii},
		{"fragment", uri(`"https://app.example/#x"`), redirect, "a redirect URI has no fragment"},
		{"none", `{}`, redirect, "redirect_uris is missing"},
		{"null", `{"redirect_uris":null}`, redirect, "redirect_uris is missing"},
		{"empty list", `{"redirect_uris":[]}`, redirect, "redirect_uris is missing"},
		{"a string", `{"redirect_uris":"https://app.example/cb"}`, redirect, "redirect_uris must be a list of strings"},
		{"numbers", `{"redirect_uris":[1]}`, redirect, "redirect_uris must be a list of strings"},
		{"eleven", `{"redirect_uris":[` + strings.Repeat(`"http://localhost/cb",`, 10) + `"http://localhost/cb"]}`, redirect, "redirect_uris has more than 10 items"},
		{"web on loopback", with(`"application_type":"web"`), redirect, "a web application's redirect URI begins with https://"},
		{"unknown application_type", with(`"application_type":"desktop"`), metadata, "application_type must be web or native"},
		{"implicit", with(`"grant_types":["implicit"]`), metadata, grants},
		{"password", with(`"grant_types":["password"]`), metadata, grants},
		{"no grant types", with(`"grant_types":[]`), metadata, grants},
		{"a device's bad address", `{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"redirect_uris":["cursor://cb"]}`, redirect, "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it"},
		{"codes beside a device without an address", `{"grant_types":["urn:ietf:params:oauth:grant-type:device_code","authorization_code"]}`, redirect, "redirect_uris is missing"},
		{"token answer", with(`"response_types":["token"]`), metadata, "response_types must include code"},
		{"mutual TLS", with(`"token_endpoint_auth_method":"tls_client_auth"`), metadata, "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post"},
		{"http logo", with(`"logo_uri":"http://app.example/logo.png"`), metadata, "logo_uri must begin with https://"},
		{"name that turns the writing", with(`"client_name":"Paput \u202eppa"`), metadata, name},
		{"name with a zero-width space", with(`"client_name":"Pa\u200bput"`), metadata, name},
		{"name with a newline", with(`"client_name":"Paput\nOfficial"`), metadata, name},
		{"name of 101 characters", with(`"client_name":"` + strings.Repeat("長", 101) + `"`), metadata, name},
		{"long software_id", with(`"software_id":"` + strings.Repeat("x", 256) + `"`), metadata, "software_id and software_version are at most 255 characters, without control or invisible ones"},
		{"name of another type", with(`"client_name":1`), metadata, shape},
		{"no object", `[]`, metadata, shape},
		{"no JSON", `redirect_uris=x`, metadata, shape},
		{"two objects", `{"redirect_uris":["http://localhost/cb"]}{}`, metadata, shape},
		{"empty", ``, metadata, shape},
	}
	w := newWorld(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { w.registerBody(tt.body).wantError(t, 400, tt.code, tt.text) })
	}
	t.Run("form", func(t *testing.T) {
		w.send(http.MethodPost, "/register", "redirect_uris=x", "Content-Type", formType).
			wantError(t, 400, metadata, "the content type must be application/json")
	})
	t.Run("20 KB", func(t *testing.T) {
		w.registerBody(with(`"x":"`+strings.Repeat("x", 20<<10)+`"`)).wantError(t, 413, metadata, "the client metadata is larger than 16 KiB")
	})
	t.Run("GET", func(t *testing.T) {
		w.send(http.MethodGet, "/register", "").wantError(t, 405, "invalid_request", "registration needs POST")
	})
	if n := w.clientCount(); n != 0 {
		t.Errorf("got %d clients, want none", n)
	}
}

func (w *world) clientCount() (n int) {
	w.Helper()
	if err := w.log.DB().QueryRowContext(w.Context(), `SELECT count(*) FROM oauth_clients`).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

// What clients that people use send, as far as it has been seen, and what they must get back.
func TestRegistrationAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, want string }{
		{
			"mcp-remote",
			`{"client_name":"MCP CLI Proxy","redirect_uris":["http://localhost:11206/oauth/callback"],"token_endpoint_auth_method":"none",
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"client_uri":"https://github.com/geelen/mcp-remote",
			"software_id":"2e6dc280-f3c3-4e01-99a7-8181dbd1d23d","software_version":"0.15.1","scope":"openid email"}`,
			`{"client_name":"MCP CLI Proxy","redirect_uris":["http://localhost:11206/oauth/callback"],"token_endpoint_auth_method":"none",
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],
			"software_id":"2e6dc280-f3c3-4e01-99a7-8181dbd1d23d","software_version":"0.15.1"}`,
		},
		{
			"Claude Code",
			`{"client_name":"Claude Code (paput)","application_type":"native","redirect_uris":["http://localhost:53682/callback"],
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`,
			`{"client_name":"Claude Code (paput)","application_type":"native","redirect_uris":["http://localhost:53682/callback"],
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`,
		},
		{
			"an editor that can do more",
			`{"client_name":"VS Code","redirect_uris":["https://vscode.dev/redirect","http://127.0.0.1/","http://localhost:33418/"],
			"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"none",
			"response_types":["code","token"],"logo_uri":"https://vscode.dev/logo.png"}`,
			`{"client_name":"VS Code","redirect_uris":["https://vscode.dev/redirect","http://127.0.0.1/","http://localhost:33418/"],"response_types":["code"],"token_endpoint_auth_method":"none",
			"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]}`,
		},
		{
			"a device alone",
			`{"client_name":"Thermostat","grant_types":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"],
			"response_types":[],"token_endpoint_auth_method":"none"}`,
			`{"client_name":"Thermostat","grant_types":["refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
			"response_types":[],"token_endpoint_auth_method":"none"}`,
		},
		{
			"a device that names an address where nothing is sent, without refresh tokens",
			`{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"redirect_uris":["https://app.example/cb"],
			"response_types":["token"],"token_endpoint_auth_method":"none"}`,
			`{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"response_types":[],"token_endpoint_auth_method":"none"}`,
		},
		{
			"the least, without refresh tokens",
			`{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none","grant_types":["authorization_code"]}`,
			`{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
		{
			"a name in Japanese with a wide space",
			`{"client_name":" 私の　アプリ 🧭 ","redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}`,
			`{"client_name":"私の　アプリ 🧭","redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none",
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`,
		},
	}
	w := newWorld(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.send(http.MethodPost, "/register", tt.body, "Content-Type", "application/json; charset=utf-8")
			if r.status != http.StatusCreated || r.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("got %d %v %s", r.status, r.header, r.body)
			}
			var got, want map[string]any
			if err := json.Unmarshal([]byte(r.body), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			want["client_id_issued_at"] = float64(w.Now().Unix())
			want["client_id"] = got["client_id"]
			want["registration_client_uri"] = w.url + "/register/" + r.text("client_id")
			if token := r.text("registration_access_token"); !strings.HasPrefix(token, "paput_ra_") || len(token) != len("paput_ra_")+43 {
				t.Errorf("got the registration access token %q", token)
			}
			delete(got, "registration_access_token")
			if g, w := asJSON(t, got), asJSON(t, want); g != w || !strings.HasPrefix(r.text("client_id"), "client_") {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

func asJSON(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestRegistrationOfASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.registerBody(`{"redirect_uris":["https://app.example/cb"]}`)
	if r.status != http.StatusCreated || !strings.HasPrefix(r.text("client_secret"), "paput_cs_") || r.json("client_secret_expires_at") != 0.0 ||
		r.text("token_endpoint_auth_method") != "client_secret_basic" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	r = w.registerBody(`{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}`)
	if r.json("client_secret") != nil || r.json("client_secret_expires_at") != nil {
		t.Errorf("a public client gets a secret: %s", r.body)
	}
}

func TestRegistrationFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *oauth.Config) { c.RegisterRate, c.RegisterBurst = 0.1, 3 })
	for range 3 {
		w.register(nil)
	}
	r := w.registerBody(`{"redirect_uris":["https://app.example/cb"]}`)
	r.wantError(t, 429, "temporarily_unavailable", "too many registrations from this address: try again later")
	if got := r.header.Get("Retry-After"); got != "10" {
		t.Errorf("got Retry-After %q, want 10", got)
	}
	w.advance(10 * time.Second)
	a := w.register(nil)
	if r := w.registerBody(`{}`); r.status != http.StatusTooManyRequests {
		t.Errorf("got %d, want 429 again", r.status)
	}
	if tokens := a.login("acct_1"); !w.alive(tokens.access) {
		t.Error("the flood locks out a client")
	}
	if n := w.clientCount(); n != 4 {
		t.Errorf("got %d clients, want 4", n)
	}
}

// The log keeps what strangers register for good, so that what they write into it is bounded.
func TestRegistrationIsShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := func(last string) string {
		uri := "https://app.example/" + strings.Repeat("a", 1000-len("https://app.example/"))
		return `{"redirect_uris":["` + uri + `","` + uri + last + `","http://localhost/` + strings.Repeat("b", 2048-2002-len("http://localhost/")) + `"]}`
	}
	if r := w.registerBody(long("")); r.status != http.StatusCreated {
		t.Errorf("got %d %s", r.status, r.body)
	}
	w.registerBody(long("a")).wantError(t, 400, "invalid_redirect_uri", "redirect_uris has more than 2048 characters in all")

	// An hour of one address.
	registered := 0
	for range 60 {
		w.advance(time.Minute)
		for w.registerBody(`{"redirect_uris":["https://app.example/cb"]}`).status == http.StatusCreated {
			registered++
		}
	}
	if registered > 60+360 {
		t.Errorf("got %d registrations, want 420 at most", registered)
	}
}

func TestScopesArePlain(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range oauth.Scopes() {
		names = append(names, s.Name)
		if s.English == "" || s.Japanese == "" || s.English == s.Japanese {
			t.Errorf("%s is not said in both languages", s.Name)
		}
	}
	want := []string{"paput.read", "paput.capture", "paput.write", "paput.publish", "paput.account", "paput.audit"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
