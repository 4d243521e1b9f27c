//go:build !race

package memo

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// The race detector makes this many times slower and has nothing to see here, so it runs without.

// The labelled set in testdata/search: memos as developers keep them, and queries with the memos that answer them. Queries
// of the split "dev" may guide work on the engine; those of "test" only measure it.
type (
	labelledMemo struct {
		ID, Title, Summary, Body string
		MemoTypes                []string `json:"memo_types"`
		Categories, Projects     []string
	}
	labelledQuery struct {
		Query, Lang, Kind, Split string
		// Relevant are the ids of the memos that answer the query.
		Relevant []string
	}
)

// depth is how many results count: what a reader looks at.
const depth = 10

var (
	showMisses = flag.Bool("misses", false, "list the labelled queries that an engine does not answer whole")
	showPools  = flag.Bool("pools", false, "list the results that no label mentions")
)

// TestSearchQuality runs the labelled queries through the service and through two ordinary uses of FTS5, and holds the
// service to the targets, to floors for every slice, and to being no worse than either of the others anywhere.
func TestSearchQuality(t *testing.T) {
	t.Parallel()
	memos := readLines[labelledMemo](t, "*.memos.jsonl")
	queries := readLines[labelledQuery](t, "*.queries.jsonl")
	checkLabels(t, memos, queries)
	engines := []engine{
		{"paput", serviceEngine(t, memos)},
		{"unicode61", fts5Engine(t, memos, "unicode61")},
		{"trigram", fts5Engine(t, memos, "trigram")},
	}
	results := make([]map[string]figures, len(engines))
	pool := map[string][]string{}
	for i, e := range engines {
		results[i] = e.measure(t, queries, pool)
	}
	t.Logf("%d memos, %d queries\n%s", len(memos), len(queries), report(engines, results))
	if *showPools {
		logPools(t, memos, queries, pool)
	}
	judge(t, engines, results, qualityFloors())
}

// engine gives the ids of the best memos for a query, at most depth.
type engine struct {
	name   string
	search func(query string) []string
}

// measure gives the figures of each slice of the queries, and adds to pool what was found.
func (e engine) measure(t *testing.T, queries []labelledQuery, pool map[string][]string) map[string]figures {
	out := map[string]figures{}
	for _, q := range queries {
		found := e.search(q.Query)
		pool[q.Query] = append(pool[q.Query], found...)
		recall, reciprocal := rate(found, q.Relevant)
		for _, slice := range []string{"total", "kind " + q.Kind, "lang " + q.Lang, "split " + q.Split} {
			f := out[slice]
			out[slice] = figures{f.queries + 1, f.recall + recall, f.mrr + reciprocal}
		}
		if *showMisses && (recall < 1 || reciprocal < 1) {
			t.Logf("%s: recall %.2f, reciprocal rank %.2f: %s %s %s %q wants %v, got %v", e.name, recall, reciprocal, q.Split, q.Lang, q.Kind, q.Query, q.Relevant, found)
		}
	}
	return out
}

// figures are sums over the queries of a slice.
type figures struct {
	queries     int
	recall, mrr float64
}

func (f figures) means() (recall, mrr float64) {
	return f.recall / float64(f.queries), f.mrr / float64(f.queries)
}

// rate gives the share of the relevant memos that were found, and one divided by the place of the first. A query with more
// relevant memos than count is answered whole by depth of them.
func rate(found, relevant []string) (recall, reciprocal float64) {
	hits := 0
	for i, id := range found {
		if slices.Contains(relevant, id) {
			if hits++; hits == 1 {
				reciprocal = 1 / float64(i+1)
			}
		}
	}
	return float64(hits) / float64(min(len(relevant), depth)), reciprocal
}

// judge fails the test for what is below its floor.
func judge(t *testing.T, engines []engine, results []map[string]figures, floors map[string]floor) {
	t.Helper()
	for slice, f := range results[0] {
		recall, mrr := f.means()
		floor, exists := floors[slice]
		if !exists {
			t.Errorf("%s has no floor: give it one", slice)
		}
		if recall < floor.recall || mrr < floor.mrr {
			t.Errorf("%s: got recall@%d %.3f, MRR %.3f, want at least %.3f and %.3f", slice, depth, recall, mrr, floor.recall, floor.mrr)
		}
		for i, other := range engines[1:] {
			theirRecall, theirMRR := results[i+1][slice].means()
			if recall < theirRecall || mrr < theirMRR {
				t.Errorf("%s: got recall@%d %.3f, MRR %.3f, worse than %s with %.3f and %.3f", slice, depth, recall, mrr, other.name, theirRecall, theirMRR)
			}
		}
	}
}

