package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// What secrets begin with, so that one found in the wrong place says what it is.
const (
	accessPrefix       = "paput_at_"
	refreshPrefix      = "paput_rt_"
	codePrefix         = "paput_ac_"
	secretPrefix       = "paput_cs_"
	registrationPrefix = "paput_ra_"
)

// newSecret draws a token, code or client secret of 256 bits.
func newSecret(prefix string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// isSecret says whether s looks like newSecret's answer for the prefix. What does not need not be looked up.
func isSecret(prefix, s string) bool {
	return len(s) == len(prefix)+43 && strings.HasPrefix(s, prefix)
}

// hashSecret is what is stored of a secret. Secrets have 256 random bits: they need no salt and no slow hash.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
