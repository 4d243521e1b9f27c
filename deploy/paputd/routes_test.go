package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNothingElseIsServed asks for what libraries underneath would serve, and for what lies beside our own paths.
func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	for _, path := range []string{
		"/authorize/callback", "/userinfo", "/end_session", "/ready", "/keys", "/oauth/token", "/oauth/authorize", "/oauth/v2/keys",
		"/login/username", "/logged-out", "/callback", "/certs", "/par", "/health", "/metrics", "/debug/pprof/", "/debug/vars",
		"/authorize/", "/token/", "/token/x", "/revoke/", "/introspect/", "/register/", "/register/client_1/x", "/consent/", "/jwks/",
		"/login/", "/logout/", "/setup/", "/invite/", "/healthz/", "/readyz/", "/assets/", "/assets/../web.go", "/mcp/x", "/mcp/token",
		"/.well-known/", "/.well-known/jwks.json", "/.well-known/oauth-protected-resource/x", "/.well-known/oauth-authorization-server/x",
		"/paput.account.v1.AccountAdminService/ListAccounts", "/paput.oauth.v1.OAuthAdminService/ListClients",
		"/paput.server.v1.KeyAdminService/RotateKey", "/paput.server.v1.KeyAdminService/ListKeys", "/index.html", "/.git/config", "/m", "/m/", "/m/memo_1/", "/m/x/y", "/memo.html",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			r := httptest.NewRequest(method, "/", strings.NewReader("{}"))
			r.URL.Path, r.RequestURI = path, path
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			server.app.front.ServeHTTP(w, r)
			redirected := strings.Contains(path, "..") && w.Code/100 == 3 // to the path without the dots
			if w.Code != http.StatusNotFound && !redirected {
				t.Errorf("%s %s: got %d, want 404: %s", method, path, w.Code, w.Body)
			}
		}
	}
}

// TestMemoryIsToldOnTheSocket asks there for what is asked for in vain above.
func TestMemoryIsToldOnTheSocket(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", server.app.cfg.socketFile())
	}}}
	res, err := client.Get("http://admin.sock/debug/vars")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var vars struct {
		Memstats struct{ Mallocs, HeapInuse uint64 }
	}
	if err := json.NewDecoder(res.Body).Decode(&vars); err != nil || vars.Memstats.Mallocs == 0 || vars.Memstats.HeapInuse == 0 {
		t.Errorf("got %d, %+v, %v, want the memory in use", res.StatusCode, vars, err)
	}
}

// TestMethods has a row for each path that is served and the methods that it takes; every other is refused with 405 and
// the list.
func TestMethods(t *testing.T) {
	t.Parallel()
	const read, document = "GET, HEAD", "GET, HEAD, OPTIONS"
	server := start(t, t.TempDir(), false)
	for path, allowed := range map[string]string{
		"/healthz": read, "/readyz": read, "/assets/paput.css": read,
		"/login": "GET, HEAD, POST", "/logout": "POST", "/setup": "GET, HEAD, POST", "/invite": "GET, HEAD, POST",
		"/authorize": "GET", "/consent": "GET, HEAD, POST", "/device": "GET, HEAD, POST",
		"/token": "POST, OPTIONS", "/revoke": "POST, OPTIONS", "/device_authorization": "POST, OPTIONS", "/introspect": "POST",
		"/register": "POST, OPTIONS", "/register/client_1": "GET, HEAD, DELETE, OPTIONS", "/jwks": document,
		"/.well-known/oauth-protected-resource": document, "/.well-known/oauth-protected-resource/mcp": document,
		"/.well-known/oauth-authorization-server": document, "/.well-known/oauth-authorization-server/mcp": document,
		"/.well-known/openid-configuration": document, "/.well-known/openid-configuration/mcp": document,
		"/mcp/.well-known/oauth-authorization-server": document, "/mcp/.well-known/openid-configuration": document,
		"/paput.memo.v1.MemoService/CreateMemos": "POST", "/paput.account.v1.AccountService/GetAccount": "GET, POST",
	} {
		for _, method := range []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "PROPFIND",
		} {
			w := httptest.NewRecorder()
			server.app.front.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			takes := strings.Contains(", "+allowed+",", " "+method+",")
			switch {
			case w.Code == http.StatusNotFound:
				t.Errorf("%s %s: got 404, want it served or 405", method, path)
			case takes && w.Code == http.StatusMethodNotAllowed:
				t.Errorf("%s %s: got 405, want it served", method, path)
			case !takes && (w.Code != http.StatusMethodNotAllowed || !sameMethods(w.Header().Get("Allow"), allowed)):
				t.Errorf("%s %s: got %d with Allow %q, want 405 with %q", method, path, w.Code, w.Header().Get("Allow"), allowed)
			}
		}
	}
}

// sameMethods compares two lists of methods, whatever their order and white space.
func sameMethods(a, b string) bool {
	has := func(list, method string) bool {
		return strings.Contains(","+strings.ReplaceAll(list, " ", "")+",", ","+method+",")
	}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		for method := range strings.SplitSeq(strings.ReplaceAll(pair[0], " ", ""), ",") {
			if !has(pair[1], method) {
				return false
			}
		}
	}
	return true
}
