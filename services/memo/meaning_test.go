package memo

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/embedding"
	"github.com/paput/paput/services/embedding/embeddingtest"
)

// meaningWorld is a service that finds by meaning, with an embedder across real HTTP.
type meaningWorld struct {
	*world
	server *embeddingtest.Server
	newID  func(string) string
	logs   syncBuffer
	stop   func()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newMeaningWorld(t *testing.T) *meaningWorld {
	t.Helper()
	m := &meaningWorld{world: newWorld(t), server: embeddingtest.Start(t), newID: newIDs(), stop: func() {}}
	m.start(t, "small")
	t.Cleanup(func() { m.stop() })
	return m
}

// start starts the service anew on the same log, with a model, or without an embedder when it is empty.
func (m *meaningWorld) start(t *testing.T, model string) {
	t.Helper()
	m.stop()
	m.serve(m.newID, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&m.logs, nil))
		if model == "" {
			return
		}
		client, err := embedding.New(embedding.Config{URL: m.server.URL, Model: model, Key: embeddingtest.Key})
		if err != nil {
			t.Fatal(err)
		}
		c.Meaning = &Meaning{Embedder: client, Model: model, Patience: 5 * time.Second}
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.service.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	m.stop = func() {
		cancel()
		running.Wait()
	}
}

