package memo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// maxCandidates bounds what one search ranks, and so what it costs, however common its words are: the newest memos that
// have the words in their title, as many again of the newest that have them anywhere. Matches beyond these follow the
// ranked ones, newest first.
const maxCandidates = 100

// maxShown is how many clues a snippet is chosen by.
const maxShown = 8

// maxCounted is where a word is common enough for its exact number not to matter.
const maxCounted = 200

// candidate is a memo that has all terms, or a loose one, which has a part of the query.
type candidate struct {
	n     int64
	score float64
	loose bool
	near  bool // found by its meaning alone
}

// compare orders the better memo first, then the newer.
func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(o.score, c.score), cmp.Compare(o.n, c.n))
}

// keyword gives a page of the memos that have all terms, best first, and when they are few, of those that have most.
func (s search) keyword() (*memov1.SearchMemosResponse, error) {
	res := &memov1.SearchMemosResponse{SearchMode: modeKeyword}
	if len(s.terms) == 0 || s.filter.account == 0 {
		return res, nil
	}
	var err error
	if s.waiting, err = s.findWaiting(); err != nil {
		return nil, err
	}
	at, err := s.begin()
	if err != nil {
		return nil, err
	}
	ranked, oldest, err := s.ranked(at.Pin)
	if err != nil {
		return nil, err
	}
	if ranked, err = s.blend(ranked); err != nil {
		return nil, err
	}
	if s.nearness.used {
		res.SearchMode = modeHybrid
	}
	var page []candidate
	if !at.Tail {
		i := 0
		if at.N > 0 {
			i, _ = slices.BinarySearchFunc(ranked, candidate{n: at.N, score: at.Score}, func(c, last candidate) int {
				if c.compare(last) <= 0 {
					return -1
				}
				return 1
			})
		}
		page = ranked[i:min(len(ranked), i+s.size+1)]
	}
	if len(page) <= s.size && oldest > 0 {
		rest, err := s.tail(at, ranked, oldest, s.size+1-len(page))
		if err != nil {
			return nil, err
		}
		page = append(slices.Clip(page), rest...)
	}
	if len(page) > s.size {
		page = page[:s.size]
		last := page[s.size-1]
		next := cursor{For: s.list, Pin: at.Pin, N: last.n, Score: last.score, Near: s.nearness.found}
		next.Tail = !slices.Contains(ranked, last)
		res.NextPageToken = next.token()
	}
	res.Entries, err = s.entries(page)
	return res, err
}

// begin is where the page begins.
func (s search) begin() (cursor, error) {
	if s.after != nil {
		return *s.after, nil
	}
	var at cursor
	if err := s.QueryRow("SELECT coalesce(max(n), 0) FROM memos").Scan(&at.Pin); err != nil {
		return cursor{}, fmt.Errorf("search memos: %w", err)
	}
	return at, nil
}

// ranked gives the candidates, best first. When there are matches beyond them, oldest is the n below which they are.
func (s search) ranked(pin int64) (ranked []candidate, oldest int64, err error) {
	finds, err := s.matches(inText, pin, maxCandidates)
	if err != nil {
		return nil, 0, err
	}
	if len(finds) == maxCandidates {
		oldest = finds[len(finds)-1].n
		inTitles, err := s.matches(inTitle, pin, maxCandidates)
		if err != nil {
			return nil, 0, err
		}
		for _, f := range inTitles {
			if f.n < oldest {
				finds = append(finds, f)
			}
		}
	}
	if err := s.weigh(pin, len(finds)); err != nil {
		return nil, 0, err
	}
	ranked = make([]candidate, len(finds))
	for i, f := range finds {
		ranked[i] = candidate{n: f.n, score: score(s.terms, f.folded, f.length)}
	}
	slices.SortFunc(ranked, candidate.compare)
	if len(ranked) >= enough || s.exhausted() {
		return ranked, oldest, nil
	}
	ceiling := 0.0
	if len(ranked) > 0 {
		ceiling = ranked[len(ranked)-1].score
	}
	loose, err := s.loose(pin, ranked, ceiling)
	return append(ranked, loose...), 0, err
}

// tail gives matches beyond the ranked ones, the newest first. Their scores never exceed that of the memo before them.
func (s search) tail(at cursor, ranked []candidate, oldest int64, limit int) ([]candidate, error) {
	below := oldest - 1
	ceiling := ranked[len(ranked)-1].score
	if at.Tail {
		below, ceiling = at.N-1, at.Score
	}
	var out []candidate
	for len(out) < limit {
		batch, err := s.matches(inText, below, limit)
		if err != nil {
			return nil, err
		}
		for _, f := range batch {
			below = f.n - 1
			given := slices.ContainsFunc(ranked, func(r candidate) bool { return r.n == f.n })
			if !given && len(out) < limit {
				out = append(out, candidate{n: f.n, score: ceiling})
			}
		}
		if len(batch) < limit {
			break
		}
	}
	return out, nil
}

