package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// memoDraft is the memo with a number: about 500 characters, two of three in Japanese, as a developer's assistant would write
// it. The same number gives the same memo in every run.
func memoDraft(i int) *memov1.MemoDraft {
	w := &memoWriter{random: rand.New(rand.NewPCG(20, uint64(i))), number: i}
	d := &memov1.MemoDraft{
		Title:      w.sentence(),
		MemoTypes:  []string{[]string{"knowledge", "decision", "operation", "principle"}[i%4]},
		Categories: []string{fmt.Sprintf("分類 %d", w.rank(40))},
		Projects:   []string{fmt.Sprintf("project-%d", w.rank(12))},
	}
	d.Title = strings.TrimRight(d.Title, " 。.")
	var b strings.Builder
	for _, s := range w.sentencesWith() {
		b.WriteString(s)
	}
	for length := len([]rune(b.String())); length < usualBody; {
		s := w.sentence()
		b.WriteString(s)
		length += len([]rune(s))
		if w.random.IntN(4) == 0 {
			b.WriteString("\n\n")
		}
	}
	d.Body = b.String()
	return d
}

const usualBody = 470 // characters; the last sentence goes beyond

type memoWriter struct {
	random *rand.Rand
	number int
}

// A wordClass is words that are equally common.
type wordClass struct {
	name string
	// en and ja are the words; those in Japanese have two characters.
	en, ja []string
	// in says whether the nth word is in a memo.
	in func(w *memoWriter, n int) bool
}

// classes are the words that are looked for, besides which a memo has others.
func classes() []wordClass {
	return []wordClass{
		{
			// One of the first thousand memos has each, and one of each 20 000 after them.
			name: "rare",
			en:   []string{"paxos", "tombstone", "zanzibar", "heisenbug", "roaring"},
			ja:   []string{"輻輳", "遡及", "閾値", "縮退", "漏洩"},
			in:   func(w *memoWriter, n int) bool { return w.number%20_000 == 100*n+7 },
		},
		{
			name: "middling",
			en:   []string{"quorum", "jitter", "checksum", "sharding", "backoff"},
			ja:   []string{"排他", "冪等", "署名", "圧縮", "監査"},
			in:   func(w *memoWriter, _ int) bool { return w.random.IntN(100) == 0 },
		},
		{
			name: "common",
			en:   []string{"deploy", "latency", "schema", "timeout", "rollback"},
			ja:   []string{"移行", "検証", "障害", "性能", "権限"},
			in:   func(w *memoWriter, _ int) bool { return w.random.IntN(8) == 0 },
		},
	}
}

// questions are asked in whole sentences, of which no memo has all words.
func questions() (en, ja []string) {
	return []string{
			"why did we move the session store away from the cache",
			"how long does the gateway wait before it retries a request",
			"what happens to the queue when the worker loses its connection",
		}, []string{
			"認証基盤の移行で失効が遅れるのはなぜか",
			"索引を更新すると検索が遅くなる原因",
			"夜間の配備で接続が切れたときの手順",
		}
}

// sentencesWith are a sentence for each word of the classes that the memo has.
func (w *memoWriter) sentencesWith() []string {
	var out []string
	for _, c := range classes() {
		for n, word := range c.en {
			if c.in(w, n) {
				out = append(out, w.fill(w.pick(englishSentences()), word))
			}
		}
		for n, word := range c.ja {
			if c.in(w, n) {
				out = append(out, w.fill(w.pick(japaneseSentences()), word))
			}
		}
	}
	return out
}

// sentence is one of usual words only, in Japanese for two memos of three.
func (w *memoWriter) sentence() string {
	if w.number%3 == 0 {
		return w.fill(w.pick(englishSentences()), w.usual(englishWords()))
	}
	return w.fill(w.pick(japaneseSentences()), w.usual(japaneseWords()))
}

