package memo

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
)

// randomVector is a direction that is near to another as far as share says, from 0 to 1.
func randomVector(r *rand.Rand, dimensions int, to []float32, share float64) []float32 {
	v := make([]float32, dimensions)
	length := 0.0
	for i := range v {
		x := r.NormFloat64()
		v[i] = float32(x)
		length += x * x
	}
	if to == nil {
		return v
	}
	far := 0.0
	for _, x := range to {
		far += float64(x) * float64(x)
	}
	for i := range v {
		v[i] = float32(share)*to[i]/float32(math.Sqrt(far)) + float32(math.Sqrt(1-share*share)/math.Sqrt(length))*v[i]
	}
	return v
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// TestQuantisedCosines compares the cosines of quantised vectors with those of the vectors themselves.
func TestQuantisedCosines(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	worst := 0.0
	for range 2000 {
		dimensions := []int{2, 64, 384, 1024}[r.IntN(4)]
		a := randomVector(r, dimensions, nil, 0)
		b := randomVector(r, dimensions, a, r.Float64()*2-1)
		qa, qb := quantised(a), quantised(b)
		got := float64(dot(qa, qb)) / math.Sqrt(float64(dot(qa, qa))*float64(dot(qb, qb)))
		worst = max(worst, math.Abs(got-cosine(a, b)))
	}
	if worst > 0.01 {
		t.Errorf("a cosine is wrong by %.4f, want at most 0.01", worst)
	}
	for _, v := range [][]float32{nil, {}, {0, 0}, {float32(math.NaN()), 1}, {1, float32(math.NaN())}, {float32(math.Inf(1)), 1}} {
		if got := quantised(v); got != nil {
			t.Errorf("%v: got %v, want nothing", v, got)
		}
	}
}

// keepVectors writes vectors of made-up memos.
func keepVectors(tb testing.TB, w *world, accountID, prefix string, list ...[]float32) {
	tb.Helper()
	for chunk := range slices.Chunk(list, 500) {
		err := w.log.Do(tb.Context(), func(tx *eventlog.Tx) error {
			for i, v := range chunk {
				_, err := tx.Keep("INSERT OR REPLACE INTO memo_vectors (id, account_id, model, digest, vector) VALUES (?, ?, 'm', x'00', ?)",
					fmt.Sprintf("%s%d", prefix, i), accountID, quantised(v).bytes())
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		prefix += "x"
	}
}

// TestNearest compares with a search of all, while vectors come, change and go, and memory is short.
func TestNearest(t *testing.T) {
	t.Parallel()
	const dimensions = 64
	w := newWorld(t)
	r := rand.New(rand.NewPCG(2, 2))
	to := randomVector(r, dimensions, nil, 0)
	var all [][]float32
	for i := range 300 {
		share := 0.0
		if i%20 == 0 {
			share = 0.6 + float64(i)/1000
		}
		all = append(all, randomVector(r, dimensions, to, share))
	}
	keepVectors(t, w, "alice", "a", all...)
	keepVectors(t, w, "bob", "b", to)
	v := newVectors("m", time.Minute)
	nearest := func(what string, among map[int64]bool, want ...[]float32) []neighbour {
		t.Helper()
		got, err := v.nearest(t.Context(), w.log.DB(), "alice", quantised(to), among, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %d vectors, want %d", what, len(got), len(want))
		}
		for i := range got {
			if math.Abs(float64(got[i].cosine)-cosine(to, want[i])) > 0.01 {
				t.Errorf("%s: vector %d has a cosine of %.3f, want %.3f", what, i, got[i].cosine, cosine(to, want[i]))
			}
		}
		return got
	}
	best := func(list ...[]float32) [][]float32 {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b []float32) int { return int(1e6 * (cosine(to, b) - cosine(to, a))) })
		first, middle := cosine(to, list[0]), cosine(to, list[len(list)/2])
		return slices.DeleteFunc(list[:10], func(v []float32) bool { return cosine(to, v) < middle+leastShareOfWay*(first-middle) })
	}
	found := nearest("at first", nil, best(all...)...)

	// One more comes, nearer than all.
	keepVectors(t, w, "alice", "c", to)
	all = append(all, to)
	nearest("one more", nil, best(all...)...)
	nearest("among a few", map[int64]bool{found[3].seq: true}, best(all[:300]...)[3])
	nearest("among none", map[int64]bool{})

	// The first changes: its old vector is dropped by whoever finds that the table does not have it.
	v.account("alice").forget([]int64{found[0].seq})
	nearest("without the first", map[int64]bool{found[0].seq: true, found[1].seq: true}, best(all[:300]...)[1])

	// Others need the memory: alice's vectors are read anew when she searches again.
	v.limit = 20_000
	if _, err := v.nearest(t.Context(), w.log.DB(), "bob", quantised(to), nil, 10); err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	_, exists := v.accounts["alice"]
	v.mu.Unlock()
	if exists {
		t.Error("the vectors of the account that searched before are in memory beyond the limit")
	}
	v.limit = maxVectorBytes
	nearest("read anew", nil, best(all...)...)

	// Whoever has no patience reads a part, and the next search the rest.
	v.patience = 0
	v.accounts = map[string]*accountVectors{}
	keepVectors(t, w, "alice", "far", slices.Repeat([][]float32{all[0]}, 2*readVectors)...)
	for _, want := range []int{readVectors, 2 * readVectors, 2301} {
		if _, err := v.nearest(t.Context(), w.log.DB(), "alice", quantised(to), nil, 10); err != nil {
			t.Fatal(err)
		}
		if got := len(v.account("alice").seqs); got != want {
			t.Errorf("got %d vectors in memory, want %d", got, want)
		}
	}
	v.patience = time.Minute

	// An account with more than the limit has its newest.
	v.limit = 100 * dimensions
	v.accounts = map[string]*accountVectors{}
	if _, err := v.nearest(t.Context(), w.log.DB(), "alice", quantised(to), nil, 10); err != nil {
		t.Fatal(err)
	}
	if got := len(v.account("alice").seqs); got != 100 {
		t.Errorf("got %d vectors in memory, want the newest 100", got)
	}
}

// TestOutlinesFindTheNearest compares what is found by outlines with a comparison of all, where vectors lie together in clusters,
// away from zero, as those of models do.
func TestOutlinesFindTheNearest(t *testing.T) {
	t.Parallel()
	const (
		dimensions = 384
		n          = 2 * maxExact
		best       = 20
	)
	r := rand.New(rand.NewPCG(5, 5))
	common := randomVector(r, dimensions, nil, 0)
	var topics [][]float32
	for range 300 {
		topics = append(topics, randomVector(r, dimensions, common, 0.6))
	}
	a := &accountVectors{dimensions: dimensions}
	var all []vector
	for i := range n {
		v := quantised(randomVector(r, dimensions, topics[r.IntN(len(topics))], 0.5+0.4*r.Float64()))
		all = append(all, v)
		a.numbers = append(a.numbers, v...)
		a.seqs = append(a.seqs, int64(i))
		a.lengths = append(a.lengths, float32(math.Sqrt(float64(dot(v, v)))))
	}
	a.outlines.complete(a)
	hits, looked := 0, 0
	const queries = 10
	for range queries {
		to := quantised(randomVector(r, dimensions, topics[r.IntN(len(topics))], 0.7))
		order, cosines := make([]int, n), make([]float32, n)
		for i := range order {
			order[i], cosines[i] = i, float32(dot(to, all[i]))/a.lengths[i]
		}
		slices.SortFunc(order, func(x, y int) int { return cmp.Compare(cosines[y], cosines[x]) })
		isLikely := a.outlines.likely(to)
		for _, i := range order[:best] {
			if isLikely(i) {
				hits++
			}
		}
		for i := range n {
			if isLikely(i) {
				looked++
			}
		}
	}
	t.Logf("of the %d nearest of %d, %.3f are among the %d likely", best, n, float64(hits)/(queries*best), looked/queries)
	if share := float64(hits) / (queries * best); share < 0.97 {
		t.Errorf("got %.3f of the nearest, want 0.97", share)
	}
	if looked/queries > 2*minLikely {
		t.Errorf("got %d likely, want about %d", looked/queries, minLikely)
	}
}

// TestMuchChange changes one memo over and over: memory does not grow with each.
func TestMuchChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := rand.New(rand.NewPCG(3, 3))
	v := newVectors("m", time.Minute)
	for range 40 {
		var list [][]float32
		for range 100 {
			list = append(list, randomVector(r, 4, nil, 0))
		}
		keepVectors(t, w, "alice", "a", list...)
		if _, err := v.nearest(t.Context(), w.log.DB(), "alice", quantised(list[0]), nil, 10); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(v.account("alice").seqs); got > 1400 {
		t.Errorf("got %d vectors in memory of 100 memos", got)
	}
}

// BenchmarkNearest compares a query with the vectors of an account: in memory, and read from the table first.
func BenchmarkNearest(b *testing.B) {
	for _, dimensions := range []int{384, 1024} {
		for _, n := range []int{1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%d numbers/%d memos", dimensions, n), func(b *testing.B) {
				w := newWorld(b)
				r := rand.New(rand.NewPCG(4, 4))
				var list [][]float32
				for range 200 {
					list = append(list, randomVector(r, dimensions, nil, 0))
				}
				for i := 0; i < n; i += len(list) {
					keepVectors(b, w, "alice", fmt.Sprintf("%d.", i), list...)
				}
				to := quantised(randomVector(r, dimensions, nil, 0))
				v := newVectors("m", time.Minute)
				search := func(b *testing.B) {
					if _, err := v.nearest(b.Context(), w.log.DB(), "alice", to, nil, 40); err != nil {
						b.Fatal(err)
					}
				}
				search(b)
				b.Run("in memory", func(b *testing.B) {
					before := cpu(b)
					for b.Loop() {
						search(b)
					}
					reportCPU(b, before)
				})
				b.Run("read", func(b *testing.B) {
					before := cpu(b)
					for b.Loop() {
						v = newVectors("m", time.Minute)
						search(b)
					}
					reportCPU(b, before)
				})
			})
		}
	}
}
