package memo

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxTerms bounds the terms of a query; what follows them does not count.
const maxTerms = 32

// term is a word that is looked for. Memos that have all terms of a query come first, each anywhere in the title, the summary,
// the body or the names of categories and projects; loose.go has what follows them.
type term struct {
	// phrases are alternatives; each is tokens that follow one another.
	phrases [][]string
	// needles are what to look for in a folded text to see where the term is and how often.
	needles []string
	// dense says that needles are found anywhere and not only as whole words.
	dense bool
	// weight is how much the term counts when memos are ranked.
	weight float64
}

// parseQuery gives the terms of a query; none when it has only punctuation.
//
// Words that spaces or a change of script separate are terms of their own. Words joined as in net/http or v1.2 are one
// term, a phrase. An identifier is found whole or as the phrase of its parts, so redirectUri, redirect_uri and redirect-uri
// find each other.
func parseQuery(query string) []term {
	var terms []term
	var phrase []piece
	flush := func() {
		if len(phrase) > 0 {
			terms = append(terms, wordTerm(phrase))
		}
		phrase = nil
	}
	for _, p := range pieces(normalise(query)) {
		if p.class == classWord && p.after == joined && len(phrase) > 0 {
			phrase = append(phrase, p)
			continue
		}
		flush()
		switch p.class {
		case classWord:
			phrase = []piece{p}
		case classDense:
			terms = append(terms, denseTerm(p))
		default:
			s := string(p.text[0].r)
			terms = append(terms, term{phrases: [][]string{{s}}, needles: []string{s}, dense: true})
		}
	}
	flush()
	terms = uniqueTerms(terms)
	return terms[:min(len(terms), maxTerms)]
}

func uniqueTerms(terms []term) []term {
	var out []term
	for _, t := range terms {
		if !slices.ContainsFunc(out, func(o term) bool { return slices.Equal(o.needles, t.needles) }) {
			out = append(out, t)
		}
	}
	return out
}

func wordTerm(words []piece) term {
	var phrase []string
	for _, p := range words {
		phrase = append(phrase, p.word())
	}
	t := term{phrases: [][]string{phrase}, needles: []string{strings.Join(phrase, " ")}}
	if len(words) > 1 {
		return t
	}
	if parts := words[0].parts(); len(parts) > 0 {
		t.phrases = append(t.phrases, parts)
		t.needles = append(t.needles, strings.Join(parts, " "), strings.Join(parts, "_"))
		slices.Sort(t.needles)
		t.needles = slices.Compact(t.needles)
	}
	return t
}

func denseTerm(p piece) term {
	run := p.characters()
	if endsInLongVowel(p.text) {
		run = run[:len(run)-1]
	}
	t := term{needles: []string{string(run)}, dense: true}
	t.phrases = [][]string{{string(run)}}
	if len(run) > 1 {
		t.phrases[0] = appendPairs(nil, run)
	}
	return t
}

// endsInLongVowel says whether a query's word ends in a ー that writers put or leave out: サーバー or サーバ, but キー.
func endsInLongVowel(text []glyph) bool {
	const least = 4
	if len(text) < least || text[len(text)-1].r != 'ー' {
		return false
	}
	return !slices.ContainsFunc(text[len(text)-least:], func(g glyph) bool { return !g.katakana })
}

// expression says which memos of the index are looked for: for each of its lists, those that have at least one phrase.
type expression [][]string

// expressionFor is for the memos of an account that have all terms, as tokens of one kind, and in every list of labels at
// least one.
func expressionFor(account int64, kind byte, terms []term, labels [][]label) expression {
	var e expression
	for _, t := range terms {
		var either []string
		for _, phrase := range t.phrases {
			either = append(either, prefixed(account, kind, phrase))
		}
		e = append(e, either)
	}
	for _, list := range labels {
		var either []string
		for _, l := range list {
			either = append(either, prefixed(account, inLabel, []string{l.token()}))
		}
		e = append(e, either)
	}
	return e
}

// prefixed is a phrase as it is written in a document.
func prefixed(account int64, kind byte, phrase []string) string {
	d := documentBuilder{account: strconv.FormatInt(account, 10)}
	for _, s := range phrase {
		d.token(kind, s)
	}
	return string(d.text)
}

// fts5 writes the expression in the language of FTS5. It needs no escaping: a token has no quotation mark.
func (e expression) fts5() string {
	lists := make([]string, len(e))
	for i, either := range e {
		lists[i] = `("` + strings.Join(either, `" OR "`) + `")`
	}
	return strings.Join(lists, " AND ")
}

// holds says whether a document is one of those looked for.
func (e expression) holds(document string) bool {
	for _, either := range e {
		if !slices.ContainsFunc(either, func(phrase string) bool { return hasPhrase(document, phrase) }) {
			return false
		}
	}
	return true
}

// hasPhrase says whether the tokens of the phrase follow one another in the document. What is looked for is the phrase
// without the account and the kind, with which too many tokens begin.
func hasPhrase(document, phrase string) bool {
	common := strings.IndexFunc(phrase, func(r rune) bool { return r < '0' || r > '9' }) + 1
	for at := 0; ; {
		i := strings.Index(document[at:], phrase[common:])
		if i < 0 {
			return false
		}
		start, end := at+i-common, at+i+len(phrase)-common
		if start >= 0 && document[start:end] == phrase && (start == 0 || document[start-1] == ' ') && (end == len(document) || document[end] == ' ') {
			return true
		}
		at += i + 1 // the next may begin inside
	}
}

// find gives where the term's next whole occurrence in a folded text begins and ends, from a byte on; -1 when there is
// none.
func (t term) find(text string, from int) (start, end int) {
	start = -1
	for _, needle := range t.needles {
		for at := from; at <= len(text)-len(needle); {
			i := strings.Index(text[at:], needle)
			if i < 0 || start >= 0 && at+i >= start {
				break
			}
			at += i
			if t.dense || wholeWord(text, at, at+len(needle)) {
				start, end = at, at+len(needle)
				break
			}
			at++ // the next one may begin inside
		}
	}
	return start, end
}

// count is how often the term is in a folded text.
func (t term) count(text string) int {
	if t.dense {
		return strings.Count(text, t.needles[0])
	}
	n := 0
	for at := 0; ; n++ {
		start, end := t.find(text, at)
		if start < 0 {
			return n
		}
		at = end
	}
}

// wholeWord says whether no word goes on before start or after end.
func wholeWord(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return (start == 0 || classOf(before) != classWord) && (end == len(text) || classOf(after) != classWord)
}
