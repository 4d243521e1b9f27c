package memo

import (
	"cmp"
	"container/heap"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/paput/paput/services/eventlog"
)

// Vectors are bought from whoever computes them, so they are kept in a cache that a rebuild leaves alone. A row is true as
// long as the memo's text has the digest: the projection deletes it with a change of the text, with the move to the trash
// and with the memo, in the same transaction, and none is written for a text that has changed meanwhile. seq grows with each
// row that is written and is never used again, so whoever has read up to one misses nothing.
const vectorSchema = `
CREATE TABLE memo_vectors (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT NOT NULL UNIQUE,
	account_id TEXT NOT NULL,
	model      TEXT NOT NULL,
	digest     BLOB NOT NULL,
	vector     BLOB NOT NULL
) STRICT;
CREATE INDEX memo_vectors_account ON memo_vectors (account_id, seq);
`

// forgetVector deletes what is known of a text that is no more.
func forgetVector(tx *eventlog.Tx, id string) error {
	if tx.Replaying() {
		return nil
	}
	_, err := tx.Exec("DELETE FROM memo_vectors WHERE id = ?", id)
	return err
}

// vector is a direction, each number as a part of 127 of the greatest. That takes a quarter of the space of 32-bit numbers and
// changes the cosine of two vectors in the third digit after the point.
type vector []int8

// quantised gives nil for a vector without a direction.
func quantised(v []float32) vector {
	greatest := 0.0
	for _, x := range v {
		greatest = max(greatest, math.Abs(float64(x))) // NaN stays
	}
	if greatest == 0 || math.IsNaN(greatest) || math.IsInf(greatest, 0) {
		return nil
	}
	out := make(vector, len(v))
	for i, x := range v {
		out[i] = int8(math.Round(float64(x) / greatest * math.MaxInt8))
	}
	return out
}

func (v vector) bytes() []byte {
	out := make([]byte, len(v))
	for i, x := range v {
		out[i] = byte(x) //nolint:gosec // the same bits
	}
	return out
}

// dot multiplies two vectors of the same length.
func dot(a, b []int8) int32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 int32
	for len(a) >= 4 {
		s0 += int32(a[0]) * int32(b[0])
		s1 += int32(a[1]) * int32(b[1])
		s2 += int32(a[2]) * int32(b[2])
		s3 += int32(a[3]) * int32(b[3])
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s0 += int32(a[i]) * int32(b[i])
	}
	return s0 + s1 + s2 + s3
}

// maxVectorBytes bounds the vectors in memory, of all accounts together; those of one account that exceed it are the newest.
const maxVectorBytes = 256 << 20

// vectors has the vectors of the accounts that searched last in memory. What is missing it reads from the table.
type vectors struct {
	model    string
	limit    int           // bytes
	patience time.Duration // for reading what is not in memory

	mu       sync.Mutex
	accounts map[string]*accountVectors // guarded by mu
	clock    int64                      // counts uses; guarded by mu
}

func newVectors(model string, patience time.Duration) *vectors {
	return &vectors{model: model, limit: maxVectorBytes, patience: patience, accounts: make(map[string]*accountVectors)}
}

// accountVectors are those of one account. Some may be of memos that have changed or are gone: whoever finds one looks
// whether the table still has it.
type accountVectors struct {
	used  int64 // of vectors.clock, guarded by vectors.mu
	bytes int   // guarded by vectors.mu

	mu         sync.RWMutex // guards all of what follows
	dimensions int
	last       int64 // the greatest seq that was read
	fresh      int   // how many there were when all were read
	seqs       []int64
	lengths    []float32
	numbers    []int8 // dimensions of each
	outlines   outlines
}

// neighbour is a vector that is near to another.
type neighbour struct {
	seq    int64
	cosine float32
}

// neighbours is a heap of the nearest, the least near first.
type neighbours []neighbour

