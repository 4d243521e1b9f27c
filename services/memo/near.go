package memo

import (
	"context"
	"slices"
)

// A search finds by meaning when words do not find enough. Then the memos that have all words of the query still come first,
// in the same order as without, and what is near in meaning takes its place among those that have a part of the words.
//
// Which memos are near is found out once, for the first page, and stands in the page token. So all pages are of one list,
// whatever becomes of the embedder and of other memos meanwhile.
const (
	// maxNear is how many memos a search finds by meaning.
	maxNear = 20
	// maxAmong is how many of the newest memos that a filter lets through are compared with the query.
	maxAmong = 20_000
)

// nearness is what meaning adds to one search.
type nearness struct {
	// found are the numbers of the memos near in meaning, the nearest first.
	found []int64
	// wanted says that words did not find enough.
	wanted bool
	// used says that some of those found are in the list.
	used bool
}

// near gives the memos whose meaning is near that of the query, the nearest first; none when there is no vector of it.
func (s *Service) near(ctx context.Context, accountID string, f filter, query string) ([]int64, error) {
	to := s.meaning.query(ctx, query)
	if to == nil {
		return nil, nil
	}
	among, err := s.among(ctx, f)
	if err != nil {
		return nil, err
	}
	const spare = 20 // for those that are gone meanwhile
	hits, err := s.meaning.vectors.nearest(ctx, s.log.DB(), accountID, to, among, maxNear+spare)
	if err != nil || len(hits) == 0 {
		return nil, err
	}
	return s.numbersOf(ctx, accountID, hits)
}

// among gives the vectors of the newest memos that the filter lets through, nil when it lets all through.
func (s *Service) among(ctx context.Context, f filter) (map[int64]bool, error) {
	if !f.narrows() {
		return nil, nil
	}
	out := make(map[int64]bool)
	return out, s.snapshot(ctx, func(q querier) error {
		query, args := f.newestOf("SELECT v.seq", "CROSS JOIN memo_vectors v ON v.id = m.id", nil, maxAmong)
		seqs, err := scanAll(q, scanN, query, args...)
		for _, seq := range seqs {
			out[seq] = true
		}
		return err
	})
}

// numbersOf gives the memos of the vectors that are still true.
func (s *Service) numbersOf(ctx context.Context, accountID string, hits []neighbour) ([]int64, error) {
	type pair struct{ seq, n int64 }
	seqs := make([]int64, len(hits))
	for i, h := range hits {
		seqs[i] = h.seq
	}
	memos := make(map[int64]int64, len(hits))
	err := s.snapshot(ctx, func(q querier) error {
		pairs, err := scanAll(q, func(from interface{ Scan(...any) error }) (p pair, err error) {
			err = from.Scan(&p.seq, &p.n)
			return p, err
		}, "SELECT v.seq, m.n FROM memo_vectors v JOIN memos m ON m.id = v.id WHERE v.seq IN (SELECT value FROM json_each(?)) AND v.account_id = ?", jsonArray(seqs), accountID)
		for _, p := range pairs {
			memos[p.seq] = p.n
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out, gone []int64
	for _, seq := range seqs {
		if n, exists := memos[seq]; exists {
			out = append(out, n)
		} else {
			gone = append(gone, seq)
		}
	}
	if len(gone) > 0 {
		s.meaning.vectors.account(accountID).forget(gone)
	}
	return out[:min(len(out), maxNear)], nil
}

// blend puts what is near in meaning among the ranked, of which there is no tail when meaning is wanted.
func (s search) blend(ranked []candidate) ([]candidate, error) {
	strict := slices.IndexFunc(ranked, func(c candidate) bool { return c.loose })
	if strict < 0 {
		strict = len(ranked)
	}
	s.nearness.wanted = strict < enough
	if !s.nearness.wanted || len(s.nearness.found) == 0 {
		return ranked, nil
	}
	near, err := s.passing(s.nearness.found)
	if err != nil {
		return nil, err
	}
	s.nearness.used = len(near) > 0
	return fuse(ranked[:strict], ranked[strict:], near), nil
}

// passing gives those of the memos that pass the filter, in the same order.
func (s search) passing(ns []int64) ([]int64, error) {
	finds, err := s.finds(ns)
	if err != nil {
		return nil, err
	}
	passes := make(map[int64]bool, len(finds))
	for _, f := range finds {
		passes[f.n] = true
	}
	if lists := s.filter.lists(); len(lists) > 0 {
		rows, err := s.rows(selectRow+" WHERE n IN (SELECT value FROM json_each(?))", jsonArray(ns))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			has := r.labels()
			for _, list := range lists {
				passes[r.n] = passes[r.n] && slices.ContainsFunc(list, func(l label) bool { return slices.ContainsFunc(has, l.equal) })
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(ns), func(n int64) bool { return !passes[n] }), nil
}

// narrows says whether the filter leaves out memos that are not in the trash.
func (f filter) narrows() bool { return f.onRows() || len(f.lists()) > 0 }

// How two lists become one: by reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009). A memo gets, for each list
// that it is in, the list's weight divided by how far down it is, from fusionOffset on. Words that are there say more than a
// nearness that may be vague: with equal weights, an embedder that knows nothing does harm, and a good one is not better for
// it; see TestHybridQuality.
const (
	fusionOffset = 10
	looseWeight  = 1.0
	nearWeight   = 0.6
)

// fuse gives one list, best first: what has all words as it is, and after it the loose and the near in one order.
func fuse(strict, loose []candidate, near []int64) []candidate {
	out := slices.Clone(strict)
	const most = (looseWeight + nearWeight) / fusionOffset
	ceiling := 1.0
	if len(strict) > 0 {
		ceiling = strict[len(strict)-1].score
	}
	byN := make(map[int64]int)
	add := func(c candidate, weight float64, rank int) {
		if slices.ContainsFunc(strict, func(o candidate) bool { return o.n == c.n }) {
			return
		}
		i, exists := byN[c.n]
		if !exists {
			i = len(out)
			byN[c.n] = i
			out = append(out, c)
		}
		out[i].score += weight / float64(fusionOffset+rank) / most * ceiling * 0.99
	}
	for i, c := range loose {
		c.score = 0
		add(c, looseWeight, i)
	}
	for i, n := range near {
		add(candidate{n: n, near: true}, nearWeight, i)
	}
	slices.SortFunc(out, candidate.compare)
	return out
}
