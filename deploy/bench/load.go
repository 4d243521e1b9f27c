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
}

// print prints a row, and how many times each of some other rates its own is; nothing for 0.
func (f figure) print(name string, callers int, bases ...float64) {
	fmt.Printf("%-22s %7d %9.0f %8.2f %8.2f %10.0f", name, callers, f.perSecond,
		f.p50.Seconds()*1e3, f.p99.Seconds()*1e3, f.cpu.Seconds()*1e6)
	for _, base := range bases {
		printRatio(f.perSecond, base)
	}
	fmt.Println()
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
	before, err := p.cpu()
	if err != nil {
		return figure{}, err
	}
	begin := time.Now()
	times, err := repeat(ctx, calls, duration)
	if err != nil {
		return figure{}, err
	}
	elapsed := time.Since(begin)
	after, err := p.cpu()
	if err != nil {
		return figure{}, err
	}
	if len(times) < callers {
		return figure{}, errors.New("too few calls to tell")
	}
	slices.Sort(times)
	return figure{
		perSecond: float64(len(times)) / elapsed.Seconds(),
		p50:       times[len(times)/2],
		p99:       times[len(times)*99/100],
		max:       times[len(times)-1],
		cpu:       (after - before) / time.Duration(len(times)),
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
