package memo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/rpc"
)

// clock moves by a millisecond whenever it is asked.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newIDs() func(string) string {
	var n atomic.Int64
	return func(prefix string) string { return fmt.Sprintf("%s_%08d", prefix, n.Add(1)) }
}

// people knows a caller by the token "account:client:scopes", commas between scopes. A client whose name begins with "service"
// acts by itself, and each of its calls has another token.
type people struct{}

func (people) Authenticate(_ context.Context, token string) (rpc.Caller, error) {
	part := strings.Split(token, ":")
	if len(part) != 3 {
		return rpc.Caller{}, rpc.ErrUnauthenticated
	}
	c := rpc.Caller{AccountID: part[0], ClientID: part[1], GrantID: "grant_" + part[1], Scopes: strings.Split(part[2], ",")}
	if strings.HasPrefix(c.ClientID, "service") {
		c.IsService, c.GrantID = true, "grant_"+rand.Text()
	}
	return c, nil
}

// world is a running service.
type world struct {
	log     *eventlog.Log
	clock   *clock
	service *Service
	memov1connect.MemoServiceClient
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{clock: newClock()}
	w.log = eventlogtest.Open(tb, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Caches: Caches(), Now: w.clock.now})
	w.serve(newIDs())
	return w
}

func (w *world) serve(newID func(string) string, change ...func(*Config)) {
	c := Config{Log: w.log, Now: w.clock.now, NewID: newID, PublicURL: "https://paput.example.com", Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	server := rpc.NewServer(rpc.Config{Auth: people{}, Log: slog.New(slog.DiscardHandler), Codes: []rpc.Codes{Codes}})
	w.service = New(c)
	memov1connect.RegisterMemoServiceHandler(server, w.service)
	w.MemoServiceClient = memov1connect.NewMemoServiceClient(connect.NewClient(connectinprocess.New(server), askWhy))
}

// askWhy makes a call that the server refuses before it has read the request fail for the server's reason. The client of a
// streaming RPC sees only that it could not send.
func askWhy(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		stream, err := next(ctx, spec)
		return whyStream{stream}, err
	}
}

type whyStream struct{ connect.ClientStream }

func (s whyStream) Send(msg any) error {
	err := s.ClientStream.Send(msg)
	if !errors.Is(err, io.EOF) {
		return err
	}
	if why := s.Receive(&memov1.ExportAccountResponse{}); why != nil {
		return why
	}
	return err
}

// tester is what helpers need of *testing.T and *rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// as is a context in which calls are made for a person through a client that may write.
func as(tb tester, person string) context.Context {
	return bearing(tb.Context(), person+":client_a:paput.write")
}

// publishing is a context in which calls are made for a person through a client that may publish.
func publishing(tb tester, person string) context.Context {
	return bearing(tb.Context(), person+":client_a:paput.publish")
}

func bearing(ctx context.Context, token string) context.Context {
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

// create creates memos that must be accepted and gives their ids.
func (w *world) create(tb tester, person string, drafts ...*memov1.MemoDraft) []string {
	tb.Helper()
	res, err := w.CreateMemos(as(tb, person), &memov1.CreateMemosRequest{Memos: drafts})
	if err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, r := range res.GetResults() {
		if r.GetError() != nil {
			tb.Fatalf("create memo %d: %v", r.GetIndex(), r.GetError())
		}
		ids = append(ids, r.GetMemo().GetId())
	}
	return ids
}

// find gives the ids that a search finds.
func (w *world) find(tb tester, person string, req *memov1.SearchMemosRequest) []string {
	tb.Helper()
	res, err := w.SearchMemos(as(tb, person), req)
	if err != nil {
		tb.Fatal(err)
	}
	return idsOf(res)
}

func idsOf(res *memov1.SearchMemosResponse) []string {
	var ids []string
	for _, e := range res.GetEntries() {
		ids = append(ids, e.GetId())
	}
	return ids
}

// read gives one memo of alice's whole.
func (w *world) read(tb tester, id string) *memov1.Memo {
	tb.Helper()
	res, err := w.SearchMemos(as(tb, "alice"), &memov1.SearchMemosRequest{Ids: []string{id}})
	if err != nil {
		tb.Fatal(err)
	}
	if len(res.GetMemos()) != 1 {
		tb.Fatalf("read %s: got %d memos, missing %v", id, len(res.GetMemos()), res.GetMissingIds())
	}
	return res.GetMemos()[0]
}

func wantCode(tb testing.TB, err error, code connect.Code, text string) {
	tb.Helper()
	if connect.CodeOf(err) != code || err == nil || !strings.Contains(err.Error(), text) {
		tb.Errorf("got error %v, want %v with %q", err, code, text)
	}
}

func draftOf(title, body string) *memov1.MemoDraft {
	return &memov1.MemoDraft{Title: title, Body: body}
}