// vectors gives the ids of the memos that have a vector.
func (m *meaningWorld) vectors(t *testing.T) []string {
	t.Helper()
	var ids []string
	err := m.service.snapshot(t.Context(), func(q querier) (err error) {
		ids, err = scanAll(q, scanID, "SELECT id FROM memo_vectors ORDER BY id")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// settle waits until there are n vectors.
func (m *meaningWorld) settle(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(m.vectors(t)) != n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %d vectors, want %d\n%s", len(m.vectors(t)), n, m.logs.String())
		}
	}
}

// ask searches and gives the mode and the titles.
func (m *meaningWorld) ask(t *testing.T, person string, req *memov1.SearchMemosRequest) (mode string, titles []string) {
	t.Helper()
	res, err := m.SearchMemos(as(t, person), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range res.GetEntries() {
		titles = append(titles, e.GetTitle())
	}
	return res.GetSearchMode(), titles
}

func (m *meaningWorld) wantAnswer(t *testing.T, what, person string, req *memov1.SearchMemosRequest, mode string, titles ...string) {
	t.Helper()
	if gotMode, got := m.ask(t, person, req); gotMode != mode || !slices.Equal(got, titles) {
		t.Errorf("%s: got %s %q, want %s %q", what, gotMode, got, mode, titles)
	}
}

// filler is memos that mean nothing in particular.
func filler(n int) []*memov1.MemoDraft {
	words := strings.Fields("ashlar bodkin cudgel dulcet eyelet firkin gusset hawser ingot jerkin kelpie lanyard mizzen nostrum osprey pintle quiver rowlock sexton tiller")
	var out []*memov1.MemoDraft
	for i := range n {
		out = append(out, draftOf(fmt.Sprintf("%s %s", words[i%len(words)], words[(i*7+3)%len(words)]), strings.Repeat(words[(i*3+1)%len(words)]+" ", 3)))
	}
	return out
}

// TestFindsByMeaning looks for a word that no memo has.
func TestFindsByMeaning(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	m.create(t, "alice", filler(40)...)
	ids := m.create(t, "alice",
		&memov1.MemoDraft{Title: "Sign-in with passkeys", Body: "People have forgotten what they typed.", Categories: []string{"web"}, Projects: []string{"p"}},
		&memov1.MemoDraft{Title: "authentication by card", Body: "In the old building.", MemoTypes: []string{"decision"}},
	)
	m.create(t, "bob", draftOf("Sign-in of bob", "His own."))
	m.settle(t, 43)
	ask := &memov1.SearchMemosRequest{Query: "ログイン"}
	mode, titles := m.ask(t, "alice", ask)
	slices.Sort(titles)
	if want := []string{"Sign-in with passkeys", "authentication by card"}; mode != modeHybrid || !slices.Equal(titles, want) {
		t.Fatalf("got %s %q, want %s %q", mode, titles, modeHybrid, want)
	}
	m.wantAnswer(t, "another account", "bob", ask, modeHybrid, "Sign-in of bob")
	m.wantAnswer(t, "an account without memos", "carol", ask, modeKeyword)
	for what, f := range map[string]*memov1.SearchMemosRequest{
		"a category": {Categories: []string{"Web"}}, "a project": {Projects: []string{"p"}}, "a category and a project": {Categories: []string{"web"}, Projects: []string{"P", "q"}},
	} {
		f.Query = ask.GetQuery()
		m.wantAnswer(t, what, "alice", f, modeHybrid, "Sign-in with passkeys")
	}
	m.wantAnswer(t, "a type", "alice", &memov1.SearchMemosRequest{Query: "ログイン", MemoTypes: []string{"decision"}}, modeHybrid, "authentication by card")
	m.wantAnswer(t, "a time", "alice", &memov1.SearchMemosRequest{Query: "ログイン", CreatedBefore: day(1)}, modeKeyword)
	m.wantAnswer(t, "public memos", "alice", &memov1.SearchMemosRequest{Query: "ログイン", IsPublic: new(true)}, modeKeyword)
	m.wantAnswer(t, "no query", "bob", &memov1.SearchMemosRequest{}, modeFilter, "Sign-in of bob")

	res, err := m.SearchMemos(as(t, "alice"), &memov1.SearchMemosRequest{Query: "ログイン", Categories: []string{"web"}})
	if err != nil || res.GetEntries()[0].GetSnippet() != "People have forgotten what they typed." {
		t.Errorf("the snippet: got %v, %v", res, err)
	}

	// A memo with the word comes first, however much the others mean it.
	m.create(t, "alice", draftOf("the tea kitchen", "a list of chores, among them at the very end ログイン"))
	m.settle(t, 44)
	if mode, titles := m.ask(t, "alice", ask); mode != modeHybrid || len(titles) != 3 || titles[0] != "the tea kitchen" {
		t.Errorf("with a memo that has the word: got %s %q, want it first of 3", mode, titles)
	}

	// The old meaning is gone with the answer to the change.
	if _, err := m.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[1:]}); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(m.vectors(t), ids[1]) {
		t.Error("a memo in the trash has a vector")
	}
	m.wantAnswer(t, "the trash", "alice", &memov1.SearchMemosRequest{Query: "ログイン", MemoTypes: []string{"decision"}, IncludeDeleted: true}, modeKeyword)
	if _, err := m.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[0], Title: "automobile", Body: "wheels"}); err != nil {
		t.Fatal(err)
	}
	if _, titles := m.ask(t, "alice", ask); slices.Contains(titles, "automobile") {
		t.Errorf("after the change: got %q, want no automobile", titles)
	}
	m.settle(t, 43)
	m.wantAnswer(t, "the new meaning", "alice", &memov1.SearchMemosRequest{Query: "自動車", Categories: []string{"web"}}, modeHybrid, "automobile")
	if _, err := m.RestoreMemos(as(t, "alice"), &memov1.RestoreMemosRequest{Ids: ids[1:]}); err != nil {
		t.Fatal(err)
	}
	m.settle(t, 44)
	m.wantAnswer(t, "a memo that came back", "alice", &memov1.SearchMemosRequest{Query: "ログイン", MemoTypes: []string{"decision"}}, modeHybrid, "authentication by card")
	calls := m.server.Calls()
	if _, err := m.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[1], Categories: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	m.settle(t, 44)
	if got := m.server.Calls(); got != calls {
		t.Errorf("a change of categories: got %d calls, want %d", got, calls)
	}

	// Purged is gone for good.
	if _, err := m.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[1:]}); err != nil {
		t.Fatal(err)
	}
	m.clock.advance(trashTime)
	if err := m.service.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.settle(t, 43)
}

// TestErasedAccountsHaveNoVectors erases one of two accounts.
func TestErasedAccountsHaveNoVectors(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	m.create(t, "alice", draftOf("Sign-in", "hers"))
	his := m.create(t, "bob", draftOf("Sign-in", "his"))
	m.settle(t, 2)
	m.beginErasure(t)
	if mode, titles := m.ask(t, "bob", &memov1.SearchMemosRequest{Query: "ログイン"}); mode != modeHybrid || len(titles) != 1 {
		t.Errorf("the other account: got %s %q", mode, titles)
	}
	if err := m.service.Erase(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if got := m.vectors(t); !slices.Equal(got, his) {
		t.Errorf("got vectors of %q, want %q", got, his)
	}
}

// TestChangeWhileEmbedding changes a memo while its text is at the embedder: the answer is of no use.
func TestChangeWhileEmbedding(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	var once sync.Once
	changed := make(chan struct{})
	ids := make(chan string, 1)
	m.server.Refuse(func(text string) bool {
		if strings.Contains(text, "of old") {
			once.Do(func() {
				if _, err := m.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: <-ids, Title: "of late"}); err != nil {
					t.Error(err)
				}
				close(changed)
			})
		}
		return strings.Contains(text, "of late")
	})
	ids <- m.create(t, "alice", draftOf("of old", ""))[0]
	<-changed
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(m.logs.String(), "memo not embedded"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the changed memo was not embedded again")
		}
	}
	if got := m.vectors(t); len(got) != 0 {
		t.Errorf("got vectors of %q, want none: the memo has changed", got)
	}
}

