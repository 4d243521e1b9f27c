package cli_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

const memo1 = "memo_00000000000000000000000001"

func TestAddMemo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "note.md")
	if err := os.WriteFile(file, []byte("# 障害対応\n\nまず再起動。\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   string
		args []string
		want *memov1.Memo
	}{
		{"the text as an argument", "", []string{"--title", "T", "body"}, &memov1.Memo{Title: "T", Body: "body"}},
		{"the text from standard input", "piped\n", []string{"--title", "T", "-"}, &memov1.Memo{Title: "T", Body: "piped\n"}},
		{"a title alone", "unread", []string{"--title", "T"}, &memov1.Memo{Title: "T"}},
		{"all fields", "", []string{
			"-t", "T", "--summary", "S", "--type", "decision", "--type", "operation", "-c", "運用", "-c", "A, B", "-p", "paput", "--created", "2026-01-02", "B",
		}, &memov1.Memo{Title: "T", Body: "B", Summary: "S", MemoTypes: []string{"decision", "operation"}, Categories: []string{"運用", "A, B"}, Projects: []string{"paput"}}},
		{"a file with a heading", "", []string{"--file", file}, &memov1.Memo{Title: "障害対応", Body: "まず再起動。\n"}},
		{"front matter, and a flag that goes before it", "---\ntitle: T\ntypes: [decision]\ncategories:\n  - X\n---\n\nB\n",
			[]string{"-c", "Y", "-"}, &memov1.Memo{Title: "T", Body: "B", MemoTypes: []string{"decision"}, Categories: []string{"Y"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, s := loggedIn(t)
			p.in = test.in
			if got := p.ok(append([]string{"memo", "add"}, test.args...)...); got != memo1+"\n" {
				t.Errorf("got %q, want the id", got)
			}
			m := s.memos[0]
			if m.Title != test.want.Title || m.Body != test.want.Body || m.Summary != test.want.Summary ||
				!slices.Equal(m.MemoTypes, test.want.MemoTypes) || !slices.Equal(m.Categories, test.want.Categories) ||
				!slices.Equal(m.Projects, test.want.Projects) {
				t.Errorf("got %v, want %v", m, test.want)
			}
		})
	}
}

func TestAddMemoRefusals(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.fails(2, "a memo needs a title", "memo", "add")
	p.fails(2, "a memo needs a title", "memo", "add", "just a text")
	p.fails(2, "not both", "memo", "add", "text", "--file", "x.md")
	p.fails(2, "is not a time", "memo", "add", "-t", "T", "--created", "yesterday")
	p.fails(2, "unknown flag: --colour", "memo", "add", "--colour", "red")
	p.fails(1, "no such file", "memo", "add", "--file", filepath.Join(t.TempDir(), "none.md"))
	p.fails(7, "title is 201 characters, at most 200", "memo", "add", "-t", strings.Repeat("x", 201))
	p.fails(7, "what was typed is not valid UTF-8", "memo", "add", "-t", "a\xff")
	p.fails(7, "what was typed is not valid UTF-8", "memo", "search", "a\xff")
	p.in = "\x83e\x83X\x83g" // Shift JIS
	p.fails(7, "the text is not valid UTF-8; convert it first", "memo", "add", "-t", "T", "-")
	p.in = strings.Repeat("x", 4<<20+1)
	p.fails(7, "larger than 4 MiB", "memo", "add", "-t", "T", "-")
	if len(s.memos) != 0 {
		t.Errorf("got %d memos, want none", len(s.memos))
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	p, _ := loggedIn(t)
	added := result[struct {
		Results []struct {
			Index int
			Memo  struct{ ID string }
		}
	}](p, "memo", "add", "-t", "T", "x")
	if added.Results[0].Memo.ID != memo1 {
		t.Errorf("got %+v", added)
	}
	found := result[map[string]any](p, "memo", "search")
	for _, field := range []string{"entries", "memos", "missing_ids", "next_page_token", "search_mode"} {
		if _, ok := found[field]; !ok {
			t.Errorf("field %s is left out: %v", field, found)
		}
	}
	for _, args := range [][]string{
		{"memo", "show", memo1}, {"memo", "history", memo1}, {"memo", "categories"}, {"memo", "edit", memo1, "-t", "U"},
		{"memo", "rm", memo1}, {"memo", "restore", memo1}, {"status"}, {"version"}, {"login"}, {"logout"},
	} {
		result[map[string]any](p, args...)
	}
	for code, want := range map[int]struct {
		json string
		args []string
	}{
		3: {`{"error":{"code":"not_logged_in","message":"not logged in to`, []string{"memo", "search", "--json"}},
		2: {`{"error":{"code":"usage","message":"unknown flag: --nope"}}`, []string{"memo", "--json", "--nope"}},
	} {
		o := p.fails(code, want.json, want.args...)
		if o.out != "" || strings.Count(o.err, "\n") != 1 {
			t.Errorf("got %q and %q, want one line of JSON on standard error", o.out, o.err)
		}
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	for code, want := range map[connect.Code]int{
		connect.CodeNotFound: 4, connect.CodeAborted: 5, connect.CodeUnavailable: 6,
		connect.CodeInvalidArgument: 7, connect.CodePermissionDenied: 7, connect.CodeResourceExhausted: 7,
		connect.CodeInternal: 1, connect.CodeUnimplemented: 1,
	} {
		p, s := loggedIn(t)
		s.now(func() { s.pass = code })
		o := p.fails(want, "paput: ", "memo", "search")
		if strings.Count(o.err, "\n") != 1 {
			t.Errorf("%s: got %q, want one line", code, o.err)
		}
	}
}

func TestSearchMemos(t *testing.T) {
	t.Parallel()
	p, _ := loggedIn(t)
	has(t, p.run("memo", "search").err, "No memo matches.")
	p.ok("memo", "add", "-t", "認証トークンの更新を、二つのプロセスが同時に行っても失敗しないようにする方針", "更新トークンは導出する。\x1b[31m\nだから競合しても、どちらのプロセスもログアウトされない。長い説明がここに続きます。")
	p.ok("memo", "add", "-t", "Why SQLite\tand fsync", "One file, one writer, one fsync.")
	p.wide = 80
	if got, want := p.ok("memo", "search"), `ID                               DATE        TITLE
memo_00000000000000000000000001  2026-03-01  認証トークンの更新を、二つのプロセ…
  更新トークンは導出する。[31m だから競合しても、どちらのプロセスもログアウトさ…
memo_00000000000000000000000002  2026-03-01  Why SQLite and fsync
  One file, one writer, one fsync.
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.wide = 0
	if got, want := p.ok("memo", "search", "Why", "SQLite"), memo1[:len(memo1)-1]+"2\t2026-03-01\tWhy SQLite and fsync\tOne file, one writer, one fsync.\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	has(t, p.run("memo", "search", "-n", "1").err, "--page page2")
}

func TestShowMemos(t *testing.T) {
	t.Parallel()
	p, _ := loggedIn(t)
	p.ok("memo", "add", "-t", "一つ目", "--type", "decision", "-c", "設計", "本文\x1b[2J\n\n- 項目")
	p.ok("memo", "add", "-t", "Second", "--summary", "In short", "Text")
	second := memo1[:len(memo1)-1] + "2"
	o := p.run("memo", "show", memo1, second, "memo_x")
	if want := "# 一つ目\n\n`" + memo1 + "` · 2026-03-01 12:00 · decision · 設計\n\n本文[2J\n\n- 項目\n\n---\n\n# Second\n\n`" + second +
		"` · 2026-03-01 12:00\n\n> In short\n\nText\n"; o.out != want {
		t.Errorf("got\n%s\nwant\n%s", o.out, want)
	}
	if o.code != 4 || !strings.Contains(o.err, "there is no memo memo_x") {
		t.Errorf("got %d %q", o.code, o.err)
	}
	p.fails(2, "requires at least 1 arg", "memo", "show")
}

func TestRemoveMemos(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.ok("memo", "add", "-t", "One", "x")
	p.tty = true
	for _, answer := range []string{"", "\n", "n\n", "maybe\n"} {
		p.in = answer
		o := p.run("memo", "rm", memo1)
		if o.code != 0 || s.memos[0].DeleteTime != nil || !strings.Contains(o.err, memo1+"  One\nMove to the trash? [y/N]") {
			t.Errorf("answered %q: got %d %q", answer, o.code, o.err)
		}
	}
	p.in = "y\n"
	if got := p.ok("memo", "rm", memo1); got != memo1+" moved to the trash\n" || s.memos[0].DeleteTime == nil {
		t.Errorf("got %q", got)
	}
	has(t, p.ok("memo", "search", "--deleted"), "(in the trash) One")
	if got := p.ok("memo", "restore", memo1); got != memo1+" restored\n" || s.memos[0].DeleteTime != nil {
		t.Errorf("got %q", got)
	}
	if got := p.ok("memo", "restore", memo1, "--revision", "1"); got != memo1+" is as it was at revision 1\n" || s.memos[0].Title != "Title of revision 1" {
		t.Errorf("got %q", got)
	}
	p.fails(2, "--revision counts from 1, and is of one memo", "memo", "restore", memo1, "--revision", "0")
	p.fails(2, "--revision counts from 1, and is of one memo", "memo", "restore", memo1, memo1, "--revision", "1")
	p.in = ""
	p.ok("memo", "rm", "--yes", memo1)
	p.tty = false
	p.ok("memo", "rm", memo1)
	o := p.fails(4, "memo_x: memo not found; search first", "memo", "rm", memo1, "memo_x", "memo_y")
	has(t, o.out, memo1+" moved to the trash")
	has(t, o.err, "memo_y: memo not found")
	p.tty = true
	p.fails(4, "there is no memo memo_x", "memo", "rm", "memo_x")
}

func TestHistoryAndCategories(t *testing.T) {
	t.Parallel()
	p, _ := loggedIn(t)
	p.ok("memo", "add", "-t", "One", "x")
	p.ok("memo", "edit", memo1, "--title", "Two")
	p.wide = 80
	if got, want := p.ok("memo", "history", memo1), `REVISION  TIME              ACTION   BY                 CHANGED
2         2026-03-01 12:00  updated  unverified: paput  title, body
1         2026-03-01 12:00  created  unverified: paput  title, body
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	has(t, p.ok("memo", "history", memo1, "--revision", "1"), "# Two")
	p.fails(4, "has no revision 9", "memo", "history", memo1, "--revision", "9")
	p.fails(2, "counts from 1", "memo", "history", memo1, "--revision", "0")
	p.fails(2, "--limit counts from 1", "memo", "history", memo1, "--limit", "0")
	p.fails(2, "--limit counts from 1", "memo", "search", "--limit", "0")
	p.fails(4, "memo memo_x not found", "memo", "history", "memo_x")
	if got, want := p.ok("memo", "categories"), "MEMOS  CATEGORY\n12     運用\n3      Go\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEditMemoWithFlags(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.ok("memo", "add", "-t", "One", "-c", "A", "-p", "P", "--summary", "S", "Body")
	if got := p.ok("memo", "edit", memo1, "--title", "Two", "-c", "B", "-c", "C"); got != memo1+" is at revision 2\n" {
		t.Errorf("got %q", got)
	}
	m := s.memos[0]
	if m.Title != "Two" || m.Body != "Body" || m.Summary != "S" || !slices.Equal(m.Categories, []string{"B", "C"}) || !slices.Equal(m.Projects, []string{"P"}) {
		t.Errorf("got %v", m)
	}
	p.ok("memo", "edit", memo1, "--category", "", "--summary", "", "New body")
	if m := s.memos[0]; len(m.Categories) != 0 || m.Summary != "" || m.Body != "New body" || m.Title != "Two" {
		t.Errorf("got %v", m)
	}
	p.in = "---\ntitle: Whole\n---\nDocument"
	p.ok("memo", "edit", memo1, "-", "-p", "Q")
	if m := s.memos[0]; m.Title != "Whole" || m.Body != "Document" || !slices.Equal(m.Projects, []string{"Q"}) {
		t.Errorf("got %v", m)
	}
	p.fails(2, "say what to change", "memo", "edit", memo1)
	p.fails(5, "has changed since", "memo", "edit", memo1, "--title", "X", "--etag", "etag1")
	p.fails(4, "not found", "memo", "edit", "memo_x", "--title", "X")
}

// editor makes a program that does to the draft what a shell command does.
func editor(t *testing.T, p *person, command string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "an editor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+command+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.tty = true
	p.env["EDITOR"] = `'` + path + `' --wait`
	p.env["PATH"] = os.Getenv("PATH")
}

func drafts(t *testing.T, p *person) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(p.env["PAPUT_HOME"], "drafts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestAddMemoInEditor(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	editor(t, p, `test "$1" = --wait && sed -i 's/^title:.*/title: Written/; s/^types:.*/types: decision, operation/; $aThe text' "$2"`)
	p.ok("memo", "add", "-c", "A")
	if m := s.memos[0]; m.Title != "Written" || m.Body != "The text" || len(m.MemoTypes) != 2 || m.Categories[0] != "A" {
		t.Errorf("got %v", m)
	}
	editor(t, p, `true`)
	has(t, p.run("memo", "add").err, "Nothing was written")
	if got := drafts(t, p); len(got) != 0 || len(s.memos) != 1 {
		t.Errorf("got drafts %v and %d memos", got, len(s.memos))
	}

	s.now(func() { s.pass = connect.CodeUnavailable })
	editor(t, p, `echo "# Precious" > "$2"`)
	o := p.fails(6, "; your text is kept in ", "memo", "add")
	got := drafts(t, p)
	if len(got) != 1 {
		t.Fatalf("got drafts %v, want one", got)
	}
	has(t, o.err, got[0])
	p.ok("memo", "add", "--file", got[0])

	editor(t, p, `exit 1`)
	p.fails(1, "ended with an error", "memo", "add")
}

func TestEditMemoInEditor(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	p.ok("memo", "add", "-t", "One: a \"test\"", "-c", "A", "Body")
	editor(t, p, `sed -i 's/^Body/Better body/' "$2"`)
	p.ok("memo", "edit", memo1)
	if m := s.memos[0]; m.Title != "One: a \"test\"" || m.Body != "Better body" || m.Revision != 2 {
		t.Errorf("got %v", m)
	}
	editor(t, p, `true`)
	has(t, p.run("memo", "edit", memo1).err, "Nothing was written")

	// Somebody else changes the memo while the editor is open.
	bin := `PAPUT_TEST_AS_PAPUT=1 PAPUT_HOME='` + p.env["PAPUT_HOME"] + `' '` + os.Args[0] + `' memo edit ` + memo1 + ` --title Theirs`
	editor(t, p, bin+` && sed -i 's/^Better/Mine/' "$2"`)
	o := p.fails(5, "your text is kept in ", "memo", "edit", memo1)
	got := drafts(t, p)
	if len(got) != 1 {
		t.Fatalf("got drafts %v, want one: %s", got, o.err)
	}
	if data, _ := os.ReadFile(got[0]); !strings.Contains(string(data), "Mine body") {
		t.Errorf("got draft %q", data)
	}
	if m := s.memos[0]; m.Title != "Theirs" || m.Body != "Better body" {
		t.Errorf("got %v, want what the others wrote", m)
	}
	p.fails(4, "there is no memo", "memo", "edit", "memo_x")
}
