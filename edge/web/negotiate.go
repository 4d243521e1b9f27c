package web

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/language"
)

// readsJapanese says whether the browser asks for Japanese rather than English.
func readsJapanese(r *http.Request) bool {
	matcher := language.NewMatcher([]language.Tag{language.English, language.Japanese})
	tag, _ := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	base, _ := tag.Base()
	return base.String() == "ja"
}

// prefersMarkdown says whether an Accept header names Markdown and likes no page better (RFC 9110, section 12.5.1).
func prefersMarkdown(accept string) bool {
	markdown, page, closest := 0.0, 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if s, given := params["q"]; given {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		how := map[string]int{"*/*": 1, "text/*": 2, "text/html": 3}[kind]
		switch {
		case kind == "text/markdown":
			markdown = q
		case how > closest:
			page, closest = q, how
		}
	}
	return markdown > 0 && markdown >= page
}

// languageOf guesses the language of a text by its script, for browsers that choose fonts and voices by it; "" when it
// cannot be told. Han alone is taken for Japanese up to a length at which Japanese would have kana.
func languageOf(text string) string {
	const manyHan = 40
	var latin, han, kana, hangul, other int
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r):
		case r < 0x250:
			latin++
		case unicode.Is(unicode.Han, r):
			han++
		case unicode.In(r, unicode.Hiragana, unicode.Katakana):
			kana++
		case unicode.Is(unicode.Hangul, r):
			hangul++
		default:
			other++
		}
	}
	// A text about programs is full of Latin names whatever its language is.
	const share = 6
	east, all := han+kana+hangul, latin+han+kana+hangul+other
	switch {
	case all == 0 || other*2 > all:
		return ""
	case east*share < all:
		return "en"
	case hangul > kana:
		return "ko"
	case kana == 0 && han >= manyHan:
		return "zh"
	}
	return "ja"
}
