package oauth

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"
)

// What is stored of tokens must be what earlier versions stored of them, or nobody is signed in after an update.
func TestHashOfAToken(t *testing.T) {
	t.Parallel()
	issued := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	token := newToken(accessPrefix, issued)
	hash, sum := hashToken(token), sha256.Sum256([]byte(token))
	if !bytes.Equal(hash, append([]byte{0x01, 0x9c, 0xa9, 0x45, 0x0a, 0x05, 0, 0}, sum[:]...)) {
		t.Errorf("got %x, want the place and %x", hash, sum)
	}
	if got := issueTime(token); !got.Equal(issued) {
		t.Errorf("issued at: got %v, want %v", got, issued)
	}
}

// Each call of a tool looks its token up twice.
func TestHashingTakesLittleMemory(t *testing.T) {
	token := newToken(accessPrefix, time.Unix(1_700_000_000, 0))
	if n := testing.AllocsPerRun(100, func() { _ = hashToken(token) }); n > 1 {
		t.Errorf("got %g allocations, want 1", n)
	}
}
