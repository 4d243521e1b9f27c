package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// printProto prints a response of the server as one line of JSON: names as in the proto files, empty fields included, so
// that a program finds every field it may ask for.
func (a *app) printProto(m proto.Message) error {
	data, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("print the response: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil { // protojson varies its spaces on purpose
		return fmt.Errorf("print the response: %w", err)
	}
	line.WriteByte('\n')
	_, err = line.WriteTo(a.Out)
	return err
}

// printJSON prints a value of this program's own as one line of JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// clean makes a text of someone else's fit for one line of a terminal: no line breaks, and nothing that moves the cursor,
// colours the screen or turns the direction of writing.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) && r != '\u3000' {
			return ' '
		}
		return printable(r)
	}, s))
}

// cleanText does the same for a text of many lines.
func cleanText(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return printable(r)
	}, s)
}

func printable(r rune) rune {
	bidi := r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	if unicode.IsControl(r) || bidi || r == '\u2028' || r == '\u2029' {
		return -1
	}
	return r
}

// terminalWidth counts columns as terminals do: East Asian characters take two, those of ambiguous width one.
func terminalWidth() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// fit cuts a text to a number of columns.
func fit(s string, columns int) string {
	return terminalWidth().Truncate(s, max(columns, 1), "…")
}

// table is what a listing shows: aligned columns on a terminal, one line per row with tabs between the cells otherwise.
type table struct {
	head []string
	rows [][]string
	// below are texts shown under the row of the same index on a terminal, and as its last cell otherwise; nil when the
	// table has none. belowHead is the name of that cell.
	below []string
}

// add adds a row; its cells are cleaned.
func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// write writes the table for an output of so many columns, 0 for no terminal. The last column takes what is left.
func (t *table) write(w io.Writer, columns int) error {
	var b strings.Builder
	if columns == 0 {
		for i, row := range t.rows {
			if t.below != nil {
				row = append(row, clean(t.below[i]))
			}
			b.WriteString(strings.Join(row, "\t") + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	}
	measure := terminalWidth()
	lines := append([][]string{t.head}, t.rows...)
	widths := make([]int, len(t.head))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], measure.StringWidth(cell))
		}
	}
	for i, line := range lines {
		left := columns
		for j, cell := range line[:len(line)-1] {
			b.WriteString(measure.FillRight(cell, widths[j]) + "  ")
			left -= widths[j] + 2
		}
		b.WriteString(strings.TrimRight(fit(line[len(line)-1], left), " ") + "\n")
		if i > 0 && t.below != nil && t.below[i-1] != "" {
			b.WriteString("  " + fit(clean(t.below[i-1]), columns-2) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// date and moment show a time where the person is.
func (a *app) date(t *timestamppb.Timestamp) string { return a.show(t, time.DateOnly) }

func (a *app) moment(t *timestamppb.Timestamp) string { return a.show(t, "2006-01-02 15:04") }

func (a *app) show(t *timestamppb.Timestamp, layout string) string {
	if t == nil {
		return ""
	}
	return t.AsTime().In(a.Now().Location()).Format(layout)
}

// parseTime reads a time that a person typed: a date, a date and a time of day, both where the person is, or RFC 3339.
func (a *app) parseTime(flag, s string) (*timestamppb.Timestamp, error) {
	if s == "" {
		return nil, nil
	}
	if t, ok := a.readTime(s); ok {
		return timestamppb.New(t), nil
	}
	return nil, usagef("--%s %q is not a time; write 2026-01-31, \"2026-01-31 15:04\" or 2026-01-31T15:04:00Z", flag, s)
}

// readTime reads a time in one of the ways in which people and programs write it. One without a zone is where the person is.
func (a *app) readTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, a.Now().Location()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
