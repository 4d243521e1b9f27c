package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// figure is what was seen under one load.
type figure struct {
	perSecond float64
	p50, p99  time.Duration
	max       time.Duration
	cpu       time.Duration // of the server, per operation
	allocs    float64       // objects that the server allocates, per operation
}

// A load is a call for each caller, on one server.
type load struct {
	on    *process
	calls []func(context.Context) error
}

// turns is how often each of several loads has its turn.
const turns = 5

// print prints a row, and how many times each of some other rates its own is; nothing for 0.
func (f figure) print(name string, callers int, bases ...float64) {
	fmt.Printf("%-22s %7d %9.0f %8.2f %8.2f %10.0f", name, callers, f.perSecond,
		f.p50.Seconds()*1e3, f.p99.Seconds()*1e3, f.cpu.Seconds()*1e6)
	for _, base := range bases {
		printRatio(f.perSecond, base)
	}
	fmt.Printf(" %9.0f\n", f.allocs)
}

func printRatio(value, base float64) {
	if base == 0 {
		fmt.Printf(" %9s", "")
		return
	}
	fmt.Printf(" %9.2f", value/base)
}

// measure lets each caller repeat its call for the duration, after a short warm-up. A failed call ends the measurement.
func measure(ctx context.Context, p *process, callers int, duration time.Duration, calls []func(context.Context) error) (figure, error) {
	if _, err := repeat(ctx, calls, duration/6); err != nil {
		return figure{}, err
	}
	var m measurement
	if err := m.add(ctx, load{p, calls}, duration); err != nil {
		return figure{}, err
	}
	return m.figure(callers)
}

// alternate measures loads of as many callers by turns, so that what else the machine has to do falls on all of them alike.
func alternate(ctx context.Context, callers int, duration time.Duration, loads []load) ([]figure, error) {
	measurements := make([]measurement, len(loads))
	for turn := range turns {
		for i, l := range loads {
			if turn == 0 {
				if _, err := repeat(ctx, l.calls, duration/6); err != nil {
					return nil, err
				}
			}
			if err := measurements[i].add(ctx, l, duration/turns); err != nil {
				return nil, err
			}
		}
	}
	figures := make([]figure, len(loads))
	for i := range measurements {
		var err error
		if figures[i], err = measurements[i].figure(callers); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

// measurement is what was seen of a load so far.
type measurement struct {
	times   []time.Duration
	elapsed time.Duration
	cpu     time.Duration
	allocs  uint64
}

// add measures the load for the duration.
func (m *measurement) add(ctx context.Context, l load, duration time.Duration) error {
	before, err := l.on.spent(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	times, err := repeat(ctx, l.calls, duration)
	if err != nil {
		return err
	}
	m.elapsed += time.Since(begin)
	after, err := l.on.spent(ctx)
	if err != nil {
		return err
	}
	m.times = append(m.times, times...)
	m.cpu += after.cpu - before.cpu
	m.allocs += after.allocs - before.allocs
	return nil
}

func (m *measurement) figure(callers int) (figure, error) {
	n := len(m.times)
	if n < callers {
		return figure{}, errors.New("too few calls to tell")
	}
	slices.Sort(m.times)
	return figure{
		perSecond: float64(n) / m.elapsed.Seconds(),
		p50:       m.times[n/2],
		p99:       m.times[n*99/100],
		max:       m.times[n-1],
		cpu:       m.cpu / time.Duration(n),
		allocs:    float64(m.allocs) / float64(n),
	}, nil
}

func repeat(ctx context.Context, calls []func(context.Context) error, duration time.Duration) ([]time.Duration, error) {
	results := make([][]time.Duration, len(calls))
	group, ctx := errgroup.WithContext(ctx)
	end := time.Now().Add(duration)
	for i, call := range calls {
		group.Go(func() error {
			for begin := time.Now(); begin.Before(end); begin = time.Now() {
				if err := call(ctx); err != nil {
					return err
				}
				results[i] = append(results[i], time.Since(begin))
			}
			return nil
		})
	}
	err := group.Wait()
	return slices.Concat(results...), err
}

// measureFsync is what the disk gives: 500 bytes appended and synced, one after another.
func measureFsync(dir string, duration time.Duration) (perSecond float64, err error) {
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	block := make([]byte, 500)
	n := 0
	begin := time.Now()
	for time.Since(begin) < duration/3 {
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}
