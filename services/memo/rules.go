package memo

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxAhead is how far in the future the work of a memo may have happened: the clocks and time zones of callers differ.
const maxAhead = 24 * time.Hour

func invalid(format string, args ...any) error {
	return &fault{ErrInvalid, fmt.Sprintf(format, args...)}
}

// oneLine checks a text that is shown on one line, and trims it. Characters that end the line, act on a terminal or turn
// the direction of the text around it are refused, so that a title is what it looks like.
func oneLine(name, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", invalid("%s is not valid UTF-8", name)
	}
	s = strings.TrimSpace(s)
	for _, r := range s {
		switch {
		case endsLine(r):
			return "", invalid("%s must be on one line", name)
		case unicode.IsControl(r), overridesDirection(r):
			return "", invalid("%s has the control character U+%04X; remove it", name, r)
		}
	}
	return s, nil
}

func endsLine(r rune) bool {
	return r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029
}

// overridesDirection says whether r is an embedding, override or isolate of the Unicode bidirectional algorithm (UAX #9,
// section 2).
func overridesDirection(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

// visible says whether anything of s can be seen.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}

func checkTitle(s string) (string, error) {
	s, err := oneLine(fieldTitle, s)
	if err == nil && !visible(s) {
		return "", invalid("title is empty; give one that says what the memo is about")
	}
	return s, err
}

// checkText keeps a text of many lines as it is, to the byte.
func checkText(name, s string) error {
	if !utf8.ValidString(s) {
		return invalid("%s is not valid UTF-8", name)
	}
	n := 0
	for _, r := range s {
		n++
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return invalid("%s has the control character U+%04X as its character %d; remove it", name, r, n)
		}
	}
	return nil
}

// checkNames trims the names of categories or projects and drops those that equal an earlier one.
func checkNames(name string, list []string) ([]string, error) {
	var names, keys []string
	for i, s := range list {
		s, err := oneLine(fmt.Sprintf("%s[%d]", name, i), s)
		if err != nil {
			return nil, err
		}
		if !visible(s) {
			return nil, invalid("%s[%d] is empty; leave it out", name, i)
		}
		if key := nameKey(s); !slices.Contains(keys, key) {
			keys = append(keys, key)
			names = append(names, s)
		}
	}
	return names, nil
}

// nameKey is what two equal names have in common: case, width, and the number of spaces between words do not count.
func nameKey(s string) string {
	return strings.Join(strings.Fields(foldName(s)), " ")
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// checkCreateTime cuts the time to the millisecond that the log keeps.
func checkCreateTime(t *timestamppb.Timestamp, now time.Time) (*timestamppb.Timestamp, error) {
	if t == nil {
		return nil, nil
	}
	if err := checkTime("create_time", t); err != nil {
		return nil, err
	}
	if t.AsTime().After(now.Add(maxAhead)) {
		return nil, invalid("create_time %s is more than a day in the future; leave it out if the work happened just now", t.AsTime().Format(time.RFC3339))
	}
	return timestamppb.New(t.AsTime().Truncate(time.Millisecond)), nil
}

func checkTime(name string, t *timestamppb.Timestamp) error {
	if t != nil && t.CheckValid() != nil {
		return invalid("%s must lie in the years 1 to 9999", name)
	}
	return nil
}
