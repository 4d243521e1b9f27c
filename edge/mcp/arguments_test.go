package mcp_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/edge/mcp"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestBadArguments pins what a model reads when it calls a tool wrongly.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	const searchTakes = "query, ids, categories, memo_types, projects, created_after, created_before, updated_after, updated_before, include_deleted, page_size, page_token, is_public"
	const draftTakes = "title, body, summary, memo_types, categories, projects, create_time"
	tests := []struct{ name, tool, arguments, want string }{
		{"unknown", "search_memo", `{"qery":"x"}`, "unknown argument qery; known are " + searchTakes},
		{"unknown by its case", "search_memo", `{"Query":"x"}`, "unknown argument Query; known are " + searchTakes},
		{"unknown and endless", "search_memo", `{"` + strings.Repeat("x", 1000) + `":1}`, "unknown argument " + strings.Repeat("x", 64) + "…; known are " + searchTakes},
		{"unknown where nothing is known", "get_capture_policy", `{"all":true}`, "unknown argument all: this tool takes no arguments"},
		{"unknown in an item", "create_memos", `{"memos":[{"title":"a"},{"title":"a","tags":[]}]}`, "unknown argument memos[1].tags; known are " + draftTakes},
		{"hidden", "update_memo", `{"id":"m","update_mask":"title"}`, "unknown argument update_mask; known are id, etag, title, body, summary, memo_types, categories, projects, from_revision"},
		{"twice", "search_memo", `{"query":"a","query":"b"}`, "query is given twice; give it once"},
		{"twice in an item", "create_memos", `{"memos":[{"title":"a","title":"b"}]}`, "memos[0].title is given twice; give it once"},
		{"null", "search_memo", `{"query":null}`, "query must be a string, not null"},
		{"number for a string", "search_memo", `{"query":5}`, "query must be a string, not a number"},
		{"string for a boolean", "search_memo", `{"include_deleted":"true"}`, "include_deleted must be true or false, not a string"},
		{"string for a number", "search_memo", `{"page_size":"5"}`, "page_size must be a whole number, not a string"},
		{"fraction", "search_memo", `{"page_size":1.5}`, "page_size must be a whole number, not 1.5"},
		{"too large for the field", "search_memo", `{"page_size":3000000000}`, "page_size must be between -2147483648 and 2147483647"},
		{"too large for anything", "search_memo", `{"page_size":1e999}`, "page_size must be a whole number, not 1e999"},
		{"string for a list", "search_memo", `{"ids":"memo_1"}`, "ids must be a list, not a string"},
		{"object in a list of strings", "search_memo", `{"ids":["a",{}]}`, "ids[1] must be a string, not an object"},
		{"string in a list of objects", "create_memos", `{"memos":["title"]}`, "memos[0] must be an object, not a string"},
		{"date without time", "search_memo", `{"created_after":"2026-01-31"}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z"},
		{"time without zone", "search_memo", `{"created_after":"2026-01-31T09:00:00"}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z"},
		{"number for a time", "search_memo", `{"created_after":1769817600}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z, not a number"},
		{"time before the first year", "search_memo", `{"created_after":"0000-01-01T00:00:00Z"}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z"},
		{"hour of one digit", "search_memo", `{"created_after":"2026-01-31T9:00:00Z"}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z"},
		{"comma in a time", "search_memo", `{"created_after":"2026-01-31T09:00:00,5Z"}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z"},
		{"zone of a day", "search_memo", `{"created_after":"2026-01-31T09:00:00+24:00"}`, "created_after must be a time with its zone, such as 2026-01-31T09:00:00Z"},
		{"empty word of a list", "list_pending_candidates", `{"status":""}`, "status is empty; leave it out, or give one of pending, saved, discarded"},
		{"empty id", "delete_memos", `{"ids":["a",""]}`, "ids[1] is empty"},
		{"required is missing", "update_memo", `{"title":"t"}`, "id is required: The memo's id."},
		{"required is empty", "update_memo", `{"id":"","title":"t"}`, "id is required"},
		{"required list is empty", "create_memos", `{"memos":[]}`, "memos is required"},
		{"too long", "search_memo", `{"query":"` + strings.Repeat("字", 501) + `"}`, "query is 501 characters, at most 500"},
		{"too many", "delete_memos", `{"ids":["a"` + strings.Repeat(`,"a"`, 100) + `]}`, "ids has 101 items, at most 100"},
		{"too large", "search_memo", `{"page_size":101}`, "page_size is 101, at most 100"},
		{"not of the list", "search_memo", `{"memo_types":["note"]}`, `memo_types[0] is "note", must be one of knowledge, decision, operation, principle`},
	}
	st := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := st.send(t, "POST", "/", call("paput_"+test.tool, test.arguments))
			got := resultOf(t, res)
			if res.status != 200 || !got.IsError || got.Structured != nil || got.Content[0].Text != test.want {
				t.Errorf("got %d %s\nwant an error: %s", res.status, res.body, test.want)
			}
		})
	}
}

