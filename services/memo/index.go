package memo

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The text index is one FTS5 table for all accounts, whose tokens all begin with the account's number and a letter for
// what they are. So the list of memos behind a token has the memos of one account only, and a search costs what that
// account's memos make it cost, however many other accounts there are.

// What an indexed token is, written between the account's number and the token.
const (
	inText  = 'w' // it is anywhere in the memo
	inTitle = 't' // it is in the title
	inLabel = 'l' // it is a type, a category or a project
	inWhole = 'f' // it is the memo's fingerprint
)

// The kinds of labels.
const (
	labelType     = "t"
	labelCategory = "c"
	labelProject  = "p"
)

// label is a name that memos are filtered by.
type label struct {
	kind string
	key  string // equal for equal names
	name string
}

func (c content) labels() []label {
	var out []label
	for _, s := range c.types {
		out = append(out, label{labelType, s, s})
	}
	for _, s := range c.categories {
		out = append(out, label{labelCategory, nameKey(s), s})
	}
	for _, s := range c.projects {
		out = append(out, label{labelProject, nameKey(s), s})
	}
	return out
}

// token is what a label is indexed as: letters and digits only.
func (l label) token() string {
	sum := sha256.Sum256([]byte(l.kind + l.key))
	return hex.EncodeToString(sum[:10])
}

// maxFolded is how many bytes of a body a search looks at to rank the memo. All of the body is found; what is beyond this
// does not make the memo rank higher.
const maxFolded = 1500

// indexed is what searches need of a memo's text.
type indexed struct {
	// document is what the text index gets: the memo's tokens with spaces between them.
	document string
	// folded is the title, the summary with the names of categories and projects, and the beginning of the body as they are
	// compared, one line each.
	folded string
	// length is how many characters the body has.
	length int
}

func indexedFrom(account int64, c content) indexed {
	title, summary, body := normalise(c.title), normalise(c.summary), normalise(c.body)
	names := normalise(strings.Join(slices.Concat(c.categories, c.projects), "\n"))
	titlePieces := pieces(title)
	d := documentBuilder{
		account: strconv.FormatInt(account, 10),
		text:    make([]byte, 0, 4*(len(c.title)+len(c.summary)+len(c.body))+100),
	}
	d.add(inText, tokenise(titlePieces, pieces(summary), pieces(body), pieces(names)))
	d.add(inTitle, tokenise(titlePieces))
	for _, l := range c.labels() {
		d.token(inLabel, l.token())
	}
	d.token(inWhole, c.fingerprint())
	beginning, _ := slices.BinarySearchFunc(body, maxFolded, func(g glyph, at int) int { return int(g.from) - at })
	return indexed{
		document: string(d.text),
		folded:   folded(title) + "\n" + strings.TrimLeft(folded(summary)+" "+folded(names), " ") + "\n" + folded(body[:beginning]),
		length:   len(body),
	}
}

type documentBuilder struct {
	account string
	text    []byte
}

func (d *documentBuilder) add(kind byte, t tokens) {
	for _, list := range [][]string{t.inOrder, t.parts, t.characters} {
		for _, s := range list {
			d.token(kind, s)
		}
	}
}

func (d *documentBuilder) token(kind byte, s string) {
	if len(d.text) > 0 {
		d.text = append(d.text, ' ')
	}
	d.text = append(d.text, d.account...)
	d.text = append(d.text, kind)
	d.text = append(d.text, s...)
}

// folded is a text as it is compared, one space for each break.
func folded(text []glyph) string {
	const usual = 3 // bytes of a character
	b := make([]byte, 0, len(text)*usual)
	space := true
	for _, g := range text {
		b, space = appendCompared(b, g, space)
	}
	return string(b)
}

// appendCompared appends one character of a folded text. Space says whether it stands at the beginning or after a space.
func appendCompared(b []byte, g glyph, space bool) (_ []byte, stillSpace bool) {
	switch g.class {
	case classNone:
		return b, space
	case classBreak, classSpace:
		if !space {
			b = append(b, ' ')
		}
		return b, true
	default:
		return utf8.AppendRune(b, foldCase(g.r)), false
	}
}
