package memo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A question, or words that no memo has all of, is answered by the memos that have most of what it says. The query is cut
// into clues: the pairs of characters of each dense run, and each word with its inflections. A clue that few memos have
// counts for more. Such memos follow those that have all terms, and are looked for only when these do not fill a page of
// the usual size.
const (
	// enough is how many memos that have all terms make others superfluous.
	enough = 10
	// maxLoose bounds the memos that are found by a part of the query.
	maxLoose = 50
	// maxClues bounds the clues of a query; the weakest do not count.
	maxClues = 24
)

// The weights of clues, by how much they usually say.
const (
	wordClue     = 2.0 // a word
	pairClue     = 1.0 // two kanji or two katakana
	mixedClue    = 0.5 // one of them with hiragana: an inflection, or the end of a word with a particle
	hiraganaClue = 0.1
	kanjiClue    = 0.3  // a kanji by itself: 切 and 戻 are what 切戻し and 切り戻す have in common
	usualPairs   = 1    // of a katakana word; those of a longer one weigh less each, but more together
	functionClue = 0.05 // a word of grammar
	shareClue    = 0.5  // of the weight of a joined word or an identifier, for each of its parts
)

// leastShare is the part of a query's weight that one of the account's memos must have. A query of few words needs more: with
// little to go by, half of it says little. So does an account of few memos, which do not show which clues say little.
func leastShare(said, memos int) float64 {
	const few = 3
	unsure := 1 / (1 + float64(memos)/10)
	if said <= few {
		return 0.5 + 0.15*unsure
	}
	return 0.15 + 0.1*unsure
}

// background is how many memos with none of the clues are imagined beside those of the account. Without them a clue that its
// only memo has would count for next to nothing, and one that it lacks for all the more.
const background = 20

// cluesOf gives the clues of a query as terms of their own, without words of grammar unless it has no others, and how many
// there are with them: whoever asks in whole sentences says more than the words that are looked for.
func cluesOf(query string) (clues []term, said int) {
	var out []term
	text := pieces(normalise(query))
	for i, p := range text {
		switch p.class {
		case classWord:
			joins := i+1 < len(text) && text[i+1].after == joined || i > 0 && p.after == joined
			out = append(out, wordClues(p, joins)...)
		case classDense:
			out = append(out, denseClues(p)...)
		default:
			s := string(p.text[0].r)
			out = append(out, term{phrases: [][]string{{s}}, needles: []string{s}, dense: true, weight: wordClue})
		}
	}
	for _, t := range parseQuery(query) {
		if !t.dense && len(t.phrases[0]) > 1 {
			t.weight = wordClue
			out = append(out, t)
		}
	}
	out = uniqueTerms(out)
	said = len(out)
	if content := slices.DeleteFunc(slices.Clone(out), func(t term) bool { return t.weight == functionClue }); len(content) > 0 {
		out = content
	}
	slices.SortStableFunc(out, func(a, b term) int { return cmp.Compare(b.weight, a.weight) })
	return out[:min(len(out), maxClues)], said
}

// wordClues gives those of a word, which may be a part of a longer one as in net/http.
func wordClues(p piece, isPart bool) []term {
	whole := wordTerm([]piece{p})
	whole.weight = wordClue
	if isFunctionWord(p.word()) {
		whole.weight = functionClue
		return []term{whole}
	}
	if isPart {
		whole.weight *= shareClue
	}
	for _, s := range inflections(p.word()) {
		whole.phrases = append(whole.phrases, []string{s})
		whole.needles = append(whole.needles, s)
	}
	out := []term{whole}
	if isPart {
		return out
	}
	for _, s := range p.parts() {
		out = append(out, term{phrases: [][]string{{s}}, needles: []string{s}, weight: wordClue * shareClue})
	}
	return out
}

func denseClues(p piece) []term {
	text := slices.DeleteFunc(slices.Clone(p.text), func(g glyph) bool { return g.class == classNone })
	run := p.characters()
	if len(run) == 1 {
		return []term{{phrases: [][]string{{string(run)}}, needles: []string{string(run)}, dense: true, weight: clueWeight(text[0], text[0])}}
	}
	var out []term
	for i, pair := range appendPairs(nil, run) {
		weight := clueWeight(text[i], text[i+1])
		if n := pairsOfWord(text, i); n > usualPairs {
			weight *= math.Sqrt(usualPairs / float64(n))
		}
		out = append(out, term{phrases: [][]string{{pair}}, needles: []string{pair}, dense: true, weight: weight})
	}
	for _, r := range run {
		if r >= 0x4E00 && r <= 0x9FFF {
			out = append(out, term{phrases: [][]string{{string(r)}}, needles: []string{string(r)}, dense: true, weight: kanjiClue})
		}
	}
	return out
}

// pairsOfWord counts the pairs of the katakana word that the pair at i is in; 0 when it is in none.
func pairsOfWord(text []glyph, i int) int {
	isOther := func(g glyph) bool { return !g.katakana }
	n := slices.IndexFunc(text[i:], isOther)
	if n < 0 {
		n = len(text) - i
	}
	if n < 2 {
		return 0
	}
	for ; i > 0 && text[i-1].katakana; i-- {
		n++
	}
	return n - 1
}

func clueWeight(a, b glyph) float64 {
	switch {
	case isHiragana(a) && isHiragana(b):
		return hiraganaClue
	case isHiragana(a) || isHiragana(b):
		return mixedClue
	}
	return pairClue
}

