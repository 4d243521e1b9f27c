package rpc

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	healthv1 "github.com/paput/paput/proto/gen/grpc/health/v1"
	"github.com/paput/paput/proto/gen/grpc/health/v1/healthv1connect"
)

// watchInterval is how often Watch looks for a change.
const watchInterval = 5 * time.Second

// maxWatches bounds the open streams of Watch. Anyone can open one, and each asks the server again and again.
const maxWatches = 64

// Health answers grpc.health.v1, so that orchestrators can ask as they ask any gRPC server.
type Health struct {
	// Ready returns why the server cannot do its work, nil when it can.
	Ready func(ctx context.Context) error
	// Services are the full names that may be asked about; the empty name stands for all of them.
	Services []string

	watches atomic.Int64 // that are open
}

var _ healthv1connect.HealthHandler = (*Health)(nil)

// Check answers at once. An unknown service is not_found, as the protocol asks.
func (h *Health) Check(ctx context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if !h.knows(req.GetService()) {
		return nil, connect.NewError(connect.CodeNotFound, "unknown service")
	}
	return &healthv1.HealthCheckResponse{Status: h.status(ctx, req.GetService())}, nil
}

// Watch answers at once and again with every change, until the caller leaves. Of many callers those that come last are
// refused: they can ask with Check.
func (h *Health) Watch(ctx context.Context, req *healthv1.HealthCheckRequest, stream healthv1connect.HealthWatchServerStream) error {
	defer h.watches.Add(-1)
	if h.watches.Add(1) > maxWatches {
		return connect.NewError(connect.CodeResourceExhausted, "too many watch already: ask with Check")
	}
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	last := healthv1.HealthCheckResponse_ServingStatus(-1)
	for {
		if status := h.status(ctx, req.GetService()); status != last {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
			last = status
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (h *Health) status(ctx context.Context, service string) healthv1.HealthCheckResponse_ServingStatus {
	switch {
	case !h.knows(service):
		return healthv1.HealthCheckResponse_SERVICE_UNKNOWN
	case h.Ready(ctx) != nil:
		return healthv1.HealthCheckResponse_NOT_SERVING
	default:
		return healthv1.HealthCheckResponse_SERVING
	}
}

func (h *Health) knows(service string) bool {
	return service == "" || slices.Contains(h.Services, service)
}
