package mcp_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	showing    = `{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}`
	appURI     = "ui://paput/app"
	appType    = "text/html;profile=mcp-app"
	candidates = "paput_list_pending_candidates"
)

// askShowing is ask at a path, by a client that declares capabilities: in each request or, before, in its handshake.
func askShowing(t *testing.T, st *site, modern bool, path, token, capabilities, method, params string) reply {
	t.Helper()
	headers := []string{"Authorization", "Bearer " + token}
	if !modern {
		begin := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":%s,"clientInfo":{"name":"t","version":"1"}}}`, capabilities)
		session := st.send(t, "POST", path, begin, headers...).header.Get("Mcp-Session-Id")
		return st.send(t, "POST", path, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, method, params), append(headers, "Mcp-Session-Id", session)...)
	}
	var named struct{ Name, URI string }
	if err := json.Unmarshal([]byte("{"+params+"}"), &named); err != nil {
		t.Fatal(err)
	}
	if params != "" {
		params += ","
	}
	meta := strings.Replace(modernMeta, `clientCapabilities":{}`, `clientCapabilities":`+capabilities, 1)
	headers = append(headers, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
	if name := named.Name + named.URI; name != "" {
		headers = append(headers, "Mcp-Name", name)
	}
	return st.send(t, "POST", path, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, params, meta), headers...)
}

// shown are the tools of a list that have an app.
func shown(t *testing.T, list string) (names []string) {
	t.Helper()
	var answer struct {
		Result struct {
			Tools []struct {
				Name string
				Meta struct {
					UI *struct{ ResourceURI string } `json:"ui"`
				} `json:"_meta"`
			}
		}
	}
	if err := json.Unmarshal([]byte(list), &answer); err != nil || len(answer.Result.Tools) == 0 {
		t.Fatalf("%v in %s", err, list)
	}
	for _, tool := range answer.Result.Tools {
		if tool.Meta.UI == nil {
			continue
		}
		if tool.Meta.UI.ResourceURI != appURI {
			t.Errorf("%s: got the app %q, want %s", tool.Name, tool.Meta.UI.ResourceURI, appURI)
		}
		names = append(names, tool.Name)
	}
	return names
}

