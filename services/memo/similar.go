package memo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// Two texts are similar as far as they have the same words and pairs of characters. To find what is similar without looking
// at every memo, some of the words are looked up in the text index, and the memos that have most of them, above all of the
// rare ones, are compared with the text.
const (
	maxProbes   = 16  // words looked up of the title, and as many of the rest
	maxPerProbe = 200 // memos looked at that have a word, the newest
	maxCompared = 20  // memos compared, besides those that wait to be indexed
	maxSimilar  = 5   // memos reported
	minSimilar  = 0.5 // what a memo must have in common to be reported
)

// similarTo gives the memos outside the trash that say nearly what c says, the most similar first.
func similarTo(q querier, account int64, c content) ([]similar, error) {
	if account == 0 {
		return nil, nil
	}
	text := indexedFrom(account, c).folded
	words := wordsOf(text)
	finds, err := search{querier: q, filter: filter{account: account}}.findWaiting()
	if err != nil {
		return nil, err
	}
	finds = slices.DeleteFunc(finds, func(f find) bool { return !f.passes })
	indexed, err := q.sharing(account, probes(wordsOf(folded(normalise(c.title))), words))
	if err != nil {
		return nil, err
	}
	type scored struct {
		n     int64
		score float64
	}
	var found []scored
	for _, f := range append(finds, indexed...) {
		if score := overlap(words, wordsOf(f.folded)); score >= minSimilar {
			found = append(found, scored{f.n, score})
		}
	}
	slices.SortFunc(found, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.n, a.n)) })
	var out []similar
	for _, f := range found[:min(len(found), maxSimilar)] {
		var id string
		if err := q.QueryRow("SELECT id FROM memos WHERE n = ?", f.n).Scan(&id); err != nil {
			return nil, fmt.Errorf("find similar memos: %w", err)
		}
		out = append(out, similar{id, f.score})
	}
	return out, nil
}

