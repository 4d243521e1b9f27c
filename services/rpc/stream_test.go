package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/rpc"
)

// shortLived is an Authenticator whose one token can be revoked, and whose look-ups can fail.
type shortLived struct{ revoked, broken atomic.Bool }

func (s *shortLived) Authenticate(context.Context, string) (rpc.Caller, error) {
	switch {
	case s.broken.Load():
		return rpc.Caller{}, errors.New("database is locked: secret dsn")
	case s.revoked.Load():
		return rpc.Caller{}, rpc.ErrUnauthenticated
	}
	return rpc.Caller{AccountID: "acct_1", Scopes: []string{"paput.read"}}, nil
}

// watched answers WatchMemos with whatever the test wants.
type watched struct {
	memov1connect.UnimplementedMemoServiceHandler
	watch func(ctx context.Context, send func() error) error
}

func (w watched) WatchMemos(ctx context.Context, _ *memov1.WatchMemosRequest, stream memov1connect.MemoServiceWatchMemosServerStream) error {
	return w.watch(ctx, func() error { return stream.Send(&memov1.WatchMemosResponse{}) })
}

func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	wait := func(ctx context.Context, send func() error) error {
		if err := send(); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	for _, test := range []struct {
		name  string
		watch func(ctx context.Context, send func() error) error
		// then happens after the first message.
		then func(auth *shortLived, stop func(), leave func())
		want connect.Code
		// within is how long the end may take.
		within time.Duration
	}{
		{
			name: "a handler that waits, when the token is revoked", watch: wait,
			then: func(auth *shortLived, _, _ func()) { auth.revoked.Store(true) }, want: connect.CodeUnauthenticated, within: time.Second,
		},
		{
			name: "a handler that sends, when the token is revoked", watch: func(_ context.Context, send func() error) error {
				for {
					if err := send(); err != nil {
						return err
					}
				}
			},
			then: func(auth *shortLived, _, _ func()) { auth.revoked.Store(true) }, want: connect.CodeUnauthenticated,
		},
		{
			name: "a handler that sends, when tokens cannot be looked up", watch: func(_ context.Context, send func() error) error {
				for {
					if err := send(); err != nil {
						return err
					}
				}
			},
			then: func(auth *shortLived, _, _ func()) { auth.broken.Store(true) }, want: connect.CodeInternal,
		},
		{
			name: "a handler that waits, when the server stops", watch: wait,
			then: func(_ *shortLived, stop, _ func()) { stop() }, want: connect.CodeUnavailable,
		},
		{
			name: "a handler that waits, when the caller leaves", watch: wait,
			then: func(_ *shortLived, _, leave func()) { leave() }, want: connect.CodeCanceled,
		},
		{
			name: "a handler that panics", watch: func(_ context.Context, send func() error) error {
				if err := send(); err != nil {
					return err
				}
				panic("secret dsn")
			},
			then: func(*shortLived, func(), func()) {}, want: connect.CodeInternal,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				auth, stopping := &shortLived{}, make(chan struct{})
				server := rpc.NewServer(rpc.Config{Auth: auth, Log: slog.New(slog.DiscardHandler), Stopping: stopping})
				ended := make(chan struct{})
				memov1connect.RegisterMemoServiceHandler(server, watched{watch: func(ctx context.Context, send func() error) error {
					defer close(ended)
					return test.watch(ctx, send)
				}})
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				ctx, info := connect.NewClientContext(ctx)
				info.RequestHeader().Set("Authorization", "Bearer x")
				stream, err := memov1connect.NewMemoServiceClient(connect.NewClient(connectinprocess.New(server))).WatchMemos(ctx, &memov1.WatchMemosRequest{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Receive(); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				test.then(auth, func() { close(stopping) }, leave)
				for err == nil {
					_, err = stream.Receive()
				}
				if errors.Is(err, context.Canceled) { // in process it is this side that says so
					err = connect.NewError(connect.CodeCanceled, "")
				}
				if connect.CodeOf(err) != test.want {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if took := time.Since(began); took > test.within {
					t.Errorf("it took %s, want at most %s", took, test.within)
				}
				<-ended
			})
		})
	}
}

func TestAuthorizationOfStreams(t *testing.T) {
	t.Parallel()
	open := func(ctx context.Context, c memov1connect.MemoServiceClient) error {
		stream, err := c.WatchMemos(ctx, &memov1.WatchMemosRequest{})
		if err != nil {
			return err
		}
		_, err = stream.Receive()
		return err
	}
	for token, want := range map[string]connect.Code{
		"":              connect.CodeUnauthenticated,
		"Bearer other":  connect.CodeUnauthenticated,
		"Bearer nobody": connect.CodePermissionDenied,
		"Bearer broken": connect.CodeInternal,
		"Bearer reader": connect.CodeUnimplemented, // it has passed
		"Bearer writer": connect.CodeUnimplemented,
	} {
		var authorization []string
		if token != "" {
			authorization = []string{token}
		}
		if _, err := call(t, authorization, nil, open); connect.CodeOf(err) != want {
			t.Errorf("%q: got %v, want %v", token, err, want)
		}
	}
}
