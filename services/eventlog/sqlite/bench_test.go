package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

// BenchmarkDo measures durable commands that load a stream, append an event of about 500 bytes and change a read model.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkDo(b, callers) })
	}
}

func benchmarkDo(b *testing.B, callers int) {
	database, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "log.db"))
	if err != nil {
		b.Fatal(err)
	}
	l := eventlogtest.Start(b, database, eventlogtest.Counters())
	note := strings.Repeat("x", 480)
	latencies := make([][]time.Duration, callers)
	var (
		next    atomic.Int64
		running sync.WaitGroup
	)
	b.ReportAllocs()
	b.ResetTimer()
	for caller := range callers {
		running.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				stream := fmt.Sprintf("counter/%d", n/4)
				start := time.Now()
				err := l.Do(b.Context(), func(tx *eventlog.Tx) error {
					if _, err := tx.Load(stream); err != nil {
						return err
					}
					return tx.Append(stream, &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Added{
						Added: &eventlogtestv1.Added{Amount: 1, Note: note},
					}})
				})
				if err != nil {
					b.Error(err)
					return
				}
				latencies[caller] = append(latencies[caller], time.Since(start))
			}
		})
	}
	running.Wait()
	b.StopTimer()
	report(b, slices.Concat(latencies...))
}

// BenchmarkRebuild measures an event with one row to change.
func BenchmarkRebuild(b *testing.B) {
	l := eventlogtest.Open(b, eventlogtest.Counters())
	err := l.Do(b.Context(), func(tx *eventlog.Tx) error {
		for n := range b.N {
			if err := tx.Append(fmt.Sprintf("counter/%d", n/4), eventlogtest.Added(1)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := l.Rebuild(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFsync measures what one write of 500 bytes and an fsync cost on the same disk.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, 500)
	var latencies []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		latencies = append(latencies, time.Since(start))
	}
	report(b, latencies)
}

func report(b *testing.B, latencies []time.Duration) {
	b.Helper()
	slices.Sort(latencies)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds())/1000, "p99-ms")
}
