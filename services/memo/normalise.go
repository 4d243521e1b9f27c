package memo

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A text is compared in a form in which spellings that a reader takes for the same are the same: Unicode NFKC (so full
// and half width, ligatures, and composed and decomposed marks agree), katakana as hiragana (メモ finds めも), and without
// case. Marks on letters count: é is not e, が is not か.

// glyph is one character of a normalised text, its case kept, with the bytes of the original that it came from.
type glyph struct {
	r        rune
	from, to int32
	class    class
	katakana bool // it was katakana before it became hiragana
}

// normalise gives the characters of s. Several characters may come from the same bytes.
func normalise(s string) []glyph {
	const usual = 2 // bytes of a character: between Japanese and English
	return appendNormalised(make([]glyph, 0, len(s)/usual+1), s)
}

func appendNormalised(out []glyph, s string) []glyph {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if standsAlone(r) && nextStandsAlone(s[i+size:]) {
			out = appendGlyph(out, r, i, i+size)
			i += size
			continue
		}
		size = max(size, norm.NFKC.NextBoundaryInString(s[i:], true))
		for _, r := range norm.NFKC.String(s[i : i+size]) {
			out = appendGlyph(out, r, i, i+size)
		}
		i += size
	}
	return out
}

func appendGlyph(out []glyph, r rune, from, to int) []glyph {
	g := glyph{r: r, from: int32(from), to: int32(to), class: classOf(r)} //nolint:gosec // a body has at most 800 000 bytes
	switch {
	case r < 0x80:
	case r >= 0x30A1 && r <= 0x30F6 || r == 0x30FD || r == 0x30FE: // ァ to ヶ, ヽ, ヾ
		g.r, g.katakana, g.class = r-0x60, true, classDense
	case r == 0x30FC: // ー
		g.katakana = len(out) > 0 && out[len(out)-1].katakana
	case r == 'ß':
		g.r = 's'
		out = append(out, g)
	case r == 'ẞ':
		g.r = 'S'
		out = append(out, g)
	}
	return append(out, g)
}

// standsAlone says whether r is its own NFKC form and no part of a longer sequence, so long as what follows it stands alone
// too. It knows the characters that make up nearly all text in Japanese and English.
func standsAlone(r rune) bool {
	switch {
	case r < 0x80:
		return true
	case r < 0x3001:
		return false
	default:
		return r <= 0x3002 || r >= 0x3041 && r <= 0x3096 || r >= 0x30A1 && r <= 0x30FE || r >= 0x4E00 && r <= 0x9FFF
	}
}

func nextStandsAlone(s string) bool {
	if s == "" || s[0] < 0x80 {
		return true
	}
	r, _ := utf8.DecodeRuneInString(s)
	return standsAlone(r)
}

// foldCase gives the letter that stands for all cases of r.
func foldCase(r rune) rune {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	if r >= 0x3001 && r <= 0x9FFF {
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// foldName is the form in which names are compared: NFKC without case.
func foldName(s string) string {
	return strings.Map(foldCase, norm.NFKC.String(s))
}

// class says what part a character plays in a text.
type class uint8

const (
	classBreak  class = iota // separates words
	classSpace               // separates words and phrases
	classWord                // makes up words that spaces separate, and identifiers
	classDense               // of a script that puts no spaces between words
	classSymbol              // is a word by itself, such as an emoji
	classMark                // belongs to the character before it
	classNone                // is as if it were not there
)

func classOf(r rune) class {
	switch {
	case r < 0x80:
		return asciiClass(r)
	case r >= 0x3041 && r <= 0x3096, r >= 0x4E00 && r <= 0x9FFF, r == 0x30FC, r == 0x3005, r == 0x3007:
		return classDense
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF: // variation selectors
		return classNone
	case r == utf8.RuneError:
		return classBreak
	case unicode.IsLetter(r) || unicode.IsNumber(r):
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
			return classDense
		}
		return classWord
	case unicode.IsMark(r):
		return classMark
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Sk, r):
		return classNone
	case unicode.Is(unicode.So, r):
		return classSymbol
	case unicode.IsSpace(r):
		return classSpace
	}
	return classBreak
}

func asciiClass(r rune) class {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_':
		return classWord
	case r == ' ', r == '\n', r == '\t', r == '\r':
		return classSpace
	}
	return classBreak
}
