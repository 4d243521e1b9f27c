package memo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
)

// What a hint costs is bounded: it is looked for only when nothing was found, by a few searches of a small page each.
const (
	hintPage = 20 // memos that another search is counted up to
	hintMax  = 2  // other searches that a hint names, and similar names
	// hintWords is how many words of the query are looked for by themselves, hintNames how many names a misspelt one is
	// compared with.
	hintWords = 8
	hintNames = 1000
)

// hint says in a sentence or two why nothing was found and what would be; empty when there is nothing to say.
func (s search) hint() (string, error) {
	s.after, s.size, s.nearness = nil, hintPage, &nearness{}
	held, trashed, err := s.holds()
	switch {
	case err != nil:
		return "", err
	case !held && !trashed:
		return "There are no memos yet.", nil
	case s.asks && len(s.terms) == 0:
		return "The query has no words, only punctuation: search for words, or without a query for the newest memos.", nil
	}
	for _, look := range []func() (string, error){s.unknownNames, s.fewerFilters, s.otherWords} {
		if hint, err := look(); err != nil || hint != "" {
			return hint, err
		}
	}
	return "", nil
}

// holds says whether the account has memos outside the trash and in it.
func (s search) holds() (outside, inTrash bool, err error) {
	err = s.QueryRow(`SELECT EXISTS (SELECT 1 FROM memos WHERE account = ?1 AND delete_time IS NULL), EXISTS (SELECT 1 FROM memos WHERE account = ?1)`,
		s.filter.account).Scan(&outside, &inTrash)
	if err != nil {
		return false, false, fmt.Errorf("look for a hint: %w", err)
	}
	return outside, inTrash, nil
}

// unknownNames tells of categories and projects in the filter that no memo has, and which are like them.
func (s search) unknownNames() (string, error) {
	var hints []string
	for _, list := range []struct {
		labels   []label
		one, all string
	}{{s.filter.categories, "category", "categories"}, {s.filter.projects, "project", "projects"}} {
		var unknown []label
		for _, l := range list.labels {
			var exists bool
			err := s.QueryRow("SELECT EXISTS (SELECT 1 FROM memo_labels WHERE account = ? AND kind = ? AND key = ?)", s.filter.account, l.kind, l.key).Scan(&exists)
			if err != nil {
				return "", fmt.Errorf("look for a hint: %w", err)
			}
			if !exists {
				unknown = append(unknown, l)
			}
		}
		if list.one == "project" && len(unknown) < len(list.labels) {
			continue // a memo of any of them would do
		}
		for _, l := range unknown {
			similar, err := s.similarNames(l)
			if err != nil {
				return "", err
			}
			hint := fmt.Sprintf("There is no %s %s", list.one, inQuotes(l.name))
			switch {
			case len(similar) > 0:
				hint += "; like it: " + strings.Join(similar, ", ") + "."
			default:
				hint += ": leave it out, or look at the " + list.all + " of what is found without."
			}
			hints = append(hints, hint)
		}
	}
	return strings.Join(hints[:min(len(hints), hintMax)], " "), nil
}

// similarNames gives the names of the account's labels that could be meant by one that it does not have.
func (s search) similarNames(l label) ([]string, error) {
	// One after another, because very many memos may have the same.
	rows, err := s.Query(`WITH RECURSIVE keys (key) AS (
			SELECT ''
			UNION ALL
			SELECT (SELECT min(l.key) FROM memo_labels l WHERE l.account = ? AND l.kind = ? AND l.key > keys.key) FROM keys WHERE key IS NOT NULL LIMIT ?
		) SELECT key FROM keys WHERE key > ''`, s.filter.account, l.kind, hintNames+1)
	if err != nil {
		return nil, fmt.Errorf("look for similar names: %w", err)
	}
	defer rows.Close()
	type near struct {
		key      string
		distance int
	}
	var found []near
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("look for similar names: %w", err)
		}
		if d := nameDistance(l.key, key); d >= 0 {
			found = append(found, near{key, d})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for similar names: %w", err)
	}
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.key, b.key)) })
	var names []string
	for _, n := range found[:min(len(found), hintMax)] {
		name, err := s.spelling(l.kind, n.key)
		if err != nil {
			return nil, err
		}
		names = append(names, inQuotes(name))
	}
	return names, nil
}

// spelling is a name as one of the memos has it.
func (s search) spelling(kind, key string) (string, error) {
	rows, err := s.rows(strings.ReplaceAll(selectRow, " FROM memos", " FROM memos m")+
		" WHERE id = (SELECT id FROM memo_labels WHERE account = ? AND kind = ? AND key = ? LIMIT 1)", s.filter.account, kind, key)
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		for _, l := range r.labels() {
			if l.kind == kind && l.key == key {
				return l.name, nil
			}
		}
	}
	return key, nil
}

// nameDistance is how unlike two names are: 0 when only kana, spaces and the like differ; -1 when nobody would take one for
// the other.
func nameDistance(a, b string) int {
	x, y := looseName(a), looseName(b)
	if len(x) > maxName || len(y) > maxName {
		return -1
	}
	const least = 2 // characters that two names must share when one is a part of the other
	shorter, longer := string(x), string(y)
	if len(x) > len(y) {
		shorter, longer = longer, shorter
	}
	d := editDistance(x, y)
	switch longest := max(len(x), len(y)); {
	case d <= 1 && longest > 2, d <= longest/4:
		return d
	case min(len(x), len(y)) >= least && strings.Contains(longer, shorter):
		return d
	}
	return -1
}

