package oauth

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// A flood of good assertions is refused and not forgotten: what is forgotten could be used again.
func TestAcceptedAssertionsAreBounded(t *testing.T) {
	t.Parallel()
	start := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	numbered := func(n int, until time.Time) assertion {
		return assertion{binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n)), until}
	}
	var all accepted
	m := all.of("client_1")
	for n := range maxAccepted {
		if err := m.admit(numbered(n, start.Add(time.Minute)), start); err != nil {
			t.Fatalf("%d: got %v", n, err)
		}
	}
	if err := m.admit(numbered(maxAccepted, start.Add(time.Minute)), start); !errors.Is(err, errTooManyAssertions) {
		t.Errorf("one more: got %v", err)
	}
	if err := all.of("client_2").admit(numbered(maxAccepted, start.Add(time.Minute)), start); err != nil {
		t.Errorf("another client: got %v", err)
	}
	for _, n := range []int{0, 1, maxAccepted - 1} {
		if err := m.admit(numbered(n, start.Add(time.Minute)), start.Add(time.Minute-1)); !errors.Is(err, errInvalidClient) {
			t.Errorf("%d again: got %v", n, err)
		}
	}
	later := start.Add(time.Minute)
	if m != all.of("client_1") {
		t.Error("the memory of a client is lost")
	}
	if err := m.admit(numbered(maxAccepted, later.Add(time.Minute)), later); err != nil || len(m.until) != 1 {
		t.Errorf("when the others have expired: got %v and %d", err, len(m.until))
	}
	// What expires is forgotten along the way, however slowly others come.
	for n := range 100_000 {
		now := later.Add(time.Duration(n) * time.Second)
		if err := m.admit(numbered(n, now.Add(time.Minute)), now); err != nil {
			t.Fatalf("%d: got %v", n, err)
		}
	}
	if len(m.until) > 1024 {
		t.Errorf("got %d in memory, want 1024 at most", len(m.until))
	}
}
