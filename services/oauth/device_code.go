package oauth

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// A user code has eight letters without vowels, so that it spells no word, and without those that look like a digit
// (RFC 8628, section 6.1). There are 20^8 = 2.56 × 10^10 of them: a guess hits one of n open codes with a chance of
// n / 20^8, and how many guesses there can be is in Limits.
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
	// maxTyped is how much of what a person types is looked at, in bytes.
	maxTyped = 64
)

// newUserCode draws a user code in its normal form: letters alone.
func newUserCode() string {
	const fair = 256 - 256%len(userCodeLetters) // a byte from there on would make the first letters likelier
	code := make([]byte, 0, userCodeLength)
	for len(code) < userCodeLength {
		var b [2 * userCodeLength]byte
		_, _ = rand.Read(b[:]) // never fails: see crypto/rand
		for _, n := range b {
			if int(n) < fair && len(code) < userCodeLength {
				code = append(code, userCodeLetters[int(n)%len(userCodeLetters)])
			}
		}
	}
	return string(code)
}

// showUserCode writes a user code as people see it: WDJB-MJHT.
func showUserCode(code string) string {
	return code[:userCodeLength/2] + "-" + code[userCodeLength/2:]
}

// parseUserCode reads what a person typed, in either case, narrow or wide, with spaces and dashes of any kind anywhere or
// nowhere. ok is false for what cannot be a user code.
func parseUserCode(typed string) (code string, ok bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～': // the wide forms of ASCII, in its order
			r -= '！' - '!'
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), strings.ContainsRune("−ー｡・_.", r):
			return -1
		}
		if r == '-' {
			return -1
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}, typed)
	strange := strings.ContainsFunc(code, func(r rune) bool { return !strings.ContainsRune(userCodeLetters, r) })
	return code, len(code) == userCodeLength && !strange
}

// chooseUserCode returns the first of the drawn codes that no open request has; empty when each is taken.
func chooseUserCode(drawn []string, isTaken func(hash []byte) (bool, error)) (string, error) {
	for _, code := range drawn {
		taken, err := isTaken(hashSecret(code))
		if err != nil {
			return "", err
		}
		if !taken {
			return code, nil
		}
	}
	return "", nil
}
