package memo

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func day(n int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC))
}

// TestFilters runs every filter alone, together, and with a query.
func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(
		t, "alice",
		&memov1.MemoDraft{Title: "語 a", CreateTime: day(1), MemoTypes: []string{"decision"}, Categories: []string{"Go", "設計"}, Projects: []string{"p1"}},
		&memov1.MemoDraft{Title: "語 b", CreateTime: day(2), MemoTypes: []string{"knowledge"}, Categories: []string{"go"}, Projects: []string{"p2", "p1"}},
		&memov1.MemoDraft{Title: "語 c", CreateTime: day(3), MemoTypes: []string{"knowledge", "operation"}, Categories: []string{"設計"}},
		&memov1.MemoDraft{Title: "語 d", CreateTime: day(4)},
	)
	w.clock.advance(time.Hour)
	res, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[1], Body: "changed"})
	if err != nil {
		t.Fatal(err)
	}
	changed := res.GetMemo().GetUpdateTime()
	tests := []struct {
		name string
		req  *memov1.SearchMemosRequest
		want string
	}{
		{"none", &memov1.SearchMemosRequest{}, "dcba"},
		{"a category, whatever its spelling", &memov1.SearchMemosRequest{Categories: []string{"ＧＯ"}}, "ba"},
		{"all of two categories", &memov1.SearchMemosRequest{Categories: []string{"go", "設計"}}, "a"},
		{"a type", &memov1.SearchMemosRequest{MemoTypes: []string{"knowledge"}}, "cb"},
		{"any of two types", &memov1.SearchMemosRequest{MemoTypes: []string{"decision", "operation"}}, "ca"},
		{"a project", &memov1.SearchMemosRequest{Projects: []string{"P2"}}, "b"},
		{"any of two projects", &memov1.SearchMemosRequest{Projects: []string{"p2", "p1", "p3"}}, "ba"},
		{"created after", &memov1.SearchMemosRequest{CreatedAfter: day(3)}, "dc"},
		{"created before", &memov1.SearchMemosRequest{CreatedBefore: day(3)}, "ba"},
		{"created between", &memov1.SearchMemosRequest{CreatedAfter: day(2), CreatedBefore: day(4)}, "cb"},
		{"updated after", &memov1.SearchMemosRequest{UpdatedAfter: changed}, "b"},
		{"updated before", &memov1.SearchMemosRequest{UpdatedBefore: changed}, "dca"},
		{"a part of a millisecond later", &memov1.SearchMemosRequest{UpdatedAfter: timestamppb.New(changed.AsTime().Add(1))}, ""},
		{"everything", &memov1.SearchMemosRequest{
			Categories: []string{"Go"}, MemoTypes: []string{"knowledge"}, Projects: []string{"p1", "x"}, CreatedAfter: day(1), UpdatedAfter: changed, IncludeDeleted: true,
		}, "b"},
		{"a category and one project", &memov1.SearchMemosRequest{Categories: []string{"Go"}, Projects: []string{"p2"}}, "b"},
		{"an unknown category", &memov1.SearchMemosRequest{Categories: []string{"x"}}, ""},
	}
	for _, tt := range tests {
		for _, query := range []string{"", "語"} {
			tt.req.Query = query
			got := ""
			res, err := w.SearchMemos(as(t, "alice"), tt.req)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			for _, e := range res.GetEntries() {
				got += strings.TrimPrefix(e.GetTitle(), "語 ")
			}
			if want := map[string]string{"": modeFilter, "語": modeKeyword}[query]; res.GetSearchMode() != want {
				t.Errorf("%s: got search mode %q, want %q", tt.name, res.GetSearchMode(), want)
			}
			if query != "" { // equally good but for their lengths: compare as sets
				got, tt.want = sorted(got), sorted(tt.want)
			}
			if got != tt.want {
				t.Errorf("%s with query %q: got %q, want %q", tt.name, query, got, tt.want)
			}
		}
	}
	for text, req := range map[string]*memov1.SearchMemosRequest{
		"memo_types[0]":          {MemoTypes: []string{"opinion"}},
		"categories[0] is empty": {Categories: []string{" "}},
		"projects[0] must be":    {Projects: []string{"a\nb"}},
		"created_after must lie": {CreatedAfter: &timestamppb.Timestamp{Seconds: 1 << 60}},
		"page_size is 101":       {PageSize: 101},
		"query is 501":           {Query: strings.Repeat("あ", 501)},
		"ids reads the memos":    {Ids: ids, Query: "語"},
		"leave out ids":          {Ids: ids, IncludeDeleted: true},
		"ids has 101 items":      {Ids: slices.Repeat(ids[:1], 101)},
		"is not one that was":    {PageToken: "!"},
		"not one that was given": {PageToken: base64.RawURLEncoding.EncodeToString([]byte("[1]"))},
		"belongs to other":       {PageToken: base64.RawURLEncoding.EncodeToString([]byte("{}"))},
	} {
		_, err := w.SearchMemos(as(t, "alice"), req)
		wantCode(t, err, connect.CodeInvalidArgument, text)
	}
}

