package memo

import (
	"fmt"
	"strings"
	"testing"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestHints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, "alice",
		&memov1.MemoDraft{Title: "トークンの更新", Body: "refresh", Categories: []string{"認証", "Databases"}, MemoTypes: []string{"decision"}, Projects: []string{"Paput Server"}},
		&memov1.MemoDraft{Title: "トークンの失効", Body: "revoke", Categories: []string{"OAuth"}, MemoTypes: []string{"knowledge"}, CreateTime: day(1)},
		&memov1.MemoDraft{Title: "サーバの監視", Categories: []string{"メトリクス"}},
	)
	trashed := w.create(t, "alice", draftOf("捨てたもの", "thrown away"))
	w.trash(t, trashed...)
	w.create(t, "bob", &memov1.MemoDraft{Title: "secret plan", Categories: []string{"databasis"}, Projects: []string{"hidden"}})
	if _, err := w.DeleteMemos(as(t, "carol"), &memov1.DeleteMemosRequest{Ids: w.create(t, "carol", draftOf("only", ""))}); err != nil {
		t.Fatal(err)
	}
	private := false
	for _, tt := range []struct {
		name, person string
		req          *memov1.SearchMemosRequest
		want         string
	}{
		{"no memos", "dave", &memov1.SearchMemosRequest{Query: "x"}, "There are no memos yet."},
		{"all in the trash", "carol", &memov1.SearchMemosRequest{}, "With include_deleted, which looks in the trash too, the same search finds 1 memo."},
		{"punctuation", "alice", &memov1.SearchMemosRequest{Query: "?!。、"}, "The query has no words, only punctuation: search for words, or without a query for the newest memos."},
		{"a word that no memo has", "alice", &memov1.SearchMemosRequest{Query: "kubernetes"}, "No memo has “kubernetes”: try another word for it, in Japanese or English, or a part of it."},
		{"the word of another account's", "alice", &memov1.SearchMemosRequest{Query: "secret"}, "No memo has “secret”: try another word for it, in Japanese or English, or a part of it."},
		{"a question about what no memo says", "alice", &memov1.SearchMemosRequest{Query: "クラスタはどう冗長化するのか"}, "No memo has “クラスタ” or “冗長化”: try another word for it, in Japanese or English, or a part of it."},
		{"in the trash", "alice", &memov1.SearchMemosRequest{Query: "thrown"}, "With include_deleted, which looks in the trash too, the same search finds 1 memo."},
		{"a category with a typo", "alice", &memov1.SearchMemosRequest{Categories: []string{"databses"}}, "There is no category “databses”; like it: “Databases”."},
		{"a category in hiragana", "alice", &memov1.SearchMemosRequest{Categories: []string{"めとりくす"}}, "There is no category “めとりくす”; like it: “メトリクス”."},
		{"a category that is part of one", "alice", &memov1.SearchMemosRequest{Query: "トークン", Categories: []string{"認証基盤"}}, "There is no category “認証基盤”; like it: “認証”."},
		{"a category like no other", "alice", &memov1.SearchMemosRequest{Categories: []string{"cooking"}}, "There is no category “cooking”: leave it out, or look at the categories of what is found without."},
		{"a project without a hyphen", "alice", &memov1.SearchMemosRequest{Projects: []string{"paput-server"}}, "There is no project “paput-server”; like it: “Paput Server”."},
		{"another account's project", "alice", &memov1.SearchMemosRequest{Projects: []string{"hiden"}}, "There is no project “hiden”: leave it out, or look at the projects of what is found without."},
		{"one filter too many", "alice", &memov1.SearchMemosRequest{Query: "トークン", MemoTypes: []string{"principle"}}, "Without memo_types the same search finds 2 memos."},
		{"two filters that exclude each other", "alice", &memov1.SearchMemosRequest{Categories: []string{"OAuth"}, MemoTypes: []string{"decision"}}, "Without categories the same search finds 1 memo. Without memo_types the same search finds 1 memo."},
		{"categories that no memo has together", "alice", &memov1.SearchMemosRequest{Categories: []string{"OAuth", "認証"}}, "Without categories the same search finds 3 memos. With only the first of the categories the same search finds 1 memo."},
		{"a time", "alice", &memov1.SearchMemosRequest{Query: "revoke", CreatedAfter: day(20)}, "Without the times the same search finds 1 memo."},
		{"several at once", "alice", &memov1.SearchMemosRequest{Query: "refresh", MemoTypes: []string{"principle"}, CreatedBefore: day(1), IsPublic: &private}, "Without any filter, and with include_deleted, the same search finds 1 memo."},
		{"something found", "alice", &memov1.SearchMemosRequest{Query: "refresh"}, ""},
	} {
		res, err := w.SearchMemos(as(t, tt.person), tt.req)
		if err != nil || res.GetHint() != tt.want {
			t.Errorf("%s: got %q, %v, found %v, want %q", tt.name, res.GetHint(), err, idsOf(res), tt.want)
		}
	}
}

func TestNameDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"auth", "AUTH", 0}, {"ＡＵＴＨ", "auth", 0}, {"サーバー", "さーば", 1}, {"data base", "data-base", 0}, {"kubernets", "kubernetes", 1},
		{"auth", "authn", 1}, {"go", "js", -1}, {"go", "golang", 4}, {"a", "abc", -1}, {"運用", "認証", -1}, {"", "x", -1}, {strings.Repeat("x", 101), "x", -1},
	} {
		if got := nameDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// BenchmarkHint searches for what nobody has, with every filter, among memos of as many categories.
func BenchmarkHint(b *testing.B) {
	for _, n := range []int{1000, 20_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			for from := 0; from < n; from += 100 {
				var drafts []*memov1.MemoDraft
				for i := range 100 {
					drafts = append(drafts, &memov1.MemoDraft{Title: "メモ", Body: "common words, 共通の言葉", Categories: []string{fmt.Sprintf("category %d", from+i)}, Projects: []string{"p"}, MemoTypes: []string{"decision"}})
				}
				w.create(b, "alice", drafts...)
			}
			for name, req := range map[string]*memov1.SearchMemosRequest{
				"found":   {Query: "common"},
				"filters": {Query: "common", MemoTypes: []string{"principle"}, CreatedBefore: day(1), Projects: []string{"p"}, Categories: []string{"category 7"}},
				"names":   {Categories: []string{"catgory 7x"}, Projects: []string{"q"}},
				"words":   {Query: "nothing of クラスタの冗長化 and しきい値 is known"},
			} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						w.find(b, "alice", req)
					}
				})
			}
		})
	}
}