func isHiragana(g glyph) bool { return !g.katakana && g.r >= 0x3041 && g.r <= 0x3096 }

// isFunctionWord says whether a word makes up sentences and says nothing of what they are about.
func isFunctionWord(word string) bool {
	switch word {
	case "a", "an", "the", "this", "that", "these", "those", "here", "there",
		"i", "me", "my", "we", "us", "our", "you", "your", "he", "she", "it", "its", "they", "them", "their",
		"am", "is", "are", "was", "were", "be", "been", "being", "do", "does", "did", "done", "has", "have", "had",
		"can", "could", "shall", "should", "will", "would", "may", "might", "must",
		"how", "what", "when", "where", "which", "who", "whom", "whose", "why",
		"and", "or", "but", "nor", "not", "no", "if", "then", "than", "so", "because", "while",
		"some", "any", "all", "each", "every", "more", "most", "other", "same", "such", "new", "very", "also", "just", "only",
		"of", "to", "in", "on", "at", "by", "for", "from", "with", "without", "into", "onto", "about", "as", "after", "before", "between", "during":
		return true
	}
	return false
}

// inflections are the forms in which an English word is likely to be written besides its own. Each costs a search about as
// much as a word, so a form that is itself an inflection gets those of its stems and no further ending.
func inflections(word string) []string {
	const least = 3
	if len(word) < least || strings.ContainsFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return nil
	}
	var stems []string
	for _, ending := range []struct{ cut, add string }{{"ies", "y"}, {"ied", "y"}, {"es", ""}, {"s", ""}, {"ed", ""}, {"ed", "e"}, {"ing", ""}, {"ing", "e"}} {
		if stem, ok := strings.CutSuffix(word, ending.cut); ok && len(stem) >= least {
			stems = append(stems, stem+ending.add)
		}
	}
	if len(stems) == 0 {
		stems = []string{word}
	}
	var out []string
	for _, stem := range stems {
		base, hasE := strings.CutSuffix(stem, "e")
		root, hasY := strings.CutSuffix(stem, "y")
		switch {
		case hasE:
			out = append(out, stem, stem+"s", stem+"d", base+"ing")
		case hasY && !strings.ContainsAny(root[len(root)-1:], "aeiou"):
			out = append(out, stem, stem+"ing", root+"ies", root+"ied")
		default:
			out = append(out, stem, stem+"s", stem+"ed", stem+"ing")
		}
	}
	return slices.DeleteFunc(unique(out), func(s string) bool { return s == word })
}

// exhausted says that no memo without the query's one term can have enough of its clues: the term is the first clue, and the
// others, which are parts of it and so at least as common, weigh too little together.
func (s search) exhausted() bool {
	if len(s.terms) != 1 || len(s.clues) == 0 || !slices.EqualFunc(s.terms[0].phrases, s.clues[0].phrases, slices.Equal) {
		return false
	}
	rest := 0.0
	for _, c := range s.clues[1:] {
		rest += c.weight
	}
	return rest < leastShare(s.said, maxMemos)*(s.clues[0].weight+rest)
}

// loose gives the memos that have a part of the query and are none of those given, best first, with scores below ceiling.
func (s search) loose(pin int64, given []candidate, ceiling float64) ([]candidate, error) {
	g := gathering{search: s, pin: pin, clues: slices.Clone(s.clues)}
	if err := g.gather(); err != nil {
		return nil, err
	}
	sum := 0.0
	for _, c := range g.clues {
		sum += c.weight
	}
	least := leastShare(s.said, g.total) * sum
	best := g.best(least, given)
	ns := make([]int64, len(best))
	has := make(map[int64]uint32, len(best))
	for i, p := range best {
		ns[i], has[p.n] = p.n, p.has
	}
	finds, err := s.finds(ns)
	if err != nil {
		return nil, err
	}
	type having struct {
		find
		clues  []term
		weight float64
	}
	var read []having
	for _, f := range finds {
		if mine, weight := g.cluesIn(f, has[f.n]); weight >= least {
			read = append(read, having{f, mine, weight})
		}
	}
	slices.SortFunc(read, func(a, b having) int { return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(b.n, a.n)) })
	var out []candidate
	for _, f := range read[:min(len(read), maxLoose)] {
		out = append(out, candidate{n: f.n, score: f.weight / sum * score(f.clues, f.folded, f.length), loose: true})
	}
	slices.SortFunc(out, candidate.compare)
	if ceiling > 0 && len(out) > 0 {
		scale := ceiling / (out[0].score + ceiling)
		for i := range out {
			out[i].score *= scale
		}
	}
	return out, nil
}

// finds gives what ranking needs of those memos that pass the filter.
func (s search) finds(ns []int64) ([]find, error) {
	if len(ns) == 0 {
		return nil, nil
	}
	var c clause
	c.and("f.n IN (SELECT value FROM json_each(?))", jsonArray(ns))
	s.filter.rows(&c, "f")
	rows, err := s.Query("SELECT f.n, f.length, f.folded FROM memo_finds f WHERE "+c.sql.String(), c.args...)
	if err != nil {
		return nil, fmt.Errorf("search memos: %w", err)
	}
	defer rows.Close()
	var out []find
	for rows.Next() {
		var f find
		if err := rows.Scan(&f.n, &f.length, &f.folded); err != nil {
			return nil, fmt.Errorf("search memos: %w", err)
		}
		out = append(out, f)
	}
	return out, rows.Err()
}