func (h neighbours) Len() int           { return len(h) }
func (h neighbours) Less(i, j int) bool { return h[i].compare(h[j]) > 0 }
func (h neighbours) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *neighbours) Push(x any)        { *h = append(*h, x.(neighbour)) } //nolint:forcetypeassert // heap.Push gets nothing else
func (h *neighbours) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// compare orders the nearer first, then the newer.
func (n neighbour) compare(o neighbour) int {
	return cmp.Or(cmp.Compare(o.cosine, n.cosine), cmp.Compare(o.seq, n.seq))
}

// nearest gives at most limit of the account's vectors, the nearest first, that stand out from the others. Only those in
// among are looked at, unless it is nil.
func (v *vectors) nearest(ctx context.Context, db *sql.DB, accountID string, to vector, among map[int64]bool, limit int) ([]neighbour, error) {
	a := v.account(accountID)
	if err := a.catchUp(ctx, db, v.model, accountID, len(to), v.limit, v.patience); err != nil {
		return nil, err
	}
	v.weigh(a)
	return a.nearest(to, among, limit), nil
}

func (v *vectors) account(id string) *accountVectors {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.accounts[id]
	if a == nil {
		a = &accountVectors{}
		v.accounts[id] = a
	}
	v.clock++
	a.used = v.clock
	return a
}

// weigh notes what an account takes, and drops the accounts that were not used for longest when all take too much.
func (v *vectors) weigh(a *accountVectors) {
	a.mu.RLock()
	const perVector, perWord = 12, 8 // seq and length
	bytes := cap(a.numbers) + perVector*cap(a.seqs) + perWord*cap(a.outlines.bits)
	a.mu.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	a.bytes = bytes
	for {
		total, oldest, used := 0, "", a.used
		for id, other := range v.accounts {
			total += other.bytes
			if other != a && other.used < used {
				oldest, used = id, other.used
			}
		}
		if total <= v.limit || oldest == "" {
			return
		}
		delete(v.accounts, oldest)
	}
}

