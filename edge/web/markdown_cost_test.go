package web

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkHostileMarkdown renders texts as large as a memo can be that a parser may be slow with. One that
// stands out needs a bound of its own in tooDear.
func BenchmarkHostileMarkdown(b *testing.B) {
	m := newMarkdown()
	const size = 200_000
	fill := func(part string) string { return strings.Repeat(part, size/len([]rune(part))) }
	texts := map[string]string{
		"a wide table and short rows":  strings.Repeat("|a", 20_000) + "\n" + strings.Repeat("|-", 20_000) + "\n" + strings.Repeat("|\n", 40_000),
		"a wide table and plain rows":  strings.Repeat("|a", 20_000) + "\n" + strings.Repeat("|-", 20_000) + "\n" + strings.Repeat("x\n", 40_000),
		"tables just below the bound":  fill(strings.Repeat("|a", 90) + "\n" + strings.Repeat("|-", 90) + "\n" + strings.Repeat("x\n", 400) + "\n"),
		"paragraphs below the bound":   fill(strings.Repeat("[a](", 999) + "\n\n"),
		"emphasis below the bound":     fill(strings.Repeat("*a_ ", 499) + "\n\n"),
		"items that are none":          fill("2. [a](\n"),
		"items that are too indented":  "a\n" + fill("     - [a](\n"),
		"quotes as deep as they may":   fill(strings.Repeat("> ", 32) + "a\n"),
		"lists that nest line by line": nested(440),
	}
	for _, part := range []string{
		"[", "![", "]", "*a ", "*a_ ", "**a", "> ", ">", "- ", "+ ", "+ a", "`", "`a``", "<", "<a ", "<!--", "\\", "&", "[a](", "[a](<", "[a]: b\n", "[a][", "| a ", "|-", "~", "~~a",
		"1. ", "1) ", "\t", "a@", "http://a.", "www.", "長い", "# \n", "* * \n", "- a\n", "a\n=\n", "\u3000\n[", "a_", "]("} {
		texts[fmt.Sprintf("%q", part)] = fill(part)
	}
	for name, text := range texts {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := m.html(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nested is a list whose items each hold the next.
func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", 2*i) + "- a\n")
	}
	return b.String()
}

func TestTooDear(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source string
		want   bool
	}{
		"a long memo":                      {strings.Repeat("## 見出し\n\n本文は *強調* と [リンク](https://example.com) を含む。\n\n", 3000), false},
		"a long list of links":             {strings.Repeat("- [題](https://example.com/a_b_c) **重要**\n", 3000), false},
		"identifiers":                      {strings.Repeat("snake_case_name ", 5000), false},
		"a large table":                    {"|a|b|c|\n|-|-|-|\n" + strings.Repeat("|1|2|3|\n", 5000), false},
		"as many marks as there may be":    {strings.Repeat("[", 1000), false},
		"one mark more":                    {strings.Repeat("[", 1001), true},
		"on many lines":                    {strings.Repeat("[a\n", 1001), true},
		"with ideographic spaces between":  {strings.Repeat("[\n\u3000\n", 1001), true},
		"nested as deep as it may be":      {strings.Repeat("> ", 32) + "a", false},
		"one deeper":                       {strings.Repeat("> ", 33) + "a", true},
		"items of both kinds":              {strings.Repeat("1. - ", 17) + "a", true},
		"cells up to the bound":            {strings.Repeat("|", 99) + "\n" + strings.Repeat("x\n", 499), false},
		"cells beyond it":                  {strings.Repeat("|", 99) + "\n" + strings.Repeat("x\n", 500), true},
		"cells of a table that gets wider": {strings.Repeat("a|\n", 499) + strings.Repeat("|", 99) + "\nx\n", true},
	} {
		if got := tooDear(tt.source); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	html, err := newMarkdown().html(strings.Repeat("[", 1001) + "<script>")
	if err != nil || !strings.HasPrefix(string(html), "<pre>[[") || !strings.HasSuffix(string(html), "&lt;script&gt;</pre>\n") {
		t.Errorf("got %.20q, %v, want the text as it is written", html, err)
	}
}
