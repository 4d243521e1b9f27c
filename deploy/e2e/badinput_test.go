package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paput/paput/deploy/visitor"
)

// answer is what came back, as a client sees it.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, address string, header map[string]string, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if s := secretsIn(string(text)); s != "" && res.StatusCode >= 400 {
		t.Errorf("a refusal holds a secret, %s", s)
	}
	return answer{res.StatusCode, res.Header, strings.TrimSpace(string(text))}
}

// mcpHeader is what an MCP client sends; more replaces or, with an empty value, removes headers.
func mcpHeader(token string, more ...string) map[string]string {
	h := map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2025-11-25", "Authorization": "Bearer " + token,
	}
	for i := 0; i+1 < len(more); i += 2 {
		if h[more[i]] = more[i+1]; more[i+1] == "" {
			delete(h, more[i])
		}
	}
	return h
}

// TestBadMCP sends what a broken or hostile MCP client might, and compares status, code and text to the letter.
func TestBadMCP(t *testing.T) {
	t.Parallel()
	server := startPaputd(t)
	server.addAccount(t)
	aiko := visitor.New(server.url, email, password)
	token, err := aiko.LogIn(t.Context(), "paput.read", "paput.write")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := aiko.Grant(t.Context(), token.ClientID, server.url, "paput.read")
	if err != nil {
		t.Fatal(err)
	}
	neighbour := startPaputd(t)
	neighbour.addAccount(t)
	foreign, err := visitor.New(neighbour.url, email, password).LogIn(t.Context(), "paput.read")
	if err != nil {
		t.Fatal(err)
	}

	metadata := `resource_metadata="` + server.url + `/.well-known/oauth-protected-resource/mcp"`
	offered := `scope="paput.read paput.write"`
	challenge := func(code, text, scope string) string {
		return fmt.Sprintf(`Bearer error=%q, error_description=%q, %s, %s`, code, text, metadata, scope)
	}
	rpcError := func(id, code, text string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%s,"message":%s}}`, id, code, text)
	}
	toolError := func(text string) string {
		return `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"` + text + `"}],"isError":true}}`
	}
	call := func(tool, arguments string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
	}
	const unknownToken = "the access token is unknown, expired or revoked"

	for _, test := range []struct {
		name          string
		method        string // POST when empty
		header        map[string]string
		query         string
		body          string
		wantStatus    int
		wantChallenge string
		wantBody      string // exact; "" is not compared
	}{
		{name: "not JSON", header: mcpHeader(token.Access), body: `{"jsonrpc":"2.0",`, wantStatus: 400, wantBody: rpcError("null", "-32700", `"the body is not JSON"`)},
		{name: "nothing", header: mcpHeader(token.Access), wantStatus: 400, wantBody: rpcError("null", "-32700", `"the body is not JSON"`)},
		{name: "invalid UTF-8", header: mcpHeader(token.Access), body: "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", wantStatus: 400, wantBody: rpcError("null", "-32700", `"the body is not JSON"`)},
		{name: "JSON, but no message", header: mcpHeader(token.Access), body: `"hello"`, wantStatus: 400, wantBody: rpcError("null", "-32600", `"the body is not a JSON-RPC message"`)},
		{name: "a batch", header: mcpHeader(token.Access), body: `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, wantStatus: 400, wantBody: rpcError("null", "-32600", `"batches are not supported: send one message in each request"`)},
		{name: "another version of JSON-RPC", header: mcpHeader(token.Access), body: `{"jsonrpc":"1.0","id":7,"method":"ping"}`, wantStatus: 400, wantBody: rpcError("7", "-32600", `"jsonrpc must be \"2.0\""`)},
		{name: "an id that is none", header: mcpHeader(token.Access), body: `{"jsonrpc":"2.0","id":{},"method":"ping"}`, wantStatus: 400, wantBody: rpcError("null", "-32600", `"id must be a string or a number, not an object"`)},
		{name: "a method that is none", header: mcpHeader(token.Access), body: `{"jsonrpc":"2.0","id":7,"method":7}`, wantStatus: 400, wantBody: rpcError("7", "-32600", `"method must be a string"`)},
		{name: "params that are none", header: mcpHeader(token.Access), body: `{"jsonrpc":"2.0","id":"a\u0000b","method":"ping","params":[1]}`, wantStatus: 400, wantBody: rpcError(`"a\u0000b"`, "-32602", `"params must be an object, not a list"`)},
		{name: "an unknown method", header: mcpHeader(token.Access), body: `{"jsonrpc":"2.0","id":90071992547409931,"method":"tools/destroy"}`, wantStatus: 200, wantBody: rpcError("90071992547409931", "-32601", `"Method tools/destroy not found"`)},
		{name: "an unknown tool", header: mcpHeader(token.Access), body: call("paput_rm_rf", `{}`), wantStatus: 200, wantBody: rpcError("1", "-32602", `"there is no tool \"paput_rm_rf\""`)},
		{name: "arguments that are none", header: mcpHeader(token.Access), body: call("paput_search_memo", `"query"`), wantStatus: 400, wantBody: rpcError("1", "-32602", `"params.arguments must be an object, not a string"`)},
		{name: "a number for a string", header: mcpHeader(token.Access), body: call("paput_search_memo", `{"query":5}`), wantStatus: 200, wantBody: toolError("query must be a string, not a number")},
		{name: "a string for a list", header: mcpHeader(token.Access), body: call("paput_search_memo", `{"ids":"memo_x"}`), wantStatus: 200, wantBody: toolError("ids must be a list, not a string")},
		{name: "null", header: mcpHeader(token.Access), body: call("paput_search_memo", `{"query":null}`), wantStatus: 200, wantBody: toolError("query must be a string, not null")},
		{name: "an unknown argument", header: mcpHeader(token.Access), body: call("paput_get_capture_policy", `{"colour":"red"}`), wantStatus: 200, wantBody: toolError("unknown argument colour: this tool takes no arguments")},
		{name: "a missing argument", header: mcpHeader(token.Access), body: call("paput_delete_memos", `{}`), wantStatus: 200, wantBody: toolError("ids is required: The ids of the memos to delete.")},
		{name: "a number out of range", header: mcpHeader(token.Access), body: call("paput_search_memo", `{"page_size":101}`), wantStatus: 200, wantBody: toolError("page_size is 101, at most 100")},
		{name: "a word that is not on the list", header: mcpHeader(token.Access), body: call("paput_search_memo", `{"memo_types":["idea"]}`), wantStatus: 200, wantBody: toolError(`memo_types[0] is \"idea\", must be one of knowledge, decision, operation, principle`)},
		{name: "a memo that does not exist", header: mcpHeader(token.Access), body: call("paput_get_memo_history", `{"id":"memo_x"}`), wantStatus: 200, wantBody: toolError("memo_x not found; search first")},
		{name: "5 MiB and a byte, announced", header: mcpHeader(token.Access), body: call("paput_search_memo", `{"query":"`+strings.Repeat("x", 5<<20)+`"}`), wantStatus: 413, wantBody: rpcError("null", "-32600", `"a message may have at most 5242880 bytes"`)},
		{name: "another content type", header: mcpHeader(token.Access, "Content-Type", "text/plain"), body: `{}`, wantStatus: 415, wantBody: rpcError("null", "-32600", `"the Content-Type must be application/json"`)},
		{name: "a page of another site", header: mcpHeader(token.Access, "Origin", "https://evil.example"), body: `{}`, wantStatus: 403, wantBody: rpcError("null", "-32600", `"pages of this origin may not use this server"`)},
		{name: "GET with a token", method: "GET", header: mcpHeader(token.Access), wantStatus: 405, wantBody: rpcError("null", "-32600", `"send messages by POST"`)},

		{name: "no token", header: mcpHeader("", "Authorization", ""), body: `{}`, wantStatus: 401, wantChallenge: "Bearer " + metadata + ", " + offered, wantBody: `{"error":"unauthorized","error_description":"an access token is needed"}`},
		{name: "no token, GET", method: "GET", header: mcpHeader("", "Authorization", ""), wantStatus: 401, wantChallenge: "Bearer " + metadata + ", " + offered},
		{name: "no token, HEAD", method: "HEAD", header: mcpHeader("", "Authorization", ""), wantStatus: 401, wantChallenge: "Bearer " + metadata + ", " + offered},
		{name: "no token, DELETE", method: "DELETE", header: mcpHeader("", "Authorization", ""), wantStatus: 401, wantChallenge: "Bearer " + metadata + ", " + offered},
		{name: "another scheme", header: mcpHeader("", "Authorization", "Basic YTpi"), body: `{}`, wantStatus: 401, wantChallenge: "Bearer " + metadata + ", " + offered},
		{name: "a token nobody issued", header: mcpHeader("paput_at_" + strings.Repeat("a", 54)), body: `{}`, wantStatus: 401, wantChallenge: challenge("invalid_token", unknownToken, offered), wantBody: `{"error":"invalid_token","error_description":"` + unknownToken + `"}`},
		{name: "a token of another server", header: mcpHeader(foreign.Access), body: `{}`, wantStatus: 401, wantChallenge: challenge("invalid_token", unknownToken, offered)},
		{name: "a refresh token", header: mcpHeader(token.Refresh), body: `{}`, wantStatus: 401, wantChallenge: challenge("invalid_token", unknownToken, offered)},
		{name: "a token in the URL", header: mcpHeader("", "Authorization", ""), query: "?access_token=" + token.Access, body: `{}`, wantStatus: 400, wantChallenge: challenge("invalid_request", "a token does not belong in the URL: send it in the Authorization header", offered)},
		{name: "writing with a reader's token", header: mcpHeader(reader.Access), body: call("paput_delete_memos", `{"ids":["memo_x"]}`), wantStatus: 403, wantChallenge: challenge("insufficient_scope", "this needs the scope paput.write, which the access token does not have", `scope="paput.write"`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			method := test.method
			if method == "" {
				method = http.MethodPost
			}
			got := send(t, method, server.url+"/mcp"+test.query, test.header, strings.NewReader(test.body))
			if got.status != test.wantStatus {
				t.Errorf("got status %d, want %d", got.status, test.wantStatus)
			}
			if c := got.header.Get("WWW-Authenticate"); c != test.wantChallenge {
				t.Errorf("got challenge\n%s\nwant\n%s", c, test.wantChallenge)
			}
			if test.wantBody != "" && got.body != test.wantBody {
				t.Errorf("got body\n%s\nwant\n%s", got.body, test.wantBody)
			}
		})
	}

	t.Run("5 MiB and a byte, by and by", func(t *testing.T) {
		t.Parallel()
		body := struct{ io.Reader }{strings.NewReader(call("paput_search_memo", `{"query":"`+strings.Repeat("x", 5<<20)+`"}`))}
		got := send(t, http.MethodPost, server.url, mcpHeader(token.Access), body)
		if want := rpcError("null", "-32600", `"a message may have at most 5242880 bytes"`); got.status != http.StatusRequestEntityTooLarge || got.body != want {
			t.Errorf("got %d %s, want 413 %s", got.status, got.body, want)
		}
	})
	t.Run("one bad memo among good ones", func(t *testing.T) {
		t.Parallel()
		body := call("paput_create_memos", `{"memos":[{"title":"Good"},{"title":"`+strings.Repeat("長", 201)+`"},{"body":"untitled"}]}`)
		got := send(t, http.MethodPost, server.url, mcpHeader(token.Access), strings.NewReader(body))
		var reply struct {
			Result struct {
				IsError           bool
				StructuredContent struct {
					Results []struct {
						Index int
						Memo  *struct{ ID string }
						Error *struct{ Code, Message string }
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(got.body), &reply); err != nil {
			t.Fatalf("%v in %s", err, got.body)
		}
		results := reply.Result.StructuredContent.Results
		if len(results) != 3 || !reply.Result.IsError {
			t.Fatalf("got %s, want three results and isError", got.body)
		}
		if results[0].Memo == nil || results[0].Error != nil {
			t.Errorf("got %+v, want the first created", results[0])
		}
		for i, want := range map[int]string{1: "title is 201 characters, at most 200", 2: "title is required"} {
			if r := results[i]; r.Index != i || r.Error == nil || r.Error.Code != "invalid_argument" || r.Error.Message != want {
				t.Errorf("got %+v of %s, want invalid_argument: %s", r.Error, got.body, want)
			}
		}
	})
}

// redirect is where the clients of these tests are sent back to; nothing listens there.
const redirect = "http://127.0.0.1:49152/callback"

var verifier = strings.Repeat("0123456789", 5)

// authorizeQuery is a request that nothing is wrong with.
func authorizeQuery(clientID string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	return url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "state": {"st&te"},
		"scope": {"paput.read"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
}

// TestBadAuthorize sends the browser to the authorization endpoint with requests that are wrong. What cannot be trusted to
// lead back to an app is a page in plain words; the rest goes back to the app.
func TestBadAuthorize(t *testing.T) {
	t.Parallel()
	server := startPaputd(t)
	server.addAccount(t)
	aiko := visitor.New(server.url, email, password)
	client, err := aiko.Register(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name  string
		set   url.Values
		title string // of the page
	}{
		{name: "an unknown client", set: url.Values{"client_id": {"client_unknown"}}, title: "app"},
		{name: "no client", set: url.Values{"client_id": nil}, title: "app"},
		{name: "another host", set: url.Values{"redirect_uri": {"https://evil.example/callback"}}, title: "app"},
		{name: "another path", set: url.Values{"redirect_uri": {"http://127.0.0.1:49152/callback/x"}}, title: "app"},
		{name: "localhost for 127.0.0.1", set: url.Values{"redirect_uri": {"http://localhost:49152/callback"}}, title: "app"},
		{name: "a script", set: url.Values{"redirect_uri": {"javascript:alert(1)"}}, title: "app"},
		{name: "no redirect URI", set: url.Values{"redirect_uri": nil}, title: "app"},
		{name: "two redirect URIs", set: url.Values{"redirect_uri": {redirect, "https://evil.example/"}}, title: "app"},
	} {
		t.Run("page: "+test.name, func(t *testing.T) {
			t.Parallel()
			query := authorizeQuery(client)
			for name, values := range test.set {
				query[name] = values
			}
			for _, language := range []string{"en", "ja"} {
				got := send(t, http.MethodGet, server.url+"/authorize?"+query.Encode(), map[string]string{"Accept": "text/html", "Accept-Language": language}, nil)
				if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
					t.Errorf("got status %d to %q, want 400 and no way on", got.status, got.header.Get("Location"))
				}
				if kind := got.header.Get("Content-Type"); kind != "text/html; charset=utf-8" || !strings.Contains(got.body, `<html lang="`+language+`">`) {
					t.Errorf("got %s, want a page in %s:\n%s", kind, language, got.body)
				}
				if strings.Contains(got.body, "evil.example/") || strings.Contains(got.body, "<script") || strings.Contains(got.body, "javascript:") {
					t.Errorf("the page repeats what it was sent:\n%s", got.body)
				}
				for name, want := range map[string]string{
					"X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				} {
					if h := got.header.Get(name); h != want {
						t.Errorf("got %s %q, want %q", name, h, want)
					}
				}
			}
		})
	}

	for _, test := range []struct {
		name     string
		set      url.Values
		wantCode string
		wantText string
	}{
		{name: "no PKCE", set: url.Values{"code_challenge": nil, "code_challenge_method": nil}, wantCode: "invalid_request", wantText: "code_challenge_method must be S256"},
		{name: "plain PKCE", set: url.Values{"code_challenge_method": {"plain"}}, wantCode: "invalid_request", wantText: "code_challenge_method must be S256"},
		{name: "a short challenge", set: url.Values{"code_challenge": {"short"}}, wantCode: "invalid_request", wantText: "code_challenge must be 43 base64url characters"},
		{name: "no response type", set: url.Values{"response_type": nil}, wantCode: "invalid_request", wantText: "response_type is missing: it must be code"},
		{name: "an implicit grant", set: url.Values{"response_type": {"token"}}, wantCode: "unsupported_response_type", wantText: "response_type must be code"},
		{name: "an unknown resource", set: url.Values{"resource": {"https://other.example"}}, wantCode: "invalid_target", wantText: "resource is not one of this server"},
		{name: "two resources", set: url.Values{"resource": {server.url, server.url + "/mcp"}}, wantCode: "invalid_target", wantText: "resource is not one of this server"},
		{name: "unknown scopes alone", set: url.Values{"scope": {"admin root"}}, wantCode: "invalid_scope", wantText: "scope names none that this server knows"},
		{name: "a request object", set: url.Values{"request": {"eyJhbGciOiJub25lIn0.e30."}}, wantCode: "request_not_supported", wantText: "the request parameter is not supported"},
		{name: "a request by reference", set: url.Values{"request_uri": {"http://169.254.169.254/"}}, wantCode: "request_uri_not_supported", wantText: "the request_uri parameter is not supported"},
		{name: "a parameter given twice", set: url.Values{"scope": {"paput.read", "paput.write"}}, wantCode: "invalid_request", wantText: "a parameter is given more than once"},
	} {
		t.Run("back to the app: "+test.name, func(t *testing.T) {
			t.Parallel()
			query := authorizeQuery(client)
			for name, values := range test.set {
				query[name] = values
			}
			got := send(t, http.MethodGet, server.url+"/authorize?"+query.Encode(), nil, nil)
			to, err := url.Parse(got.header.Get("Location"))
			if err != nil || got.status/100 != 3 || to.Scheme+"://"+to.Host+to.Path != redirect {
				t.Fatalf("got status %d to %s, want a redirect to the app", got.status, got.header.Get("Location"))
			}
			want := url.Values{"error": {test.wantCode}, "error_description": {test.wantText}, "state": {"st&te"}, "iss": {server.url}}
			if to.RawQuery != want.Encode() {
				t.Errorf("got %s, want %s", to.RawQuery, want.Encode())
			}
		})
	}
}

// code signs a person in, lets them agree, and returns the code that the app gets.
func code(t *testing.T, server *paputd, v *visitor.Visitor, query url.Values) string {
	t.Helper()
	page, err := v.Get(t.Context(), server.url+"/authorize?"+query.Encode())
	if err == nil && strings.HasPrefix(page.URL.Path, "/login") {
		page, err = v.Submit(t.Context(), page, url.Values{"email": {v.Email}, "password": {v.Password}})
	}
	if err == nil {
		page, err = v.Submit(t.Context(), page, url.Values{"decision": {"approve"}, "scope": {"paput.read"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	answer := page.URL.Query()
	if answer.Get("code") == "" {
		t.Fatalf("the consent led to %s, not to a code", page.URL)
	}
	return answer.Get("code")
}

// TestBadToken presents codes and refresh tokens in wrong ways.
func TestBadToken(t *testing.T) {
	t.Parallel()
	server := startPaputd(t)
	server.addAccount(t)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	redeem := func(client, code string) url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {redirect}, "code": {code}, "code_verifier": {verifier},
		}
	}
	for _, test := range []struct {
		name string
		// set changes a token request that nothing is wrong with.
		set        func(request url.Values)
		wantStatus int
		wantBody   string
		spent      bool // whether the code is spent by it
	}{
		{name: "another verifier", set: func(r url.Values) { r.Set("code_verifier", strings.Repeat("9", 50)) }, wantStatus: 400, wantBody: `{"error":"invalid_grant","error_description":"code_verifier does not fit the code challenge"}`, spent: true},
		{name: "no verifier", set: func(r url.Values) { r.Del("code_verifier") }, wantStatus: 400, wantBody: `{"error":"invalid_grant","error_description":"code_verifier does not fit the code challenge"}`, spent: true},
		{name: "another redirect URI", set: func(r url.Values) { r.Set("redirect_uri", "http://127.0.0.1:49152/other") }, wantStatus: 400, wantBody: `{"error":"invalid_grant","error_description":"redirect_uri is not the one that the code was issued for"}`, spent: true},
		{name: "another resource", set: func(r url.Values) { r.Set("resource", server.url+"/mcp") }, wantStatus: 400, wantBody: `{"error":"invalid_target","error_description":"resource is not the one that was granted"}`},
		{name: "an unknown resource", set: func(r url.Values) { r.Set("resource", "https://other.example") }, wantStatus: 400, wantBody: `{"error":"invalid_target","error_description":"resource is not one of this server"}`},
		{name: "an unknown code", set: func(r url.Values) { r.Set("code", "paput_ac_"+strings.Repeat("a", 54)) }, wantStatus: 400, wantBody: `{"error":"invalid_grant","error_description":"the authorization code is unknown, expired or used"}`},
		{name: "an unknown client", set: func(r url.Values) { r.Set("client_id", "client_unknown") }, wantStatus: 401, wantBody: `{"error":"invalid_client","error_description":"client authentication failed: register again"}`},
		{name: "another grant type", set: func(r url.Values) { r.Set("grant_type", "password") }, wantStatus: 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			aiko := visitor.New(server.url, email, password)
			client, err := aiko.Register(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			request := redeem(client, code(t, server, aiko, authorizeQuery(client)))
			wrong := url.Values{}
			for name, values := range request {
				wrong[name] = values
			}
			test.set(wrong)
			got := send(t, http.MethodPost, server.url+"/token", form, strings.NewReader(wrong.Encode()))
			if got.status != test.wantStatus || test.wantBody != "" && got.body != test.wantBody {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, test.wantStatus, test.wantBody)
			}
			if c := got.header.Get("Cache-Control"); c != "no-store" {
				t.Errorf("got Cache-Control %q, want no-store", c)
			}
			after := send(t, http.MethodPost, server.url+"/token", form, strings.NewReader(request.Encode()))
			if good := after.status == http.StatusOK; good == test.spent {
				t.Errorf("the right request after it: got %d %s, want the code spent: %v", after.status, after.body, test.spent)
			}
		})
	}

	t.Run("a code used twice", func(t *testing.T) {
		t.Parallel()
		aiko := visitor.New(server.url, email, password)
		client, err := aiko.Register(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		request := redeem(client, code(t, server, aiko, authorizeQuery(client))).Encode()
		first := send(t, http.MethodPost, server.url+"/token", form, strings.NewReader(request))
		var token visitor.Token
		if err := json.Unmarshal([]byte(first.body), &token); err != nil || first.status != http.StatusOK {
			t.Fatalf("got %d %s, %v, want tokens", first.status, first.body, err)
		}
		ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		if got := send(t, http.MethodPost, server.url, mcpHeader(token.Access), strings.NewReader(ping)); got.status != http.StatusOK {
			t.Errorf("got %d %s, want the token to work", got.status, got.body)
		}
		again := send(t, http.MethodPost, server.url+"/token", form, strings.NewReader(request))
		if want := `{"error":"invalid_grant","error_description":"the authorization code is unknown, expired or used"}`; again.status != http.StatusBadRequest || again.body != want {
			t.Errorf("got %d %s, want 400 %s", again.status, again.body, want)
		}
		if got := send(t, http.MethodPost, server.url, mcpHeader(token.Access), strings.NewReader(ping)); got.status != http.StatusUnauthorized {
			t.Errorf("got %d %s, want the tokens of the first use dead", got.status, got.body)
		}
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token.Refresh}}.Encode()
		got := send(t, http.MethodPost, server.url+"/token", form, strings.NewReader(refresh))
		if want := `{"error":"invalid_grant","error_description":"the refresh token is unknown, expired, used or revoked"}`; got.status != http.StatusBadRequest || got.body != want {
			t.Errorf("got %d %s, want 400 %s", got.status, got.body, want)
		}
	})
}

// TestBadRegistration registers clients that must not be.
func TestBadRegistration(t *testing.T) {
	t.Parallel()
	server := startPaputd(t)
	for _, test := range []struct {
		name, contentType, body string
		wantStatus              int
		wantBody                string
	}{
		{name: "not JSON", body: `{`, wantStatus: 400, wantBody: `{"error":"invalid_client_metadata","error_description":"the client metadata must be a JSON object with members of the right types"}`},
		{name: "no redirect URI", body: `{"client_name":"x"}`, wantStatus: 400, wantBody: `{"error":"invalid_redirect_uri","error_description":"redirect_uris is missing"}`},
		{name: "http that is not loopback", body: `{"redirect_uris":["http://app.example/cb"]}`, wantStatus: 400},
		{name: "a script", body: `{"redirect_uris":["javascript:alert(1)"]}`, wantStatus: 400},
		{name: "a custom scheme", body: `{"redirect_uris":["cursor://anysphere/cb"]}`, wantStatus: 400},
		{name: "an invisible name", body: `{"redirect_uris":["https://app.example/cb"],"client_name":"a\u202Eb"}`, wantStatus: 400, wantBody: `{"error":"invalid_client_metadata","error_description":"client_name is at most 100 characters, without control or invisible ones"}`},
		{name: "an unknown method of authentication", body: `{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"tls_client_auth"}`, wantStatus: 400, wantBody: `{"error":"invalid_client_metadata","error_description":"token_endpoint_auth_method must be none, client_secret_basic or client_secret_post"}`},
		{name: "a form", contentType: "application/x-www-form-urlencoded", body: `redirect_uris=https://app.example/cb`, wantStatus: 400, wantBody: `{"error":"invalid_client_metadata","error_description":"the content type must be application/json"}`},
		{name: "20 KB", body: `{"client_name":"` + strings.Repeat("x", 20<<10) + `"}`, wantStatus: 413, wantBody: `{"error":"invalid_client_metadata","error_description":"the client metadata is larger than 16 KiB"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			contentType := test.contentType
			if contentType == "" {
				contentType = "application/json"
			}
			got := send(t, http.MethodPost, server.url+"/register", map[string]string{"Content-Type": contentType}, strings.NewReader(test.body))
			if got.status != test.wantStatus || test.wantBody != "" && got.body != test.wantBody {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, test.wantStatus, test.wantBody)
			}
			var refusal struct{ Error string }
			if err := json.Unmarshal([]byte(got.body), &refusal); err != nil || !strings.HasPrefix(refusal.Error, "invalid_") {
				t.Errorf("got %s, %v, want an error of RFC 7591", got.body, err)
			}
		})
	}
}
