package oauth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
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

// keys are derived from the server's key, one for each purpose.
type keys struct {
	refresh, transaction, csrf []byte
}

func deriveKeys(key []byte) (keys, error) {
	var k keys
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
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(mac(k.refresh, refreshToken))
}

// mac is HMAC-SHA-256.
func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}
