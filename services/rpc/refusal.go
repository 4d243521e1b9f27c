package rpc

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect/v2"
)

// Refusals is an interceptor for clients. Connect v2.0.2 reports a stream that the server refused before it had read the
// request as io.EOF, when the request is sent; with Refusals the first Receive says why it was refused.
func Refusals(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		stream, err := next(ctx, spec)
		if err != nil || spec.StreamType != connect.StreamTypeServer {
			return stream, err
		}
		return refusedStream{stream}, nil
	}
}

type refusedStream struct{ connect.ClientStream }

func (s refusedStream) Send(msg any) error {
	if err := s.ClientStream.Send(msg); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