// wordsOf gives the words and pairs of characters of a folded text, each once, in order.
func wordsOf(folded string) []string {
	tokens := tokenise(pieces(normalise(folded))).inOrder
	words := slices.DeleteFunc(slices.Clone(tokens), func(s string) bool { return utf8.RuneCountInString(s) < 2 })
	if len(words) == 0 {
		words = tokens
	}
	seen := make(map[string]bool, len(words))
	return slices.DeleteFunc(words, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
}

// probes are the words to look up: some from the title, some from everywhere.
func probes(title, all []string) []string {
	return unique(append(spread(title, maxProbes), spread(all, maxProbes)...))
}

// spread gives at most n items, evenly from the whole list.
func spread(list []string, n int) []string {
	if len(list) <= n {
		return slices.Clone(list)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}

// overlap is Dice's coefficient, in hundredths: how much of two sets of words both have.
func overlap(a, b []string) float64 {
	if len(a)+len(b) == 0 {
		return 0
	}
	has := make(map[string]bool, len(a))
	for _, s := range a {
		has[s] = true
	}
	common := 0
	for _, s := range b {
		if has[s] {
			common++
		}
	}
	return math.Round(200*float64(common)/float64(len(a)+len(b))) / 100
}

// sharing gives the indexed memos outside the trash that share most of the words, where a word counts for more the fewer
// memos have it.
func (q querier) sharing(account int64, words []string) ([]find, error) {
	weights := map[int64]float64{}
	for _, word := range words {
		ns, err := scanAll(q, scanN, "SELECT "+lastRow+" - rowid FROM memo_text WHERE memo_text MATCH ? ORDER BY rowid LIMIT ?",
			expression{{prefixed(account, inText, []string{word})}}.fts5(), maxPerProbe)
		if err != nil {
			return nil, err
		}
		for _, n := range ns {
			weights[n] += 0.1 + math.Log(maxPerProbe/float64(len(ns)))
		}
	}
	ns := make([]int64, 0, len(weights))
	for n := range weights {
		ns = append(ns, n)
	}
	slices.SortFunc(ns, func(a, b int64) int { return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(b, a)) })
	ns = ns[:min(len(ns), maxCompared)]
	return scanAll(q, scanFind, "SELECT n, folded FROM memo_finds WHERE n IN (SELECT value FROM json_each(?)) AND delete_time IS NULL", jsonArray(ns))
}

func scanN(from interface{ Scan(...any) error }) (n int64, err error) {
	err = from.Scan(&n)
	return n, err
}

func scanFind(from interface{ Scan(...any) error }) (f find, err error) {
	err = from.Scan(&f.n, &f.folded)
	return f, err
}

// titleSimilar adds the titles of memos that are still there, for a caller that may read them.
func titleSimilar(q querier, caller rpc.Caller, memos []*memov1.SimilarMemo) error {
	if len(memos) == 0 || !caller.Has(mayRead) {
		return nil
	}
	ids := make([]string, len(memos))
	for i, m := range memos {
		ids[i] = m.GetId()
	}
	rows, err := scanAll(q, scanTitle, "SELECT id, title FROM memos WHERE id IN (SELECT value FROM json_each(?)) AND delete_time IS NULL", jsonArray(ids))
	if err != nil {
		return err
	}
	titles := make(map[string]string, len(rows))
	for _, r := range rows {
		titles[r.id] = r.title
	}
	for _, m := range memos {
		m.Title = titles[m.GetId()]
	}
	return nil
}

func scanTitle(from interface{ Scan(...any) error }) (s state, err error) {
	err = from.Scan(&s.id, &s.title)
	return s, err
}

// duplicateOf gives what the account has that says exactly the same, and what to tell the caller of it: a candidate, unless
// the memo that it became is gone, or a memo outside the trash. It gives nothing when there is none.
func duplicateOf(tx *eventlog.Tx, caller rpc.Caller, fingerprint string) (id, text string, err error) {
	same, err := scanAll(tx, scanQueued, selectQueued+" WHERE account_id = ? AND fingerprint = ? ORDER BY n DESC", caller.AccountID, fingerprint)
	if err != nil {
		return "", "", err
	}
	for _, c := range same {
		switch c.status {
		case statusDiscarded:
			return c.id, c.id + " says the same and was discarded; see paput_get_discard_policy_context before you propose the like", nil
		case statusPending:
			return c.id, c.id + " says the same and waits for approval", nil
		}
		records, err := tx.Load(stream(c.memoID))
		if err != nil {
			return "", "", err
		}
		if m := fold(c.memoID, records); m.revision > 0 && !m.inTrash && !m.purged {
			return c.id, fmt.Sprintf("%s says the same and was saved as %s; if there is more to say, change that with paput_update_memo", c.id, c.memoID), nil
		}
	}
	id, err = memoWith(tx, caller.AccountID, fingerprint)
	if id == "" || err != nil {
		return "", "", err
	}
	return id, id + " says the same; if there is more to say, change it with paput_update_memo", nil
}

// memoWith gives a memo outside the trash that has the fingerprint; empty when there is none.
func memoWith(tx *eventlog.Tx, accountID, fingerprint string) (string, error) {
	account, err := accountNumber(tx, accountID)
	if account == 0 || err != nil {
		return "", err
	}
	wanted := expression{{prefixed(account, inWhole, []string{fingerprint})}}
	ns, err := scanAll(tx, scanN, "SELECT "+lastRow+" - rowid FROM memo_text WHERE memo_text MATCH ?", wanted.fts5())
	if err != nil {
		return "", err
	}
	waiting, err := scanAll(tx, scanWaiting, "SELECT n, document FROM memo_waiting WHERE account = ?", account)
	if err != nil {
		return "", err
	}
	for _, f := range waiting {
		if wanted.holds(f.document) {
			ns = append(ns, f.n)
		}
	}
	ids, err := scanAll(tx, scanID, "SELECT id FROM memos WHERE n IN (SELECT value FROM json_each(?)) AND delete_time IS NULL ORDER BY n DESC LIMIT 1", jsonArray(ns))
	if len(ids) == 0 || err != nil {
		return "", err
	}
	return ids[0], nil
}

func scanWaiting(from interface{ Scan(...any) error }) (f find, err error) {
	err = from.Scan(&f.n, &f.document)
	return f, err
}

func scanID(from interface{ Scan(...any) error }) (id string, err error) {
	err = from.Scan(&id)
	return id, err
}
