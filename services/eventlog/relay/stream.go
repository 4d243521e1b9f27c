package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// subjects is what a stream takes: "paput.auth.>" for AUTH.
func subjects(stream string) []string { return []string{"paput." + strings.ToLower(stream) + ".>"} }

// attach makes sure that the stream is there and fit to hold the log's events, and finds out how many it has.
func (f *follower) attach(ctx context.Context) error {
	s, err := f.ensure(ctx)
	if err != nil {
		return err
	}
	last, err := sequence(s.CachedInfo().State.LastSeq)
	if err != nil {
		return err
	}
	if logged := f.relay.log.Ordinal(f.stream); last > logged {
		return fmt.Errorf("it holds %d events and the log only %d of them, as after the log was restored from an older backup: "+
			"nothing is published until the newer log is back, or the stream is removed and so filled from this log", last, logged)
	}
	if err := f.compare(ctx, s, last); err != nil {
		return err
	}
	f.ordinal = last
	return nil
}

// ensure creates the stream, or gives an existing one the properties that the relay relies on and leaves it the others.
func (f *follower) ensure(ctx context.Context) (jetstream.Stream, error) {
	s, err := f.js.Stream(ctx, f.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		c := jetstream.StreamConfig{Name: f.stream, Storage: jetstream.FileStorage}
		require(&c)
		return f.js.CreateStream(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	c := s.CachedInfo().Config
	if c.Storage != jetstream.FileStorage {
		return nil, errors.New("it is kept in memory: remove it")
	}
	if !require(&c) {
		return s, nil
	}
	return f.js.UpdateStream(ctx, c)
}

// require sets what a stream must be, and says whether it was not.
func require(c *jetstream.StreamConfig) (changed bool) {
	want := subjects(c.Name)
	changed = !slices.Equal(c.Subjects, want) || !c.DenyDelete || !c.DenyPurge || !c.AllowDirect
	c.Subjects, c.DenyDelete, c.DenyPurge, c.AllowDirect = want, true, true, true
	return changed
}

// compare checks that the stream's last message is the log's event of that ordinal. It is not when the log was restored
// from a backup and has gone another way since.
func (f *follower) compare(ctx context.Context, s jetstream.Stream, last int64) error {
	if last == 0 {
		return nil
	}
	have, err := s.GetMsg(ctx, uint64(last)) // #nosec G115 -- it came as an unsigned number
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // it has reached an age limit
	}
	if err != nil {
		return fmt.Errorf("read sequence %d: %w", last, err)
	}
	want, err := f.logged(ctx, last)
	if err != nil {
		return err
	}
	for _, name := range []string{headerID, headerType, headerTime} {
		if have.Header.Get(name) != want.Header.Get(name) {
			return fmt.Errorf("its sequence %d is not the log's event of that ordinal (%s differs), as after the log was restored from an "+
				"older backup: nothing is published until the right log is back, or the stream is removed and so filled from this log", last, name)
		}
	}
	return nil
}

// logged is the message of one ordinal.
func (f *follower) logged(ctx context.Context, ordinal int64) (*message, error) {
	for o, err := range f.relay.log.Outgoing(ctx, f.stream, ordinal-1) {
		if err != nil {
			return nil, err
		}
		return f.relay.message(o)
	}
	return nil, fmt.Errorf("the log has no event of ordinal %d", ordinal)
}

// sequence converts a sequence of JetStream.
func sequence(n uint64) (int64, error) {
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("the sequence %d is out of range", n)
	}
	return int64(n), nil
}
