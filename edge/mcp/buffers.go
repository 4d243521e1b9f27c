package mcp

import "sync"

// keepBuffer is the largest buffer that is kept for the next request, in bytes.
const keepBuffer = 64 << 10

// buffers lends byte slices, so that a request needs no memory of its own for what it reads and writes.
type buffers struct{ pool sync.Pool }

// get returns an empty slice.
func (b *buffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, 4<<10)
	return &p
}

// put takes a slice back; nothing may refer to it any more.
func (b *buffers) put(p *[]byte) {
	if cap(*p) > keepBuffer {
		return
	}
	*p = (*p)[:0]
	b.pool.Put(p)
}
