package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
)

// tokenInterval is how often the token of an open stream is looked at when nothing is sent.
const tokenInterval = time.Second

// guard runs the handler of a stream for as long as the caller's token is good and the server does not stop. Allowed says
// whether the token still is; nil for an RPC that needs none. Nothing is sent or received once it is not, and a handler that
// waits is told by the end of its context; the caller learns why. A call that is no stream is over soon, and is let be.
func (c Config) guard(ctx context.Context, spec connect.Spec, stream connect.ServerStream, next connect.ServerFunc, allowed func() error) error {
	if spec.StreamType == connect.StreamTypeUnary {
		return next(ctx, spec, stream)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if allowed != nil {
		stream = guardedStream{stream, allowed}
	}
	go c.endStream(ctx, end, allowed)
	err := next(ctx, spec, stream)
	var why *connect.Error
	if err != nil && errors.As(context.Cause(ctx), &why) {
		return why
	}
	return err
}

// endStream waits for a reason to end a stream.
func (c Config) endStream(ctx context.Context, end context.CancelCauseFunc, allowed func() error) {
	tick := time.NewTicker(tokenInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.Stopping:
			end(connect.NewError(connect.CodeUnavailable, "the server is stopping: connect again in a moment, and go on from where you were"))
			return
		case <-tick.C:
			if allowed == nil {
				continue
			}
			// What cannot be looked up right now is looked up again before anything is sent.
			if err := allowed(); connect.CodeOf(err) == connect.CodeUnauthenticated {
				end(err)
				return
			}
		}
	}
}

// guardedStream passes messages on while it is allowed to.
type guardedStream struct {
	connect.ServerStream
	allowed func() error
}

func (s guardedStream) Send(msg any) error {
	if err := s.allowed(); err != nil {
		return err
	}
	return s.ServerStream.Send(msg)
}

func (s guardedStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	return s.allowed()
}
