package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// What secrets begin with, so that one found in the wrong place says what it is.
const (
	accessPrefix       = "paput_at_"
	refreshPrefix      = "paput_rt_"
	codePrefix         = "paput_ac_"
	devicePrefix       = "paput_dc_"
	secretPrefix       = "paput_cs_"
	registrationPrefix = "paput_ra_"
)

// newSecret draws a secret of 256 bits that is not looked up but compared, such as a client's.
func newSecret(prefix string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// hashSecret is what is stored of a secret. Secrets have 256 random bits: they need no salt and no slow hash.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// A token or code begins with its place in the order of its table, which is no secret: so rows that are written at about
// the same time lie side by side, however many there are, and not all over the table as their hashes would have it. It is
// the time of issue in Unix milliseconds, of 6 bytes, and a count of 2, both big-endian. A refresh token has the time of the
// first of its grant and counts on from its predecessor, so that those of a grant lie side by side.
const (
	placeTime   = 6
	placeLength = placeTime + 2
	// tokenLength is the length of a token in base64url without the prefix.
	tokenLength = (8*(placeLength+sha256.Size) + 5) / 6
)

// newToken draws a token or code of 256 bits, to be issued at this time.
func newToken(prefix string, now time.Time) string {
	b := make([]byte, sha256.Size)
	_, _ = rand.Read(b) // never fails: see crypto/rand
	return encodeToken(prefix, placeAt(now), b)
}

func encodeToken(prefix string, place, secret []byte) string {
	var b [placeLength + sha256.Size]byte
	copy(b[:], place)
	copy(b[placeLength:], secret)
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// isToken says whether s looks like newToken's answer for the prefix. What does not need not be looked up.
func isToken(prefix, s string) bool {
	return len(s) == len(prefix)+tokenLength && strings.HasPrefix(s, prefix)
}

// hashToken is what is stored of a token: its place, and the SHA-256 of all of it. No two tokens have the same.
func hashToken(token string) []byte {
	// Each call brings a token: this takes no memory but for the answer.
	sum := sha256.Sum256(append(make([]byte, 0, 128), token...))
	place := placeOf(token)
	hash := make([]byte, 0, placeLength+sha256.Size)
	return append(append(hash, place[:]...), sum[:]...)
}

// placeAt is the first place of a time.
func placeAt(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(t.UnixMilli(), 0))<<16) // #nosec G115 -- it is not negative
}

// issueTime reads when a token was issued, which is not to be believed of one that is unknown. It is not for refresh tokens.
func issueTime(token string) time.Time {
	place := placeOf(token)
	return time.UnixMilli(int64(binary.BigEndian.Uint64(place[:]) >> 16)).UTC() // #nosec G115 -- of 48 bits
}

// placeOf reads the place of a token; anything, of the right length, when it is none.
func placeOf(token string) [placeLength]byte {
	var b [placeLength + 1]byte // of 12 characters
	if len(token) > tokenLength {
		_, _ = base64.RawURLEncoding.Decode(b[:], []byte(token[len(token)-tokenLength:][:base64.RawURLEncoding.EncodedLen(len(b))]))
	}
	return [placeLength]byte(b[:])
}

// nextPlace is the place of the successor.
func nextPlace(place [placeLength]byte) []byte {
	n := binary.BigEndian.Uint16(place[placeTime:]) + 1 // around, in the end: it orders and does not identify
	return binary.BigEndian.AppendUint16(slices.Clone(place[:placeTime]), n)
}
