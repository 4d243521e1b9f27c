package memo

import (
	"testing"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestSearchWords looks for words in one memo each.
func TestSearchWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, title, body string
		finds, misses     []string
	}{
		{
			name: "words of two kanji", title: "認証基盤の移行", body: "検証環境で確認してから切り替える。",
			finds:  []string{"認証", "検証", "移行", "基盤", "認証基盤", "の移行", "検証環境で確認", "切り替える", "認証 検証", "移行 認証", "認証移行", "認証 認可"},
			misses: []string{"証検", "行検", "認可", "盤移"},
		},
		{
			name: "one character", title: "鍵の交換", body: "秘密を守る 木",
			finds:  []string{"鍵", "の", "換", "秘", "る", "木", "交"},
			misses: []string{"錠", "林"},
		},
		{
			name: "runs do not reach over punctuation", title: "認証、証明", body: "更新・新規",
			finds:  []string{"認証", "証明", "更新", "新規"},
			misses: []string{"証更", "明更"},
		},
		{
			name: "full and half width", title: "ＪＷＴ と ﾄｰｸﾝ", body: "ｻｰﾊﾞｰ１２３",
			finds:  []string{"JWT", "jwt", "トークン", "ﾄｰｸﾝ", "サーバー", "123", "１２３", "ＪＷＴ"},
			misses: []string{"12"},
		},
		{
			name: "katakana and hiragana are the same", title: "メモ", body: "りんご",
			finds:  []string{"めも", "メモ", "リンゴ", "ﾘﾝｺﾞ"},
			misses: []string{"りんこ"},
		},
		{
			name: "a long vowel at the end", title: "サーバの設定とユーザー", body: "",
			finds:  []string{"サーバー", "サーバ", "ユーザ", "ユーザー"},
			misses: []string{"サービス"},
		},
		{
			name: "composed and decomposed marks", title: "がぎぐ café", body: "パン",
			finds:  []string{"がぎぐ", "がぎ", "café", "ハ\u309aン"},
			misses: []string{"かぎ", "cafe"},
		},
		{
			name: "identifiers and their parts", title: "redirect_uri", body: "OAuth2 codeVerifier HTTPServer user-agent /v1.2/token",
			finds: []string{
				"redirect_uri", "redirect", "URI", "redirectUri", "redirect-uri", "REDIRECT_URI",
				"oauth", "OAuth", "oauth2", "auth", "verifier", "code_verifier", "code", "server", "http", "HttpServer",
				"user-agent", "agent", "v1.2", "token", "v1.2/token",
			},
			misses: []string{"redir", "direct", "uri_redirect", "v1.3", "2.1", "agent-user"},
		},
		{
			name: "no case", title: "Straße ΣΊΣΥΦΟΣ GitHub", body: "ÉCLAIR",
			finds:  []string{"strasse", "STRASSE", "σίσυφος", "github", "GITHUB", "hub", "éclair"},
			misses: []string{"git hub lab"},
		},
		{
			name: "mixed scripts", title: "OAuth認証をGoで書く", body: "SQLiteのFTS5を使う",
			finds:  []string{"OAuth認証", "認証oauth", "認証 Go", "SQLite FTS5", "fts5", "fts", "を使う", "使うSQLite", "OAuth認可"},
			misses: []string{"認可を書き"},
		},
		{
			name: "emoji and other scripts", title: "完了 🚀👩‍💻", body: "한국어 메모 ไทย 中文笔记",
			finds:  []string{"🚀", "한국어", "국어", "메모", "ไทย", "笔记", "中", "👩"},
			misses: []string{"🎉", "어국"},
		},
		{
			name: "in the summary's place too", title: "a", body: "b",
			finds:  []string{"要約", "summary"},
			misses: []string{"c"},
		},
		{
			name: "a hash is one word", title: "a1b2c3d4e5f6a7b8", body: "",
			finds:  []string{"a1b2c3d4e5f6a7b8"},
			misses: []string{"b2", "a"},
		},
	}
	w := newWorld(t)
	ids := make([]string, len(tests))
	for i, tt := range tests {
		d := draftOf(tt.title, tt.body)
		if tt.title == "a" {
			d.Summary = "この要約は summary"
		}
		ids[i] = w.create(t, tt.name, d)[0] // each test is an account of its own
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, q := range tt.finds {
				if got := w.find(t, tt.name, &memov1.SearchMemosRequest{Query: q}); len(got) != 1 || got[0] != ids[i] {
					t.Errorf("search %q in %q: got %v, want the memo", q, tt.title+" | "+tt.body, got)
				}
			}
			for _, q := range tt.misses {
				if got := w.find(t, tt.name, &memov1.SearchMemosRequest{Query: q}); len(got) != 0 {
					t.Errorf("search %q in %q: got the memo, want nothing", q, tt.title+" | "+tt.body)
				}
			}
			for _, q := range []string{"、。", "!?", "()[]{}\"'*", "- / :", "＊", "\u0301", "\u200d"} {
				if got := w.find(t, tt.name, &memov1.SearchMemosRequest{Query: q}); len(got) != 0 {
					t.Errorf("search %q: got %v, want nothing", q, got)
				}
			}
		})
	}
}
