package mcp

import (
	"encoding/json"
	"unicode/utf8"
)

// The functions here walk JSON text that json.Valid has accepted, so they never meet a syntax error: the transport checks
// a body once and everything after it reads slices of that body. On other text the result is arbitrary, but they stay in
// bounds.

// skipSpace returns the index of the first byte at or after i that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// skipWord returns the index after the number, true, false or null that begins at i.
func skipWord(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ' ', '\n', '\t', '\r', ',', ':', ']', '}':
			return i
		}
	}
	return len(b)
}

// skipValue returns the index after the value that begins at i. It does not recurse, so depth costs nothing.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ' ', '\n', '\t', '\r', ',', ':':
			i++
			continue
		default:
			i = skipWord(b, i)
		}
		if depth <= 0 {
			return i
		}
	}
	return len(b)
}

// eachMember calls f with each member of the object, in order, and stops at the first error. The name is unquoted; the
// value is a slice of object.
func eachMember(object []byte, f func(name, value []byte) error) error {
	i := skipSpace(object, 0) + 1
	for {
		i = skipSpace(object, i)
		if i >= len(object) || object[i] == '}' {
			return nil
		}
		if object[i] == ',' {
			i++
			continue
		}
		end := skipString(object, i)
		name := unquoteBytes(object[i:end])
		start := skipSpace(object, skipSpace(object, end)+1)
		i = skipValue(object, start)
		if err := f(name, object[min(start, i):i]); err != nil {
			return err
		}
	}
}

// eachElement calls f with each element of the array, in order, and stops at the first error. The value is a slice of
// array.
func eachElement(array []byte, f func(n int, value []byte) error) error {
	i := skipSpace(array, 0) + 1
	for n := 0; ; {
		i = skipSpace(array, i)
		if i >= len(array) || array[i] == ']' {
			return nil
		}
		if array[i] == ',' {
			i++
			continue
		}
		end := skipValue(array, i)
		if err := f(n, array[i:end]); err != nil {
			return err
		}
		i, n = end, n+1
	}
}

// unquoteBytes returns what the quoted string says; without an escape in it, as a slice of it.
func unquoteBytes(quoted []byte) []byte {
	for _, c := range quoted {
		if c == '\\' {
			return []byte(unquote(quoted))
		}
	}
	if len(quoted) < 2 {
		return nil
	}
	return quoted[1 : len(quoted)-1]
}

// unquote returns what the quoted string says. A lone surrogate becomes U+FFFD.
func unquote(quoted []byte) string {
	for _, c := range quoted {
		if c != '\\' {
			continue
		}
		var s string
		if err := json.Unmarshal(quoted, &s); err != nil {
			return ""
		}
		return s
	}
	if len(quoted) < 2 {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// describe names the JSON type of a value in words that fit after "not".
func describe(value []byte) string {
	if len(value) == 0 {
		return "nothing"
	}
	switch value[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

func isBoolean(value []byte) bool {
	return len(value) > 0 && (value[0] == 't' || value[0] == 'f')
}

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }
func isArray(value []byte) bool  { return len(value) > 0 && value[0] == '[' }
func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }
func isNull(value []byte) bool   { return len(value) > 0 && value[0] == 'n' }

func isNumber(value []byte) bool {
	return len(value) > 0 && (value[0] == '-' || '0' <= value[0] && value[0] <= '9')
}

// appendQuoted appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}
