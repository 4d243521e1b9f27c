package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestPublish takes a memo from private to the web and back: the tool's 403 names the scope, the person consents to it, the
// page is there for whoever has the address, and is gone at once when the memo is private again or deleted.
func TestPublish(t *testing.T) {
	t.Parallel()
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split=%v", split), func(t *testing.T) {
			t.Parallel()
			server := start(t, t.TempDir(), split)
			aiko := newVisitor(server)
			if err := aiko.SetUp(t.Context(), server.console); err != nil {
				t.Fatal(err)
			}
			writer := logIn(t, aiko, "paput.read", "paput.write")
			created := callTool(t, server.url, writer, "paput_create_memos", `{"memos":[{"title":"公開する判断","body":"理由を **書く**。","categories":["社内"]}]}`)
			id, _ := created["results"].([]any)[0].(map[string]any)["memo"].(map[string]any)["id"].(string)
			ids, agreed := `{"ids":["`+id+`"]}`, `{"ids":["`+id+`"],"confirm":true}`

			page := server.url + "/m/" + id
			absent := status(t, page)
			if absent != http.StatusNotFound {
				t.Errorf("a private memo: got %d, want 404", absent)
			}
			challenge := challengeTo(t, server.url, writer, "paput_publish_memos", ids)
			scope := regexp.MustCompile(`error="insufficient_scope".*scope="([^"]*)"`).FindStringSubmatch(challenge)
			if scope == nil || !strings.Contains(scope[1], "paput.publish") {
				t.Fatalf("got the challenge %q, want it to name paput.publish", challenge)
			}
			publisher := logIn(t, aiko, strings.Fields(scope[1])...)

			published := callTool(t, server.url, publisher, "paput_publish_memos", agreed)
			result, _ := published["results"].([]any)[0].(map[string]any)
			if result["public_url"] != page {
				t.Fatalf("got %v, want the address %s", result, page)
			}
			if got := fetch(t, page); !strings.Contains(got, "公開する判断") || !strings.Contains(got, "<strong>書く</strong>") || strings.Contains(got, "社内") {
				t.Errorf("the page:\n%s", got)
			}
			if got := fetch(t, page+".md"); got != "# 公開する判断\n\n理由を **書く**。\n" {
				t.Errorf("as Markdown: got %q", got)
			}

			callTool(t, server.url, writer, "paput_unpublish_memos", ids)
			if got := status(t, page); got != http.StatusNotFound {
				t.Errorf("private again: got %d, want 404", got)
			}
			callTool(t, server.url, publisher, "paput_publish_memos", agreed)
			if got := status(t, page); got != http.StatusOK {
				t.Errorf("public again: got %d, want 200", got)
			}
			callTool(t, server.url, writer, "paput_delete_memos", ids)
			if got := status(t, page); got != http.StatusNotFound {
				t.Errorf("in the trash: got %d, want 404", got)
			}
			callTool(t, server.url, writer, "paput_restore_memos", ids)
			if got := status(t, page); got != http.StatusNotFound {
				t.Errorf("out of the trash: got %d, want 404", got)
			}
			if strings.Contains(server.logs(), "公開する") {
				t.Errorf("the log tells what the memo says:\n%s", server.logs())
			}
		})
	}
}

// challengeTo gives the challenge of a call that is answered with 403.
func challengeTo(t *testing.T, endpoint, token, tool, arguments string) string {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("MCP-Protocol-Version", "2025-11-25")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Fatalf("%s: got %d, want 403", tool, res.StatusCode)
	}
	return res.Header.Get("WWW-Authenticate")
}

func status(t *testing.T, address string) int {
	t.Helper()
	res := get(t, address)
	_ = res.Body.Close()
	return res.StatusCode
}

func fetch(t *testing.T, address string) string {
	t.Helper()
	res := get(t, address)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d, %v, want 200", address, res.StatusCode, err)
	}
	return string(body)
}

func get(t *testing.T, address string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
