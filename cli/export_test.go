package cli

import (
	"context"
	"time"
)

// RunImpatiently is Run, but a log-in waits only so long.
func RunImpatiently(ctx context.Context, args []string, s Streams, wait time.Duration) error {
	a := &app{Streams: s, http: newHTTPClient(), loginTimeout: wait, pace: asSaid}
	return a.run(ctx, args)
}

// RunAtPace is Run, but a log-in without a browser waits as long as pace says in place of a time.
func RunAtPace(ctx context.Context, args []string, s Streams, pace func(time.Duration) time.Duration) error {
	a := &app{Streams: s, http: newHTTPClient(), loginTimeout: loginTimeout, pace: pace}
	return a.run(ctx, args)
}
