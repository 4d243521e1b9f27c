package cli

import (
	"fmt"
	"regexp"
)

// counted is a number of things in words: 1 note, 2 notes.
func counted[N int | int32 | int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// fieldOrQuote is the name of a field in a text of the server's, or words of the person's in it, which are in quotation marks.
var fieldOrQuote = regexp.MustCompile(`“[^”]*”|"[^"]*"|\b[a-z]+(_[a-z]+)+\b`)

// flagsOf are the flags that give the fields of requests, for those whose names differ.
func flagsOf() map[string]string {
	return map[string]string{
		"memo_types": "--type", "include_deleted": "--deleted",
		"created_after": "--since", "created_before": "--until", "updated_after": "--changed-since", "updated_before": "--changed-until",
		"page_size": "--limit", "page_token": "--page", "from_revision": "--revision", "session_id": "--session",
		"add_memo_ids": "--add", "remove_memo_ids": "--remove", "new_only": "--new",
	}
}

// inFlags is a text of the server's, which is written for those who call its RPCs, for a person at the command line.
func inFlags(text string) string {
	flags := flagsOf()
	return fieldOrQuote.ReplaceAllStringFunc(text, func(s string) string {
		if flag, exists := flags[s]; exists {
			return flag
		}
		return s
	})
}
