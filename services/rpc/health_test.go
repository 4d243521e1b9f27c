package rpc_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	healthv1 "github.com/paput/paput/proto/gen/grpc/health/v1"
	"github.com/paput/paput/proto/gen/grpc/health/v1/healthv1connect"
	"github.com/paput/paput/services/rpc"
)

// Nobody needs a token to watch, so there are only so many who can.
func TestWatchesAreBounded(t *testing.T) {
	t.Parallel()
	server := rpc.NewServer(rpc.Config{Log: slog.New(slog.DiscardHandler)})
	healthv1connect.RegisterHealthHandler(server, &rpc.Health{Ready: func(context.Context) error { return nil }})
	client := healthv1connect.NewHealthClient(connect.NewClient(connectinprocess.New(server)))
	watch := func(ctx context.Context) error {
		stream, err := client.Watch(ctx, &healthv1.HealthCheckRequest{})
		if err != nil {
			return err
		}
		_, err = stream.Receive()
		return err
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for n := range 64 {
		if err := watch(ctx); err != nil {
			t.Fatalf("%d: %v", n+1, err)
		}
	}
	for range 3 {
		if err := watch(ctx); connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("one more: got %v, want resource_exhausted", err)
		}
	}
	if res, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("Check: got %v, %v", res, err)
	}
	leave()
	again, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for err := watch(again); err != nil; err = watch(again) {
		if again.Err() != nil {
			t.Fatalf("the others have left: got %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}
