package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"golang.org/x/sync/errgroup"

	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/account"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/memo"
	"github.com/paput/paput/services/oauth"
	"github.com/paput/paput/services/rpc"
)

// anyone believes that a token is the id of an account.
type anyone struct{}

func (anyone) Authenticate(_ context.Context, token string) (rpc.Caller, error) {
	return rpc.Caller{AccountID: token, ClientID: "client_bench", GrantID: "grant_bench", Scopes: []string{"paput.write"}}, nil
}

// fill gives accounts that nobody can log in to memos each, in the database of a server that is stopped. It goes through the
// memo service in this process, because the accounts have no tokens.
func fill(ctx context.Context, path string, accounts, each int) error {
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	var c eventlog.Config
	c.Now = time.Now
	c.Kinds = append(append(memo.Kinds(), account.Kinds()...), oauth.Kinds()...)
	c.Projections = append(append(memo.Projections(), account.Projections()...), oauth.Projections()...)
	events, err := eventlog.Open(ctx, store, c)
	if err != nil {
		return err
	}
	defer events.Close()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- events.Run(running) }()

	quiet := slog.New(slog.DiscardHandler)
	var number atomic.Int64
	newID := func(prefix string) string { return fmt.Sprintf("%s_bench%010d", prefix, number.Add(1)) }
	server := rpc.NewServer(rpc.Config{Auth: anyone{}, Log: quiet, Codes: []rpc.Codes{memo.Codes}})
	memov1connect.RegisterMemoServiceHandler(server, memo.New(memo.Config{Log: events, Now: time.Now, NewID: newID, PublicURL: "http://localhost", Logger: quiet}))
	memos := memov1connect.NewMemoServiceClient(connect.NewClient(connectinprocess.New(server)))
	begin := time.Now()
	group, loading := errgroup.WithContext(ctx)
	group.SetLimit(inParallel)
	for from := 0; from < each; from += atOnce {
		hundred := drafts(from, min(each, from+atOnce))
		for i := range accounts { // by turns, as people do
			group.Go(func() error { return create(bearing(loading, fmt.Sprintf("acct_bench%d", i)), memos, hundred) })
		}
	}
	err = group.Wait()
	fmt.Printf("%d memos by hundreds, in process: %.0f per s\n", accounts*each, float64(accounts*each)/time.Since(begin).Seconds())
	stop()
	return errors.Join(err, <-done)
}
