package oauth

import (
	"fmt"
	"testing"
	"time"
)

// Strangers can poll with as many codes as they fetch. What is remembered of them is bounded, and those whose codes have
// expired make room first.
func TestPollsAreBounded(t *testing.T) {
	t.Parallel()
	start := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	soon, late := start.Add(time.Minute), start.Add(time.Hour)
	p := newPolls()
	for n := range maxPolled - 1 {
		expires := late
		if n%2 == 0 {
			expires = soon
		}
		p.tooEarly(fmt.Sprint(n), expires, start)
	}
	if p.tooEarly("x", late, soon); len(p.byCode) != maxPolled {
		t.Errorf("while there is room: got %d codes, want %d", len(p.byCode), maxPolled)
	}
	if p.tooEarly("y", late, soon); len(p.byCode) != maxPolled/2+1 {
		t.Errorf("when there is none: got %d codes, want the %d that have not expired", len(p.byCode), maxPolled/2+1)
	}
	if !p.tooEarly("x", late, soon) {
		t.Error("a code was forgotten that has not expired")
	}
	for n := range maxPolled {
		p.tooEarly(fmt.Sprint("z", n), late, soon)
	}
	if len(p.byCode) > maxPolled {
		t.Errorf("got %d codes, want at most %d", len(p.byCode), maxPolled)
	}
}
