package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2/clientcredentials"
)

// TestServiceExample runs the example of docs/services.md as a service that an administrator has registered, through a restart of
// the server.
func TestServiceExample(t *testing.T) {
	t.Parallel()
	example := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-o", example, "../../docs/examples/service").CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	server := startPaputd(t)
	server.addAccount(t)
	id, secret := server.addService(t)
	cmd := exec.Command(example)
	cmd.Env = append(os.Environ(), "PAPUT="+server.url, "CLIENT_ID="+id, "CLIENT_SECRET="+secret)
	service, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.kill)
	if _, err := service.printed(regexp.MustCompile(`(?s)^created (memo_\w+)\nfound memo_\w+ Sales of May\nup to date, memos: 1\n`)); err != nil {
		t.Fatal(err)
	}
	if err := server.stop(os.Interrupt, patience); err != nil {
		t.Fatal(err)
	}
	startPaputdOn(t, server.data, server.args()...)
	if _, err := service.printed(regexp.MustCompile(`(?s)up to date, memos: 1.*up to date, memos: 1`)); err != nil {
		t.Fatal(err)
	}
	if err := service.stop(os.Interrupt, patience); err != nil {
		t.Error(err)
	}
}

// addService registers a service that may act for the account of most stories.
func (d *paputd) addService(t *testing.T) (id, secret string) {
	t.Helper()
	out, err := exec.Command(program("paputd"), "client", "add", "--data", d.data, "--name", "Reports", "--grant", "client_credentials",
		"--scope", "paput.read", "--scope", "paput.write", "--acts-for", email).Output()
	if err != nil {
		t.Fatalf("client add: %v", err)
	}
	id = regexp.MustCompile(`client_[0-9a-z]+`).FindString(string(out))
	secret = regexp.MustCompile(`paput_cs_\S+`).FindString(string(out))
	if id == "" || secret == "" {
		t.Fatalf("client add printed no client:\n%s", out)
	}
	return id, secret
}

// TestServicesGuide runs the commands of docs/services.md as they are written there, as far as this machine has the programs.
func TestServicesGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "services.md"))
	if err != nil {
		t.Fatal(err)
	}
	server := startPaputd(t)
	server.addAccount(t)
	id, secret := server.addService(t)
	run := func(heading, script string, env ...string) string {
		t.Helper()
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PAPUT="+server.url, "PAPUT_DATA="+server.data)
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", heading, err, script, out)
		}
		return string(out)
	}
	for _, program := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the guide's commands need %s", program)
		}
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	find := func(part string) string {
		t.Helper()
		for _, b := range blocks {
			if strings.Contains(b[1], part) {
				return strings.ReplaceAll(b[1], "PAPUT=http://localhost:8080\n", "")
			}
		}
		t.Fatalf("the guide has no commands with %q", part)
		return ""
	}

	registered := run("register", strings.ReplaceAll(find("client_credentials --scope"), "aiko@example.com", email))
	if !strings.Contains(registered, "paput_cs_") {
		t.Errorf("register: got %s", registered)
	}
	created := run("create", find("/CreateMemos"), "CLIENT_ID="+id, "CLIENT_SECRET="+secret)
	if !strings.Contains(created, `"title":"Sales of May"`) {
		t.Errorf("create: got %s", created)
	}
	search := run("add a resource server", find("--resource-server"))
	searchID, searchSecret := regexp.MustCompile(`client_[0-9a-z]+`).FindString(search), regexp.MustCompile(`paput_cs_\S+`).FindString(search)
	token := server.tokenFor(t, id, secret, "https://search.example.com")
	var introspected struct {
		Active bool
		Aud    string
	}
	answer := run("introspect", find("/introspect"), "SEARCH_ID="+searchID, "SEARCH_SECRET="+searchSecret, "TOKEN="+token)
	if err := json.Unmarshal([]byte(answer), &introspected); err != nil || !introspected.Active || introspected.Aud != "https://search.example.com" {
		t.Errorf("introspect: got %s", answer)
	}

	// buf is a tool of the build and may not be here yet.
	if os.Getenv("PAPUT_BUF") == "" {
		t.Log("the commands with buf are left out: PAPUT_BUF=1 runs them")
		return
	}
	buf, err := exec.Command("go", "tool", "-n", "-modfile=../../deploy/tools/go.mod", "buf").Output()
	if err != nil {
		t.Fatal(err)
	}
	with := fmt.Sprintf("buf() { %s \"$@\"; }\n", strings.TrimSpace(string(buf)))
	token = server.tokenFor(t, id, secret, "")
	listed := run("buf curl", with+find("--list-methods"), "TOKEN="+token)
	if !strings.Contains(listed, "paput.memo.v1.MemoService/WatchMemos") || !strings.Contains(listed, `"title": "Sales of May"`) {
		t.Errorf("buf curl: got %s", listed)
	}
	// The first command is refused, and the second does not end.
	streamed := run("buf curl, streams", with+"buf() { timeout 10 "+strings.TrimSpace(string(buf))+" \"$@\" || true; }\n"+find("/WatchMemos"), "TOKEN="+token)
	if !strings.Contains(streamed, "page_size is 500, at most 100") || !regexp.MustCompile(`"position": "\d+-[0-9a-f]+",\s+"memo"`).MatchString(streamed) {
		t.Errorf("buf curl, streams: got %s", streamed)
	}
}

func (d *paputd) tokenFor(t *testing.T, id, secret, resource string) string {
	t.Helper()
	c := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: d.url + "/token"}
	if resource != "" {
		c.EndpointParams = map[string][]string{"resource": {resource}}
	}
	token, err := c.Token(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}
