package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// document is a memo as a text that a person edits: front matter, which is YAML of the plainest kind, and the body.
type document struct {
	id, created, updated        string // in an export; empty in what is edited
	title, summary              string
	types, categories, projects []string
	body                        string
}

// fence begins and ends the front matter.
const fence = "---"

func documentOf(m *memov1.Memo) document {
	return document{
		title: m.GetTitle(), summary: m.GetSummary(), body: m.GetBody(),
		types: m.GetMemoTypes(), categories: m.GetCategories(), projects: m.GetProjects(),
	}
}

// String writes the document; parseDocument reads it back.
func (d document) String() string {
	var b strings.Builder
	b.WriteString(fence + "\n")
	for _, field := range [][2]string{{"id", d.id}, {"created", d.created}, {"updated", d.updated}} {
		if field[1] != "" {
			b.WriteString(field[0] + ": " + field[1] + "\n")
		}
	}
	b.WriteString("title: " + scalar(d.title) + "\n")
	edited := d.id == ""
	if edited || d.summary != "" {
		b.WriteString("summary: " + scalar(d.summary) + "\n")
	}
	list := func(name, comment string, values []string) {
		if !edited {
			comment = ""
			if len(values) == 0 {
				return
			}
		}
		b.WriteString(name + ":" + comment + "\n")
		for _, v := range values {
			b.WriteString("  - " + scalar(v) + "\n")
		}
	}
	list("types", " # of knowledge, decision, operation, principle; one a line: \"- decision\"", d.types)
	list("categories", "", d.categories)
	list("projects", "", d.projects)
	b.WriteString(fence + "\n\n")
	if d.body != "" {
		b.WriteString(strings.TrimRight(d.body, "\n") + "\n")
	}
	return b.String()
}

// scalar writes a value so that YAML takes it as that very string.
func scalar(s string) string {
	plain := s == strings.TrimSpace(s) &&
		!strings.ContainsAny(s, "\"'\\\n\r\t#:[]{}&*!|>%@`,") &&
		!strings.HasPrefix(s, "-") && !strings.HasPrefix(s, "?")
	if plain {
		return s
	}
	quoted, err := json.Marshal(s) // a JSON string is a YAML string
	if err != nil {
		return s
	}
	return string(quoted)
}

// parseDocument reads a document. A text without front matter is all body.
func parseDocument(text string) (document, error) { return parseText(text, false) }

// parseForeign reads a document that another program may have written. It passes over what it does not know, and takes tags
// for categories.
func parseForeign(text string) (document, error) { return parseText(text, true) }

func parseText(text string, foreign bool) (document, error) {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	lines := strings.Split(text, "\n")
	end := slices.Index(lines[1:], fence)
	if strings.TrimRight(lines[0], " ") != fence || end < 0 {
		return document{body: text}, nil
	}
	var d document
	head, body := lines[1:end+1], lines[end+2:]
	var open *[]string // the list that a "- item" line belongs to
	for i, line := range head {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || foreign && indented && !strings.HasPrefix(line, "-") {
			continue
		}
		if foreign && strings.HasPrefix(line, "tags:") {
			line = "categories" + strings.TrimPrefix(line, "tags")
		}
		err := d.parseLine(line, &open)
		if foreign && errors.Is(err, errForeign) {
			continue
		}
		if err != nil {
			return document{}, usagef("line %d of the front matter: %s", i+2, err)
		}
	}
	d.body = strings.Trim(strings.Join(body, "\n"), "\n")
	return d, nil
}

// errForeign marks a line that some other program may have a use for.
var errForeign = errors.New("not a field of a memo")

func notOurs(format string, v ...any) error { return problemf(errForeign, format, v...) }

func (d *document) parseLine(line string, open **[]string) error {
	if item, isItem := strings.CutPrefix(line, "-"); isItem {
		if *open == nil {
			return notOurs("%q belongs to no list", line)
		}
		v, err := parseScalar(item)
		if err == nil && v != "" {
			**open = append(**open, v)
		}
		return err
	}
	name, value, isField := strings.Cut(line, ":")
	if !isField {
		return notOurs("%q is not \"name: value\"", line)
	}
	*open = nil
	lists := map[string]*[]string{"types": &d.types, "categories": &d.categories, "projects": &d.projects}
	texts := map[string]*string{"title": &d.title, "summary": &d.summary, "id": &d.id, "created": &d.created, "updated": &d.updated}
	v, err := parseScalar(value)
	switch {
	case texts[name] == nil && lists[name] == nil:
		return notOurs("there is no field %q; the fields are title, summary, types, categories and projects", name)
	case err != nil:
		return err
	case texts[name] != nil:
		*texts[name] = v
		return nil
	default:
		*open = lists[name]
		return parseInline(value, lists[name])
	}
}

// parseInline reads a list that stands behind its name: "a, b" or "[a, b]".
func parseInline(value string, into *[]string) error {
	value = stripComment(value)
	if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
		value = value[1 : len(value)-1]
	}
	for _, item := range strings.Split(value, ",") {
		v, err := parseScalar(item)
		if err != nil {
			return err
		}
		if v != "" {
			*into = append(*into, v)
		}
	}
	return nil
}

func parseScalar(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case strings.HasPrefix(s, `"`):
		var v string
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			return "", fmt.Errorf("%s is not closed or escaped as it should be", s)
		}
		return v, nil
	case len(s) > 1 && strings.HasPrefix(s, "'") && strings.HasSuffix(s, "'"):
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'"), nil
	}
	return stripComment(s), nil
}

// stripComment drops what follows " #".
func stripComment(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "#") {
		return ""
	}
	if i := strings.Index(s, " #"); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	return s
}

// firstHeading takes the "# heading" that a text begins with off it.
func firstHeading(text string) (title, rest string) {
	first, rest, _ := strings.Cut(strings.TrimLeft(text, " \t\n"), "\n")
	title, isHeading := strings.CutPrefix(first, "# ")
	if !isHeading {
		return "", text
	}
	return strings.TrimSpace(title), strings.TrimLeft(rest, "\n")
}
