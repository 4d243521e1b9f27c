package cli

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       document
	}{
		{"nothing", "", document{}},
		{"a body alone", "just text\n", document{body: "just text\n"}},
		{"a rule is no front matter", "---\ntext without an end\n", document{body: "---\ntext without an end\n"}},
		{"all fields", "---\ntitle: T: a \nsummary: S # not this\ntypes:\n  - decision\n- operation\ncategories: [A, \"B: b\"]\nprojects: p, q\n# a comment\n---\n\nBody\n---\nmore\n",
			document{title: "T: a", summary: "S", types: []string{"decision", "operation"}, categories: []string{"A", "B: b"}, projects: []string{"p", "q"}, body: "Body\n---\nmore"}},
		{"line ends of Windows, and a mark of the byte order", "\ufeff---\r\ntitle: 'It''s'\r\n---\r\nBody\r\n", document{title: "It's", body: "Body"}},
		{"empty fields", "---\ntitle:\ncategories:\n  -\n---\n", document{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseDocument(test.text)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v %v, want %+v", got, err, test.want)
			}
		})
	}
	for text, want := range map[string]string{
		"---\ncolour: red\n---\n":      `line 2 of the front matter: there is no field "colour"`,
		"---\ntitle: T\n- x\n---\n":    `line 3 of the front matter: "- x" belongs to no list`,
		"---\ntitle: \"open\nx\n---\n": "is not closed",
		"---\njust a line\n---\n":      `is not "name: value"`,
	} {
		if _, err := parseDocument(text); err == nil || !strings.Contains(err.Error(), want) || ExitCode(err) != 2 {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzDocumentsComeBackAsTheyWere(f *testing.F) {
	f.Add("Title", "A summary", "設計", "Body\n---\n- x")
	f.Add("- t: \"x\" # y", "'", "a, b", "")
	f.Add("@x", "[a]", "---", "\n\n")
	f.Add("null", "\u0085", "\ufeff", "a")
	f.Fuzz(func(t *testing.T, title, summary, category, body string) {
		// What the server keeps: one line for names, none of them with space around it.
		for _, s := range []*string{&title, &summary, &category} {
			*s = clean(strings.ToValidUTF8(*s, ""))
		}
		want := document{title: title, summary: summary, body: strings.Trim(strings.ReplaceAll(body, "\r", ""), "\n")}
		if category != "" {
			want.categories = []string{category}
		}
		got, err := parseDocument(want.String())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %q %v, want %q, from\n%s", got, err, want, want.String())
		}
	})
}

// FuzzFrontMatter reads whatever a person has written, and again what it became.
func FuzzFrontMatter(f *testing.F) {
	for _, s := range []string{
		"---\ntitle: T: a \nsummary: S # not this\ntypes:\n  - decision\ncategories: [A, \"B: b\"]\nprojects: p, q\n---\n\nBody\n---\nmore\n",
		"\ufeff---\r\ntitle: 'It''s'\r\n---\r\nBody\r\n", "---\ntitle: \"a\\nb\"\n---\n", "---\ncategories: ['a, b']\n---", "---\ntitle: '\n---\n", "---", "",
		"---\ncategories:\n- \"\\u202e\"\n---\nx",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // refused where it is read
		}
		first, err := parseDocument(text)
		if err != nil {
			if !errors.Is(err, errUsage) {
				t.Errorf("%q: got %v", text, err)
			}
			return
		}
		again, err := parseDocument(first.String())
		// A document ends with its line.
		first.body = strings.Trim(strings.ReplaceAll(first.body+"\n", "\r\n", "\n"), "\n")
		if err != nil || !reflect.DeepEqual(again, first) {
			t.Errorf("%q became %q, and then %q, %v", text, first, again, err)
		}
	})
}