// TestEnoughWordsNeedNoMeaning asks for what ten memos say word by word: the query goes nowhere.
func TestEnoughWordsNeedNoMeaning(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	m.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("ログイン", "")}, enough)...)
	m.settle(t, enough)
	calls := m.server.Calls()
	if mode, titles := m.ask(t, "alice", &memov1.SearchMemosRequest{Query: "ログイン"}); mode != modeKeyword || len(titles) != enough {
		t.Errorf("got %s %q", mode, titles)
	}
	if got := m.server.Calls(); got != calls {
		t.Errorf("the server was asked %d times", got-calls)
	}
}

// TestVectorsLast restarts, rebuilds, and changes the model.
func TestVectorsLast(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	ids := m.create(t, "alice", append(filler(30), draftOf("Sign-in", "by key"))...)
	if _, err := m.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[0], Body: "changed"}); err != nil {
		t.Fatal(err)
	}
	m.settle(t, 31)
	m.stop()
	embedded := len(m.server.Texts())
	if err := m.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.start(t, "small")
	find := &memov1.SearchMemosRequest{Query: "ログイン"}
	m.wantAnswer(t, "after a rebuild and a restart", "alice", find, modeHybrid, "Sign-in")
	m.create(t, "alice", draftOf("one more", ""))
	m.settle(t, 32)
	if texts := m.server.Texts()[embedded:]; len(texts) != 2 || slices.Contains(texts, "Sign-in\nby key\n") {
		t.Errorf("after a rebuild and a restart these were embedded: %q, want the query and the new memo", texts)
	}

	// Without an embedder nothing is sent, and a change still takes the vector away.
	m.start(t, "")
	embedded = len(m.server.Texts())
	m.wantAnswer(t, "without an embedder", "alice", find, modeKeyword)
	if _, err := m.DeleteMemos(as(t, "alice"), &memov1.DeleteMemosRequest{Ids: ids[:1]}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[1], Body: "changed"}); err != nil {
		t.Fatal(err)
	}
	if got := m.vectors(t); len(got) != 30 || slices.Contains(got, ids[0]) || slices.Contains(got, ids[1]) {
		t.Errorf("got vectors of %q", got)
	}
	if got := m.server.Texts(); len(got) != embedded {
		t.Errorf("without an embedder these were sent: %q", got[embedded:])
	}

	// Another model's vectors are of no use: all are made anew, and meanwhile words are enough.
	m.server.Resize(64)
	m.start(t, "other")
	for deadline := time.Now().Add(20 * time.Second); len(m.server.Texts())-embedded < 31; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not all memos were embedded anew")
		}
	}
	m.settle(t, 31)
	m.wantAnswer(t, "another model", "alice", find, modeHybrid, "Sign-in")

	// Another model that pretends to be the same is found out by the length of its vectors.
	m.server.Resize(128)
	m.start(t, "other")
	m.wantAnswer(t, "another model under the same name", "alice", find, modeKeyword)
	m.create(t, "alice", draftOf("yet another", ""))
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(m.logs.String(), "another model needs another name"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody is told: %s", m.logs.String())
		}
	}
}

