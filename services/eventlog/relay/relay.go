// Package relay publishes the events of a log to NATS JetStream, in the order of the log.
//
// Each event that is bound for a JetStream stream has an ordinal in the log, counted without gaps. The relay publishes it
// on the condition that the stream's last sequence is the ordinal before. So a sequence in the stream is the ordinal in the
// log, always; where to go on is read from the stream itself; two relays fence each other; and a stream that was lost
// comes back with the same sequences. NATS is never the record: while it is away, commands go on and the relay waits.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/paput/paput/services/eventlog"
)

// maxLag is how many events a stream may be behind the log before Health complains.
const maxLag = 10_000

// How long to wait after a failure: twice as long each time.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
	// awayPoll is how often to see whether NATS has come back.
	awayPoll = 100 * time.Millisecond
)

var (
	errNotYet = errors.New("it has not been looked at yet")
	errAway   = errors.New("there is no connection to NATS")
)

// Config is what a relay needs.
type Config struct {
	Log  *eventlog.Log
	Conn *nats.Conn
	// Source is the CloudEvents source of every message: the server's public URL.
	Source string
	Logger *slog.Logger
}

// Relay publishes what a log says is to be published.
type Relay struct {
	log    *eventlog.Log
	conn   *nats.Conn
	source string
	logger *slog.Logger

	// mu guards where each stream stands.
	mu      sync.Mutex
	streams map[string]standing
}

// standing is how far a stream is, and what keeps it from going on.
type standing struct {
	ordinal int64
	err     error
}

// New returns a relay that publishes once Run runs.
func New(c Config) *Relay {
	r := &Relay{
		log:     c.Log,
		conn:    c.Conn,
		source:  c.Source,
		logger:  c.Logger,
		streams: make(map[string]standing),
	}
	for _, stream := range c.Log.Relays() {
		r.streams[stream] = standing{err: errNotYet}
	}
	return r
}

// Run publishes until ctx is done, or the log has stopped and all of it is published, then returns nil. Nothing that NATS
// does makes it fail: it tries again, more and more patiently, and Health says what is wrong.
func (r *Relay) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for _, stream := range r.log.Relays() {
		f, err := newFollower(r, stream)
		if err != nil {
			return fmt.Errorf("relay %s: %w", stream, err)
		}
		running.Go(func() { r.keepFollowing(ctx, f) })
	}
	return nil
}

func (r *Relay) keepFollowing(ctx context.Context, f *follower) {
	backoff := minBackoff
	for ctx.Err() == nil {
		if !r.conn.IsConnected() {
			r.note(ctx, f.stream, f.ordinal, errAway)
			backoff = minBackoff
			sleep(ctx, awayPoll)
			continue
		}
		before := f.ordinal
		err := f.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed) {
			return
		}
		if f.ordinal > before {
			backoff = minBackoff
		}
		if !isOvertaken(err) {
			r.note(ctx, f.stream, f.ordinal, err)
		}
		sleep(ctx, backoff)
		backoff = min(2*backoff, maxBackoff)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// note remembers where a stream stands, and logs when that is another kind of place than before.
func (r *Relay) note(ctx context.Context, stream string, ordinal int64, err error) {
	r.mu.Lock()
	former := r.streams[stream].err
	r.streams[stream] = standing{ordinal, err}
	r.mu.Unlock()
	switch {
	case err != nil && (former == nil || former.Error() != err.Error()):
		r.logger.WarnContext(ctx, "publishing to JetStream is held up", "stream", stream, "ordinal", ordinal, "error", err)
	case err == nil && former != nil:
		r.logger.InfoContext(ctx, "publishing to JetStream", "stream", stream, "ordinal", ordinal)
	}
}

// Health returns nil when every stream can be published to and is not far behind the log. Otherwise its error says which
// one is not, and why.
func (r *Relay) Health() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, stream := range r.log.Relays() {
		s := r.streams[stream]
		lag := r.log.Ordinal(stream) - s.ordinal
		switch {
		case s.err != nil:
			errs = append(errs, fmt.Errorf("JetStream stream %s: %w", stream, s.err))
		case lag > maxLag:
			errs = append(errs, fmt.Errorf("JetStream stream %s is %d events behind the log", stream, lag))
		}
	}
	return errors.Join(errs...)
}