// TestAppIsForClientsThatShowIt checks, in both eras, who is told of the app, and that others get what they always got.
func TestAppIsForClientsThatShowIt(t *testing.T) {
	t.Parallel()
	st := start(t)
	const both, memos = candidates + " paput_search_memo", "paput_search_memo"
	tests := []struct{ name, path, capabilities, want string }{
		{"one that shows apps", "/mcp", showing, both},
		{"at the root", "/", showing, both},
		{"among the tools that change nothing", "/mcp/readonly", showing, both},
		{"among those for capturing", "/mcp/x/capture", showing, both},
		{"among those for memos", "/mcp/x/memos", showing, memos},
		{"among those for notes", "/mcp/x/notes", showing, memos},
		{"one without extensions", "/mcp", `{}`, ""},
		{"one with another extension", "/mcp", `{"extensions":{"com.example/x":{"mimeTypes":["text/html;profile=mcp-app"]}}}`, ""},
		{"one that shows other pages", "/mcp", `{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html"]}}}`, ""},
		{"one that does not say which pages", "/mcp", `{"extensions":{"io.modelcontextprotocol/ui":{}}}`, ""},
		{"one that does not know how to say it", "/mcp", `{"extensions":{"io.modelcontextprotocol/ui":true}}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, modern := range []bool{false, true} {
				// Twice, because the second comes from the cache.
				for range 2 {
					list := askShowing(t, st, modern, test.path, aliceToken, test.capabilities, "tools/list", "").body
					if got := strings.Join(shown(t, list), " "); got != test.want {
						t.Errorf("modern %t: got apps for %q, want %q", modern, got, test.want)
					}
					if len(list) > 24_000 {
						t.Errorf("modern %t: the list of tools has %d bytes, want at most 24000", modern, len(list))
					}
				}
				resources := askShowing(t, st, modern, test.path, aliceToken, test.capabilities, "resources/list", "").body
				if told := strings.Contains(resources, appURI); told != (test.want != "") || !strings.Contains(resources, "memo://recent") {
					t.Errorf("modern %t: got the resources %s", modern, resources)
				}
			}
		})
	}
	if list := st.send(t, "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Mcp-Session-Id", "forged").body; shown(t, list) != nil {
		t.Error("a session that is none shows apps")
	}
}

// TestAppResource reads the app as a browser does: its policy must allow what is in it, and nothing else.
func TestAppResource(t *testing.T) {
	t.Parallel()
	st := start(t)
	var page string
	for _, modern := range []bool{false, true} {
		var answer struct {
			Result struct {
				Contents []struct {
					URI, MIMEType, Text string
					Meta                struct {
						UI struct {
							CSP           map[string][]string
							PrefersBorder *bool
						} `json:"ui"`
					} `json:"_meta"`
				}
			}
		}
		// Its text is nobody's secret, but a client still needs a token.
		res := askShowing(t, st, modern, "/mcp/readonly", captureToken, showing, "resources/read", `"uri":"`+appURI+`"`)
		if err := json.Unmarshal([]byte(res.body), &answer); err != nil || len(answer.Result.Contents) != 1 {
			t.Fatalf("got %d %s", res.status, res.body)
		}
		got := answer.Result.Contents[0]
		if got.URI != appURI || got.MIMEType != appType || got.Meta.UI.PrefersBorder == nil {
			t.Errorf("got %s of type %s and %+v", got.URI, got.MIMEType, got.Meta)
		}
		for _, kind := range []string{"connectDomains", "resourceDomains", "frameDomains", "baseUriDomains"} {
			if domains := got.Meta.UI.CSP[kind]; domains == nil || len(domains) > 0 {
				t.Errorf("got %v of %s, want an empty list", domains, kind)
			}
		}
		page = got.Text
	}
	if n := len(page); n > 24_000 {
		t.Errorf("the app has %d bytes, want at most 24000", n)
	}
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	if policy == nil || strings.Index(page, policy[0]) > strings.Index(page, "<style") {
		t.Fatalf("the app has no policy before its style:\n%.500s", page)
	}
	hash := func(element string) string {
		found := regexp.MustCompile(`(?s)<`+element+`\b([^>]*)>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
		if len(found) != 1 || found[0][1] != "" {
			t.Fatalf("got %d elements %s, want one without attributes", len(found), element)
		}
		sum := sha256.Sum256([]byte(found[0][2]))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := []string{
		"default-src 'none'", "script-src " + hash("script"), "style-src " + hash("style"), "base-uri 'none'", "form-action 'none'",
		"require-trusted-types-for 'script'", "trusted-types 'none'",
	}
	if got := strings.Split(policy[1], "; "); !slices.Equal(got, want) {
		t.Errorf("got the policy %q\nwant %q", got, want)
	}
	for _, bad := range []string{
		`(?i)https?://`, `(?i)\bsrc=`, `(?i)\bhref=`, `(?i)<[a-z][^>]*\s(style|on[a-z]+)=`, `@import|url\(`, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(`,
		`fetch\(|XMLHttpRequest|WebSocket|sendBeacon|EventSource|import\(|localStorage|cookie`, `{{`,
	} {
		if found := regexp.MustCompile(bad).FindString(page); found != "" {
			t.Errorf("the app has %q", found)
		}
	}
}

// TestAppIsToldWhatItMayDecide checks that the app offers what would be carried out, and that the result is else the same.
func TestAppIsToldWhatItMayDecide(t *testing.T) {
	t.Parallel()
	st := start(t)
	const save, discard = `"paput_save_pending_candidates"`, `"paput_discard_pending_candidates"`
	tests := []struct{ name, path, token, capabilities, tool, want string }{
		{"all", "/mcp", aliceToken, showing, candidates, "[" + save + "," + discard + "]"},
		{"among those for capturing", "/mcp/x/capture", aliceToken, showing, candidates, "[" + save + "," + discard + "]"},
		{"nothing among those that change nothing", "/mcp/readonly", aliceToken, showing, candidates, "[]"},
		{"no more than the token's scope", "/mcp", captureToken, showing, candidates, "[" + discard + "]"},
		{"nothing to one without apps", "/mcp", aliceToken, "{}", candidates, ""},
		{"nothing with memos", "/mcp", aliceToken, showing, "paput_search_memo", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, modern := range []bool{false, true} {
				type outcome struct {
					Content, StructuredContent json.RawMessage
					Meta                       map[string]json.RawMessage `json:"_meta"`
				}
				called := func(capabilities string) outcome {
					var answer struct{ Result outcome }
					res := askShowing(t, st, modern, test.path, test.token, capabilities, "tools/call", `"name":"`+test.tool+`","arguments":{}`)
					if err := json.Unmarshal([]byte(res.body), &answer); err != nil || answer.Result.StructuredContent == nil {
						t.Fatalf("got %d %s", res.status, res.body)
					}
					return answer.Result
				}
				got, plain := called(test.capabilities), called("{}")
				if said := string(got.Meta["paput/tools"]); said != test.want {
					t.Errorf("modern %t: got %s, want %s", modern, said, test.want)
				}
				if identified := got.Meta["io.modelcontextprotocol/serverInfo"] != nil; identified != modern {
					t.Errorf("modern %t: got _meta %s", modern, got.Meta)
				}
				if !bytes.Equal(got.Content, plain.Content) || !bytes.Equal(got.StructuredContent, plain.StructuredContent) {
					t.Errorf("modern %t: got %s %s\nwithout the app %s %s", modern, got.Content, got.StructuredContent, plain.Content, plain.StructuredContent)
				}
			}
		})
	}
}

// TestAppOverStdio checks that the person at this machine has the app as well, if their client shows it.
func TestAppOverStdio(t *testing.T) {
	t.Parallel()
	for _, capabilities := range []string{showing, "{}"} {
		meta := strings.Replace(modernMeta, `clientCapabilities":{}`, `clientCapabilities":`+capabilities, 1)
		in := strings.Join([]string{
			`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":` + capabilities + `,"clientInfo":{"name":"t","version":"1"}}}`,
			`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
			`{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{` + meta + `}}`,
			`{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"uri":"` + appURI + `"}}`,
			`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"` + candidates + `"}}`,
		}, "\n")
		var out strings.Builder
		if err := stdioServer(t, aliceToken).ServeStdio(t.Context(), strings.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		answers := map[string]string{}
		for line := range strings.Lines(out.String()) {
			var answer struct{ ID json.Number }
			if err := json.Unmarshal([]byte(line), &answer); err != nil {
				t.Fatal(err)
			}
			answers[answer.ID.String()] = line
		}
		for _, id := range []string{"1", "2"} {
			if got := len(shown(t, answers[id])); (got == 2) != (capabilities == showing) || got == 1 {
				t.Errorf("%s, %s: got %d tools with an app", capabilities, id, got)
			}
		}
		if !strings.Contains(answers["3"], `"mimeType":"`+appType+`"`) {
			t.Errorf("got %s", answers["3"])
		}
		if told := strings.Contains(answers["4"], `"_meta":{"paput/tools":["paput_save_pending_candidates","paput_discard_pending_candidates"]}`); told != (capabilities == showing) {
			t.Errorf("%s: got %s", capabilities, answers["4"])
		}
	}
}
