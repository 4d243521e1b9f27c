package memo

import (
	"fmt"
	"testing"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestQuestionsToFewMemos asks accounts with one, three and ten memos: what is asked of one of them finds it first, and what
// is asked of none finds nothing.
func TestQuestionsToFewMemos(t *testing.T) {
	t.Parallel()
	memos := []struct {
		draft     *memov1.MemoDraft
		questions []string
	}{
		{draftOf("Refresh tokens rotate", "Each use gives a new one; the old one ends the grant."), []string{
			"how do refresh tokens work here?", "what happens to a refresh token when it is used twice", "why are we rotating tokens", "rotated token",
		}},
		{draftOf("リフレッシュトークンは毎回入れ替える", "古いものが使われたら許可ごと取り消す。"), []string{
			"リフレッシュトークンの更新はどう動く?", "トークンを入れ替える理由", "古いトークンが使われるとどうなりますか",
		}},
		{draftOf("夜間の配備は二段階で行う", "先に一台だけ切り替え、十分待ってから残りを切り替える。"), []string{
			"配備はどのように行うのですか", "夜に配備するときの手順", "切り替えは何台ずつ行うのか",
		}},
		{draftOf("Queue depth alerts page nobody at night", "They open a ticket instead."), []string{"who is paged at night when the queue grows?"}},
	}
	fillers := []string{
		"画面の余白をそろえる", "Fixtures live beside their tests", "見積もりは幅で答える", "Colours come from one file", "議事録は当日に書く", "Names say what, not how",
	}
	unrelated := []string{
		"how do I bake bread?", "what is the weather in tokyo tomorrow", "where can we have lunch with the new people", "git hub lab",
		"東京の天気予報", "パンを焼く方法", "昼食はどこで食べるのがよいか", "来週の旅行の予定を教えて",
	}
	for _, m := range memos {
		for _, size := range []int{1, 3, 10} {
			t.Run(fmt.Sprintf("%s among %d", m.draft.GetTitle(), size), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				want := w.create(t, "alice", m.draft)[0]
				for i := range size - 1 {
					w.create(t, "alice", draftOf(fillers[i%len(fillers)], fmt.Sprintf("本文 %d", i)))
				}
				for _, q := range m.questions {
					if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: q}); len(got) == 0 || got[0] != want {
						t.Errorf("%q found %v, want %s first", q, got, want)
					}
				}
				for _, q := range unrelated {
					if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: q}); len(got) > 0 {
						t.Errorf("%q found %v, want nothing", q, got)
					}
				}
			})
		}
	}
}
