package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/paput/paput/"

// rules say which of our packages, besides proto/gen, a package may import. The longest matching prefix counts.
var rules = []struct {
	in     string
	allow  []string
	reason string
}{
	{"services/eventlog", []string{"services/eventlog"}, "the log is below everything"},
	{"services/rpc", nil, "the interceptors know no service"},
	{"services/", []string{"services/eventlog", "services/rpc"}, "what a service needs of another it declares as an interface, and app.go hands it in"},
	{"edge/", []string{"edge/"}, "an edge reaches services by RPC only"},
	{"cli/paput", []string{"cli"}, "main only starts the command line"},
	{"cli", []string{"edge/mcp"}, "the command line reaches services by RPC only"},
	{"deploy/", []string{""}, "deploy wires everything"},
	{"proto/gen/", nil, "generated code knows nothing of ours"},
}

// foreign says which third-party modules are kept to a few packages.
var foreign = []struct {
	module, only, reason string
}{
	{"github.com/zitadel/oidc", "services/oauth", "its server interface is experimental, so only one package may know it"},
	{"modernc.org/sqlite", "services/eventlog/sqlite", "the backend is the log's affair"},
	{"github.com/nats-io/nats-server", "deploy/", "only what is deployed links a server"},
	{"github.com/mark3labs/mcp-go", "edge/mcp", "the protocol library stays behind the edge"},
}

func TestImports(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "node_modules" || name == "paput-data" || strings.HasPrefix(name, ".") && path != root) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		checkImports(t, path, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, path, rel string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", rel, err)
		return
	}
	isTest := strings.HasSuffix(rel, "_test.go")
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if ours, ok := strings.CutPrefix(target, module); ok {
			checkOurs(t, rel, ours, isTest)
		} else if !isTest {
			checkForeign(t, rel, target)
		}
	}
}

func checkOurs(t *testing.T, rel, target string, isTest bool) {
	t.Helper()
	if strings.HasPrefix(target, "proto/gen/") || target == dir(rel) {
		return
	}
	// A test puts the real interceptors, the real log and a real embedder behind what it tests.
	if isTest && (target == "services/rpc" || strings.HasPrefix(target, "services/eventlog") || strings.HasPrefix(target, "services/embedding")) {
		return
	}
	for _, rule := range rules {
		if !strings.HasPrefix(rel, rule.in) {
			continue
		}
		for _, allowed := range rule.allow {
			if strings.HasPrefix(target, allowed) {
				return
			}
		}
		t.Errorf("%s imports %s: %s", rel, target, rule.reason)
		return
	}
	t.Errorf("%s is in no package that the rules know; add a rule with a reason", rel)
}

func checkForeign(t *testing.T, rel, target string) {
	t.Helper()
	for _, f := range foreign {
		if strings.HasPrefix(target, f.module) && !strings.HasPrefix(rel, f.only) {
			t.Errorf("%s imports %s: %s", rel, target, f.reason)
		}
	}
	if strings.HasPrefix(rel, "services/memo") && target == "net/http" {
		t.Errorf("%s imports net/http: a memo knows no transport", rel)
	}
}

func dir(rel string) string { return rel[:strings.LastIndex(rel, "/")] }

// TestCommandLineLinksNoServer looks at everything that is linked into paput, however it got there.
func TestCommandLineLinksNoServer(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"cli/paput").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, server := range []string{"modernc.org/sqlite", "github.com/nats-io/nats-server", "github.com/zitadel/oidc", module + "services"} {
			if strings.HasPrefix(dep, server) {
				t.Errorf("paput links %s", dep)
			}
		}
	}
}
