package account

import (
	"net/mail"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxEmail is the length of the longest address that fits into an SMTP path (RFC 5321, section 4.5.3.1.3).
const maxEmail = 254

// parseEmail returns the address as it is kept, or ErrEmail.
func parseEmail(s string) (string, error) {
	s = norm.NFC.String(strings.TrimSpace(s))
	if s == "" || len(s) > maxEmail || strings.ContainsFunc(s, unseen) {
		return "", ErrEmail
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return "", ErrEmail
	}
	return s, nil
}

// unseen says whether a character leaves no mark of its own: spaces, controls, and formatting such as a change of the
// writing direction, with which one address could be made to look like another.
func unseen(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.IsSpace(r)
}

// emailKey is equal for addresses that belong to one person. It accepts anything.
func emailKey(s string) string {
	return strings.ToLower(norm.NFC.String(strings.TrimSpace(s)))
}