// matches gives the newest memos that have all terms and pass the filter, from n = pin down.
func (s search) matches(kind byte, pin int64, limit int) ([]find, error) {
	wanted := expressionFor(s.filter.account, kind, s.terms, s.filter.lists())
	var c clause
	c.and("t.memo_text MATCH ?", wanted.fts5())
	c.and("t.rowid >= "+lastRow+" - ?", pin)
	s.filter.rows(&c, "f")
	query := "SELECT f.n, f.length, f.folded FROM memo_text t CROSS JOIN memo_finds f ON f.n = " + lastRow + " - t.rowid WHERE " + c.sql.String() + " ORDER BY t.rowid LIMIT " + strconv.Itoa(limit)
	rows, err := s.Query(query, c.args...)
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
	for _, f := range s.waiting {
		if f.n <= pin && f.passes && wanted.holds(f.document) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b find) int { return cmp.Compare(b.n, a.n) })
	return out[:min(len(out), limit)], rows.Err()
}

// find is what the index knows of a memo.
type find struct {
	n        int64
	length   int
	folded   string
	document string // of one that is waiting
	passes   bool   // whether one that is waiting passes the filter
}

// findWaiting gives the account's memos that are not in memo_text yet.
func (s search) findWaiting() ([]find, error) {
	var c clause
	s.filter.rows(&c, "f")
	rows, err := s.Query("SELECT f.n, f.length, f.folded, w.document, "+c.sql.String()+" FROM memo_waiting w CROSS JOIN memo_finds f ON f.n = w.n WHERE w.account = ?",
		append(c.args, s.filter.account)...)
	if err != nil {
		return nil, fmt.Errorf("search memos: %w", err)
	}
	defer rows.Close()
	var out []find
	for rows.Next() {
		var f find
		if err := rows.Scan(&f.n, &f.length, &f.folded, &f.document, &f.passes); err != nil {
			return nil, fmt.Errorf("search memos: %w", err)
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// weigh gives each term its weight: the fewer of the account's memos have it, the more it counts. For a single term, or a
// single memo to rank, it makes no difference.
func (s search) weigh(pin int64, memos int) error {
	for i := range s.terms {
		t := &s.terms[i]
		t.weight = 1
		if len(s.terms) == 1 || memos <= 1 {
			continue
		}
		wanted := expressionFor(s.filter.account, inText, []term{*t}, nil)
		n := 0
		err := s.QueryRow(fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM memo_text WHERE memo_text MATCH ? AND rowid >= %s - ? ORDER BY rowid LIMIT %d)", lastRow, maxCounted),
			wanted.fts5(), pin).Scan(&n)
		if err != nil {
			return fmt.Errorf("search memos: %w", err)
		}
		for _, f := range s.waiting {
			if f.n <= pin && wanted.holds(f.document) {
				n++
			}
		}
		t.weight += math.Log(maxCounted / float64(max(1, min(n, maxCounted))))
	}
	return nil
}

// How BM25 counts here. Each of title, summary and body is scored by itself, so that one word in the title outweighs any
// number of them in the body.
const (
	titleWeight   = 3.0
	summaryWeight = 1.5
	bodyWeight    = 1.0
	saturation    = 1.2 // k1: how soon further occurrences count for less
	lengthEffect  = 0.4 // b: how much a long text counts for less
	usualTitle    = 60  // bytes
	usualSummary  = 150 // bytes
	usualBody     = 500 // characters
)

// score says how well a memo that has the terms matches them.
func score(terms []term, text string, length int) float64 {
	title, rest, _ := strings.Cut(text, "\n")
	summary, body, _ := strings.Cut(rest, "\n")
	sum := 0.0
	for _, t := range terms {
		inTitle, inSummary, inBody := t.count(title), t.count(summary), t.count(body)
		if inTitle+inSummary+inBody == 0 {
			inBody = 1 // further down, or as part of an identifier
		}
		sum += t.weight * (titleWeight*saturated(inTitle, len(title), usualTitle) +
			summaryWeight*saturated(inSummary, len(summary), usualSummary) +
			bodyWeight*saturated(inBody, length, usualBody))
	}
	return sum
}

// saturated is BM25's share of one term in one field: 0 for none, approaching 1 for many.
func saturated(count, length, usual int) float64 {
	tf := float64(count)
	return tf / (tf + saturation*(1-lengthEffect+lengthEffect*float64(length)/float64(usual)))
}

// entries gives what a list shows of the candidates, in their order.
func (s search) entries(page []candidate) ([]*memov1.MemoEntry, error) {
	if len(page) == 0 {
		return nil, nil
	}
	ns := make([]int64, len(page))
	for i, c := range page {
		ns[i] = c.n
	}
	rows, err := s.rows(selectRow+" WHERE n IN (SELECT value FROM json_each(?))", jsonArray(ns))
	if err != nil {
		return nil, err
	}
	byN := make(map[int64]row, len(rows))
	for _, r := range rows {
		byN[r.n] = r
	}
	strict, loose, plain := snippets{terms: s.terms}, snippets{terms: s.clues[:min(len(s.clues), maxShown)]}, snippets{}
	var out []*memov1.MemoEntry
	for _, c := range page {
		r := byN[c.n]
		e := r.entry()
		e.Score = c.score
		switch {
		case c.near:
			e.Snippet = plain.of(r.content)
		case c.loose:
			e.Snippet = loose.of(r.content)
		default:
			e.Snippet = strict.of(r.content)
		}
		out = append(out, e)
	}
	return out, nil
}
