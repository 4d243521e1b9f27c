package memo

import (
	"cmp"
	"database/sql"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Which memos have a part of the query is found out at a cost that is bounded however many memos there are. A clue that few
// memos have gives them all. Of one that many have the newest are looked up first; then the older ones too, of the rarer
// clues before the others, as long as these are likely to be all; and the clues that are too common even for that are looked
// for two at a time. Which of the other clues such a memo has is read in the beginning of its text.
const (
	// maxCommon is how many memos make a clue common. Their exact number does not matter.
	maxCommon = 250
	// maxMemos is where an account has so many memos that their number does not matter.
	maxMemos = 2000
	// maxOlder is how many older memos with common clues are looked up.
	maxOlder = 4000
	// leastLooked is the weight of the weakest clues that are looked up beside stronger ones; those below are taken to be
	// common.
	leastLooked = kanjiClue
	// leastTelling is the weight above which a common clue, unless there are none above, makes it worth while to look for older
	// memos.
	leastTelling = mixedClue
	// maxTogether is how many common clues are looked for with another one, and maxScanned how many memos with one of two are
	// gone through for that.
	maxTogether = 4
	maxScanned  = 20_000
	// maxExamined is how many memos are read.
	maxExamined = 100
	// hope is the part of the clues that a memo may have which counts until it is read.
	hope = 0.5
)

// gathering finds the memos that have a part of the query.
type gathering struct {
	search
	pin   int64
	clues []term // whose weight becomes what they count
	// total is how many memos the account has, maxMemos at most, and oldest about the least n of them.
	total  int
	oldest int64
	// known are memos with a clue, the greatest n first. For each clue they include all that have it from seen on.
	known []partial
	seen  []int64
	// stems are what all needles of each clue begin with.
	stems []string
}

// partial is a memo that has some clues.
type partial struct {
	n   int64
	has uint32 // a bit for each clue
}

func (g *gathering) gather() error {
	g.total, g.seen = maxMemos, make([]int64, len(g.clues))
	for _, c := range g.clues {
		g.stems = append(g.stems, stemOf(c.needles))
	}
	if len(g.clues) > 1 { // one clue weighs as much as itself, however rare it is
		if err := g.countMemos(); err != nil {
			return err
		}
	}
	common, err := g.newest()
	if err != nil || len(g.clues) == 1 {
		return err
	}
	if common, err = g.older(common); err != nil {
		return err
	}
	return g.together(common)
}

// countMemos counts the account's memos up to pin.
func (g *gathering) countMemos() error {
	query := fmt.Sprintf("SELECT count(*), coalesce(min(n), 0) FROM (SELECT n FROM memos WHERE account = ? AND n <= ? LIMIT %d)", maxMemos)
	if err := g.QueryRow(query, g.filter.account, g.pin).Scan(&g.total, &g.oldest); err != nil {
		return fmt.Errorf("search memos: %w", err)
	}
	return nil
}

// commonClue is one that more memos have than have been looked up.
type commonClue struct {
	clue  int
	older int // how many more there are if they are as frequent as the newest
}

// newest looks up the newest memos with each clue, sets what the clues count, and gives the telling ones that are common.
func (g *gathering) newest() ([]commonClue, error) {
	var common []commonClue
	strongest := 0.0
	for i := range g.clues {
		c := &g.clues[i]
		strongest = max(strongest, c.weight) // that of the first, for they come in this order
		wanted := *c
		if len(g.clues) == 1 && len(g.terms) == 1 { // the memos that have the word itself are given
			wanted.phrases = slices.DeleteFunc(slices.Clone(wanted.phrases), func(p []string) bool {
				return slices.ContainsFunc(g.terms[0].phrases, func(o []string) bool { return slices.Equal(p, o) })
			})
		}
		if len(wanted.phrases) == 0 {
			c.weight = 0
			continue
		}
		if c.weight < min(leastLooked, strongest) || g.isInCommon(*c, common) {
			g.seen[i] = math.MaxInt64
			c.weight *= g.rarity(maxCommon)
			continue
		}
		found, err := g.postings([]term{wanted}, g.pin, 0, maxCommon)
		if err != nil {
			return nil, err
		}
		if len(found) == maxCommon {
			last := found[maxCommon-1]
			g.seen[i] = last
			if c.weight > leastTelling || c.weight == strongest {
				common = append(common, commonClue{i, int(maxCommon * max(0, last-g.oldest) / max(1, found[0]-last))})
			}
		}
		c.weight *= g.rarity(len(found))
		g.credit(found, 1<<i)
	}
	return common, nil
}

// isInCommon says whether a clue is a part of one that is common.
func (g *gathering) isInCommon(c term, common []commonClue) bool {
	return c.dense && slices.ContainsFunc(common, func(o commonClue) bool {
		return g.clues[o.clue].dense && strings.Contains(g.clues[o.clue].needles[0], c.needles[0])
	})
}

// rarity is how much more a clue counts because so many memos have it. One that no memo has counts as a common one: it says
// that the person uses other words, and no memo is to be left out for that.
func (g *gathering) rarity(memos int) float64 {
	n := float64(min(memos, g.total))
	if memos == 0 {
		n = maxCommon * float64(g.total) / maxMemos
	}
	return math.Log(1 + (float64(g.total+background)-n+0.5)/(n+0.5))
}

// older looks up the older memos with common clues, those of the rarer first, as long as that is likely to give all of them.
// It gives the clues of which it has not.
func (g *gathering) older(common []commonClue) (rest []commonClue, err error) {
	if g.filter.onRows() {
		return common, nil // to look at the rows costs too much
	}
	left := maxOlder
	slices.SortStableFunc(common, func(a, b commonClue) int { return cmp.Compare(a.older, b.older) })
	for _, c := range common {
		if c.older > left {
			rest = append(rest, c)
			continue
		}
		limit := min(left, 2*c.older+maxCommon)
		found, err := g.postings(g.clues[c.clue:c.clue+1], g.seen[c.clue]-1, 0, limit)
		if err != nil {
			return nil, err
		}
		left -= len(found)
		g.credit(found, 1<<c.clue)
		g.seen[c.clue] = 0
		if len(found) == limit {
			g.seen[c.clue] = found[limit-1]
			rest = append(rest, c)
		}
	}
	return rest, nil
}

// together looks up the newest memos that have two of the weightiest common clues: the first and the second, or the third and
// the fourth, and so all that have three of them. It goes as far back as there are not too many with one of the two.
func (g *gathering) together(common []commonClue) error {
	slices.SortStableFunc(common, func(a, b commonClue) int { return cmp.Compare(g.clues[b.clue].weight, g.clues[a.clue].weight) })
	for pair := range slices.Chunk(common[:min(len(common), maxTogether)], 2) {
		if len(pair) < 2 {
			break
		}
		a, b := pair[0], pair[1]
		part := min(1, maxScanned/float64(a.older+b.older))
		back := g.pin - int64(part*float64(g.pin-g.oldest))
		found, err := g.postings([]term{g.clues[a.clue], g.clues[b.clue]}, g.pin, back, maxCommon)
		if err != nil {
			return err
		}
		g.credit(found, 1<<a.clue|1<<b.clue)
	}
	return nil
}

// credit adds to what is known that some memos, the greatest n first, have clues.
func (g *gathering) credit(found []int64, clues uint32) {
	if len(found) == 0 {
		return
	}
	known := g.known
	out := make([]partial, 0, len(known)+len(found))
	for len(known) > 0 && len(found) > 0 {
		switch {
		case known[0].n > found[0]:
			out = append(out, known[0])
			known = known[1:]
		case known[0].n < found[0]:
			out = append(out, partial{found[0], clues})
			found = found[1:]
		default:
			out = append(out, partial{found[0], known[0].has | clues})
			known, found = known[1:], found[1:]
		}
	}
	out = append(out, known...)
	for _, n := range found {
		out = append(out, partial{n, clues})
	}
	g.known = out
}

// best gives those of the memos that may have enough of the query whose clues count most, and none of those given.
func (g *gathering) best(least float64, given []candidate) []partial {
	type weighed struct {
		partial
		weight float64
	}
	var best []weighed
	floor := 0.0
	cut := func() {
		slices.SortStableFunc(best, func(a, b weighed) int { return cmp.Compare(b.weight, a.weight) })
		if len(best) > maxExamined {
			best = best[:maxExamined]
			floor = best[maxExamined-1].weight
		}
	}
	for _, p := range g.known {
		has, may := g.weight(p.has), g.weight(g.unseen(p.n)&^p.has)
		w := has + hope*may
		if has+may < least || w <= floor || slices.ContainsFunc(given, func(c candidate) bool { return c.n == p.n }) {
			continue
		}
		if best = append(best, weighed{p, w}); len(best) == 2*maxExamined {
			cut()
		}
	}
	cut()
	var out []partial
	for _, p := range best {
		out = append(out, p.partial)
	}
	return out
}

// weight is what some clues count.
func (g *gathering) weight(clues uint32) (sum float64) {
	for ; clues != 0; clues &= clues - 1 {
		sum += g.clues[bits.TrailingZeros32(clues)].weight
	}
	return sum
}

// unseen gives the clues of which known does not tell whether a memo has them.
func (g *gathering) unseen(n int64) (clues uint32) {
	for i, seen := range g.seen {
		if n < seen {
			clues |= 1 << i
		}
	}
	return clues
}

// cluesIn gives the clues of a memo, of which it is known to have some, and what they count.
func (g *gathering) cluesIn(f find, has uint32) (mine []term, weight float64) {
	unseen := g.unseen(f.n) &^ has
	for i, c := range g.clues {
		if !c.dense {
			c.needles = needlesIn(f.folded, c.needles, g.stems[i])
		}
		if unseen>>i&1 == 1 {
			if at, _ := c.find(f.folded, 0); at >= 0 {
				has |= 1 << i
			}
		}
		if has>>i&1 == 1 {
			mine = append(mine, c)
		}
	}
	return mine, g.weight(has)
}

// needlesIn gives the needles that are anywhere in a text, so that the others are looked for there only once.
func needlesIn(text string, needles []string, stem string) []string {
	switch {
	case !strings.Contains(text, stem):
		return nil
	case len(needles) == 1:
		return needles
	}
	var out []string
	for _, s := range needles {
		if strings.Contains(text, s) {
			out = append(out, s)
		}
	}
	return out
}

// stemOf is what all needles begin with.
func stemOf(needles []string) string {
	stem := needles[0]
	for _, s := range needles[1:] {
		for !strings.HasPrefix(s, stem) {
			stem = stem[:len(stem)-1]
		}
	}
	return stem
}

// postings gives the newest memos from n = pin down to oldest that have all terms and pass the filter, but for the trash,
// which finds leaves out.
func (s search) postings(terms []term, pin, oldest int64, limit int) ([]int64, error) {
	wanted := expressionFor(s.filter.account, inText, terms, s.filter.lists())
	var c clause
	c.and("t.memo_text MATCH ?", wanted.fts5())
	c.and("t.rowid BETWEEN "+lastRow+" - ? AND "+lastRow+" - ?", pin, oldest)
	from := "memo_text t"
	if s.filter.onRows() {
		from += " CROSS JOIN memo_finds f ON f.n = " + lastRow + " - t.rowid"
		s.filter.rows(&c, "f")
	}
	// One row with all of them: to hand over a row costs many times what is in it.
	var list sql.NullString
	query := fmt.Sprintf("SELECT group_concat(n) FROM (SELECT %s - t.rowid AS n FROM %s WHERE %s ORDER BY t.rowid LIMIT ?)", lastRow, from, c.sql.String())
	if err := s.QueryRow(query, append(c.args, limit)...).Scan(&list); err != nil {
		return nil, fmt.Errorf("search memos: %w", err)
	}
	var out []int64
	if list.String != "" {
		out = make([]int64, 0, limit)
	}
	for rest := list.String; rest != ""; {
		var first string
		first, rest, _ = strings.Cut(rest, ",")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("search memos: %w", err)
		}
		out = append(out, n)
	}
	for _, f := range s.waiting {
		if f.n <= pin && f.n >= oldest && f.passes && wanted.holds(f.document) {
			out = append(out, f.n)
		}
	}
	slices.SortFunc(out, func(a, b int64) int { return cmp.Compare(b, a) })
	return out[:min(len(out), limit)], nil
}
