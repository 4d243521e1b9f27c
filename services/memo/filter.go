package memo

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// filter is what a memo must be to be found, besides containing the words of the query.
type filter struct {
	account        int64
	types          []label // any of
	categories     []label // all of
	projects       []label // any of
	times          []timeBound
	includeDeleted bool
	isPublic       *bool // nil for both
}

// timeBound is a condition on one of the time columns.
type timeBound struct {
	condition string
	millis    int64
}

func filterFrom(account int64, req *memov1.SearchMemosRequest) (filter, error) {
	f := filter{account: account, includeDeleted: req.GetIncludeDeleted(), isPublic: req.IsPublic}
	for _, s := range req.GetMemoTypes() {
		f.types = append(f.types, label{labelType, s, s})
	}
	var err error
	if f.categories, err = labelsFrom(fieldCategories, labelCategory, req.GetCategories()); err != nil {
		return filter{}, err
	}
	if f.projects, err = labelsFrom(fieldProjects, labelProject, req.GetProjects()); err != nil {
		return filter{}, err
	}
	for _, b := range []struct {
		name, condition string
		time            *timestamppb.Timestamp
	}{
		{"created_after", "create_time >= ?", req.GetCreatedAfter()},
		{"created_before", "create_time < ?", req.GetCreatedBefore()},
		{"updated_after", "update_time >= ?", req.GetUpdatedAfter()},
		{"updated_before", "update_time < ?", req.GetUpdatedBefore()},
	} {
		if err := checkTime(b.name, b.time); err != nil {
			return filter{}, err
		}
		if b.time != nil {
			f.times = append(f.times, timeBound{b.condition, ceilMillis(b.time.AsTime())})
		}
	}
	return f, nil
}

// ceilMillis is the first whole millisecond that is not before t: comparing with it is comparing with t, for times that are
// whole milliseconds.
func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

func labelsFrom(name, kind string, names []string) ([]label, error) {
	names, err := checkNames(name, names)
	if err != nil {
		return nil, err
	}
	var out []label
	for _, s := range names {
		out = append(out, label{kind, nameKey(s), s})
	}
	return out, nil
}

// lists is the filter's labels as match wants them: at least one of each list.
func (f filter) lists() [][]label {
	var out [][]label
	for _, l := range f.categories {
		out = append(out, []label{l})
	}
	for _, list := range [][]label{f.types, f.projects} {
		if len(list) > 0 {
			out = append(out, list)
		}
	}
	return out
}

// clause is a part of a WHERE clause with the values of its placeholders.
type clause struct {
	sql  strings.Builder
	args []any
}

func (c *clause) and(condition string, args ...any) {
	if c.sql.Len() > 0 {
		c.sql.WriteString(" AND ")
	}
	c.sql.WriteString(condition)
	c.args = append(c.args, args...)
}

// rows adds the conditions on the account, the times, the trash and who may read, for a table with these columns.
func (f filter) rows(c *clause, table string) {
	c.and(table+".account = ?", f.account)
	if !f.includeDeleted {
		c.and(table + ".delete_time IS NULL")
	}
	if f.isPublic != nil {
		c.and(table+".is_public = ?", *f.isPublic)
	}
	for _, b := range f.times {
		c.and(table+"."+b.condition, b.millis)
	}
}

// newest is the query for the memos that the filter lets through, newest first, after a place when there is one. A category
// or, failing that, a single project decides which rows are visited at all.
func (f filter) newest(after *cursor, limit int) (string, []any) {
	columns := selectRow[:strings.Index(selectRow, " FROM")]
	return f.newestOf(strings.ReplaceAll(strings.Replace(columns, "SELECT ", "SELECT m.", 1), ", ", ", m."), "", after, limit)
}

// newestOf is newest with a selection of its own, of m, which is memos, and what is joined to it.
func (f filter) newestOf(selection, join string, after *cursor, limit int) (string, []any) {
	var c clause
	from, order := "memos m", "m"
	rest := f.categories
	var driver *label
	switch {
	case len(f.categories) > 0:
		driver, rest = &f.categories[0], f.categories[1:]
	case len(f.projects) == 1:
		driver = &f.projects[0]
	}
	if driver != nil {
		from, order = "memo_labels o CROSS JOIN memos m ON m.id = o.id", "o"
		c.and("o.account = ? AND o.kind = ? AND o.key = ?", f.account, driver.kind, driver.key)
	}
	f.rows(&c, "m")
	for _, l := range rest {
		c.and("EXISTS ("+hasLabel+" = ?)", l.kind, l.key)
	}
	if len(f.projects) > 0 && driver != &f.projects[0] {
		var keys []any
		for _, l := range f.projects {
			keys = append(keys, l.key)
		}
		c.and("EXISTS ("+hasLabel+" IN (?"+strings.Repeat(", ?", len(keys)-1)+"))", append([]any{labelProject}, keys...)...)
	}
	if len(f.types) > 0 {
		condition := "instr(char(10) || m.memo_types || char(10), char(10) || ? || char(10))"
		var keys []any
		for _, l := range f.types {
			keys = append(keys, l.key)
		}
		c.and("("+condition+strings.Repeat(" OR "+condition, len(keys)-1)+")", keys...)
	}
	if after != nil {
		c.and(fmt.Sprintf("(%s.create_time, %s.id) < (?, ?)", order, order), after.Time, after.ID)
	}
	return fmt.Sprintf("%s FROM %s %s WHERE %s ORDER BY %s.create_time DESC, %s.id DESC LIMIT %d", selection, from, join, c.sql.String(), order, order, limit), c.args
}

// hasLabel lacks the end of its condition on the key.
const hasLabel = "SELECT 1 FROM memo_labels l WHERE l.account = m.account AND l.create_time = m.create_time AND l.id = m.id AND l.kind = ? AND l.key"

// onRows says whether the filter needs more of a memo than its account and the index.
func (f filter) onRows() bool { return f.isPublic != nil || len(f.times) > 0 }
