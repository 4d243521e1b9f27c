// Package eventlogtest helps to test what is built on an event log, and holds the suite that every backend must pass.
package eventlogtest

import (
	"context"
	"testing"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
)

// Open returns an empty running log that ends with the test.
func Open(tb testing.TB, c eventlog.Config) *eventlog.Log {
	tb.Helper()
	b, err := sqlite.Memory(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return Start(tb, b, c)
}

// Start opens a log on a backend and runs it until the test ends.
func Start(tb testing.TB, b eventlog.Backend, c eventlog.Config) *eventlog.Log {
	tb.Helper()
	l, err := eventlog.Open(tb.Context(), b, c)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("the event log stopped: %v", err)
		}
		if err := l.Close(); err != nil {
			tb.Errorf("close the event log: %v", err)
		}
	})
	return l
}
