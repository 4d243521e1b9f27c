package cli

import (
	"context"
	"time"
)

// RunImpatiently is Run, but a log-in waits only so long.
func RunImpatiently(ctx context.Context, args []string, s Streams, wait time.Duration) error {
	a := &app{Streams: s, http: newHTTPClient(), loginTimeout: wait}
	return a.run(ctx, args)
}
