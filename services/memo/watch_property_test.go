package memo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// cache is what somebody knows of an account's memos who only ever watches them.
type cache struct {
	position string
	memos    map[string]*memov1.Memo
}

func newCache() *cache { return &cache{memos: map[string]*memov1.Memo{}} }

// take takes one message in. The places of one stream go up with each change.
func (c *cache) take(m *memov1.WatchMemosResponse) error {
	before, err := parseBookmark(c.position)
	if err != nil {
		return err
	}
	after, err := parseBookmark(m.GetPosition())
	if err != nil {
		return err
	}
	if after.position < before.position || after.position == before.position && m.GetChange() != nil {
		return fmt.Errorf("after position %s came %v", c.position, m)
	}
	c.position = m.GetPosition()
	if memo := m.GetMemo(); memo != nil {
		c.memos[memo.GetId()] = memo
	}
	delete(c.memos, m.GetPurgedId())
	return nil
}

// watch takes in messages until there is nothing new at present, or until there were so many.
func (c *cache) watch(ctx context.Context, client memov1connect.MemoServiceClient, most int) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	stream, err := client.WatchMemos(ctx, &memov1.WatchMemosRequest{After: c.position})
	if err != nil {
		return err
	}
	for range most {
		m, err := stream.Receive()
		if err != nil {
			return err
		}
		if err := c.take(m); err != nil {
			return err
		}
		if m.GetChange() == nil {
			return nil
		}
	}
	return nil
}

// watchAWhile lets a cache learn a few changes.
func (m *machine) watchAWhile() {
	account := m.account()
	if err := m.caches[account].watch(as(m.T, account), m, rapid.IntRange(1, 40).Draw(m.T, "messages")); err != nil {
		m.Fatal(err)
	}
}

// watchToTheEnd lets all caches learn the rest, and two new ones everything: they then know what the model does.
func (m *machine) watchToTheEnd() {
	for account, known := range m.caches {
		for _, c := range []*cache{known, newCache()} {
			if err := c.watch(as(m.T, account), m, 1e6); err != nil {
				m.Fatal(err)
			}
			want := map[string]*memov1.Memo{}
			for id, known := range m.memos {
				if known.account == account {
					want[id] = known.memo
				}
			}
			if diff := cmp.Diff(want, c.memos, protocmp.Transform(), protocmp.IgnoreFields(&memov1.Memo{}, "create_time", "update_time", "delete_time", "etag")); diff != "" {
				m.Fatalf("the model and what %s was told (-model +told):\n%s", account, diff)
			}
			for id, memo := range c.memos {
				if (memo.GetDeleteTime() != nil) != (want[id].GetDeleteTime() != nil) {
					m.Fatalf("%s in the trash: got %v, want %v", id, memo.GetDeleteTime(), want[id].GetDeleteTime())
				}
			}
		}
	}
}

// TestWatchersAmongWriters writes in several accounts at once, while caches of them watch and lose their connection now and then.
// In the end each knows what a listing of its account has.
func TestWatchersAmongWriters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	following := make(chan error, 1)
	go func() { following <- w.service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-following; err != nil {
			t.Error(err)
		}
	})
	people := []string{"alice", "bob", "carol"}
	var writing, watching sync.WaitGroup
	written := make(chan struct{})
	for _, person := range people {
		for range 2 {
			writing.Go(func() {
				if err := w.scribble(as(t, person), 60); err != nil {
					t.Error(err)
				}
			})
		}
	}
	go func() {
		defer close(written)
		writing.Wait()
	}()
	for _, person := range people {
		for range 4 {
			watching.Go(func() {
				c := newCache()
				if err := c.follow(as(t, person), w, written); err != nil {
					t.Error(err)
					return
				}
				if diff := cmp.Diff(w.listing(t, person), c.memos, protocmp.Transform()); diff != "" {
					t.Errorf("%s: the listing and what was told (-listing +told):\n%s", person, diff)
				}
			})
		}
	}
	watching.Wait()
}

// scribble creates, changes, deletes and restores memos.
func (w *world) scribble(ctx context.Context, times int) error {
	var ids []string
	for n := range times {
		if len(ids) == 0 || n%3 == 0 {
			res, err := w.CreateMemos(ctx, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{Title: fmt.Sprint(n)}, {Title: "x"}}})
			if err != nil {
				return err
			}
			for _, r := range res.GetResults() {
				ids = append(ids, r.GetMemo().GetId())
			}
		}
		id := ids[rand.N(len(ids))]
		var err error
		switch rand.N(3) {
		case 0:
			_, err = w.DeleteMemos(ctx, &memov1.DeleteMemosRequest{Ids: []string{id}})
		case 1:
			_, err = w.RestoreMemos(ctx, &memov1.RestoreMemosRequest{Ids: []string{id}})
		default:
			_, err = w.RestoreMemos(ctx, &memov1.RestoreMemosRequest{Ids: []string{id}})
			if err == nil {
				// Somebody else of this test may have moved it to the trash since.
				_, _ = w.UpdateMemo(ctx, &memov1.UpdateMemoRequest{Id: id, Title: fmt.Sprintf("again %d", n)})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow watches live, on one connection after another, until everything is written and nothing new has come since.
func (c *cache) follow(ctx context.Context, client memov1connect.MemoServiceClient, written <-chan struct{}) error {
	for over := false; !over; {
		select {
		case <-written:
			over = true
		default:
		}
		once, leave := context.WithCancel(ctx)
		stream, err := client.WatchMemos(once, &memov1.WatchMemosRequest{After: c.position})
		if err != nil {
			leave()
			return err
		}
		for range rand.N(50) + 1 {
			wait := time.AfterFunc(100*time.Millisecond, leave) // no more may come
			m, err := stream.Receive()
			wait.Stop()
			if errors.Is(err, io.EOF) || err != nil && once.Err() != nil {
				break
			}
			if err == nil {
				err = c.take(m)
			}
			if err != nil {
				leave()
				return err
			}
		}
		leave()
	}
	return c.watch(ctx, client, 1e6)
}

// listing is all that an account has, in the trash or not.
func (w *world) listing(tb tester, person string) map[string]*memov1.Memo {
	tb.Helper()
	var ids []string
	req := &memov1.SearchMemosRequest{IncludeDeleted: true, PageSize: 100}
	for {
		res, err := w.SearchMemos(as(tb, person), req)
		if err != nil {
			tb.Fatal(err)
		}
		ids = append(ids, idsOf(res)...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	all := map[string]*memov1.Memo{}
	for chunk := range slices.Chunk(ids, 100) {
		res, err := w.SearchMemos(as(tb, person), &memov1.SearchMemosRequest{Ids: chunk})
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range res.GetMemos() {
			all[m.GetId()] = m
		}
	}
	return maps.Clone(all)
}
