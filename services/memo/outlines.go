package memo

import (
	"math"
	"math/bits"
)

const (
	// maxExact is how many vectors are all compared number by number. Of more, the likely ones are chosen by their outlines.
	maxExact = 5000
	// minLikely is how many are chosen at least.
	minLikely = 1000
	wordBits  = 64
)

// outlines have one bit for each number of a vector: whether it is above the average of that number. Vectors that are near
// have outlines that differ in few bits, and to count those takes a fiftieth of what comparing the numbers does.
type outlines struct {
	center vector
	bits   []uint64 // words of each vector; none while all are compared
}

// words is how many words an outline has.
func (o *outlines) words() int { return (len(o.center) + wordBits - 1) / wordBits }

// complete makes the outlines that are missing, once they are needed.
func (o *outlines) complete(a *accountVectors) {
	if len(a.seqs) <= maxExact {
		return
	}
	if o.center == nil {
		sums := make([]int64, a.dimensions)
		for i, x := range a.numbers {
			sums[i%a.dimensions] += int64(x)
		}
		o.center = make(vector, a.dimensions)
		for i, sum := range sums {
			o.center[i] = int8(math.Round(float64(sum) / float64(len(a.seqs))))
		}
		o.bits = make([]uint64, 0, len(a.seqs)*o.words())
	}
	for i := len(o.bits) / o.words(); i < len(a.seqs); i++ {
		o.bits = o.append(o.bits, a.numbers[i*a.dimensions:(i+1)*a.dimensions])
	}
}

func (o *outlines) append(to []uint64, v vector) []uint64 {
	begin := len(to)
	to = append(to, make([]uint64, o.words())...)
	for i, x := range v {
		if x > o.center[i] {
			to[begin+i/wordBits] |= 1 << (i % wordBits)
		}
	}
	return to
}

// move puts the last outline where another was.
func (o *outlines) move(last, i int) {
	if n := o.words(); len(o.bits) > 0 {
		copy(o.bits[i*n:(i+1)*n], o.bits[last*n:])
		o.bits = o.bits[:last*n]
	}
}

// likely says which vectors are among the minLikely with the outlines most like that of a vector, or as like as the last of
// them.
func (o *outlines) likely(to vector) func(i int) bool {
	outline := o.append(nil, to)
	n := len(outline)
	distances := make([]uint16, len(o.bits)/n)
	counts := make([]int, len(to)+1)
	for i := range distances {
		d := 0
		for j, word := range o.bits[i*n : (i+1)*n] {
			d += bits.OnesCount64(word ^ outline[j])
		}
		distances[i] = uint16(d) //nolint:gosec // at most the length of a vector
		counts[d]++
	}
	most, sum := 0, 0
	for ; most < len(counts) && sum < minLikely; most++ {
		sum += counts[most]
	}
	return func(i int) bool { return int(distances[i]) < most }
}