// catchUp reads what the table has and memory has not, and stops when patience is over: the next search goes on from there.
func (a *accountVectors) catchUp(ctx context.Context, db *sql.DB, model, accountID string, dimensions, limit int, patience time.Duration) error {
	var newest int64
	err := db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM memo_vectors WHERE account_id = ?", accountID).Scan(&newest)
	if err != nil {
		return fmt.Errorf("find vectors: %w", err)
	}
	a.mu.RLock()
	isCurrent := a.dimensions == dimensions && a.last >= newest
	a.mu.RUnlock()
	if isCurrent {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// Those that changed are there twice. When that may be many, or all take too much, all are read anew.
	const slack = 1000
	most := max(1, limit/dimensions)
	if a.dimensions != dimensions || a.fresh > 0 && len(a.seqs) > min(most, 2*a.fresh)+slack {
		if err := a.reset(ctx, db, accountID, dimensions, most); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		n, err := a.read(ctx, db, model, accountID)
		if err != nil {
			return err
		}
		if n < readVectors {
			break
		}
		if waiting.Err() != nil {
			a.outlines.complete(a)
			return ctx.Err()
		}
	}
	if a.fresh == 0 {
		a.fresh = len(a.seqs)
	}
	a.last = max(a.last, newest) // which may be of another model
	a.outlines.complete(a)
	return nil
}

// reset forgets all, so that reading begins with the newest that the account may have in memory.
func (a *accountVectors) reset(ctx context.Context, db *sql.DB, accountID string, dimensions, most int) error {
	a.dimensions, a.last, a.fresh = dimensions, 0, 0
	a.seqs, a.lengths, a.numbers, a.outlines = nil, nil, nil, outlines{}
	err := db.QueryRowContext(ctx, "SELECT seq FROM memo_vectors WHERE account_id = ? ORDER BY seq DESC LIMIT 1 OFFSET ?", accountID, most).Scan(&a.last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("find vectors: %w", err)
	}
	return nil
}

// readVectors is how many vectors are read in one query.
const readVectors = 1000

// read appends some of what was written after a.last, and says how many.
func (a *accountVectors) read(ctx context.Context, db *sql.DB, model, accountID string) (n int, err error) {
	rows, err := db.QueryContext(ctx, "SELECT seq, vector FROM memo_vectors WHERE account_id = ? AND model = ? AND seq > ? AND length(vector) = ? ORDER BY seq LIMIT ?",
		accountID, model, a.last, a.dimensions, readVectors)
	if err != nil {
		return 0, fmt.Errorf("read vectors: %w", err)
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var (
			seq  int64
			data sql.RawBytes
		)
		if err := rows.Scan(&seq, &data); err != nil {
			return n, fmt.Errorf("read vectors: %w", err)
		}
		begin := len(a.numbers)
		for _, x := range data {
			a.numbers = append(a.numbers, int8(x)) //nolint:gosec // the same bits
		}
		added := a.numbers[begin:]
		a.seqs = append(a.seqs, seq)
		a.lengths = append(a.lengths, float32(math.Sqrt(float64(dot(added, added)))))
		a.last = seq
	}
	if err := rows.Err(); err != nil {
		return n, fmt.Errorf("read vectors: %w", err)
	}
	return n, nil
}

// How near any two vectors are differs from model to model, and how many memos are about a thing from account to account.
// What counts as near is therefore measured from the middle of all: leastShareOfWay of the way to the nearest, and, where there
// are enough to tell, leastSpreads times as far as from the middle down to where a sixth of all are below.
const (
	leastShareOfWay = 0.5
	leastSpreads    = 3
	aSixth          = 0.16 // a standard deviation below the middle, if they are spread normally
	maxSample       = 1000 // vectors of which the middle is found
	enoughSample    = 30
)

func (a *accountVectors) nearest(to vector, among map[int64]bool, limit int) []neighbour {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var (
		best   neighbours
		sample []float32
	)
	own := float32(math.Sqrt(float64(dot(to, to))))
	stride, isLikely := len(a.seqs)/maxSample+1, func(int) bool { return true }
	switch {
	case among != nil:
		stride = len(among)/maxSample + 1
	case len(a.seqs) > maxExact:
		isLikely = a.outlines.likely(to)
	}
	n := -1
	for i, seq := range a.seqs {
		if among != nil && !among[seq] {
			continue
		}
		n++
		inSample := n%stride == 0
		if !inSample && !isLikely(i) {
			continue
		}
		cosine := float32(dot(to, a.numbers[i*len(to):(i+1)*len(to)])) / (own * a.lengths[i])
		if inSample {
			sample = append(sample, cosine)
		}
		candidate := neighbour{seq, cosine}
		switch {
		case len(best) < limit:
			heap.Push(&best, candidate)
		case candidate.compare(best[0]) < 0:
			best[0] = candidate
			heap.Fix(&best, 0)
		}
	}
	if n < 0 {
		return nil
	}
	slices.SortFunc(best, neighbour.compare)
	slices.Sort(sample)
	middle := sample[len(sample)/2]
	least := middle + leastShareOfWay*(best[0].cosine-middle)
	if len(sample) >= enoughSample {
		least = max(least, middle+leastSpreads*(middle-sample[int(aSixth*float64(len(sample)))]))
	}
	return slices.DeleteFunc(best, func(b neighbour) bool { return b.cosine < least })
}

// forget drops vectors that the table does not have any more.
func (a *accountVectors) forget(gone []int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 0; i < len(a.seqs); {
		if !slices.Contains(gone, a.seqs[i]) {
			i++
			continue
		}
		last := len(a.seqs) - 1
		copy(a.numbers[i*a.dimensions:(i+1)*a.dimensions], a.numbers[last*a.dimensions:])
		a.seqs[i], a.lengths[i] = a.seqs[last], a.lengths[last]
		a.outlines.move(last, i)
		a.seqs, a.lengths, a.numbers = a.seqs[:last], a.lengths[:last], a.numbers[:last*a.dimensions]
	}
}
