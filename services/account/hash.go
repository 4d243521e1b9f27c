package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Hashing says what hashing a password costs and how many are hashed at once. Zero fields take the defaults.
type Hashing struct {
	// MemoryKiB, Passes and Lanes are the m, t and p of argon2id (RFC 9106); by default 19456 (19 MiB), 2 and 1, the second
	// recommendation of the OWASP Password Storage Cheat Sheet.
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
	// Parallel is how many passwords are hashed at once; by default one fewer than there are processors, at least 1, so that
	// the rest of the server keeps one to itself.
	Parallel int
	// Wait is how long a sign-in waits for its turn before ErrBusy; 3 seconds by default.
	Wait time.Duration
}

func (h Hashing) withDefaults() Hashing {
	if h.MemoryKiB == 0 {
		h.MemoryKiB = 19 * 1024
	}
	if h.Passes == 0 {
		h.Passes = 2
	}
	if h.Lanes == 0 {
		h.Lanes = 1
	}
	if h.Parallel == 0 {
		h.Parallel = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if h.Wait == 0 {
		h.Wait = 3 * time.Second
	}
	return h
}

const (
	saltLength = 16
	keyLength  = 32
)

// hasher hashes passwords, a few at a time.
type hasher struct {
	config Hashing
	turns  chan struct{}
	// nobody is a hash that no password has, for e-mail addresses without one.
	nobody phc
	// runs counts the hashes computed.
	runs atomic.Int64
}

func newHasher(config Hashing) *hasher {
	config = config.withDefaults()
	h := &hasher{config: config, turns: make(chan struct{}, config.Parallel)}
	h.nobody = h.fresh()
	h.nobody.key = make([]byte, keyLength)
	rand.Read(h.nobody.key) //nolint:errcheck // it never returns an error
	return h
}

// fresh returns the configured parameters with a random salt and no key.
func (h *hasher) fresh() phc {
	p := phc{memoryKiB: h.config.MemoryKiB, passes: h.config.Passes, lanes: h.config.Lanes, salt: make([]byte, saltLength)}
	rand.Read(p.salt) //nolint:errcheck // it never returns an error
	return p
}

// hash returns the hash of a password as a PHC string. It waits for its turn; see Hashing.Wait.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	p := h.fresh()
	err := h.inTurn(ctx, func() { p.key = p.compute(password, keyLength) })
	return p.String(), err
}

// verify says whether a password has the hash. It does the same work for an empty or broken hash, which no password has.
// outdated says that the hash was made with other parameters than the configured ones.
func (h *hasher) verify(ctx context.Context, encoded, password string) (ok, outdated bool, err error) {
	p, err := parsePHC(encoded)
	usable := err == nil
	if !usable {
		p = h.nobody
	}
	err = h.inTurn(ctx, func() {
		ok = subtle.ConstantTimeCompare(p.compute(password, len(p.key)), p.key) == 1 && usable
	})
	outdated = p.memoryKiB != h.config.MemoryKiB || p.passes != h.config.Passes || p.lanes != h.config.Lanes
	return ok, outdated, err
}

func (h *hasher) inTurn(ctx context.Context, compute func()) error {
	waiting, cancel := context.WithTimeout(ctx, h.config.Wait)
	defer cancel()
	select {
	case h.turns <- struct{}{}:
	case <-waiting.Done():
		if err := ctx.Err(); err != nil {
			return err
		}
		return ErrBusy
	}
	defer func() { <-h.turns }()
	h.runs.Add(1)
	compute()
	return nil
}

// phc is a hash in the PHC string format, "$argon2id$v=19$m=19456,t=2,p=1$salt$key".
type phc struct {
	memoryKiB uint32
	passes    uint32
	lanes     uint8
	salt, key []byte
}

var errPHC = errors.New("not an argon2id hash")

func (p phc) compute(password string, length int) []byte {
	normal := norm.NFC.Bytes([]byte(password))
	return argon2.IDKey(normal, p.salt, p.passes, p.memoryKiB, p.lanes, uint32(length)) //nolint:gosec // at most 64
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memoryKiB, p.passes, p.lanes,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

// parsePHC accepts what String gives, with parameters that can be computed.
func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 {
		return phc{}, errPHC
	}
	var p phc
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return phc{}, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memoryKiB, &p.passes, &p.lanes); err != nil {
		return phc{}, errPHC
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return phc{}, errPHC
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return phc{}, errPHC
	}
	sane := p.passes > 0 && p.lanes > 0 && p.memoryKiB <= 4<<20 && p.passes <= 100 &&
		len(p.salt) >= 8 && len(p.salt) <= 64 && len(p.key) >= 16 && len(p.key) <= 64
	if !sane || p.String() != s {
		return phc{}, errPHC
	}
	return p, nil
}
