package account

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The length of a password in characters. NIST SP 800-63B, section 3.1.1.2, asks for at least 8 beside rules like ours; the
// upper bound only keeps out what is no password.
const (
	minPassword = 8
	maxPassword = 200
)

// checkPassword says what is wrong with a password for an e-mail address. There are no rules on its composition: they make
// passwords no harder to guess.
func checkPassword(password, email string) error {
	if !utf8.ValidString(password) {
		return ErrPasswordText
	}
	password = norm.NFC.String(password)
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return ErrPasswordShort
	case n > maxPassword:
		return ErrPasswordLong
	case emailKey(password) == emailKey(email):
		return ErrPasswordEmail
	case slices.Contains(commonest(), strings.ToLower(password)):
		return ErrPasswordCommon
	}
	return nil
}

// commonest lists passwords of at least minPassword characters that are tried before all others.
func commonest() []string {
	return []string{
		"00000000", "11111111", "12121212", "12341234", "12345678", "123456789", "1234567890", "123123123", "123qweasd",
		"1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx", "66666666", "87654321", "88888888", "987654321", "99999999", "a1234567",
		"aa123456", "aaaaaaaa", "abc12345", "abcd1234", "abcdefgh", "admin123", "asdfasdf", "asdfghjk", "asdfghjkl",
		"baseball", "changeit", "changeme", "computer", "doraemon", "football", "iloveyou", "internet", "letmein1",
		"p@ssw0rd", "p@ssword", "passw0rd", "password", "password1", "password12", "password123", "princess", "q1w2e3r4",
		"qazwsxedc", "qwer1234", "qwerty12", "qwerty123", "qwertyui", "qwertyuiop", "sakura01", "starwars", "sunshine",
		"superman", "trustno1", "welcome1", "welcome123", "whatever", "zaq12wsx",
	}
}
