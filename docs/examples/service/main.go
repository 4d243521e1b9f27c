// Command service is an example of a service that acts for a person: it writes a memo, finds it, and keeps a copy of all memos
// that it could serve from. PAPUT is the server's address; CLIENT_ID and CLIENT_SECRET are what `paputd client add` has
// printed.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	server := cmp.Or(os.Getenv("PAPUT"), "http://localhost:8080")
	service := clientcredentials.Config{
		ClientID:     os.Getenv("CLIENT_ID"),
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		TokenURL:     server + "/token",
		AuthStyle:    oauth2.AuthStyleInHeader, // or it hides the reason of a refusal
		// EndpointParams: url.Values{"account": {"acct_01k…"}} chooses one, when the service may act for several.
	}
	// The client fetches a token, and another before the old one has expired.
	memos := memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(service.Client(ctx), server)))

	created, err := memos.CreateMemos(ctx, &memov1.CreateMemosRequest{
		Memos: []*memov1.MemoDraft{{Title: "Sales of May", Body: "Up by a tenth.", Categories: []string{"reports"}}},
	})
	if err != nil {
		return err
	}
	for _, result := range created.GetResults() {
		if result.GetError() != nil { // each memo stands alone
			return errors.New(result.GetError().GetMessage())
		}
		fmt.Println("created", result.GetMemo().GetId())
	}

	found, err := memos.SearchMemos(ctx, &memov1.SearchMemosRequest{Query: "sales", Categories: []string{"reports"}})
	if err != nil {
		return err
	}
	for _, entry := range found.GetEntries() {
		fmt.Println("found", entry.GetId(), entry.GetTitle())
	}

	c := replica{memos: map[string]*memov1.Memo{}}
	return c.follow(ctx, memos)
}

// replica is the service's own copy of the person's memos. One that is to survive a restart keeps the position with them.
type replica struct {
	position string
	memos    map[string]*memov1.Memo
}

// follow keeps the copy like the original, over as many connections as it takes, until ctx is done.
func (c *replica) follow(ctx context.Context, memos memov1connect.MemoServiceClient) error {
	for ctx.Err() == nil {
		err := c.receive(ctx, memos)
		switch connect.CodeOf(err) {
		case connect.CodeUnauthenticated, connect.CodeUnavailable:
			// The token has expired, or the server is restarting: go on after the last position.
		case connect.CodeOutOfRange:
			// The server was restored from a backup: begin again.
			*c = replica{memos: map[string]*memov1.Memo{}}
		default:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return ctx.Err()
}

func (c *replica) receive(ctx context.Context, memos memov1connect.MemoServiceClient) error {
	stream, err := memos.WatchMemos(ctx, &memov1.WatchMemosRequest{After: c.position})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Receive()
		if err != nil {
			return err
		}
		switch change := message.GetChange().(type) {
		case *memov1.WatchMemosResponse_Memo:
			c.memos[change.Memo.GetId()] = change.Memo
		case *memov1.WatchMemosResponse_PurgedId:
			delete(c.memos, change.PurgedId)
		case nil: // nothing new at present
			fmt.Println("up to date, memos:", len(c.memos))
		}
		c.position = message.GetPosition()
	}
}
