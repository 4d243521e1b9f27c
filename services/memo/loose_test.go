package memo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestClues(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, want string }{
		{"", ""},
		{"、!?", ""},
		{"認証", "認証 1.00, 認 0.30, 証 0.30"},
		{"鍵の", "鍵の 0.50, 鍵 0.30"},
		{"です", "です 0.10"},
		{"トークン", "とー 0.58, ーく 0.58, くん 0.58"},
		{"キー", "きー 1.00"},
		{"認証を直す", "認証 1.00, 証を 0.50, を直 0.50, 直す 0.50, 認 0.30, 証 0.30, 直 0.30"},
		{"quotas", "quotas 2.00"},
		{"redirect_uri", "redirect_uri 2.00, redirect 1.00, uri 1.00"},
		{"net/http", "net http 2.00, net 1.00, http 1.00"},
		{"🚀 x", "🚀 2.00, x 2.00"},
		{"why did the retries stop", "retries 2.00, stop 2.00"},
		{"to be or not to be", "to 0.05, be 0.05, or 0.05, not 0.05"},
	}
	for _, tt := range tests {
		var got []string
		clues, _ := cluesOf(tt.query)
		for _, c := range clues {
			got = append(got, fmt.Sprintf("%s %.2f", strings.Join(c.phrases[0], " "), c.weight))
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("clues of %q: got %s, want %s", tt.query, s, tt.want)
		}
	}
	if got, _ := cluesOf(strings.Repeat("認証基盤移行検証更新削除作成確認変更実装対応処理接続管理権限公開秘密署名", 2)); len(got) != maxClues {
		t.Errorf("a long query: got %d clues, want %d", len(got), maxClues)
	}
}

func TestInflections(t *testing.T) {
	t.Parallel()
	for _, forms := range [][]string{
		{"quota", "quotas"},
		{"deadlock", "deadlocks", "deadlocked"},
		{"cache", "caches", "cached", "caching"},
		{"retry", "retries", "retried", "retrying"},
		{"benchmark", "benchmarking", "benchmarks"},
		{"index", "indexes", "indexing"},
	} {
		for _, word := range forms[1:] {
			if !slices.Contains(inflections(word), forms[0]) {
				t.Errorf("%s: got %v, want %s among them", word, inflections(word), forms[0])
			}
			if word != "indexes" && !slices.Contains(inflections(forms[0]), word) {
				t.Errorf("%s: got %v, want %s among them", forms[0], inflections(forms[0]), word)
			}
		}
	}
	for _, word := range []string{"is", "a1", "größe", "s3"} {
		if got := inflections(word); got != nil {
			t.Errorf("%s: got %v, want none", word, got)
		}
	}
}

// TestPartOfTheQuery looks for questions, of which no memo has all words.
func TestPartOfTheQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public := true
	ids := w.create(
		t, "alice",
		&memov1.MemoDraft{Title: "認証トークンの更新で二重に失効した", Body: "リフレッシュが並行した。", Categories: []string{"OAuth"}, CreateTime: day(1)},
		&memov1.MemoDraft{Title: "Quotas of the message queue", Body: "We raise quotas by request.", CreateTime: day(5)},
		&memov1.MemoDraft{Title: "トークンを更新する", Body: "長い話。", CreateTime: day(9)},
		&memov1.MemoDraft{Title: "献立", Body: "昼は蕎麦。"},
	)
	w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("別の題", "関わりのない話")}, 40)...)
	w.create(t, "bob", draftOf("トークンの更新がなぜ二重になるのか", "認証の失効"))
	if _, err := w.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[3:]}); err != nil {
		t.Fatal(err)
	}
	question := "認証のトークンを更新すると二重に失効するのはなぜか"
	tests := []struct {
		name string
		req  *memov1.SearchMemosRequest
		want []string
	}{
		{"the memo with most of it first", &memov1.SearchMemosRequest{Query: question}, []string{ids[0], ids[2]}},
		{"an inflected word", &memov1.SearchMemosRequest{Query: "quota"}, ids[1:2]},
		{"the name of a category", &memov1.SearchMemosRequest{Query: "oauth"}, ids[:1]},
		{"a category", &memov1.SearchMemosRequest{Query: question, Categories: []string{"oauth"}}, ids[:1]},
		{"a time", &memov1.SearchMemosRequest{Query: question, CreatedAfter: day(8)}, ids[2:3]},
		{"only public ones", &memov1.SearchMemosRequest{Query: question, IsPublic: &public}, nil},
		{"nothing in the trash", &memov1.SearchMemosRequest{Query: "昼は何を食べたか蕎麦"}, nil},
		{"but when asked for", &memov1.SearchMemosRequest{Query: "昼は蕎麦だったか", IncludeDeleted: true}, ids[3:]},
		{"other words", &memov1.SearchMemosRequest{Query: "東京の天気予報"}, nil},
	}
	for _, tt := range tests {
		if got := w.find(t, "alice", tt.req); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	res, err := w.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: question})
	if err != nil {
		t.Fatal(err)
	}
	if s := res.GetEntries()[0].GetSnippet(); !strings.Contains(s, "二重に失効") {
		t.Errorf("the snippet: got %q, want the place with the words", s)
	}
}

// TestAllWordsComeFirst has a memo with all words far down beside ones with one of them in the title.
func TestAllWordsComeFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.create(t, "alice", draftOf("題", strings.Repeat("関係のない話。", 100)+"認証基盤と検査"))
	var drafts []*memov1.MemoDraft
	for range 20 {
		drafts = append(drafts, &memov1.MemoDraft{Title: "認証基盤、認証基盤、認証基盤", Summary: "認証基盤、認証基盤", Body: "認証基盤、認証基盤"}, draftOf("献立", "昼は蕎麦"), draftOf("旅程", "夜は温泉"))
	}
	w.create(t, "alice", drafts...)
	req := &memov1.SearchMemosRequest{Query: "認証基盤 検査", PageSize: 20}
	res, err := w.SearchMemos(as(t, "alice"), req)
	if err != nil {
		t.Fatal(err)
	}
	entries := res.GetEntries()
	if len(entries) == 0 || entries[0].GetId() != all[0] {
		t.Fatalf("got %v first, want %s", idsOf(res), all[0])
	}
	if len(entries) != 20 || entries[1].GetScore() >= entries[0].GetScore() {
		t.Errorf("got %d memos, scores %v and %v, want 20, the one with all words above", len(entries), entries[0].GetScore(), entries[1].GetScore())
	}
}

// TestPagesOfPartsAreStable reads memos that have a part of the query page by page while others are written.
func TestPagesOfPartsAreStable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var drafts []*memov1.MemoDraft
	for i := range 80 {
		drafts = append(drafts, draftOf(fmt.Sprintf("題 %d", i), "認証と検査の話"+strings.Repeat("。検査", i%7)), draftOf("献立", "昼は蕎麦"))
	}
	for chunk := range slices.Chunk(drafts, 100) {
		w.create(t, "alice", chunk...)
	}
	late := 0
	got := w.pages(t, &memov1.SearchMemosRequest{Query: "認証と検査と移行", PageSize: 7}, func() {
		late++
		w.clock.advance(time.Hour)
		w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("認証と検査", "認証と検査")}, maxWaiting)...)
	})
	if late == 0 || len(got) != maxLoose || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
		t.Errorf("got %d memos on %d pages, want %d different ones", len(got), late+1, maxLoose)
	}
}
