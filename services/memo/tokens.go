package memo

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// A text is cut into pieces, and a piece into tokens:
//
//   - a run of a script without spaces (Japanese, Chinese, Korean, Thai …) gives its overlapping pairs of characters and
//     then its last character: 認証基盤 gives 認証 証基 基盤 盤. A run that is looked for is the phrase of its pairs, so every
//     part of a run is found, and the single character at the end keeps a phrase from reaching into the next run. Every
//     other character is a token of its own as well, for queries of one character.
//   - a word of any other script is a token whole, without case.
//   - an identifier gives its parts too: redirect_uri and redirectURI both give redirect and uri, OAuth2 gives oauth, o,
//     auth and 2.
//   - an emoji or another pictorial symbol is a token.

// The bounds of one word; what exceeds them is, in practice, a hash or encoded data.
const (
	maxWord  = 64 // characters of a word that count
	maxParts = 8  // parts of an identifier; one with more has none
)

// piece is a part of a text between breaks and changes of script.
type piece struct {
	class class
	text  []glyph
	// after is what lies between it and the piece before: nothing, a joiner as in net/http, or anything else.
	after separation
}

type separation int

const (
	adjacent separation = iota
	joined
	apart
)

// pieces cuts a text.
func pieces(text []glyph) []piece {
	var out []piece
	start, current, sep := 0, classBreak, apart
	end := func(i int) {
		if current == classWord || current == classDense || current == classSymbol {
			out = append(out, piece{class: current, text: text[start:i], after: sep})
			sep = adjacent
		}
	}
	for i, g := range text {
		c := g.class
		switch {
		case c == classNone:
			continue
		case c == classMark && (current == classWord || current == classDense):
			c = current
		case c == classMark:
			c = classBreak
		}
		if c != current || c == classSymbol {
			end(i)
			start, current = i, c
		}
		switch {
		case c == classBreak && sep == adjacent && isJoiner(g.r):
			sep = joined
		case c == classBreak, c == classSpace:
			sep = apart
		}
	}
	end(len(text))
	return out
}

// isJoiner says whether r joins words into a longer one: well-known, net/http, v1.2, a:b, me@example.org.
func isJoiner(r rune) bool {
	switch r {
	case '-', '.', '/', ':', '@', '\'', '’', '\\', '&', '+':
		return true
	}
	return false
}

// counted are the characters of a word that count.
func (p piece) counted() []glyph {
	text := slices.DeleteFunc(slices.Clone(p.text), func(g glyph) bool { return g.class == classNone })
	return text[:min(len(text), maxWord)]
}

// word is a piece's text as it is compared.
func (p piece) word() string {
	return string(appendFolded(nil, p.counted()))
}

func appendFolded(b []rune, text []glyph) []rune {
	for _, g := range text {
		if g.class != classNone {
			b = append(b, foldCase(g.r))
		}
	}
	return b
}

// characters of a dense piece, as they are compared.
func (p piece) characters() []rune {
	return appendFolded(make([]rune, 0, len(p.text)), p.text)
}

// parts are the words inside an identifier, in order; none when it is one plain word.
func (p piece) parts() []string {
	return p.split(func(prev, g, next rune) bool {
		switch {
		case isDigit(prev) != isDigit(g):
			return true
		case unicode.IsUpper(g):
			return !unicode.IsUpper(prev) || unicode.IsLower(next)
		}
		return false
	})
}

// letters are an identifier's runs of letters and of digits, in order; none when it is one plain word.
func (p piece) letters() []string {
	return p.split(func(prev, g, _ rune) bool { return isDigit(prev) != isDigit(g) })
}

// split cuts a word at underscores and where cut says so.
func (p piece) split(cut func(prev, g, next rune) bool) []string {
	text := p.counted()
	var parts []string
	start := 0
	end := func(i int) {
		if i > start {
			parts = append(parts, string(appendFolded(nil, text[start:i])))
		}
		start = i
	}
	for i, g := range text {
		if g.r == '_' {
			end(i)
			start = i + 1
			continue
		}
		if i == start || g.class == classMark {
			continue
		}
		next := rune(0)
		if i+1 < len(text) {
			next = text[i+1].r
		}
		if cut(text[i-1].r, g.r, next) {
			end(i)
		}
	}
	end(len(text))
	if len(parts) > maxParts || len(parts) == 1 && len(parts[0]) == len(p.word()) {
		return nil
	}
	return parts
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' || r > 0x7F && unicode.IsDigit(r) }

// tokens are what a text is found by.
type tokens struct {
	// inOrder are the tokens in the order of the text, so that phrases are found.
	inOrder []string
	// parts are those of identifiers, each identifier's in order.
	parts []string
	// characters are those of dense pieces, each once.
	characters []string
}

// tokenise gives the tokens of several texts as if they were one.
func tokenise(texts ...[]piece) tokens {
	var t tokens
	identifiers, characters := map[string]bool{}, map[rune]bool{}
	for _, text := range texts {
		for _, p := range text {
			switch p.class {
			case classDense:
				t.addDense(p.characters(), characters)
			case classSymbol:
				t.inOrder = append(t.inOrder, string(p.text[0].r))
			default:
				t.addWord(p, identifiers)
			}
		}
	}
	return t
}

func (t *tokens) addDense(run []rune, seen map[rune]bool) {
	t.inOrder = appendPairs(t.inOrder, run)
	t.inOrder = append(t.inOrder, string(run[len(run)-1]))
	for _, r := range run {
		if !seen[r] {
			seen[r] = true
			t.characters = append(t.characters, string(r))
		}
	}
}

func (t *tokens) addWord(p piece, seen map[string]bool) {
	word := p.word()
	t.inOrder = append(t.inOrder, word)
	if seen[word] {
		return
	}
	seen[word] = true
	parts := p.parts()
	t.parts = append(t.parts, parts...)
	for _, s := range p.letters() {
		if !slices.Contains(parts, s) {
			t.parts = append(t.parts, s)
		}
	}
}

// appendPairs appends the overlapping pairs of a run; none for a single character.
func appendPairs(list []string, run []rune) []string {
	text := string(run)
	for i := 1; i < len(run); i++ {
		first := utf8.RuneLen(run[i-1])
		list = append(list, text[:first+utf8.RuneLen(run[i])])
		text = text[first:]
	}
	return list
}