// fill puts a word where the sentence has %s, and usual ones where it has %e and %j.
func (w *memoWriter) fill(sentence, word string) string {
	sentence = strings.Replace(sentence, "%s", word, 1)
	for strings.Contains(sentence, "%e") {
		sentence = strings.Replace(sentence, "%e", w.usual(englishWords()), 1)
	}
	for strings.Contains(sentence, "%j") {
		sentence = strings.Replace(sentence, "%j", w.usual(japaneseWords()), 1)
	}
	return strings.Replace(sentence, "%n", fmt.Sprint(1+w.random.IntN(900)), 1)
}

func (w *memoWriter) pick(list []string) string { return list[w.random.IntN(len(list))] }

// usual picks a word, those at the front of the list more often.
func (w *memoWriter) usual(list []string) string { return list[w.rank(len(list))] }

func (w *memoWriter) rank(n int) int {
	const steepness = 4
	return min(int(w.random.ExpFloat64()*float64(n)/steepness), n-1)
}

func englishSentences() []string {
	return []string{
		"We looked at the %s of the %e and found that the %e took %n ms. ",
		"The %s depends on the %e, so change the %e first. ",
		"Decision: keep the %s in the %e; the %e would have to know about the %e otherwise. ",
		"After the incident the %s waits for the %e before it calls `%e_%e`. ",
		"Measured with %n callers: the %s costs more than the %e. ",
		"Do not put the %s into the %e, because a %e may read it. ",
		"To debug the %s, start the %e with `--%e=%n` and read the %e. ",
		"The %e writes the %s once and the %e reads it many times. ",
	}
}

func japaneseSentences() []string {
	return []string{
		"%sは%jの%jで決める。%jを変えると%jも変わる。",
		"%jの%sを調べたところ、%jが原因だった。",
		"%sのときは%eを止めてから%jを%jする。",
		"%jで%sを見直し、%jを%n件に減らした。",
		"理由は二つある。%sが%jに依存することと、%jが%eを待つこと。",
		"%eの%sについて、%jの方針に合わせる。",
		"%jより%sを優先する。%jは後から直せるからだ。",
		"手順: %jを確かめ、%sを記録し、%eを再起動する。",
	}
}

func englishWords() []string {
	return strings.Fields(`token request server client cache index session query header cursor stream event log commit retry
		handler context worker queue gateway cluster replica snapshot migration endpoint cookie secret rotation grant scope
		payload batch buffer socket mutex goroutine channel compiler linker container image registry pipeline runner fixture
		snapshot proxy balancer certificate resolver scheduler allocator tracer metric alert dashboard exporter histogram
		table column constraint trigger projection aggregate envelope fingerprint nonce verifier redirect consent policy
		storage volume bucket archive manifest digest cipher keyring vault parser lexer tokenizer analyzer ranking snippet
		viewport layout component reducer selector hook router bundle asset locale template stylesheet`)
}

func japaneseWords() []string {
	return strings.Fields(`設定 認証 確認 変更 実装 更新 接続 処理 管理 検索 要求 応答 削除 作成 記録 失効 索引 履歴 復元 暗号
		期限 監視 復旧 計測 改善 原因 調査 判断 方針 規約 命名 構造 依存 境界 契約 試験 自動 配備 負荷 分散 同期 制御
		整合 順序 耐久 再試行 時刻 乱数 識別子 トークン サーバー クライアント セッション キャッシュ データベース トランザクション
		リクエスト レスポンス ログイン パスワード 公開鍵 秘密鍵 証明書 利用者 管理者 開発環境 本番環境 夜間処理 定期実行 読み込み
		書き込み 切り替え 引き継ぎ 見積もり 振り返り 打ち合わせ 仕様書 議事録 運用手順 障害報告 画面遷移 入力検査 文字コード
		全文検索 形態素 二重登録 重複排除 楽観ロック 悲観ロック 並行処理 非同期 待ち行列 再接続 遅延 欠損 補正 換算`)
}
