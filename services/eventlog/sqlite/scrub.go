package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// scrubMilliseconds is how long Scrub makes the writer wait for readers. A query takes less.
	scrubMilliseconds = 250
	// scrubPages is how many pages ScrubPages looks at: it takes a few milliseconds.
	scrubPages = 512
)

// Of the file format (https://sqlite.org/fileformat2.html): where the header of the file says how many bytes at the end of
// each page are reserved and which page begins the list of free ones, and where the tree begins in the first page.
const (
	offsetReserved  = 20
	offsetFreeTrunk = 32
	offsetFirstTree = 100
)

// Scrub writes the write-ahead log into the database file and empties it: the log has deleted content in its older pages.
func (b *Backend) Scrub(ctx context.Context) (clean bool, err error) {
	if _, err := b.writer.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", scrubMilliseconds)); err != nil {
		return false, err
	}
	defer func() {
		_, after := b.writer.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", busyMilliseconds))
		err = errors.Join(err, after)
	}()
	var busy, pages, written int
	if err := b.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &written); err != nil {
		return false, err
	}
	return busy == 0, nil
}

// ScrubPages overwrites with zeros what is unused in some pages. SQLite's secure_delete does so for what is deleted, but not
// where rows have moved to another page to make room, and was off in older files.
func (b *Backend) ScrubPages(ctx context.Context, from int64) (next int64, err error) {
	var count int64
	if err := b.writer.QueryRowContext(ctx, "PRAGMA page_count").Scan(&count); err != nil {
		return 0, err
	}
	// The first byte of a page that continues a long row belongs to a number, and is that of a tree only in a file of more
	// than 100 GB.
	if count >= 1<<25 {
		return 0, nil
	}
	free, err := b.freePages(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the list of free pages: %w", err)
	}
	for n := max(1, from); n <= count; n++ {
		if n == from+scrubPages {
			return n, nil
		}
		if err := b.scrubPage(ctx, n, free[n]); err != nil {
			return 0, fmt.Errorf("scrub page %d: %w", n, err)
		}
	}
	return 0, nil
}

func (b *Backend) page(ctx context.Context, n int64) (page []byte, err error) {
	err = b.writer.QueryRowContext(ctx, "SELECT data FROM sqlite_dbpage WHERE pgno = ?", n).Scan(&page)
	return page, err
}

// freePages are the pages on the list of free ones that have nothing on them, not those that hold the list.
func (b *Backend) freePages(ctx context.Context) (map[int64]bool, error) {
	free := make(map[int64]bool)
	header, err := b.page(ctx, 1)
	if err != nil {
		return nil, err
	}
	seen := make(map[uint32]bool)
	for trunk := binary.BigEndian.Uint32(header[offsetFreeTrunk:]); trunk != 0; {
		if seen[trunk] {
			return nil, errors.New("the list goes in a circle")
		}
		seen[trunk] = true
		page, err := b.page(ctx, int64(trunk))
		if err != nil {
			return nil, err
		}
		leaves := page[8:]
		n := int(binary.BigEndian.Uint32(page[4:]))
		if 4*n > len(leaves) {
			return nil, fmt.Errorf("page %d says that it lists %d", trunk, n)
		}
		for i := range n {
			free[int64(binary.BigEndian.Uint32(leaves[4*i:]))] = true
		}
		trunk = binary.BigEndian.Uint32(page)
	}
	return free, nil
}

func (b *Backend) scrubPage(ctx context.Context, n int64, free bool) error {
	before, err := b.page(ctx, n)
	if err != nil {
		return err
	}
	after := bytes.Clone(before)
	if free {
		clear(after)
	} else if !clearUnused(after, n == 1) {
		return nil
	}
	if bytes.Equal(before, after) {
		return nil
	}
	_, err = b.writer.ExecContext(ctx, "UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", after, n)
	return err
}

// clearUnused clears what a page of a tree has between the list of its cells and the first of them, and in the holes between
// cells. It says false, and has done nothing, for another page.
func clearUnused(page []byte, first bool) bool {
	at := 0
	if first {
		at = offsetFirstTree
	}
	u16 := func(i int) int { return int(binary.BigEndian.Uint16(page[i:])) }
	header := 8
	switch page[at] {
	case 2, 5: // an interior page
		header = 12
	case 10, 13: // a leaf
	default:
		return false
	}
	end := len(page)
	if first && page[offsetReserved] != 0 {
		return false
	}
	begin, content := at+header+2*u16(at+3), u16(at+5)
	if content == 0 {
		content = 1 << 16
	}
	if begin > content || content > end {
		return false
	}
	type hole struct{ from, to int }
	holes := []hole{{begin, content}}
	for i := u16(at + 1); i != 0; i = u16(i) {
		if i < content || i+4 > end || i+u16(i+2) > end || u16(i) != 0 && u16(i) <= i {
			return false
		}
		holes = append(holes, hole{i + 4, i + u16(i+2)})
	}
	for _, h := range holes {
		if h.to > h.from {
			clear(page[h.from:h.to])
		}
	}
	return true
}
