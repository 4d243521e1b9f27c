package web

import "strings"

// The parser takes time that grows with the square of three things, and anyone may ask for a public memo. So these are
// bounded, far above what people write, and together keep a text of 200 000 characters to a fraction of a second.
const (
	// maxMarks is how many marks that may begin or end a link or an emphasis one paragraph may have.
	maxMarks = 1000
	// maxNesting is how many block quotes and list items may begin on one line.
	maxNesting = 32
	// maxCells is how many cells the tables may have: each row gets as many as the first, however short it is written.
	maxCells = 50_000
)

// tooDear says whether a text exceeds the bounds. It looks at lines alone and takes some texts for worse than they are, none
// for better: what lies between two blank lines is at least a paragraph, and at least a table.
func tooDear(source string) bool {
	marks, lines, columns, cells := 0, 0, 0, 0
	for line := range strings.Lines(source) {
		if strings.Trim(line, " \t\r\n") == "" {
			marks, lines, columns = 0, 0, 0
			continue
		}
		if startsItem(line) {
			marks = 0
		}
		marks += marksIn(line)
		if n := strings.Count(line, "|") + 1; n > 1 || columns > 0 {
			lines++
			cells += max(n, columns)
			if n > columns {
				cells += (n - columns) * (lines - 1)
				columns = n
			}
		}
		if marks > maxMarks || cells > maxCells || nesting(line) > maxNesting {
			return true
		}
	}
	return false
}

// startsItem says whether a line begins a list item, whatever is before it: up to three spaces, a bullet, and a text. One
// bullet more than that would be a rule, which ends a paragraph too.
func startsItem(line string) bool {
	rest := strings.TrimLeft(line, " ")
	const indented = 4
	return len(line)-len(rest) < indented && len(rest) > 2 && strings.ContainsRune("-+*", rune(rest[0])) && rest[1] == ' ' &&
		strings.Trim(rest[2:], " \t\r\n") != ""
}

// marksIn counts brackets and the marks of emphasis; an underscore within a word is none.
func marksIn(line string) int {
	n := 0
	for i := range len(line) {
		switch line[i] {
		case '[', '*':
			n++
		case '_':
			if i == 0 || i == len(line)-1 || !isWord(line[i-1]) || !isWord(line[i+1]) {
				n++
			}
		}
	}
	return n
}

func isWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// nesting counts the marks of block quotes and list items at the beginning of a line.
func nesting(line string) int {
	n := 0
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '>' || b == '-' || b == '+' || b == '*' || b == '.' || b == ')':
			n++
		case b == ' ' || b == '\t' || '0' <= b && b <= '9':
		default:
			return n
		}
	}
	return n
}