func sorted(s string) string {
	r := []rune(s)
	slices.Sort(r)
	return string(r)
}

func TestReadByID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("a", "本文 a"), draftOf("b", "本文 b"), draftOf("c", "本文 c"))
	res, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Ids: []string{ids[2], "memo_x", ids[0], ids[2], `"]`}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range res.GetMemos() {
		got = append(got, m.GetBody())
	}
	if !slices.Equal(got, []string{"本文 c", "本文 a"}) || !slices.Equal(res.GetMissingIds(), []string{"memo_x", `"]`}) {
		t.Errorf("got bodies %q, missing %q", got, res.GetMissingIds())
	}
}

// TestReadInParts reads more text than one answer has.
func TestReadInParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("長", 200_000) // 600 kB
	ids := w.create(t, "alice", draftOf("a", long), draftOf("b", long), draftOf("c", "短い"), draftOf("d", long))
	w.create(t, "bob", draftOf("e", ""))
	wanted, got := append([]string{"memo_x"}, ids...), []string(nil)
	calls := 0
	for ; len(wanted) > 0; calls++ {
		res, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Ids: wanted})
		if err != nil || calls > 2 {
			t.Fatalf("call %d: %v", calls, err)
		}
		for _, m := range res.GetMemos() {
			got = append(got, m.GetId())
		}
		if calls == 0 && !slices.Equal(res.GetMissingIds(), wanted[:1]) {
			t.Errorf("missing %v, want %v", res.GetMissingIds(), wanted[:1])
		}
		wanted = res.GetRestIds()
		if (len(wanted) > 0) != strings.Contains(res.GetHint(), "rest_ids") {
			t.Errorf("%d are left, hint %q", len(wanted), res.GetHint())
		}
	}
	if !slices.Equal(got, ids) || calls != 3 { // a; b and c; d
		t.Errorf("got %v in %d calls, want %v in 3", got, calls, ids)
	}
}