// TestOutages has the embedder fail in every way. Searches answer in time, memos are written, and all is made good afterwards.
func TestOutages(t *testing.T) {
	t.Parallel()
	body := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	for name, fault := range map[string]http.HandlerFunc{
		"refused": nil, // the server is stopped
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"hang":            func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"garbage":         body("}{"),
		"wrong dimension": body(`{"data":[{"index":0,"embedding":[1,2,3]}]}`),
		"NaN":             body(`{"data":[{"index":0,"embedding":[NaN]}]}`),
		"too large":       body(strings.Repeat(" ", 8<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeaningWorld(t)
			m.create(t, "alice", append(filler(30), draftOf("Sign-in", "by key"))...)
			m.settle(t, 31)
			find := &memov1.SearchMemosRequest{Query: "ログイン"}
			m.wantAnswer(t, "before", "alice", find, modeHybrid, "Sign-in")
			m.service.meaning.Patience = 50 * time.Millisecond
			if fault == nil {
				m.server.Stop()
			} else {
				m.server.Fail(fault)
			}
			for range maxFailures {
				m.wantAnswer(t, "in the outage", "alice", find, modeKeyword)
			}
			calls := m.server.Calls()
			for range 20 {
				m.wantAnswer(t, "in the outage", "alice", find, modeKeyword)
			}
			if got := m.server.Calls(); got != calls {
				t.Errorf("20 searches with an open circuit: got %d calls, want none", got-calls)
			}
			m.create(t, "alice", draftOf("Sign-in again", "by card"))
			if name != "hang" { // which the embedder waits out for two minutes
				for deadline := time.Now().Add(20 * time.Second); !strings.Contains(m.logs.String(), "the embedder does not work"); time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("the outage was not noticed")
					}
				}
			}
			m.service.meaning.Patience = 5 * time.Second
			if fault == nil {
				m.server.Restart(t)
			}
			m.server.Fail(nil)
			if name == "hang" {
				m.stop()
				m.start(t, "small")
			}
			m.settle(t, 32)
			if mode, titles := m.ask(t, "alice", find); mode != modeHybrid || len(titles) != 2 {
				t.Errorf("afterwards: got %s %q, want two memos by meaning", mode, titles)
			}
			for _, secret := range []string{"Sign-in", "by card", "ログイン", embeddingtest.Key, m.server.URL} {
				if strings.Contains(m.logs.String(), secret) {
					t.Errorf("the log has %q:\n%s", secret, m.logs.String())
				}
			}
			if n := strings.Count(m.logs.String(), "the embedder does not work"); n > 1 {
				t.Errorf("the outage was logged %d times", n)
			}
		})
	}
}

// TestPoison has an embedder that does not take some texts.
func TestPoison(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	m.server.Refuse(func(text string) bool { return strings.Contains(text, "poison") || len(text) > 1000 })
	drafts := append(filler(20), draftOf("Sign-in", strings.Repeat("long ", 1000)), draftOf("poison", ""))
	ids := m.create(t, "alice", append(drafts, filler(20)...)...)
	m.settle(t, 41)
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(m.logs.String(), "memo not embedded"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody was told of the poison")
		}
	}
	m.wantAnswer(t, "a long memo", "alice", &memov1.SearchMemosRequest{Query: "ログイン"}, modeHybrid, "Sign-in")
	if logs := m.logs.String(); !strings.Contains(logs, ids[21]) || strings.Contains(logs, "poison") || strings.Contains(logs, "does not work") {
		t.Errorf("the log:\n%s", logs)
	}
}

// TestHybridPages reads a list page by page, while the embedder goes away and memos come.
func TestHybridPages(t *testing.T) {
	t.Parallel()
	m := newMeaningWorld(t)
	m.create(t, "alice", filler(60)...)
	m.create(t, "alice", draftOf("ログイン A", "x"), draftOf("ログイン B", "y"))
	for i := range 15 {
		m.create(t, "alice", draftOf(fmt.Sprintf("sign-in %d", i), "door"))
	}
	m.settle(t, 77)
	whole := m.find(t, "alice", &memov1.SearchMemosRequest{Query: "ログイン", PageSize: 100})
	if len(whole) < 15 {
		t.Fatalf("got %d memos, want most of 17", len(whole))
	}
	var got []string
	req := &memov1.SearchMemosRequest{Query: "ログイン", PageSize: 4}
	for {
		res, err := m.SearchMemos(as(t, "alice"), req)
		if err != nil {
			t.Fatal(err)
		}
		if res.GetSearchMode() != modeHybrid {
			t.Errorf("after %d memos: got search mode %s", len(got), res.GetSearchMode())
		}
		got = append(got, idsOf(res)...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
		m.server.Stop()
		m.create(t, "alice", draftOf("sign-in", "new"), draftOf("ログイン", "new"))
	}
	if !slices.Equal(got, whole) {
		t.Errorf("page by page: got %q, want %q", got, whole)
	}
}
