//go:build !race

package memo

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	_ "github.com/paput/paput/services/eventlog/sqlite" // has the driver
)

// fts5Engine is FTS5 as one would use it without an engine of one's own: title, summary, body and names of categories as
// columns, ranked by bm25 with the weights that the service gives them. A query asks first for memos with all of its words, each as a phrase, and
// fills the list up with those that have any of the parts that the tokenizer knows: words for unicode61, for trigram every
// three characters of every word.
func fts5Engine(t *testing.T, memos []labelledMemo, tokenizer string) func(string) []string {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1) // one connection is one memory
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`CREATE VIRTUAL TABLE texts USING fts5 (title, summary, body, names, tokenize = '` + tokenizer + `')`); err != nil {
		t.Fatal(err)
	}
	for i, m := range memos {
		if _, err := tx.Exec("INSERT INTO texts (rowid, title, summary, body, names) VALUES (?, ?, ?, ?, ?)", i, m.Title, m.Summary, m.Body, strings.Join(append(m.Categories, m.Projects...), "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	match := func(expression string) []string {
		if expression == "" {
			return nil
		}
		rows, err := db.Query(fmt.Sprintf("SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts, %v, %v, %v, %v) LIMIT ?", titleWeight, summaryWeight, bodyWeight, summaryWeight), expression, depth)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		defer rows.Close()
		var ids []string
		for rows.Next() {
			var i int
			if err := rows.Scan(&i); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, memos[i].ID)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	return func(query string) []string {
		words := strings.Fields(query)
		parts := words
		if tokenizer == "trigram" {
			parts = trigrams(words)
		}
		found := unique(append(match(quoted(words, " AND ")), match(quoted(parts, " OR "))...))
		return found[:min(len(found), depth)]
	}
}

func quoted(words []string, operator string) string {
	var out []string
	for _, s := range words {
		out = append(out, `"`+strings.ReplaceAll(s, `"`, `""`)+`"`)
	}
	return strings.Join(out, operator)
}

func trigrams(words []string) []string {
	const n = 3
	var out []string
	for _, s := range words {
		if utf8.RuneCountInString(s) < n {
			continue
		}
		r := []rune(s)
		for i := range len(r) - n + 1 {
			out = append(out, string(r[i:i+n]))
		}
	}
	return unique(out)
}
