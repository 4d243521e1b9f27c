package web

import (
	"regexp"
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	m := newMarkdown()
	for _, tt := range []struct{ name, source, want string }{
		{"headings are below the title", "# A\n\n###### F", "<h2>A</h2>\n<h6>F</h6>\n"},
		{"emphasis", "*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>\n"},
		{"a line break in Japanese is no space", "認証を\n移す", "<p>認証を移す</p>\n"},
		{"a code block", "```go\nif a < b && c {\n```", "<pre><code>if a &lt; b &amp;&amp; c {\n</code></pre>\n"},
		{"a list that begins at three", "3. 三\n4. 四", "<ol start=\"3\">\n<li>三</li>\n<li>四</li>\n</ol>\n"},
		{"a table", "|a|b|\n|:-|-:|\n|1|2|", "<table>\n<thead>\n<tr>\n<th align=\"left\">a</th>\n<th align=\"right\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"left\">1</td>\n<td align=\"right\">2</td>\n</tr>\n</tbody>\n</table>\n"},
		{"a link", "[a](https://example.com/?a=1&b=2)", `<p><a href="https://example.com/?a=1&amp;b=2" rel="nofollow noopener noreferrer ugc">a</a></p>` + "\n"},
		{"a bare link", "https://example.com/x", `<p><a href="https://example.com/x" rel="nofollow noopener noreferrer ugc">https://example.com/x</a></p>` + "\n"},
		{"a link to nowhere absolute", "[a](/logout) [b](#c) [d](//example.com)", "<p><a>a</a> <a>b</a> <a>d</a></p>\n"},
		{"an image", "![図 *1*](https://example.com/a.png \"t\")", `<p><a href="https://example.com/a.png" rel="nofollow noopener noreferrer ugc">図 1</a></p>` + "\n"},
		{"an image without words", "![](https://example.com/a.png)", `<p><a href="https://example.com/a.png" rel="nofollow noopener noreferrer ugc">https://example.com/a.png</a></p>` + "\n"},
		{"an image in a link", "[![b](https://example.com/b.svg)](https://example.com)", `<p><a href="https://example.com" rel="nofollow noopener noreferrer ugc">b</a></p>` + "\n"},
		{"a generic type is shown", "a Vec<T> b", "<p>a Vec&lt;T&gt; b</p>\n"},
		{"a block of HTML is shown", "<details>\nx\n</details>", "<pre><code>&lt;details&gt;\nx\n&lt;/details&gt;</code></pre>\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := m.html(tt.source)
			want := strings.ReplaceAll(tt.want, "<a>", `<a rel="nofollow noopener noreferrer ugc">`)
			if err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

// attacks are texts that would run a script, load something, or change the page around them on a careless renderer.
func attacks() []string {
	return []string{
		"<script>alert(1)</script>", "<ScRiPt src=//evil.example></sCrIpT>", "a <script>alert(1)</script> b", "<scr<script>ipt>alert(1)</script>",
		"<img src=x onerror=alert(1)>", "a <img src=x onerror=alert(1)> b", "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "a <svg/onload=alert(1)>",
		"<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">", "<iframe srcdoc='<script>alert(1)</script>'></iframe>", "<style>*{display:none}</style>",
		"<base href=https://evil.example>", "<meta http-equiv=refresh content='0;url=https://evil.example'>", "<form action=https://evil.example><button>",
		"<a href=javascript:alert(1)>x</a>", "<!--><script>alert(1)</script>-->", "<![CDATA[><script>alert(1)</script>]]>", "<?php <script>alert(1)</script> ?>",
		"<!DOCTYPE x><script>alert(1)</script>", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">", "</div></article><script>alert(1)</script>", "</code></pre><script>alert(1)</script>",
		"[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](java\tscript:alert(1))", "[x](<java\nscript:alert(1)>)", "[x](&#106;avascript:alert(1))",
		"[x](\\javascript:alert(1))", "[x](javascript&colon;alert(1))", "[x](\u0001javascript:alert(1))", "[x](vbscript:msgbox)", "[x](data:text/html;base64,PHNjcmlwdD4=)",
		"[x](data:image/svg+xml;base64,PHN2Zz4=)", "[x](file:///etc/passwd)", "[x](blob:https://x)", "[x](https://e.example\" onmouseover=\"alert(1))",
		"[x](https://e.example \"\\\" onmouseover=\\\"alert(1)\")", "[x]: javascript:alert(1)\n\n[x]", "<javascript:alert(1)>", "<data:text/html,x>", "<https://e.example/\"onclick=\"alert(1)>",
		"![x](javascript:alert(1))", "![x](data:image/svg+xml;base64,PHN2Zz4=)", "![x](data:image/png;base64,AAAA)", "![\" onerror=\"alert(1)](https://e.example/x.png)",
		"![<script>alert(1)</script>](https://e.example/x.png)", "![x](https://e.example/x.png\" onerror=\"alert(1))", "![a [b](javascript:alert(1)) c](https://e.example)",
		"[![x](https://e.example/y.png)](javascript:alert(1))", "[<img src=x onerror=alert(1)>](https://e.example)", "[**<script>**](javascript:alert(1))",
		"```\"><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```", "```js onload=alert(1)\nx\n```", "`<script>alert(1)</script>`", "    <script>alert(1)</script>",
		"# <script>alert(1)</script>", "# x {onclick=alert(1)}", "> <script>alert(1)</script>", "- <img src=x onerror=alert(1)>", "|<script>|<b onclick=alert(1)>|\n|-|-|\n|<svg onload=alert(1)>|[x](javascript:alert(1))|",
		"&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;alert(1)&#60;/script&#62;", "\u202e<script>alert(1)</script>", "<\u200bscript>alert(1)</script>", "＜script＞alert(1)＜/script＞",
		"www.example.com/\"onclick=\"alert(1)", "https://e.example/'><script>alert(1)</script>", "a@b.example\"onclick=alert(1)", "javascript:alert(1)", "{{.Memo}} {{template \"x\"}}",
		"\\<script>alert(1)\\</script>", "<a\nhref='javascript:alert(1)'>x</a>", "<p style='background:url(https://e.example)'>", "<input autofocus onfocus=alert(1)>", "<link rel=stylesheet href=//e.example>",
	}
}

var (
	tag     = regexp.MustCompile(`<[^>]*>`)
	safeTag = regexp.MustCompile(`^</?(h[2-6]|p|br|hr|blockquote|pre|code|ul|ol|li|em|strong|del|table|thead|tbody|tr|th|td|a)>$|` +
		`^<br/>$|^<hr/>$|^<ol start="\d+">$|^<t[hd] align="(left|center|right)">$|` +
		`^<a href="(https?://|mailto:)[^"<>\s]*" rel="nofollow noopener noreferrer ugc">$|^<a rel="nofollow noopener noreferrer ugc">$`)
)

// checkSafe holds HTML to what there may be at most: these tags, written so, and no other angle bracket.
func checkSafe(t *testing.T, source, html string) {
	t.Helper()
	for _, s := range tag.FindAllString(html, -1) {
		if !safeTag.MatchString(s) {
			t.Errorf("%q becomes %q, with %q", source, html, s)
		}
	}
	if strings.Contains(tag.ReplaceAllString(html, ""), "<") {
		t.Errorf("%q becomes %q, with a bracket that is left open", source, html)
	}
}

func TestMarkdownIsSafe(t *testing.T) {
	t.Parallel()
	m := newMarkdown()
	for _, source := range attacks() {
		for _, source := range []string{source, "> " + source, "- " + source, "a\n" + source + "\nb", "*" + source + "*", "[" + source + "](https://e.example)", "|a|\n|-|\n|" + source + "|"} {
			html, err := m.html(source)
			if err != nil {
				t.Errorf("%q: %v", source, err)
			}
			checkSafe(t, source, string(html))
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, source := range attacks() {
		f.Add(source)
	}
	m := newMarkdown()
	f.Fuzz(func(t *testing.T, source string) {
		html, err := m.html(source)
		if err != nil {
			t.Fatal(err)
		}
		checkSafe(t, source, string(html))
	})
}
