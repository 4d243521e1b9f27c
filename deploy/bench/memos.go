package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/sync/errgroup"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/eventlog/sqlite"
)

// searchers are the numbers of concurrent callers that searches are measured with.
var searchers = []int{1, 16}

// oneAccount measures what one account with many memos costs: searches among a hundredth, a tenth and all of them, creating
// when there is none and when there are all, and what the server needs for them. In a directory that an earlier run has
// loaded it measures the searches among all.
func oneAccount(ctx context.Context, bin, dir string, duration time.Duration, memos int) error {
	p, err := startPaputd(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	fmt.Printf("\none account with up to %d memos\n\n", memos)
	if isLoaded(dir) {
		return p.searches(ctx, fmt.Sprintf("search in %d", memos), []string{p.token.Access}, duration/2, map[string]figure{})
	}
	creates := &creator{p: p, next: 10 * memos}
	empty, err := creates.measure(ctx, dir, duration, nil)
	if err != nil {
		return err
	}
	fewest := map[string]figure{}
	there := 0
	for _, n := range []int{memos / 100, memos / 10, memos} {
		begin := time.Now()
		if err := p.load(ctx, p.token.Access, there, n); err != nil {
			return err
		}
		fmt.Printf("\n%d more memos by hundreds: %.0f per s\n", n-there, float64(n-there)/time.Since(begin).Seconds())
		there = n
		if err := p.searches(ctx, fmt.Sprintf("search in %d", n), []string{p.token.Access}, duration/2, fewest); err != nil {
			return err
		}
	}
	if err := setLoaded(dir); err != nil {
		return err
	}
	if _, err := creates.measure(ctx, dir, duration, empty); err != nil {
		return err
	}
	return p.reportData(ctx)
}

// manyAccounts measures searches in a server that a thousand accounts have memos in, and what the server needs for them; in
// a directory that an earlier run has loaded, the searches alone.
func manyAccounts(ctx context.Context, bin, dir string, duration time.Duration, each int) error {
	const accounts = 1000
	p, err := startPaputd(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	fmt.Printf("\n%d accounts with %d memos each\n", accounts, each)
	loaded, searching := isLoaded(dir), slices.Max(searchers)
	if !loaded {
		p.stop()
		if err := fill(ctx, filepath.Join(p.data, "paput.db"), accounts-searching, each); err != nil {
			return err
		}
		if err := p.serve(ctx); err != nil {
			return err
		}
	}
	// The tokens of before would have expired by now.
	var tokens []string
	for i := range searching {
		token, err := p.visitor(i).Grant(ctx, p.token.ClientID, p.url, "paput.read", "paput.write")
		if err != nil {
			return err
		}
		tokens = append(tokens, token.Access)
	}
	if !loaded {
		var group errgroup.Group
		for _, token := range tokens {
			group.Go(func() error { return p.load(ctx, token, 0, each) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err := setLoaded(dir); err != nil {
			return err
		}
	}
	if err := p.rest(ctx); err != nil {
		return err
	}
	if err := p.searches(ctx, "search", tokens, duration/2, map[string]figure{}); err != nil || loaded {
		return err
	}
	return p.reportData(ctx)
}

func (p *process) memos() memov1connect.MemoServiceClient {
	return memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(client, p.url)))
}

func bearing(ctx context.Context, token string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

// Memos are loaded a hundred at a time, by some callers at once.
const atOnce, inParallel = 100, 4

// load creates the memos with the numbers from one up to another, a hundred at a time.
func (p *process) load(ctx context.Context, token string, from, to int) error {
	memos := p.memos()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inParallel)
	for ; from < to; from += atOnce {
		begin, end := from, min(to, from+atOnce)
		group.Go(func() error { return create(bearing(ctx, token), memos, drafts(begin, end)) })
	}
	return group.Wait()
}

func drafts(from, to int) []*memov1.MemoDraft {
	var out []*memov1.MemoDraft
	for i := from; i < to; i++ {
		out = append(out, memoDraft(i))
	}
	return out
}

func create(ctx context.Context, memos memov1connect.MemoServiceClient, drafts []*memov1.MemoDraft) error {
	res, err := memos.CreateMemos(ctx, &memov1.CreateMemosRequest{Memos: drafts})
	if err != nil {
		return err
	}
	for _, r := range res.GetResults() {
		if r.GetError() != nil {
			return fmt.Errorf("memo %d was refused: %s", r.GetIndex(), r.GetError().GetMessage())
		}
	}
	return nil
}

// creator measures how memos are created one by one.
type creator struct {
	p    *process
	next int // the number of the next memo
}

// measure prints rates beside the disk's and beside those of a server without memos, and gives them.
func (c *creator) measure(ctx context.Context, dir string, duration time.Duration, empty []figure) ([]figure, error) {
	fmt.Printf("%-22s %7s %9s %8s %8s %10s %9s %9s %9s\n", "", "callers", "per s", "p50 ms", "p99 ms", "cpu µs/op", "× fsync", "× empty", "allocs/op")
	fsync, err := measureFsync(dir, duration)
	if err != nil {
		return nil, err
	}
	fmt.Printf("%-22s %7d %9.0f\n", "bare write+fsync", 1, fsync)
	var out []figure
	for i, n := range callers {
		got, err := measure(ctx, c.p, n, duration, c.calls(n))
		if err != nil {
			return nil, fmt.Errorf("create memos: %w", err)
		}
		base := 0.0
		if empty != nil {
			base = empty[i].perSecond
		}
		got.print("CreateMemos (RPC)", n, fsync, base)
		out = append(out, got)
	}
	n := slices.Max(callers)
	calls, err := c.foundCalls(ctx, n)
	if err != nil {
		return nil, err
	}
	got, err := measure(ctx, c.p, n, duration, calls)
	if err != nil {
		return nil, fmt.Errorf("create memos and find them: %w", err)
	}
	got.print("create, find it twice", n, fsync, 0)
	return out, nil
}

// calls create one memo each, in the same account. The memos are made beforehand, so that no time goes into that.
func (c *creator) calls(n int) []func(context.Context) error {
	const supply = 2000
	ready := drafts(c.next, c.next+supply)
	c.next += supply
	memos := c.p.memos()
	var count atomic.Int64
	return same(n, func(ctx context.Context) error {
		d := ready[count.Add(1)%supply]
		return create(bearing(ctx, c.p.token.Access), memos, []*memov1.MemoDraft{d})
	})
}

// foundCalls create a memo with a word that no other has, and want it in the very next search of its author, and in that of
// another client of the account.
func (c *creator) foundCalls(ctx context.Context, n int) ([]func(context.Context) error, error) {
	other, err := c.p.person.Grant(ctx, c.p.token.ClientID, c.p.url, "paput.read")
	if err != nil {
		return nil, err
	}
	memos := c.p.memos()
	first := c.next
	c.next += 1_000_000
	var count atomic.Int64
	return same(n, func(ctx context.Context) error {
		number := first + int(count.Add(1))
		word := wordOf(number)
		d := memoDraft(number)
		d.Body += " " + word
		if err := create(bearing(ctx, c.p.token.Access), memos, []*memov1.MemoDraft{d}); err != nil {
			return err
		}
		for _, token := range []string{c.p.token.Access, other.Access} {
			res, err := memos.SearchMemos(bearing(ctx, token), &memov1.SearchMemosRequest{Query: word})
			if err != nil {
				return err
			}
			if len(res.GetEntries()) != 1 || res.GetEntries()[0].GetTitle() != d.GetTitle() {
				return fmt.Errorf("a search for the memo that was just created found %d", len(res.GetEntries()))
			}
		}
		return nil
	}), nil
}

// wordOf is a word of letters alone: one with digits would have parts that others share.
func wordOf(number int) string {
	word := []byte("zq")
	for ; number > 0; number /= 26 {
		word = append(word, byte('a'+number%26))
	}
	return string(append(word, 'q'))
}

// searches prints a row for each class of words, in English and in Japanese. Callers take turns with the tokens, and each call
// looks for another word of the class; found is of the one that found the fewest memos. Fewest has the figures of the first
// time, and gets them.
func (p *process) searches(ctx context.Context, title string, tokens []string, duration time.Duration, fewest map[string]figure) error {
	fmt.Printf("%-22s %7s %9s %8s %8s %10s %9s %9s\n", title, "callers", "per s", "p50 ms", "p99 ms", "cpu µs/op", "found", "× fewest")
	type row struct {
		name    string
		queries []string
	}
	var rows []row
	for _, c := range classes() {
		rows = append(rows, row{c.name + ", en", c.en}, row{c.name + ", ja", c.ja})
	}
	en, ja := questions()
	rows = append(rows, row{"question, en", en}, row{"question, ja", ja})
	for _, n := range searchers {
		for _, r := range rows {
			found := atomic.Int64{}
			found.Store(math.MaxInt64)
			calls := make([]func(context.Context) error, n)
			for i := range calls {
				calls[i] = p.searchCall(tokens[i%len(tokens)], r.queries, i, &found)
			}
			got, err := measure(ctx, p, n, duration, calls)
			if err != nil {
				return fmt.Errorf("search for %s: %w", r.name, err)
			}
			key := fmt.Sprint(r.name, n)
			first, exists := fewest[key]
			if !exists {
				fewest[key] = got
			}
			fmt.Printf("%-22s %7d %9.0f %8.2f %8.2f %10.0f %9d", r.name, n, got.perSecond,
				got.p50.Seconds()*1e3, got.p99.Seconds()*1e3, got.cpu.Seconds()*1e6, found.Load())
			printRatio(got.p50.Seconds(), first.p50.Seconds())
			fmt.Println()
		}
	}
	return nil
}

// searchCall calls the tool as an assistant does. It leaves in found how many memos the call gave that gave the fewest.
func (p *process) searchCall(token string, queries []string, turn int, found *atomic.Int64) func(context.Context) error {
	var bodies [][]byte
	for _, q := range queries {
		bodies = append(bodies, toolCall("paput_search_memo", fmt.Sprintf(`{"query":%q}`, q)))
	}
	return func(ctx context.Context) error {
		turn++
		var answer struct {
			Result struct {
				Content json.RawMessage `json:"content"`
			} `json:"result"`
		}
		if err := send(ctx, p.url+"/mcp", "application/json", token, bodies[turn%len(bodies)], &answer); err != nil {
			return err
		}
		n := int64(strings.Count(string(answer.Result.Content), "memo_0"))
		for least := found.Load(); n < least && !found.CompareAndSwap(least, n); least = found.Load() {
		}
		return nil
	}
}

// reportData prints what the server and the disk need for the memos, and how long a start and a rebuild take.
func (p *process) reportData(ctx context.Context) error {
	rss, err := p.memory()
	if err != nil {
		return err
	}
	fmt.Printf("\nresident memory after that        %d MB\n", rss>>20)
	p.stop()
	events, err := p.reportSizes(ctx)
	if err != nil {
		return err
	}
	if err := p.serve(ctx); err != nil {
		return err
	}
	fmt.Printf("start to first 200 from /readyz   %d ms\n", p.started.Milliseconds())
	if rss, err = p.memory(); err != nil {
		return err
	}
	fmt.Printf("resident memory after the start   %d MB\n", rss>>20)
	p.stop()
	begin := time.Now()
	if out, err := exec.CommandContext(ctx, filepath.Join(p.bin, "paputd"), "rebuild", "--data", p.data).CombinedOutput(); err != nil {
		return fmt.Errorf("paputd rebuild: %w: %s", err, out)
	}
	took := time.Since(begin)
	fmt.Printf("rebuild of the read models        %.1f s, %.0f s per million events\n", took.Seconds(), took.Seconds()*1e6/float64(events))
	return p.serve(ctx)
}

// reportSizes prints what a memo takes on the disk, and gives the number of events.
func (p *process) reportSizes(ctx context.Context) (events int64, err error) {
	path := filepath.Join(p.data, "paput.db")
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var memos, index, log int64
	for query, into := range map[string]*int64{
		"SELECT count(*) FROM memos":                                  &memos,
		"SELECT count(*) FROM events":                                 &events,
		"SELECT sum(pgsize) FROM dbstat WHERE name GLOB 'memo_text*'": &index,
		"SELECT sum(pgsize) FROM dbstat WHERE name = 'events'":        &log,
	} {
		if err := db.Readers().QueryRowContext(ctx, query).Scan(into); err != nil {
			return 0, fmt.Errorf("%s: %w", query, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	fmt.Printf("size of a memo of %d              %.1f kB, of which %.1f the text index, %.1f the log\n", memos,
		float64(info.Size())/float64(memos)/1e3, float64(index)/float64(memos)/1e3, float64(log)/float64(memos)/1e3)
	return events, nil
}
