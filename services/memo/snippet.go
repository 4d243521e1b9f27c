package memo

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// snippetLength is how many characters of a memo a snippet shows.
	snippetLength = 160
	// snippetLead is how many of them come before the first word that was looked for.
	snippetLead = 40
	// firstSearched is how many bytes of a text are looked through for the words at first, maxSearched how many at most.
	firstSearched = 600
	maxSearched   = 64 << 10
	// maxHits bounds the places of each word that are compared.
	maxHits = 16
)

// hit is where a term is in a text, in bytes.
type hit struct {
	term, start, end int
}

// snippets makes the snippets of one search. Its memory is used again from one memo to the next.
type snippets struct {
	terms   []term
	glyphs  []glyph
	folded  []byte
	offsets []int32 // where in the original each byte of folded came from, and one more for the end
}

// of is the part of the memo where most of the terms are together: of the body if they are there, else of the summary, else
// of the title. It is plain text on one line, with an ellipsis where it was cut.
func (s *snippets) of(c content) string {
	best, found := "", 0
	for _, text := range []string{c.body, c.summary, c.title} {
		if at, n := s.densest(text); n > found {
			best, found = excerpt(text, at), n
		}
		if found == len(s.terms) {
			break
		}
	}
	if found > 0 {
		return best
	}
	for _, text := range []string{c.body, c.summary} {
		if strings.TrimSpace(text) != "" {
			return excerpt(text, 0)
		}
	}
	return excerpt(c.title, 0)
}

// densest gives the byte of the text at which the most terms follow soon, and how many do. It looks where a term is written
// as it was looked for; only if the others are not there does it go through all of the text.
func (s *snippets) densest(text string) (at, found int) {
	near := 0
	for _, t := range s.terms {
		if near = strings.Index(text, t.needles[0]); near >= 0 {
			break
		}
	}
	if len(s.terms) == 1 && near >= 0 {
		if t := s.terms[0]; t.dense || wholeWord(text, near, near+len(t.needles[0])) {
			return near, 1
		}
	}
	near = max(0, near)
	begin := characterStart(text, near-firstSearched/3)
	end := characterStart(text, begin+firstSearched)
	at, found = s.densestIn(text[begin:end])
	at += begin
	if found < len(s.terms) && end-begin < len(text) {
		return s.densestIn(text[:characterStart(text, maxSearched)])
	}
	return at, found
}

func (s *snippets) densestIn(text string) (at, found int) {
	hits := s.locate(text)
	for i, h := range hits {
		if n := together(hits[i:], len(s.terms)); n > found {
			at, found = h.start, n
		}
	}
	return at, found
}

// together counts the terms that are soon after the first hit.
func together(hits []hit, terms int) int {
	const window = (snippetLength - snippetLead) * 2 // in bytes: between Japanese and English
	seen := make([]bool, terms)
	n := 0
	for _, h := range hits {
		if h.end > hits[0].start+window {
			break
		}
		if !seen[h.term] {
			seen[h.term] = true
			n++
		}
	}
	return n
}

// locate finds the terms in a text, in order.
func (s *snippets) locate(text string) []hit {
	s.fold(text)
	compared := string(s.folded)
	var hits []hit
	for i, t := range s.terms {
		for from, n := 0, 0; n < maxHits; n++ {
			start, end := t.find(compared, from)
			if start < 0 {
				break
			}
			hits = append(hits, hit{i, int(s.offsets[start]), int(s.offsets[end])})
			from = end
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return a.start - b.start })
	return hits
}

// fold folds a text and remembers where each byte came from.
func (s *snippets) fold(text string) {
	s.glyphs = appendNormalised(s.glyphs[:0], text)
	s.folded, s.offsets = s.folded[:0], s.offsets[:0]
	space := true
	for _, g := range s.glyphs {
		s.folded, space = appendCompared(s.folded, g, space)
		for len(s.offsets) < len(s.folded) {
			s.offsets = append(s.offsets, g.from)
		}
	}
	s.offsets = append(s.offsets, int32(len(text))) //nolint:gosec // at most maxSearched
}

// characterStart moves i back to where a character begins; to the end when i is beyond it.
func characterStart(s string, i int) int {
	i = max(0, i)
	if i >= len(s) {
		return len(s)
	}
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// excerpt gives the text around a byte.
func excerpt(text string, at int) string {
	start := at
	for range snippetLead {
		if start == 0 {
			break
		}
		_, size := utf8.DecodeLastRuneInString(text[:start])
		start -= size
	}
	if start <= len("…") {
		start = 0
	}
	for start > 0 && start < at && !startsCharacter(text[start:]) {
		_, size := utf8.DecodeRuneInString(text[start:])
		start += size
	}
	end := start
	for n := 0; end < len(text) && (n < snippetLength || !startsCharacter(text[end:])) && n < 2*snippetLength; n++ {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	out := strings.Join(strings.Fields(text[start:end]), " ")
	if start > 0 {
		out = "…" + out
	}
	if end < len(text) {
		out += "…"
	}
	return out
}

// startsCharacter says whether a reader sees a character begin here: not a mark on the one before, nor what a joiner ties
// to it.
func startsCharacter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return !unicode.IsMark(r) && !unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Sk, r)
}