// TestServiceErrors pins what becomes of the errors of an RPC.
func TestServiceErrors(t *testing.T) {
	t.Parallel()
	const internal = "Something went wrong inside Paput (error err_1). Trying again may help; if not, tell the operator this number."
	tests := map[string]string{
		"invalid_argument":    "the invalid_argument of the service",
		"not_found":           "the not_found of the service",
		"already_exists":      "the already_exists of the service",
		"failed_precondition": "the failed_precondition of the service",
		"aborted":             "the aborted of the service",
		"resource_exhausted":  "the resource_exhausted of the service",
		"permission_denied":   "the permission_denied of the service",
		"deadline_exceeded":   "Paput did not answer in time. The call may still have been carried out: look before you repeat it.",
		"unavailable":         "Paput cannot be reached right now. Try again in a moment (error err_1).",
		"internal":            internal,
		"unknown":             internal,
		"unimplemented":       internal,
		"anything else":       internal,
	}
	for code, want := range tests {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			st := start(t)
			res := st.send(t, "POST", "/", call("paput_search_memo", `{"query":"fail:`+code+`"}`))
			got := resultOf(t, res)
			if !got.IsError || got.Content[0].Text != want {
				t.Errorf("got %s, want an error: %s", res.body, want)
			}
			if logged := strings.Contains(st.log.String(), "error_id=err_1"); logged != strings.Contains(want, "err_1") {
				t.Errorf("logged under its number: %t\n%s", logged, st.log)
			}
		})
	}
	t.Run("a panic", func(t *testing.T) {
		t.Parallel()
		if res := start(t).send(t, "POST", "/", call("paput_search_memo", `{"query":"panic"}`)); resultOf(t, res).Content[0].Text != internal {
			t.Errorf("got %s, want %s", res.body, internal)
		}
	})
}

func TestSlowService(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	s, err := mcp.New(mcp.Config{Services: services(), Client: (&far{}).client(log), Now: time.Now, Log: log, CallTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler(mcp.HTTPConfig{PublicURL: "http://localhost:8080"})
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(call("paput_search_memo", `{"query":"wait:1h"}`)))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", "Bearer "+aliceToken)
	h.ServeHTTP(w, r)
	got := resultOf(t, reply{status: w.Code, body: w.Body.String()})
	if want := "Paput did not answer in time. The call may still have been carried out: look before you repeat it."; !got.IsError || got.Content[0].Text != want {
		t.Errorf("got %s, want an error: %s", w.Body, want)
	}
}

func TestArgumentsReachTheService(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, arguments string
		mask            []string
		want            func(*memov1.UpdateMemoRequest) bool
	}{
		{
			"what is present is changed", `{"id":"m","etag":"e","title":"\u3042\n\"\ud83d\ude00","categories":[]}`, []string{"categories", "title"},
			func(r *memov1.UpdateMemoRequest) bool {
				return r.GetTitle() == "あ\n\"😀" && r.GetEtag() == "e" && len(r.GetCategories()) == 0
			},
		},
		{
			"empty is present", `{ "body" : "" , "id" : "m" , "memo_types" : [ "decision" , "principle" ] }`, []string{"body", "memo_types"},
			func(r *memov1.UpdateMemoRequest) bool {
				return slices.Equal(r.GetMemoTypes(), []string{"decision", "principle"})
			},
		},
		{"nothing is changed", `{"id":"m"}`, nil, func(r *memov1.UpdateMemoRequest) bool { return r.GetId() == "m" && r.UpdateMask != nil }},
		{"a lone surrogate", `{"id":"m","title":"\ud800"}`, []string{"title"}, func(r *memov1.UpdateMemoRequest) bool { return r.GetTitle() == "\uFFFD" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			st := start(t)
			if res := st.send(t, "POST", "/", call("paput_update_memo", test.arguments)); resultOf(t, res).IsError {
				t.Fatal(res.body)
			}
			got := <-st.updated
			paths := slices.Sorted(slices.Values(got.GetUpdateMask().GetPaths()))
			if !slices.Equal(paths, test.mask) || !test.want(got) {
				t.Errorf("got %v, want the mask %v", got, test.mask)
			}
		})
	}
}

// TestPresentInItems checks that what is present in an item of a list is named in that item.
func TestPresentInItems(t *testing.T) {
	t.Parallel()
	st := start(t)
	if res := st.send(t, "POST", "/", call("paput_save_pending_candidates", `{"candidates":[{"id":"a"},{"id":"b","summary":"","title":"題"},{"title":""}]}`)); resultOf(t, res).IsError {
		t.Fatal(res.body)
	}
	got := (<-st.saved).GetCandidates()
	for i, want := range [][]string{nil, {"summary", "title"}, {"title"}} {
		if paths := slices.Sorted(slices.Values(got[i].GetUpdateMask().GetPaths())); !slices.Equal(paths, want) {
			t.Errorf("item %d: got the mask %v, want %v", i, paths, want)
		}
	}
}

func TestNumbersAndTimes(t *testing.T) {
	t.Parallel()
	st := start(t)
	for _, arguments := range []string{
		`{"page_size":20}`, `{"page_size":20.0}`, `{"page_size":2e1}`, `{"created_after":"2026-01-31t09:00:00.123456789z"}`,
		`{"created_after":"` + time.Unix(0, 0).Format(time.RFC3339) + `"}`, `{"include_deleted":false}`,
	} {
		if res := st.send(t, "POST", "/", call("paput_search_memo", arguments)); resultOf(t, res).IsError {
			t.Errorf("%s: got %s, want it taken", arguments, res.body)
		}
	}
}