// TestOddQueries looks for what has no words, too many or strange ones, through the whole of a search.
func TestOddQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	words := make([]string, 40)
	for i := range words {
		words[i] = fmt.Sprintf("w%c%c", 'a'+i/26, 'a'+i%26)
	}
	ids := w.create(
		t, "alice",
		draftOf("鍵", strings.Join(words, " ")),
		draftOf("🚀 ロケット", "打ち上げ 👨‍👩‍👧"),
		draftOf("cafe\u0301", "ガ"),
	)
	tests := []struct {
		name, query string
		want        []string
	}{
		{"one character", "鍵", ids[:1]},
		{"one character that no memo has", "錠", nil},
		{"forty words", strings.Join(words, " "), ids[:1]},
		{"the most that a query may have", strings.Repeat(words[0]+" ", 125), ids[:1]},
		{"a long run that no memo has", strings.Repeat("漢", 500), nil},
		{"emoji", "🚀", ids[1:2]},
		{"a family of emoji", "👨‍👩‍👧", ids[1:2]},
		{"another emoji", "🛰", nil},
		{"a composed mark", "café", ids[2:]},
		{"a letter without its mark", "cafe", nil},
		{"half-width with a mark of its own", "ｶﾞ", ids[2:]},
		{"a mark alone", "\u0301", nil},
		{"punctuation", "。、!?…", nil},
		{"what FTS5 takes for syntax", `"*" NEAR( ) ^ : -`, nil},
		{"zero bytes and controls", "\x00\x01\x7f", nil},
	}
	for _, tt := range tests {
		if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: tt.query}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// pages follows the page tokens to the end, and calls between after every page.
func (w *world) pages(tb testing.TB, req *memov1.SearchMemosRequest, between func()) []string {
	tb.Helper()
	var ids []string
	for {
		res, err := w.SearchMemos(as(tb, "alice"), req)
		if err != nil {
			tb.Fatal(err)
		}
		if len(res.GetEntries()) > int(req.GetPageSize()) {
			tb.Fatalf("a page of %d entries, at most %d", len(res.GetEntries()), req.GetPageSize())
		}
		ids = append(ids, idsOf(res)...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return ids
		}
		if len(ids) > 5000 {
			tb.Fatal("the pages do not end")
		}
		between()
	}
}

// TestPagesAreStable reads lists of more memos than are ranked while others are written: no memo is missed or given twice.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	const n = 2*maxCandidates + 90
	for _, tt := range []struct {
		name string
		req  *memov1.SearchMemosRequest
		mine func(i int) bool
	}{
		{"newest first", &memov1.SearchMemosRequest{PageSize: 37}, func(int) bool { return true }},
		{"of a category", &memov1.SearchMemosRequest{PageSize: 7, Categories: []string{"三"}}, func(i int) bool { return i%3 == 0 }},
		{"common words", &memov1.SearchMemosRequest{PageSize: 41, Query: "共通"}, func(int) bool { return true }},
		{"two common words", &memov1.SearchMemosRequest{PageSize: 100, Query: "共通 本文"}, func(int) bool { return true }},
		{"common words of a category", &memov1.SearchMemosRequest{PageSize: 10, Query: "共通", Categories: []string{"三"}}, func(i int) bool { return i%3 == 0 }},
		{"words that few have in the title", &memov1.SearchMemosRequest{PageSize: 30, Query: "稀な"}, func(i int) bool { return i%2 == 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var drafts []*memov1.MemoDraft
			for i := range n {
				d := draftOf(fmt.Sprintf("題 %d", i), "共通の本文"+strings.Repeat("。共通", i%5))
				if i%2 == 0 {
					d.Body += " 稀な"
				}
				if i%20 == 0 {
					d.Title += " 稀な"
				}
				if i%3 == 0 {
					d.Categories = []string{"三"}
				}
				d.CreateTime = day(1 + i%25) // many at the same time
				drafts = append(drafts, d)
			}
			var all []string
			for chunk := range slices.Chunk(drafts, 100) {
				all = append(all, w.create(t, "alice", chunk...)...)
			}
			var want []string
			for i, id := range all {
				if tt.mine(i) {
					want = append(want, id)
				}
			}
			late := 0
			got := w.pages(t, tt.req, func() {
				late++
				d := draftOf("題 稀な", "共通の本文 稀な")
				d.Categories = []string{"三"}
				d.CreateTime = timestamppb.New(w.clock.now().Add(time.Hour))
				w.create(t, "alice", d)
			})
			if late == 0 {
				t.Fatal("there was one page only")
			}
			seen := slices.Compact(slices.Sorted(slices.Values(got)))
			if len(seen) != len(got) {
				t.Errorf("%d of %d entries were given twice", len(got)-len(seen), len(got))
			}
			if !slices.Equal(seen, slices.Sorted(slices.Values(want))) {
				t.Errorf("got %d memos, want %d", len(seen), len(want))
			}
		})
	}
}