func report(engines []engine, results []map[string]figures) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var names []string
	for slice := range results[0] {
		names = append(names, slice)
	}
	slices.Sort(names)
	for _, slice := range names {
		for i, e := range engines {
			f := results[i][slice]
			recall, mrr := f.means()
			fmt.Fprintf(w, "%s\t%d queries\t%s\trecall@%d %.3f\tMRR %.3f\n", slice, f.queries, e.name, depth, recall, mrr)
		}
	}
	if err := w.Flush(); err != nil {
		return err.Error()
	}
	return b.String()
}

// serviceEngine searches the service as a caller does. Others are newer memos in the same account.
func serviceEngine(t *testing.T, memos []labelledMemo, others ...*memov1.MemoDraft) func(string) []string {
	w := newWorld(t)
	names := map[string]string{}
	for chunk := range slices.Chunk(memos, 100) {
		var drafts []*memov1.MemoDraft
		for _, m := range chunk {
			drafts = append(drafts, &memov1.MemoDraft{Title: m.Title, Summary: m.Summary, Body: m.Body, MemoTypes: m.MemoTypes, Categories: m.Categories, Projects: m.Projects})
		}
		for i, id := range w.create(t, "alice", drafts...) {
			names[id] = chunk[i].ID
		}
	}
	for chunk := range slices.Chunk(others, 100) {
		w.create(t, "alice", chunk...)
	}
	return func(query string) []string {
		var out []string
		for _, id := range w.find(t, "alice", &memov1.SearchMemosRequest{Query: query, PageSize: depth}) {
			out = append(out, names[id])
		}
		return out
	}
}

func readLines[T any](t *testing.T, pattern string) []T {
	paths, err := filepath.Glob(filepath.Join("testdata", "search", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	var out []T
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
			var item T
			if err := json.Unmarshal(line, &item); err != nil {
				t.Fatalf("%s:%d: %v", path, i+1, err)
			}
			out = append(out, item)
		}
	}
	return out
}

// checkLabels checks that the set is whole: ids are unique, and every query has a memo that answers it.
func checkLabels(t *testing.T, memos []labelledMemo, queries []labelledQuery) {
	known := map[string]bool{}
	for _, m := range memos {
		if known[m.ID] {
			t.Errorf("two memos are %s", m.ID)
		}
		known[m.ID] = true
	}
	for _, q := range queries {
		if len(q.Relevant) == 0 {
			t.Errorf("query %q has no memo", q.Query)
		}
		for _, id := range q.Relevant {
			if !known[id] {
				t.Errorf("query %q is answered by %s, which does not exist", q.Query, id)
			}
		}
	}
}

// logPools lists what the engines found and no label mentions, for a person to judge.
func logPools(t *testing.T, memos []labelledMemo, queries []labelledQuery, pool map[string][]string) {
	byID := map[string]labelledMemo{}
	for _, m := range memos {
		byID[m.ID] = m
	}
	for _, q := range queries {
		area, _, _ := strings.Cut(q.Relevant[0], "-")
		for i, id := range unique(pool[q.Query]) {
			if !slices.Contains(q.Relevant, id) && !strings.HasPrefix(id, area) {
				t.Logf("pool\t%d\t%s\t%s\t%s\t%s\t%s", i+1, q.Kind, q.Query, id, byID[id].Title, byID[id].Summary)
			}
		}
	}
}

type floor struct{ recall, mrr float64 }

// qualityFloors are what no change may fall below: the targets in total, and for each slice a little less than what was
// reached when it was last looked at. Whoever raises the figures raises the floors.
func qualityFloors() map[string]floor {
	return map[string]floor{
		"total":           {0.95, 0.90},
		"split dev":       {0.95, 0.90},
		"split test":      {0.95, 0.90},
		"lang en":         {0.95, 0.93},
		"lang ja":         {0.92, 0.90},
		"lang mixed":      {0.96, 0.93},
		"kind word":       {0.93, 0.90},
		"kind words":      {0.94, 0.93},
		"kind question":   {0.91, 0.93},
		"kind identifier": {0.97, 0.94},
		"kind variant":    {0.93, 0.93},
		"kind mixed":      {0.95, 0.93},
		"kind short":      {0.93, 0.90},
		"kind paraphrase": {0.87, 0.74},
	}
}
