package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is how many people sign in at once while others are measured.
const crowd = 64

// besideACrowd measures what one caller waits for while a crowd signs in, which keeps the processors busy with passwords.
func besideACrowd(ctx context.Context, paputd *process, duration time.Duration) error {
	signIns, err := signInCalls(ctx, paputd, crowd)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-22s %9s %8s %8s %8s\n", fmt.Sprintf("beside %d sign-ins", crowd), "per s", "p50 ms", "p99 ms", "max ms")
	for _, row := range []struct {
		name  string
		calls func(context.Context, *process, int) ([]func(context.Context) error, error)
	}{
		{"introspection", introspectCalls},
		{"tools/call categories", categoryCalls},
		{"refresh grant", refreshCalls},
	} {
		calls, err := row.calls(ctx, paputd, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		busy, stop := context.WithCancel(ctx)
		var signedIn atomic.Int64
		failed := make(chan error, crowd)
		var crowding sync.WaitGroup
		for _, call := range signIns {
			crowding.Go(func() {
				for busy.Err() == nil {
					switch err := call(busy); {
					case err == nil:
						signedIn.Add(1)
					case busy.Err() == nil:
						failed <- err
						return
					}
				}
			})
		}
		time.Sleep(duration / 6)
		got, err := measure(ctx, paputd, 1, duration, calls)
		stop()
		crowding.Wait()
		close(failed)
		if err = errors.Join(err, <-failed); err != nil {
			return fmt.Errorf("%s beside a crowd: %w", row.name, err)
		}
		fmt.Printf("%-22s %9.0f %8.2f %8.2f %8.2f   %d signed in\n", row.name, got.perSecond,
			got.p50.Seconds()*1e3, got.p99.Seconds()*1e3, got.max.Seconds()*1e3, signedIn.Load())
	}
	return nil
}
