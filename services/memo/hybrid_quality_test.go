//go:build !race

package memo

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// labelEmbedder knows the labels. A query lies between the memos that answer it and a direction of its own, nearer to them
// the better the embedder is; some memos of other subjects lie near as well.
type labelEmbedder struct {
	quality float64
	memos   map[string]labelledMemo  // by title
	queries map[string]labelledQuery // by text
}

const labelDimensions = 256

func seeded(key string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

func (l labelEmbedder) Embed(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		if q, exists := l.queries[text]; exists {
			to := make([]float32, labelDimensions)
			for _, id := range q.Relevant {
				for j, x := range l.vector(id) {
					to[j] += x
				}
			}
			out[i] = randomVector(seeded(text), labelDimensions, to, l.quality)
			continue
		}
		title, _, _ := strings.Cut(text, "\n")
		out[i] = l.vector(l.memos[title].ID)
	}
	return out, nil
}

// vector is a memo's: memos of one area, which begins its id, are near each other.
func (l labelEmbedder) vector(id string) []float32 {
	area, _, _ := strings.Cut(id, "-")
	return randomVector(seeded(id), labelDimensions, randomVector(seeded(area), labelDimensions, nil, 0), 0.5)
}

// TestHybridQuality runs labelled queries with an embedder that knows nothing, which must do no harm, and with a good one.
func TestHybridQuality(t *testing.T) {
	t.Parallel()
	memos := readLines[labelledMemo](t, "*.memos.jsonl")
	queries := readLines[labelledQuery](t, "*.queries.jsonl")
	label := labelEmbedder{memos: map[string]labelledMemo{}, queries: map[string]labelledQuery{}}
	for _, m := range memos {
		label.memos[strings.TrimSpace(m.Title)] = m
	}
	for _, q := range queries {
		label.queries[q.Query] = q
	}
	useless, good := label, label
	useless.quality, good.quality = 0, 0.4
	engines := []engine{{"keyword", serviceEngine(t, memos)}, {"useless", hybridEngine(t, memos, useless)}, {"good", hybridEngine(t, memos, good)}}
	results := make([]map[string]figures, len(engines))
	const every = 3 // queries is one that is asked
	for i, e := range engines {
		results[i] = map[string]figures{}
		for j := 0; j < len(queries); j += every {
			q := queries[j]
			recall, reciprocal := rate(e.search(q.Query), q.Relevant)
			for _, slice := range []string{"total", "kind " + q.Kind} {
				f := results[i][slice]
				results[i][slice] = figures{f.queries + 1, f.recall + recall, f.mrr + reciprocal}
			}
		}
	}
	t.Logf("\n%s", report(engines, results))
	at := func(i int, slice string) (recall, mrr float64) { return results[i][slice].means() }
	recall, mrr := at(0, "total")
	if r, m := at(1, "total"); r < recall-0.01 || m < mrr-0.01 {
		t.Errorf("an embedder that knows nothing: got recall@%d %.3f, MRR %.3f, want hardly less than the %.3f and %.3f of words alone", depth, r, m, recall, mrr)
	}
	if r, m := at(2, "total"); r < recall || m < mrr {
		t.Errorf("a good embedder: got recall@%d %.3f, MRR %.3f, want no less than the %.3f and %.3f of words alone", depth, r, m, recall, mrr)
	}
	recall, mrr = at(0, "kind paraphrase")
	if r, m := at(2, "kind paraphrase"); r < recall+0.03 || m < mrr+0.05 {
		t.Errorf("a good embedder, asked in other words: got recall@%d %.3f, MRR %.3f, want more than the %.3f and %.3f of words alone", depth, r, m, recall, mrr)
	}
}

// hybridEngine is serviceEngine with an embedder.
func hybridEngine(t *testing.T, memos []labelledMemo, e Embedder) func(string) []string {
	w := newWorld(t)
	w.serve(newIDs(), func(c *Config) { c.Meaning = &Meaning{Embedder: e, Model: "m", Patience: time.Minute} })
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
	b := &embedder{Service: w.service, pause: firstPause}
	if err := b.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for b.below > 0 {
		batch, err := b.backlog(t.Context())
		if err == nil {
			err = b.embed(t.Context(), batch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(query string) []string {
		var out []string
		for _, id := range w.find(t, "alice", &memov1.SearchMemosRequest{Query: query, PageSize: depth}) {
			out = append(out, names[id])
		}
		return out
	}
}
