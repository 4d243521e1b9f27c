package memo

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

func TestTokenise(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text                 string
		inOrder, parts, characters []string
	}{
		{name: "nothing", text: ""},
		{name: "only punctuation", text: " 、。!? \u0301 \n"},
		{
			name: "a run of kanji", text: "認証基盤",
			inOrder: []string{"認証", "証基", "基盤", "盤"}, characters: []string{"認", "証", "基", "盤"},
		},
		{
			name: "runs end at punctuation", text: "認証、認可",
			inOrder: []string{"認証", "証", "認可", "可"}, characters: []string{"認", "証", "可"},
		},
		{
			name: "one character", text: "鍵", inOrder: []string{"鍵"}, characters: []string{"鍵"},
		},
		{
			name: "half-width katakana", text: "ｶﾞｽ", inOrder: []string{"がす", "す"}, characters: []string{"が", "す"},
		},
		{
			name: "words", text: "Hello, wörld! ＡＢＣ", inOrder: []string{"hello", "wörld", "abc"},
		},
		{
			name: "a snake", text: "redirect_uri", inOrder: []string{"redirect_uri"}, parts: []string{"redirect", "uri"},
		},
		{
			name: "a camel", text: "redirectURI", inOrder: []string{"redirecturi"}, parts: []string{"redirect", "uri"},
		},
		{
			name: "an acronym before a word", text: "HTTPServer", inOrder: []string{"httpserver"}, parts: []string{"http", "server"},
		},
		{
			name: "letters and digits", text: "OAuth2", inOrder: []string{"oauth2"}, parts: []string{"o", "auth", "2", "oauth"},
		},
		{
			name: "the same identifier twice", text: "a_b a_b", inOrder: []string{"a_b", "a_b"}, parts: []string{"a", "b"},
		},
		{
			name: "underscores outside", text: "__init__", inOrder: []string{"__init__"}, parts: []string{"init"},
		},
		{
			name: "too many parts", text: "a1b2c3d4e5", inOrder: []string{"a1b2c3d4e5"},
		},
		{
			name: "scripts that touch", text: "Go言語とC",
			inOrder: []string{"go", "言語", "語と", "と", "c"}, characters: []string{"言", "語", "と"},
		},
		{
			name: "emoji", text: "👩‍💻✅ ok", inOrder: []string{"👩", "💻", "✅", "ok"},
		},
		{
			name: "variation selectors", text: "葛\U000E0100城", inOrder: []string{"葛城", "城"}, characters: []string{"葛", "城"},
		},
		{
			name: "a soft hyphen inside", text: "to\u00adken", inOrder: []string{"token"},
		},
		{
			name: "no UTF-8", text: "a\xffb", inOrder: []string{"a", "b"},
		},
		{
			name: "a very long word", text: strings.Repeat("x", 500), inOrder: []string{strings.Repeat("x", maxWord)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tokenise(pieces(normalise(tt.text)))
			if diff := cmp.Diff(tokens{tt.inOrder, tt.parts, tt.characters}, got, cmp.AllowUnexported(tokens{})); diff != "" {
				t.Errorf("tokens of %q (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query string
		want  string
	}{
		{"", ``},
		{"!? 、", ``},
		{"認証", `("7w認証")`},
		{"認証基盤", `("7w認証 7w証基 7w基盤")`},
		{"認証 検証", `("7w認証") AND ("7w検証")`},
		{"認証 認証", `("7w認証")`},
		{"鍵", `("7w鍵")`},
		{"サーバー", `("7wさー 7wーば")`},
		{"キー", `("7wきー")`},
		{"net/http", `("7wnet 7whttp")`},
		{"redirectUri", `("7wredirecturi" OR "7wredirect 7wuri")`},
		{"OAuth認証", `("7woauth" OR "7wo 7wauth") AND ("7w認証")`},
		{`"quoted" OR -x*`, `("7wquoted") AND ("7wor") AND ("7wx")`},
		{"foo, bar", `("7wfoo") AND ("7wbar")`},
		{"- a", `("7wa")`},
	}
	for _, tt := range tests {
		if got := expressionFor(7, inText, parseQuery(tt.query), nil).fts5(); got != tt.want {
			t.Errorf("query %q: got %s, want %s", tt.query, got, tt.want)
		}
	}
	if got := len(parseQuery(strings.Repeat("ab cd ef gh ", 10) + strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyz0123456789", ""), " "))); got != maxTerms {
		t.Errorf("a long query: got %d terms, want %d", got, maxTerms)
	}
}

func TestNameKey(t *testing.T) {
	t.Parallel()
	for _, equal := range [][]string{
		{"GitHub", "github", "ＧｉｔＨｕｂ", "GITHUB"},
		{"設計  方針", "設計 方針", "設計　方針"},
		{"ﾒﾓ", "メモ"},
		{"café", "cafe\u0301", "CAFÉ"},
	} {
		for _, s := range equal[1:] {
			if nameKey(s) != nameKey(equal[0]) {
				t.Errorf("%q and %q: got different names, want equal", s, equal[0])
			}
		}
	}
	for _, s := range []string{"めも", "メモ2", "cafe", "設計方針"} {
		for _, o := range []string{"メモ", "café", "設計 方針"} {
			if nameKey(s) == nameKey(o) {
				t.Errorf("%q and %q: got equal names, want different", s, o)
			}
		}
	}
}

// FuzzTokenise checks that no text makes the tokeniser panic, that every document can be written and read as tokens, and
// that every part of a text in a script without spaces is found.
func FuzzTokenise(f *testing.F) {
	for _, s := range []string{
		"認証基盤の移行", "ｶﾞｷﾞｸﾞ", "redirect_uri と OAuth2", "か\u3099き", "👩‍💻", "a\xff認", "サーバー", "Ⓐ①㈱", "ß ẞ İ ı ſ", "ไทยแลนด์", "한국어",
		"\u1100\u1161\u11a8", "葛\U000E0100", "ヽヾゝゞ々〇ー", "x\u0301\u0302_y9Z", "\"quoted\" OR NEAR(",
	} {
		f.Add(s, 0, 2)
	}
	f.Fuzz(func(t *testing.T, s string, from, length int) {
		text := indexedFrom(12, content{title: s, summary: s, body: s, categories: []string{s}})
		for token := range strings.SplitSeq(text.document, " ") {
			if !utf8.ValidString(token) || len(token) < 4 || !strings.HasPrefix(token, "12") {
				t.Fatalf("the document of %q has the token %q", s, token)
			}
			if strings.ContainsFunc(token, func(r rune) bool { return r < 0x80 && asciiClass(r) != classWord }) {
				t.Fatalf("the document of %q has the token %q, which FTS5 would cut", s, token)
			}
		}
		terms := parseQuery(s)
		if !expressionFor(12, inText, terms, nil).holds(text.document) && len(terms) > 0 {
			t.Errorf("%q is not found by itself", s)
		}
		(&snippets{terms: terms}).of(content{body: s})
		part := partOf(s, from, length)
		if terms := parseQuery(part); len(terms) > 0 && !expressionFor(12, inText, terms, nil).holds(text.document) {
			t.Errorf("%q is not found by its part %q: looked for %s", s, part, expressionFor(12, inText, terms, nil).fts5())
		}
	})
}

// FuzzSnippet checks that what a search shows of a memo is a short part of it on one line, and that the words of a query are
// parts of the query.
func FuzzSnippet(f *testing.F) {
	for _, s := range [][2]string{
		{"認証 token", "長い文章が続く。認証とトークン"}, {"ｶﾞ", "か\u3099き" + strings.Repeat("長い", 200)}, {"redirectUri", "redirect_uri\n\n* x"},
		{"x", strings.Repeat("e\u0301", 300) + " x"}, {"👩‍💻", "a 👩‍💻 b"}, {"ß", "STRASSE straße"}, {"サーバーはどう動くか", "サーバ"}, {"\u0301", "\u0301\u0302"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		if !utf8.ValidString(query) || !utf8.ValidString(body) {
			return // no service takes these
		}
		clues, _ := cluesOf(query)
		for _, terms := range [][]term{parseQuery(query), clues} {
			got := (&snippets{terms: terms}).of(content{body: body})
			if !utf8.ValidString(got) || strings.ContainsFunc(got, endsLine) {
				t.Errorf("the snippet %q of %q is not valid text on one line", got, body)
			}
			if n := utf8.RuneCountInString(got); n > len([]rune(body))+2 {
				t.Errorf("the snippet %q of %q has %d characters", got, body, n)
			}
		}
		for _, word := range wordsIn(query) {
			if word == "" || !strings.Contains(query, word) {
				t.Errorf("the word %q is not in %q", word, query)
			}
		}
	})
}

// partOf gives length characters of a run of Chinese and Japanese characters in s, from the fromth on.
func partOf(s string, from, length int) string {
	runs := strings.FieldsFunc(norm.NFC.String(s), func(r rune) bool {
		return (r < 0x3041 || r > 0x3096) && (r < 0x30A1 || r > 0x30FC) && (r < 0x4E00 || r > 0x9FFF)
	})
	run := []rune(strings.Join(runs, " "))
	if len(run) == 0 {
		return ""
	}
	i := max(from, 0) % len(run)
	return string(run[i:min(len(run), i+1+max(length, 0)%20)])
}

func TestFindCountsWholeWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query, text string
		want        int
	}{
		{"token", "token tokens token_x token。token認証", 3},
		{"認証", "認証認証基盤 認 証", 2},
		{"redirectUri", "redirect_uri redirect uri redirecturi redirect_uris", 3},
		{"ab", "abab ab", 1},
		{"00+0", "00 00 0", 1},
	}
	for _, tt := range tests {
		text := folded(normalise(tt.text))
		if got := parseQuery(tt.query)[0].count(text); got != tt.want {
			t.Errorf("count %q in %q: got %d, want %d", tt.query, text, got, tt.want)
		}
	}
}

func TestSnippet(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat("長い文章が続く。", 200)
	tests := []struct {
		name, query string
		content
		want func(string) bool
	}{
		{"a short body is whole", "認証", content{title: "題", body: "これは\n\n認証の  話"}, func(s string) bool { return s == "これは 認証の 話" }},
		{"the middle of a long body", "珍品", content{title: "題", body: filler + "珍品" + filler}, func(s string) bool {
			return strings.HasPrefix(s, "…") && strings.HasSuffix(s, "…") && strings.Contains(s, "珍品") && utf8.RuneCountInString(s) <= snippetLength+2
		}},
		{"the summary when the body lacks the word", "要約", content{title: "題", body: "本文", summary: "これが要約"}, func(s string) bool { return s == "これが要約" }},
		{"the body's beginning when only the title has it", "題名", content{title: "題名", body: "本文"}, func(s string) bool { return s == "題名" }},
		{"where two words are together", "alpha beta", content{body: "alpha " + filler + " alpha beta"}, func(s string) bool { return strings.Contains(s, "alpha beta") }},
		{"folded characters", "ﾄｰｸﾝ", content{body: "これはトークンです"}, func(s string) bool { return s == "これはトークンです" }},
		{"marks stay with their letters", "x", content{body: "x " + strings.Repeat("e\u0301", 300)}, func(s string) bool {
			return strings.HasSuffix(s, "e\u0301…")
		}},
		{"part of an identifier", "uri", content{body: "redirectUri"}, func(s string) bool { return s == "redirectUri" }},
		{"nothing to show but the title", "x", content{title: "y"}, func(s string) bool { return s == "y" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := (&snippets{terms: parseQuery(tt.query)}).of(tt.content); !tt.want(got) || !utf8.ValidString(got) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestScorePrefersTheTitle(t *testing.T) {
	t.Parallel()
	terms := parseQuery("認証")
	terms[0].weight = 1
	of := func(title, summary, body string) float64 {
		text := indexedFrom(1, content{title: title, summary: summary, body: body})
		return score(terms, text.folded, text.length)
	}
	got := []float64{
		of("認証", "", "別の話"),
		of("別の題", "認証", "別の話"),
		of("別の題", "", "認証の話と認証の話"),
		of("別の題", "", "認証の話"),
		of("別の題", "", strings.Repeat("長い", 1000)+"認証"),
	}
	if !slices.IsSortedFunc(got, func(a, b float64) int { return int((b - a) * 1e6) }) {
		t.Errorf("title, summary, body twice, body once, far down: got scores %v, want falling ones", got)
	}
}

func TestHasPhrase(t *testing.T) {
	t.Parallel()
	const document = "11wzz 11wab 1waab 1wab 1wcd 1tab 2wabc"
	for phrase, want := range map[string]bool{
		"1wab": true, "11wab": true, "1tab": true, "1wab 1wcd": true, "11wab 1waab": true, "2wabc": true,
		"1wb": false, "1wzz": false, "1wa": false, "2wab": false, "1wcd 1wab": false, "1tcd": false, "111wab": false, "1wabc": false,
	} {
		if got := hasPhrase(document, phrase); got != want {
			t.Errorf("%q in %q: got %v, want %v", phrase, document, got, want)
		}
	}
}
