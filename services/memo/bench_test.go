package memo

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"
)

// The words of made-up memos: those at the front are common, those at the back rare.
const (
	kanji   = "設定認証検証移行基盤環境更新削除作成確認変更実装対応処理接続管理権限公開秘密署名検索全文索引履歴復元暗号鍵交換証明書期限失効監視障害復旧計測性能改善原因調査判断理由方針規約命名構造依存境界契約試験自動配備負荷分散同期排他制御整合順序耐久冪等再試行時刻乱数識別子"
	kana    = "のをにはがでとするためからしてこと"
	english = "token client server redirect_uri OAuth refresh session cookie header request response event stream log commit sqlite index query cursor page retry timeout context goroutine channel mutex codeVerifier accessToken"
)

// corpus makes memos of about 500 characters. Word i of n is about n/i times rarer than the first.
type corpus struct {
	random  *rand.Rand
	kanji   []rune
	kana    []rune
	english []string
}

func newCorpus(seed int64) *corpus {
	return &corpus{rand.New(rand.NewSource(seed)), []rune(kanji), []rune(kana), strings.Fields(english)}
}

func (c *corpus) rank(n int) int { return min(int(c.random.ExpFloat64()*float64(n)/5), n-1) }

func (c *corpus) text(length int) string {
	var b strings.Builder
	for n := 0; n < length; {
		switch k := c.random.Intn(10); {
		case k < 5:
			i := c.rank(len(c.kanji) - 1)
			b.WriteRune(c.kanji[i])
			b.WriteRune(c.kanji[(i+1+c.rank(4))%len(c.kanji)])
			n += 2
		case k < 8:
			for range 1 + c.random.Intn(3) {
				b.WriteRune(c.kana[c.random.Intn(len(c.kana))])
				n++
			}
		case k < 9:
			s := c.english[c.rank(len(c.english))]
			b.WriteString(" " + s + " ")
			n += len(s) + 2
		default:
			b.WriteString("。\n")
			n += 2
		}
	}
	return b.String()
}

func (c *corpus) draft(i int) *memov1.MemoDraft {
	d := draftOf(strings.Join(strings.Fields(c.text(20)), " "), c.text(480))
	d.Categories = []string{"分類" + strconv.Itoa(c.rank(30))}
	d.MemoTypes = []string{"decision"}
	if i%20 == 0 {
		d.Body += " 百分五 "
	}
	if i%500 == 0 {
		d.Body += " 珍品 "
	}
	d.Body += " 全部 "
	return d
}

// fileWorld is a service whose log is a file that is synced at every commit, in a directory that outlives the benchmark
// when PAPUT_BENCH_DIR names one.
func fileWorld(tb testing.TB, name string) (w *world, isNew bool) {
	tb.Helper()
	dir := tb.TempDir()
	if kept := os.Getenv("PAPUT_BENCH_DIR"); kept != "" {
		dir = kept
	}
	path := filepath.Join(dir, name+".db")
	_, err := os.Stat(path)
	backend, openErr := sqlite.Open(tb.Context(), path)
	if openErr != nil {
		tb.Fatal(openErr)
	}
	w = &world{clock: newClock()}
	w.clock.advance(time.Duration(time.Now().UnixNano() % 1e15))
	w.log = eventlogtest.Start(tb, backend, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Caches: Caches(), Now: w.clock.now})
	prefix := time.Now().UnixNano()
	var n atomic.Int64
	w.serve(func(p string) string { return fmt.Sprintf("%s_%d%08d", p, prefix, n.Add(1)) })
	return w, err != nil
}

func filledWorld(tb testing.TB, accounts, each int) *world {
	w, isNew := fileWorld(tb, fmt.Sprintf("%dx%d", accounts, each))
	if !isNew {
		return w
	}
	c := newCorpus(1)
	start := time.Now()
	for i := 0; i < accounts*each; i += 100 {
		var drafts []*memov1.MemoDraft
		for j := range 100 {
			drafts = append(drafts, c.draft(i+j))
		}
		if each < 100 {
			tb.Fatal("each account gets its memos by the hundred")
		}
		w.create(tb, fmt.Sprintf("p%d", i/100%accounts), drafts...)
	}
	tb.Logf("%d memos made in %v", accounts*each, time.Since(start))
	return w
}

// BenchmarkCreate creates memos one by one, durably, for 64 callers at once.
func BenchmarkCreate(b *testing.B) {
	for _, n := range []int{1000, 20000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := filledWorld(b, 1, n)
			c := newCorpus(2)
			drafts := make([]*memov1.MemoDraft, b.N)
			for i := range drafts {
				drafts[i] = c.draft(i)
			}
			b.ResetTimer()
			before := cpu(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						w.create(b, "p0", drafts[i-1])
					}
				})
			}
			wg.Wait()
			reportCPU(b, before)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}

// BenchmarkSearch looks for rare, middling and common words, with 1 and 16 callers.
func BenchmarkSearch(b *testing.B) {
	worlds := []struct{ accounts, each int }{{1, 1000}, {1, 20000}}
	if s := os.Getenv("PAPUT_BENCH_LARGE"); s != "" {
		worlds = append(worlds, []struct{ accounts, each int }{{1, 100000}, {1000, 1000}}[len(s)-1])
	}
	queries := []struct{ name, query string }{
		{"newest", ""}, {"rare", "珍品"}, {"middling", "百分五"}, {"common", "全部"}, {"kana", "して"},
		{"character", "設"}, {"identifier", "redirectUri"}, {"two", "認証 token"}, {"three", "珍品 全部 認証"}, {"long", "認証検証"},
		{"question", "認証基盤を移行したあとに更新の token が失効するのはなぜか、原因を調査した方法"}, {"absent", "存在しない言葉 absent words"},
	}
	for _, size := range worlds {
		w := filledWorld(b, size.accounts, size.each)
		for _, q := range queries {
			for _, callers := range []int{1, 16} {
				b.Run(fmt.Sprintf("%dx%d/%s/%d", size.accounts, size.each, q.name, callers), func(b *testing.B) {
					benchmarkSearch(b, w, size.accounts, callers, q.query)
				})
			}
		}
	}
}

// cpu is the processor time that the program has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func benchmarkSearch(b *testing.B, w *world, accounts, callers int, query string) {
	before := cpu(b)
	took := make([]time.Duration, b.N)
	var next, found atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				ctx := bearing(context.Background(), fmt.Sprintf("p%d:client:paput.read", int(i)%accounts))
				start := time.Now()
				res, err := w.SearchMemos(ctx, &memov1.SearchMemosRequest{Query: query})
				if err != nil {
					b.Error(err)
					return
				}
				took[i-1] = time.Since(start)
				found.Store(int64(len(res.GetEntries())))
			}
		})
	}
	wg.Wait()
	reportCPU(b, before)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(found.Load()), "entries")
}
