package cli_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

var update = flag.Bool("update", false, "write the golden files anew")

// commands lists every command; TestHelp fails when one is not here.
func commands() []string {
	return []string{
		"", "login", "logout", "status", "memo", "memo add", "memo search", "memo show", "memo edit", "memo rm", "memo restore", "memo publish", "memo unpublish",
		"memo history", "memo categories", "memo watch",
		"note", "note create", "note search", "note show", "note edit", "note rm",
		"capture", "capture list", "capture show", "capture add", "capture approve", "capture discard", "capture policy", "capture approval", "capture sessions",
		"export", "import", "mcp", "audit", "audit tail", "account", "account erase", "version", "exit-codes",
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	var b strings.Builder
	for _, c := range commands() {
		text := p.ok(append([]string{"help"}, strings.Fields(c)...)...)
		fmt.Fprintf(&b, "$ paput help %s\n%s\n", c, text)
		for _, line := range strings.Split(text, "\n") {
			if width := runewidth.StringWidth(line); width > 81 {
				t.Errorf("paput help %s has a line of %d columns: %s", c, width, line)
			}
		}
		_, list, _ := strings.Cut(text, "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, line := range strings.Split(list, "\n") {
			name := strings.TrimSpace(c + " " + first(strings.Fields(line)))
			if name != c && name != "help" && name != "completion" && !slices.Contains(commands(), name) {
				t.Errorf("paput %s is not in commands()", name)
			}
		}
	}
	golden(t, "testdata/help.txt", b.String())
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at the difference after: go test ./cli -update", path)
	}
}

func TestUsageMistakesGetAHint(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	for _, test := range []struct{ args, want string }{
		{"mmo", "paput: there is no command \"paput mmo\"; did you mean memo or mcp?\nRun 'paput --help' for how to use it.\n"},
		{"memo sarch", "paput: there is no command \"paput memo sarch\"; did you mean search or watch?\nRun 'paput memo --help' for how to use it.\n"},
		{"memo rm", "paput: requires at least 1 arg(s), only received 0\nRun 'paput memo rm --help' for how to use it.\n"},
		{"status -x", "paput: unknown shorthand flag: 'x' in -x\nRun 'paput status --help' for how to use it.\n"},
		{"audit tail --from 0", "paput: --from \"0\" is neither a sequence from 1 nor first, last or new\n"},
	} {
		o := p.run(strings.Fields(test.args)...)
		if o.code != 2 || o.err != test.want || o.out != "" {
			t.Errorf("paput %s: got %d %q %q, want 2 %q", test.args, o.code, o.err, o.out, test.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	has(t, p.ok("completion", "bash"), "paput")
	has(t, p.ok("__complete", "memo", "add", "--type", ""), "decision")
}