const maxName = 100

// looseName is a name in hiragana and without what people put between words or leave out.
func looseName(s string) (out []rune) {
	for _, g := range normalise(s) {
		if g.class != classBreak && g.class != classSpace && g.class != classNone && g.r != '_' {
			out = append(out, foldCase(g.r))
		}
	}
	return out
}

// editDistance is how many characters must be put in, taken out or replaced to make b of a.
func editDistance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			replaced := diagonal
			if x != y {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// fewerFilters tells what the same search finds with less of a filter.
func (s search) fewerFilters() (string, error) {
	type other struct {
		how   string
		found int
	}
	var others []other
	without := s.filter.without()
	for _, w := range without {
		found, err := s.found(w.filter)
		if err != nil {
			return "", err
		}
		if found > 0 {
			others = append(others, other{w.how, found})
		}
	}
	if len(others) == 0 && len(without) > 1 {
		found, err := s.found(filter{account: s.filter.account, includeDeleted: true})
		if err != nil || found == 0 {
			return "", err
		}
		return "Without any filter, and with include_deleted, the same search finds " + count(found) + ".", nil
	}
	slices.SortStableFunc(others, func(a, b other) int { return cmp.Compare(b.found, a.found) })
	var hints []string
	for _, o := range others[:min(len(others), hintMax)] {
		hints = append(hints, fmt.Sprintf("%s the same search finds %s.", o.how, count(o.found)))
	}
	return strings.Join(hints, " "), nil
}

// lesser is a filter that lets more through, and in which way.
type lesser struct {
	how string
	filter
}

// without gives the filter without each of its parts.
func (f filter) without() (out []lesser) {
	add := func(how string, is bool, change func(*filter)) {
		if is {
			less := f
			change(&less)
			out = append(out, lesser{how, less})
		}
	}
	add("Without categories", len(f.categories) > 0, func(f *filter) { f.categories = nil })
	add("With only the first of the categories", len(f.categories) > 1, func(f *filter) { f.categories = f.categories[:1] })
	add("Without memo_types", len(f.types) > 0, func(f *filter) { f.types = nil })
	add("Without projects", len(f.projects) > 0, func(f *filter) { f.projects = nil })
	add("Without the times", len(f.times) > 0, func(f *filter) { f.times = nil })
	add("Without is_public", f.isPublic != nil, func(f *filter) { f.isPublic = nil })
	add("With include_deleted, which looks in the trash too,", !f.includeDeleted, func(f *filter) { f.includeDeleted = true })
	return out
}

// found counts what the search finds with another filter, up to a page.
func (s search) found(f filter) (int, error) {
	s.filter = f
	res, err := s.run()
	return len(res.GetEntries()), err
}

func count(n int) string {
	switch {
	case n == 1:
		return "1 memo"
	case n >= hintPage:
		return fmt.Sprintf("%d memos or more", n)
	}
	return fmt.Sprintf("%d memos", n)
}

// otherWords tells which words of the query no memo has, and which some have.
func (s search) otherWords() (string, error) {
	if !s.asks {
		return "", nil
	}
	var known, unknown []string
	for _, word := range wordsIn(s.query) {
		one := s
		one.terms, one.filter = parseQuery(word), filter{account: s.filter.account, includeDeleted: s.filter.includeDeleted}
		waiting, err := one.findWaiting()
		if err != nil {
			return "", err
		}
		one.waiting = waiting
		finds, err := one.matches(inText, math.MaxInt64, 1)
		if err != nil {
			return "", err
		}
		if len(finds) > 0 {
			known = append(known, inQuotes(word))
		} else {
			unknown = append(unknown, inQuotes(word))
		}
	}
	switch {
	case len(unknown) == 0:
		return "No memo has enough of the query: try fewer of its words.", nil
	case len(known) == 0:
		return "No memo has " + strings.Join(unknown, " or ") + ": try another word for it, in Japanese or English, or a part of it.", nil
	}
	return "No memo has " + strings.Join(unknown, " or ") + ": try without, with " + strings.Join(known, " and ") + ".", nil
}

// wordsIn gives the words of a query as they are written there. Of a run in Japanese those in kanji or katakana are words.
func wordsIn(query string) (words []string) {
	add := func(text []glyph) {
		word := query[text[0].from:text[len(text)-1].to]
		if len(words) < hintWords && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	for _, p := range pieces(normalise(query)) {
		if p.class != classDense {
			add(p.text)
			continue
		}
		telling := func(g glyph) bool { return g.katakana || unicode.Is(unicode.Han, g.r) }
		any := false
		for start := 0; start < len(p.text); {
			end := start + 1
			for end < len(p.text) && telling(p.text[end]) == telling(p.text[start]) && p.text[end].katakana == p.text[start].katakana {
				end++
			}
			if telling(p.text[start]) && end-start > 1 {
				add(p.text[start:end])
				any = true
			}
			start = end
		}
		if !any {
			add(p.text)
		}
	}
	return words
}

// inQuotes is a word of the person's in a sentence.
func inQuotes(s string) string { return "“" + s + "”" }
