//go:build !race

package memo

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/embedding/embeddingtest"
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

type testServerEmbedder struct{}

func (testServerEmbedder) Embed(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = embeddingtest.Vector("small", text, labelDimensions)
	}
	return out, nil
}

// TestHybridQuality runs the labelled queries with embedders from useless to good. The useless must do no harm.
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
	engines := []engine{{"keyword", serviceEngine(t, memos)}, {"letters", hybridEngine(t, memos, testServerEmbedder{})}}
	for _, quality := range []float64{0, 0.2, 0.3, 0.5} {
		label.quality = quality
		engines = append(engines, engine{fmt.Sprintf("quality %.1f", quality), hybridEngine(t, memos, label)})
	}
	var all, alone []map[string]figures
	for range engines {
		all, alone = append(all, map[string]figures{}), append(alone, map[string]figures{})
	}
	for _, q := range queries {
		for i, e := range engines {
			recall, reciprocal := rate(e.search(q.Query), q.Relevant)
			for _, slice := range []string{"total", "kind " + q.Kind, "split " + q.Split} {
				f := all[i][slice]
				all[i][slice] = figures{f.queries + 1, f.recall + recall, f.mrr + reciprocal}
			}
		}
	}
	t.Logf("\n%s", report(engines, all))
	for i, e := range engines[1:] {
		recall, mrr := all[i+1]["total"].means()
		plainRecall, plainMRR := all[0]["total"].means()
		if recall < plainRecall-0.01 || mrr < plainMRR-0.01 {
			t.Errorf("%s: got recall %.3f, MRR %.3f, want no less than the %.3f and %.3f of words alone", e.name, recall, mrr, plainRecall, plainMRR)
		}
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
