package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/embedding/embeddingtest"
)

// findTitles searches through the MCP endpoint and gives the mode and the titles.
func findTitles(t *testing.T, server *running, token, query string) (mode string, titles []string) {
	t.Helper()
	res := callTool(t, server.url+"/mcp", token, "paput_search_memo", fmt.Sprintf(`{"query":%q}`, query))
	entries, _ := res["entries"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		titles = append(titles, fmt.Sprint(entry["title"]))
	}
	return fmt.Sprint(res["search_mode"]), titles
}

// TestSearchByMeaning runs the whole program with an embeddings server: a memo is found by a word that it does not have,
// an outage is no trouble, and neither the key nor a memo gets into a log.
func TestSearchByMeaning(t *testing.T) {
	t.Parallel()
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split=%t", split), func(t *testing.T) {
			t.Parallel()
			embeddings := embeddingtest.Start(t)
			keyFile := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(keyFile, []byte(embeddingtest.Key+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			server := start(t, t.TempDir(), split, func(c *config) {
				c.embeddings = embeddingsConfig{url: embeddings.URL + "/embeddings", model: "small", keyFile: keyFile, timeout: 5 * time.Second}
			})
			server.awaitReady(t)
			v := newVisitor(server)
			if err := v.SetUp(t.Context(), server.console); err != nil {
				t.Fatal(err)
			}
			token := logIn(t, v, "paput.write")
			create := func(title string) {
				callTool(t, server.url+"/mcp", token, "paput_create_memos", fmt.Sprintf(`{"memos":[{"title":%q,"body":"hidden in the basement"}]}`, title))
			}
			for _, title := range []string{"ashlar", "bodkin", "cudgel", "dulcet", "Sign-in with passkeys"} {
				create(title)
			}
			await := func(want ...string) {
				t.Helper()
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
					mode, titles := findTitles(t, server, token, "ログイン")
					slices.Sort(titles)
					if mode == "hybrid" && slices.Equal(titles, want) {
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("got %s %q, want hybrid %q", mode, titles, want)
					}
				}
			}
			await("Sign-in with passkeys")

			embeddings.Fail(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadGateway)
				_, _ = w.Write([]byte("hidden in the basement " + embeddingtest.Key))
			})
			create("authentication by card")
			if mode, titles := findTitles(t, server, token, "ログイン"); mode != "keyword" || len(titles) != 0 {
				t.Errorf("in an outage: got %s %q, want keyword and nothing", mode, titles)
			}
			if mode, titles := findTitles(t, server, token, "passkeys"); mode != "keyword" || len(titles) != 1 {
				t.Errorf("in an outage, by a word: got %s %q", mode, titles)
			}
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(server.logs(), "the embedder does not work"); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the operator is not told")
				}
			}
			embeddings.Fail(nil)
			await("Sign-in with passkeys", "authentication by card")
			for _, secret := range []string{embeddingtest.Key, "Sign-in", "basement", "ログイン", "authentication by"} {
				if strings.Contains(server.logs(), secret) {
					t.Errorf("the log has %q", secret)
				}
			}
		})
	}
}

func TestEmbeddingsConfig(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	local := embeddingsConfig{url: "http://localhost:11434/v1", model: "m", timeout: time.Second}
	with := func(change func(*embeddingsConfig)) embeddingsConfig {
		c := local
		change(&c)
		return c
	}
	for _, test := range []struct {
		name string
		give embeddingsConfig
		env  string
		want string // the error
	}{
		{name: "off", give: embeddingsConfig{timeout: time.Second}},
		{name: "on", give: local},
		{name: "a key in the environment", give: local, env: " sk-1\n"},
		{name: "a model only", give: embeddingsConfig{model: "m"}, want: "--embeddings-model, --embeddings-key-file and --embeddings-insecure go with --embeddings-url: say where the model runs"},
		{name: "no model", give: with(func(c *embeddingsConfig) { c.model = "" }), want: "--embeddings-url needs --embeddings-model, by the name that the server there knows it by"},
		{name: "no patience", give: with(func(c *embeddingsConfig) { c.timeout = time.Millisecond }), want: "--embeddings-timeout 1ms: between 10ms and 10s"},
		{name: "an empty key file", give: with(func(c *embeddingsConfig) { c.keyFile = empty }), want: "--embeddings-key-file " + empty + ": it is empty"},
		{name: "no key file", give: with(func(c *embeddingsConfig) { c.keyFile = "/nowhere" }), want: "--embeddings-key-file /nowhere: no such file or directory"},
		{name: "clear text", give: with(func(c *embeddingsConfig) { c.url = "http://gpu.internal/v1?k=secret" }), want: "--embeddings-url: only https is safe to another machine; --embeddings-insecure allows it all the same"},
		{name: "clear text that is wanted", give: with(func(c *embeddingsConfig) { c.url, c.insecure = "http://gpu.internal/v1", true })},
		{name: "two keys in the environment", give: local, env: "a b", want: "--embeddings-url: the key has a character that no key has, such as a space"},
	} {
		got := ""
		if err := test.give.check(func(string) (string, bool) { return test.env, test.env != "" }); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got error %q, want %q", test.name, got, test.want)
		}
		if on := test.give.meaning() != nil; on != (test.want == "" && test.give.url != "") {
			t.Errorf("%s: got on %t", test.name, on)
		}
	}
}