func TestRanking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(
		t, "alice",
		draftOf("認証基盤の移行", "手順を書く。"),
		&memov1.MemoDraft{Title: "手順", Summary: "認証の話", Body: "他のこと。"},
		draftOf("手順", "認証について。認証とは認証である。"),
		draftOf("手順", "認証について。"+strings.Repeat("関係のない長い話。", 200)),
	)
	res, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: "認証"})
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(res); !slices.Equal(got, ids) {
		t.Errorf("title, summary, often in the body, once in a long body: got %v, want %v", got, ids)
	}
	last := res.GetEntries()[0].GetScore()
	for _, e := range res.GetEntries() {
		if e.GetScore() > last || e.GetScore() <= 0 || e.GetSnippet() == "" {
			t.Errorf("got score %v after %v, snippet %q", e.GetScore(), last, e.GetSnippet())
		}
		last = e.GetScore()
	}
	// Among thousands that have the word, those with it in the title are still first.
	var drafts []*memov1.MemoDraft
	for range 3 * maxCandidates {
		drafts = append(drafts, draftOf("別の題", "認証と書いてある"))
	}
	for chunk := range slices.Chunk(drafts, 100) {
		w.create(t, "alice", chunk...)
	}
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: "認証"}); got[0] != ids[0] {
		t.Errorf("got %v first, want the memo with the word in its title, %s", got[0], ids[0])
	}
}

// TestRareWordsCountMore looks for a common and a rare word, each in the title of one memo.
func TestRareWordsCountMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("題名", "共通")}, 90)...)
	ids := w.create(t, "alice", draftOf("希少", "共通"), draftOf("共通", "希少"))
	if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: "共通 希少"}); !slices.Equal(got, ids) {
		t.Errorf("got %v, want first the one with the rare word in its title, %v", got, ids)
	}
}

// TestPageTokensBelongToTheirArguments uses tokens where they do not belong.
func TestPageTokensBelongToTheirArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, "alice", draftOf("a 語", ""), draftOf("b 語", ""), draftOf("c 語", ""))
	token := func(req *memov1.SearchMemosRequest) string {
		res, err := w.SearchMemos(as(t, "alice"), req)
		if err != nil || res.GetNextPageToken() == "" {
			t.Fatalf("got %v, %v, want another page", res, err)
		}
		return res.GetNextPageToken()
	}
	newest := token(&memov1.SearchMemosRequest{PageSize: 1})
	_, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{PageSize: 1, Query: "語", PageToken: newest})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
	_, err = w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{PageSize: 1, IncludeDeleted: true, PageToken: newest})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
	res, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{PageSize: 50, PageToken: newest})
	if err != nil || len(res.GetEntries()) != 2 {
		t.Errorf("another page size: got %v, %v, want the other two", res, err)
	}
}

// TestSearchesWaitTheirTurn occupies every place that searches have.
func TestSearchesWaitTheirTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, "alice", &memov1.MemoDraft{Title: "turn"})
	for range cap(w.service.searches) {
		w.service.searches <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(as(t, "alice"), 50*time.Millisecond)
	defer cancel()
	if _, err := w.SearchMemos(ctx, &memov1.SearchMemosRequest{Query: "turn"}); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Fatalf("with no place: got %v, want to wait until the caller gives up", err)
	}
	<-w.service.searches
	for range 2 { // a search gives its place back
		ctx, cancel := context.WithTimeout(as(t, "alice"), time.Minute)
		defer cancel()
		if res, err := w.SearchMemos(ctx, &memov1.SearchMemosRequest{Query: "turn"}); err != nil || len(res.GetEntries()) != 1 {
			t.Fatalf("with one place: got %v, %v", res, err)
		}
	}
}
