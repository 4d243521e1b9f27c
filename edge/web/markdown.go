package web

import (
	"html/template"
	"io"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// foreignRel is what every link in a memo says of itself: who follows it brings no referrer and no window to it, and
// search engines are told whose word it is.
const foreignRel = "nofollow noopener noreferrer ugc"

// markdown turns the Markdown of strangers into HTML that is safe on this origin. It is CommonMark with tables,
// strikethrough and bare links, and differs from it on purpose:
//
//   - HTML in the text is shown as it is written, and does nothing.
//   - An image is a link to it: loading it would tell its server who reads the memo.
//   - Links lead to absolute http, https and mailto addresses; others lead nowhere.
//   - Headings are one level lower, below the memo's title.
//   - A text that would take long to parse is shown as it is written; see tooDear.
//
// What goldmark makes of it passes a sanitiser that knows these elements and no others.
type markdown struct {
	goldmark goldmark.Markdown
	policy   *bluemonday.Policy
}

func newMarkdown() markdown {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "ul", "ol", "li",
		"em", "strong", "del", "table", "thead", "tbody", "tr", "th", "td")
	policy.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	policy.AllowAttrs("align").Matching(regexp.MustCompile("^(left|center|right)$")).OnElements("th", "td")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowAttrs("rel").Matching(regexp.MustCompile("^" + foreignRel + "$")).OnElements("a")
	policy.AllowURLSchemes("http", "https", "mailto")
	policy.RequireParseableURLs(true)
	return markdown{
		goldmark: goldmark.New(
			goldmark.WithExtensions(
				extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
				extension.Strikethrough,
				extension.Linkify,
				extension.NewCJK(extension.WithEastAsianLineBreaks()),
			),
			goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(belowTitle{}, 1000))),
			goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(harmless{}, 100))),
		),
		policy: policy,
	}
}

// html gives the HTML of a text.
func (m markdown) html(source string) (template.HTML, error) {
	if tooDear(source) {
		return template.HTML("<pre>" + template.HTMLEscapeString(source) + "</pre>\n"), nil //nolint:gosec // it is escaped
	}
	var out strings.Builder
	if err := m.goldmark.Convert([]byte(source), &out); err != nil {
		return "", err
	}
	return template.HTML(m.policy.Sanitize(out.String())), nil //nolint:gosec // this is what makes it safe
}

// belowTitle lowers the headings and marks the links.
type belowTitle struct{}

// Transform implements parser.ASTTransformer.
func (belowTitle) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	const lowest = 6
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker returns no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+1, lowest)
		case *ast.Link, *ast.AutoLink:
			n.SetAttributeString("rel", []byte(foreignRel))
		}
		return ast.WalkContinue, nil
	})
}

// harmless renders what goldmark would leave out or let load.
type harmless struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (harmless) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHTMLBlock, htmlBlock)
	r.Register(ast.KindRawHTML, rawHTML)
	r.Register(ast.KindImage, image)
}

func htmlBlock(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	block, ok := n.(*ast.HTMLBlock)
	if !ok || !entering {
		return ast.WalkContinue, nil
	}
	code := string(block.Lines().Value(source))
	if block.HasClosure() {
		code += string(block.ClosureLine.Value(source))
	}
	_, err := io.WriteString(w, "<pre><code>"+template.HTMLEscapeString(code)+"</code></pre>\n")
	return ast.WalkSkipChildren, err
}

func rawHTML(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	raw, ok := n.(*ast.RawHTML)
	if !ok || !entering {
		return ast.WalkContinue, nil
	}
	_, err := io.WriteString(w, template.HTMLEscapeString(string(raw.Segments.Value(source))))
	return ast.WalkSkipChildren, err
}

func image(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	img, ok := n.(*ast.Image)
	if !ok || !entering {
		return ast.WalkContinue, nil
	}
	address := string(img.Destination)
	words := words(img, source)
	if words == "" {
		words = address
	}
	words = template.HTMLEscapeString(words)
	if !inLink(img) {
		words = `<a href="` + template.HTMLEscapeString(address) + `" rel="` + foreignRel + `">` + words + "</a>"
	}
	_, err := io.WriteString(w, words)
	return ast.WalkSkipChildren, err
}

// words is the text under a node.
func words(n ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker returns no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			out.Write(n.Value(source))
		case *ast.String:
			out.Write(n.Value)
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// inLink says whether a node is part of a link's text, where another link cannot be.
func inLink(n ast.Node) bool {
	for p := n.Parent(); p != nil; p = p.Parent() {
		if p.Kind() == ast.KindLink {
			return true
		}
	}
	return false
}
