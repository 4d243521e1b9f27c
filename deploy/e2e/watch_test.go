package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/paput/paput/deploy/visitor"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// TestWatcherAmongKills watches an account through kills of the server, with its tables made anew each time, going on after the last
// position each time. In the end the watcher knows what a listing has.
func TestWatcherAmongKills(t *testing.T) {
	t.Parallel()
	const kills, perKill = 3, 40
	server := startPaputd(t)
	server.addAccount(t)
	token, err := visitor.New(server.url, email, password).LogIn(t.Context(), "paput.read", "paput.write")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &oauth2.Transport{Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token.Access})}}
	memos := memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(client, server.url)))

	copied := map[string]*memov1.Memo{}
	position, connections := "", 0
	// watch takes changes in until there is nothing new at present, when over says so, or the connection is lost.
	watch := func(ctx context.Context, over func() bool) error {
		stream, err := memos.WatchMemos(ctx, &memov1.WatchMemosRequest{After: position})
		if err != nil {
			return err
		}
		connections++
		for {
			m, err := stream.Receive()
			if err != nil {
				return err
			}
			position = m.GetPosition()
			if m.GetMemo() != nil {
				copied[m.GetMemo().GetId()] = m.GetMemo()
			}
			if m.GetChange() == nil && over() {
				return nil
			}
		}
	}
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	written := make(chan int)
	var running sync.WaitGroup
	running.Go(func() {
		var ids []string
		for n := 0; writing.Err() == nil; n++ {
			res, err := memos.CreateMemos(writing, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{Title: fmt.Sprintf("memo %d", n)}}})
			if err != nil {
				time.Sleep(20 * time.Millisecond) // the server is away
				continue
			}
			ids = append(ids, res.GetResults()[0].GetMemo().GetId())
			if n%3 == 0 {
				_, _ = memos.DeleteMemos(writing, &memov1.DeleteMemosRequest{Ids: []string{ids[n%len(ids)]}})
			}
			select {
			case written <- n:
			case <-writing.Done():
			}
		}
	})
	running.Go(func() {
		for writing.Err() == nil {
			if err := watch(writing, func() bool { return false }); err != nil && writing.Err() == nil {
				if code := connect.CodeOf(err); code == connect.CodeOutOfRange || code == connect.CodeInvalidArgument {
					t.Errorf("position %s: %v", position, err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	for range kills {
		for range perKill {
			select {
			case <-written:
			case <-time.After(patience):
				t.Fatal("nothing is written any more")
			}
		}
		server.kill()
		if out, err := exec.Command(program("paputd"), "rebuild", "--data", server.data).CombinedOutput(); err != nil {
			t.Fatalf("rebuild: %v\n%s", err, out)
		}
		server = startPaputdOn(t, server.data, server.args()...)
	}
	stop()
	running.Wait()
	if err := watch(t.Context(), func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if connections <= kills {
		t.Errorf("got %d connections over %d kills, want one after each", connections, kills)
	}
	all := map[string]*memov1.Memo{}
	req := &memov1.SearchMemosRequest{IncludeDeleted: true, PageSize: 100}
	for more := true; more; more = req.PageToken != "" {
		page, err := memos.SearchMemos(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range page.GetEntries() {
			ids = append(ids, e.GetId())
		}
		whole, err := memos.SearchMemos(t.Context(), &memov1.SearchMemosRequest{Ids: ids})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range whole.GetMemos() {
			all[m.GetId()] = m
		}
		req.PageToken = page.GetNextPageToken()
	}
	if diff := cmp.Diff(all, copied, protocmp.Transform()); diff != "" || len(all) < kills*perKill {
		t.Errorf("%d memos; the listing and what was told (-listing +told):\n%s", len(all), diff)
	}
	if err := server.stop(os.Interrupt, patience); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	t.Logf("%d memos told over %d connections and %d kills", len(copied), connections, kills)
}
