package account

import (
	"net/url"
	"strings"
)

// maxNext bounds the length of a path to go on to; an authorization request fits in easily.
const maxNext = 16 << 10

// localPath returns a path on this server to which a browser may be sent, with its query, in normal form; "" when s is
// anything else. No browser must understand the result as another host, so it is strict: no doubled slash, no backslash,
// no control or other character outside printable ASCII, not even percent-encoded in the path.
func localPath(s string) string {
	if len(s) > maxNext || !strings.HasPrefix(s, "/") || !printable(s) || strings.ContainsAny(s, `\ `) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	if !strings.HasPrefix(u.Path, "/") || strings.Contains(u.Path, "//") || strings.Contains(u.Path, `\`) || !printable(u.Path) {
		return ""
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return ""
		}
	}
	normal := url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return normal.String()
}

// printable says whether s is printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
