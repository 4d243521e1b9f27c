package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxFileName is how many bytes of a title a file's name has at most. Systems allow 255 for all of a name, and some count
// the whole path.
const maxFileName = 120

// fileNames gives each memo's Markdown file a name of its own, on file systems too that tell no case or composition apart.
type fileNames struct{ used map[string]int }

// name is the title, as far as it can be a name on every system, with a number behind it when another has it.
func (n *fileNames) name(title string) string {
	if n.used == nil {
		n.used = map[string]int{}
	}
	base := fileName(title)
	for {
		key := strings.ToUpper(strings.ToLower(base))
		n.used[key]++
		if n.used[key] == 1 {
			return base + ".md"
		}
		// The numbered name may itself be a title: it is looked up as well.
		base = fmt.Sprintf("%s (%d)", fileName(title), n.used[key])
	}
}

// fileName makes a title a name that Windows, macOS and Linux take.
func fileName(title string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`<>:"/\|?*`, r):
			return '-'
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != '\u200d':
			return -1
		}
		return r
	}, norm.NFC.String(title))
	s = strings.Join(strings.Fields(s), " ")
	for len(s) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	// A dot in front hides a file, and one behind is lost on Windows.
	s = strings.TrimRight(strings.TrimLeft(s, ". "), ". ")
	if s == "" {
		return "memo"
	}
	if isReserved(s) {
		return "_" + s
	}
	return s
}

// isReserved says whether Windows takes a name for that of a device, whatever follows a dot.
func isReserved(name string) bool {
	name, _, _ = strings.Cut(strings.ToUpper(name), ".")
	switch name = strings.TrimSpace(name); name {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, isPort := strings.CutPrefix(name, "COM")
	if !isPort {
		port, isPort = strings.CutPrefix(name, "LPT")
	}
	return isPort && utf8.RuneCountInString(port) == 1 && strings.ContainsAny(port, "0123456789¹²³")
}
