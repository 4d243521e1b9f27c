package oauth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/paput/paput/services/eventlog"
)

const keySize = 32 // bytes

// keyMargin is how much longer an earlier key is honoured than anything lasts that was made with it: for what was under
// way when it was replaced, and for a clock that is set back meanwhile.
const keyMargin = 5 * time.Minute

// EarlierKey is a key of the server that was replaced by another.
type EarlierKey struct {
	Key     []byte // 32 bytes
	Retired time.Time
}

// KeyOverlap is how long an earlier key is honoured. People who are in the middle of a log-in come back within
// Transaction, or the time that a device has, and repeated refreshes within Grace; after that nothing that was made with it
// is good.
func (l Lifetimes) KeyOverlap() time.Duration {
	l.setDefaults()
	return max(l.Transaction, l.Grace, deviceLife) + keyMargin
}

// UseKeys replaces the server's keys while it runs: the current one, and the earlier ones that are to be honoured for
// KeyOverlap after they were retired. It takes effect for everything that is decided afterwards.
func (s *Server) UseKeys(current []byte, earlier ...EarlierKey) error {
	ring := make(keyring, 0, 1+len(earlier))
	for _, e := range append([]EarlierKey{{Key: current}}, earlier...) {
		k, err := deriveKeys(e.Key)
		if err != nil {
			return err
		}
		if len(ring) > 0 {
			k.until = e.Retired.Add(s.life.KeyOverlap())
		}
		ring = append(ring, k)
	}
	s.keys.Store(&ring)
	return nil
}

// keys are derived from one key of the server, one for each purpose.
type keys struct {
	refresh, transaction, csrf []byte
	// until is when an earlier key is honoured no longer; zero for the one in use.
	until time.Time
}

func deriveKeys(key []byte) (keys, error) {
	var k keys
	if len(key) != keySize {
		return keys{}, fmt.Errorf("the key has %d bytes, must have %d", len(key), keySize)
	}
	for purpose, to := range map[string]*[]byte{
		"paput oauth refresh successor":         &k.refresh,
		"paput oauth authorization transaction": &k.transaction,
		"paput oauth consent form":              &k.csrf,
	} {
		derived, err := hkdf.Expand(sha256.New, key, purpose, 32)
		if err != nil {
			return keys{}, fmt.Errorf("derive key for %s: %w", purpose, err)
		}
		*to = derived
	}
	return k, nil
}

// successor is the refresh token that follows another. It is derived and not drawn, so that everyone who presents the
// same token within the grace time gets the same answer, though only hashes are stored.
func (k keys) successor(refreshToken string) string {
	return encodeToken(refreshPrefix, nextPlace(placeOf(refreshToken)), mac(k.refresh, refreshToken))
}

// keyring is all keys: the first is in use, the others recognise what they made. It is never modified.
type keyring []keys

// ring is the keys at this moment.
func (s *Server) ring() keyring { return *s.keys.Load() }

// inUse is what everything is made with.
func (r keyring) inUse() keys { return r[0] }

// honoured lists the keys that may have made what comes back, the one in use first.
func (r keyring) honoured(now time.Time) keyring {
	var live keyring
	for i, k := range r {
		if i == 0 || now.Before(k.until) {
			live = append(live, k)
		}
	}
	return live
}

// open finds the transaction that was sealed, and the keys that did it.
func (r keyring) open(sealed string, now time.Time) (t transaction, by keys, ok bool) {
	for _, k := range r.honoured(now) {
		if t, ok = k.open(sealed); ok {
			return t, k, true
		}
	}
	return transaction{}, keys{}, false
}

// successorOf finds the refresh token that follows another. One that was exchanged has its successor already, made with
// the key of that time; known says that it is this one.
//
// It runs in the decision's transaction, and takes the keys there: decisions are made one after another, so none is made
// without the key that one before it has used.
func (s *Server) successorOf(tx *eventlog.Tx, presented string, exchanged bool) (successor string, known bool, err error) {
	ring := s.ring()
	if !exchanged {
		return ring.inUse().successor(presented), false, nil
	}
	for _, k := range ring.honoured(tx.Now()) {
		successor = k.successor(presented)
		_, err := loadRefresh(tx, hashToken(successor))
		if !errors.Is(err, errAbsent) {
			return successor, err == nil, err
		}
	}
	return "", false, nil
}

// mac is HMAC-SHA-256.
func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}
