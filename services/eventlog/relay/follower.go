package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/paput/paput/services/eventlog"
)

const (
	// window is how many messages are sent for one answer, at most, and maxAsked how many answers are waited for at once. With
	// both, fewer are on their way than the 10 000 that the server lines up.
	window, maxAsked = 512, 4
	// ackTimeout is how long an answer may take.
	ackTimeout = 10 * time.Second
	// lookInterval is how often an idle stream is looked at, to see that nobody has removed or added anything.
	lookInterval = 5 * time.Second
)

var errMoved = errors.New("its last sequence is not what it was left at")

// follower publishes the events of one relay.
type follower struct {
	relay   *Relay
	js      jetstream.JetStream
	stream  string
	ordinal int64 // of the last event that the stream is known to have
	// reconnects is how often the connection had been lost when the following began.
	reconnects uint64
}

func newFollower(r *Relay, stream string) (*follower, error) {
	js, err := jetstream.New(r.conn,
		jetstream.WithPublishAsyncMaxPending(2*maxAsked), jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		return nil, err
	}
	return &follower{relay: r, js: js, stream: stream}, nil
}

// isOvertaken says whether somebody else published the same event first, which is no fault.
func isOvertaken(err error) bool {
	var e *jetstream.APIError
	return errors.As(err, &e) && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// follow finds out where the stream stands and publishes from there, until something fails or ctx is done. It returns
// eventlog.ErrClosed when the log has stopped and nothing of it is left to publish.
func (f *follower) follow(ctx context.Context) error {
	f.reconnects = f.relay.conn.Stats().Reconnects
	if err := f.attach(ctx); err != nil {
		return err
	}
	for {
		position := f.relay.log.Last()
		if err := f.publish(ctx); err != nil {
			return err
		}
		f.relay.note(ctx, f.stream, f.ordinal, nil)
		if err := f.await(ctx, position); err != nil {
			return err
		}
	}
}

// await returns when the log has moved on. Meanwhile it looks at the stream now and then.
func (f *follower) await(ctx context.Context, position int64) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, lookInterval)
		err := f.relay.log.Wait(waiting, position)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		last, err := f.last(ctx)
		if err != nil {
			return err
		}
		if last != f.ordinal {
			return errMoved
		}
	}
}

// last is the last sequence of the stream.
func (f *follower) last(ctx context.Context) (int64, error) {
	s, err := f.js.Stream(ctx, f.stream)
	if err != nil {
		return 0, err
	}
	return sequence(s.CachedInfo().State.LastSeq)
}

// publish sends everything that the log has and the stream has not. Each message is taken on condition that the one before
// it is there, so that the answer to one is the answer to all that were sent before it. The last is asked about, and one in
// every window; and the first, because whatever keeps the stream from taking it is what has to be known.
func (f *follower) publish(ctx context.Context) error {
	var (
		asked []question
		held  *eventlog.Outgoing
		n     int
	)
	look := time.NewTicker(awayPoll)
	defer look.Stop()
	for o, err := range f.relay.log.Outgoing(ctx, f.stream, f.ordinal) {
		if err != nil {
			return err
		}
		if held != nil {
			if n%window != 0 {
				err = f.send(*held)
			} else {
				asked, err = f.ask(ctx, look.C, asked, *held)
			}
			if err != nil {
				return err
			}
			n++
		}
		held = &o
	}
	if held == nil {
		return nil
	}
	asked, err := f.ask(ctx, look.C, asked, *held)
	if err != nil {
		return err
	}
	for _, q := range asked {
		if err := f.confirm(ctx, look.C, q); err != nil {
			return err
		}
	}
	return nil
}

// question is a message on its way that will be answered.
type question struct {
	ordinal int64
	future  jetstream.PubAckFuture
}

// send publishes a message that nobody asks about.
func (f *follower) send(o eventlog.Outgoing) error {
	m, err := f.relay.message(o)
	if err != nil {
		return err
	}
	m.Header[jetstream.ExpectedStreamHeader] = []string{f.stream}
	m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatInt(o.Ordinal-1, 10)}
	if err := f.relay.conn.PublishMsg(m); err != nil {
		return fmt.Errorf("publish ordinal %d: %w", o.Ordinal, err)
	}
	return nil
}

// ask publishes a message and asks whether it was taken, having waited for answers when there are many to come.
func (f *follower) ask(ctx context.Context, look <-chan time.Time, asked []question, o eventlog.Outgoing) ([]question, error) {
	if len(asked) == maxAsked {
		if err := f.confirm(ctx, look, asked[0]); err != nil {
			return nil, err
		}
		asked = asked[1:]
	}
	m, err := f.relay.message(o)
	if err != nil {
		return nil, err
	}
	future, err := f.js.PublishMsgAsync(m, jetstream.WithExpectStream(f.stream),
		jetstream.WithExpectLastSequence(uint64(o.Ordinal-1)), // #nosec G115 -- ordinals count from 1
		jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, fmt.Errorf("publish ordinal %d: %w", o.Ordinal, err)
	}
	return append(asked, question{o.Ordinal, future}), nil
}

// confirm waits for an answer, which may be lost with the connection.
func (f *follower) confirm(ctx context.Context, look <-chan time.Time, q question) error {
	for {
		select {
		case ack := <-q.future.Ok():
			return f.confirmed(q, ack)
		case err := <-q.future.Err():
			return fmt.Errorf("publish ordinal %d: %w", q.ordinal, err)
		case <-look:
			if !f.relay.conn.IsConnected() || f.relay.conn.Stats().Reconnects != f.reconnects {
				return errAway
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *follower) confirmed(q question, ack *jetstream.PubAck) error {
	last, err := sequence(ack.Sequence)
	if err != nil {
		return err
	}
	if last != q.ordinal {
		return fmt.Errorf("ordinal %d became sequence %d", q.ordinal, last)
	}
	f.ordinal = last
	return nil
}
