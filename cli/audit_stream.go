package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// What the auditor may do at the NATS server, and this file must get by with: publish to the three addresses below,
// subscribe to auditSubjects and to its own inbox. It can create no consumer, so it reads by direct get, and takes what
// arrives on auditSubjects as a hint to look again.
const (
	auditStreamInfo = "$JS.API.STREAM.INFO.AUTH"
	auditDirectGet  = "$JS.API.DIRECT.GET.AUTH"
	auditSubjects   = "paput.auth.>"
	auditInbox      = "_INBOX_auditor"
)

const (
	// auditBatch is how many events are asked for at once, auditBatchBytes how large they may be together.
	auditBatch      = 500
	auditBatchBytes = 4 << 20
	// natsTimeout bounds one answer of the NATS server.
	natsTimeout = 10 * time.Second
	// natsPatience is how often a wait for it looks whether the connection is still the same.
	natsPatience = 250 * time.Millisecond
	// After a hint paput looks again at once and then ever more rarely: the hint may be faster than the stream.
	soonest, latest = 10 * time.Millisecond, 5 * time.Second
)

// auditStream reads the stream AUTH.
type auditStream struct {
	conn *nats.Conn
	url  string
	hint chan struct{} // something may have been added
	// unread says whether nobody reads what is printed any more.
	unread func() bool
	note   func(format string, v ...any)
	// denied is set when the NATS server has refused this user something.
	denied atomic.Bool
}

// errNoAnswer is what may pass: a NATS server that is away, or whose stream is being set up.
var errNoAnswer = problemf(errUnreachable, "the audit stream does not answer")

func (a *app) openAuditStream(url, seed string) (*auditStream, error) {
	key, err := nats.NkeyOptionFromSeed(seed)
	if err != nil {
		return nil, problemf(errRefused, "%s holds no NKey seed of a user", seed)
	}
	s := &auditStream{url: url, hint: make(chan struct{}, 1), unread: a.OutIsGone, note: a.note}
	if s.unread == nil {
		s.unread = func() bool { return false }
	}
	s.conn, err = nats.Connect(url, key,
		nats.Name("paput audit tail"),
		nats.CustomInboxPrefix(auditInbox),
		nats.Timeout(natsTimeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // the server may have come back before its users have
		nats.ReconnectWait(time.Second),
		nats.ReconnectBufSize(-1), // a question nobody waits for any more must not be asked later
		nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			s.note("paput: the connection to %s is lost; trying again until it is back", url)
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			s.note("paput: connected to %s again", url)
			s.look()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				s.denied.Store(true)
			}
		}),
	)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, problemf(errRefused, "%s does not know the user of %s", url, seed)
	case errors.Is(err, nats.ErrNoServers):
		return nil, problemf(errUnreachable, "cannot reach %s: nothing answers there; check that paputd is running", url)
	case err != nil:
		return nil, unreachable(url, err)
	}
	if _, err := s.conn.Subscribe(auditSubjects, func(*nats.Msg) { s.look() }); err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("listen to the audit stream: %w", err)
	}
	return s, nil
}

func (s *auditStream) close() { s.conn.Close() }

// look makes print look for new events soon.
func (s *auditStream) look() {
	select {
	case s.hint <- struct{}{}:
	default:
	}
}

// print writes the events from a position on, each once and in order, until ctx is done or, without follow, until those
// are written that the stream had when it began. A missing event is an error.
func (s *auditStream) print(ctx context.Context, from position, follow bool, out io.Writer) error {
	first, last, err := s.bounds(ctx)
	if err != nil {
		return err
	}
	next := from.in(first, last)
	wait := soonest
	for follow || next <= last {
		written, err := s.printBatch(ctx, next, out)
		next += written
		switch {
		case errors.Is(err, errNoAnswer) && follow && ctx.Err() == nil:
		case err != nil:
			return err
		case written > 0:
			wait = soonest
			continue
		case !follow:
			return gapError(next, last+1)
		case s.unread():
			return nil
		}
		select {
		case <-s.hint:
			wait = soonest
		case <-time.After(wait):
			wait = min(2*wait, latest)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// bounds asks for the first and the last sequence of the stream.
func (s *auditStream) bounds(ctx context.Context) (first, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	msg, err := s.conn.RequestWithContext(ctx, auditStreamInfo, nil)
	if err != nil {
		return 0, 0, s.explain(ctx, err)
	}
	var info struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
		State struct {
			First uint64 `json:"first_seq"`
			Last  uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := json.Unmarshal(msg.Data, &info); err != nil {
		return 0, 0, fmt.Errorf("%s answered with something unreadable: %w", s.url, err)
	}
	if info.Error != nil {
		return 0, 0, problemf(errRefused, "%s has no audit stream: %s", s.url, clean(info.Error.Description))
	}
	return info.State.First, info.State.Last, nil
}

// explain tells a NATS server that does not answer from one that refuses.
func (s *auditStream) explain(ctx context.Context, err error) error {
	switch {
	case s.denied.Load():
		return problemf(errRefused, "%s does not let this user read the audit stream", s.url)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return err
	}
	return problemf(errUnreachable, "the audit stream at %s does not answer", s.url)
}

// printBatch writes the next events that there are, up to a batch, and returns how many.
func (s *auditStream) printBatch(ctx context.Context, next uint64, out io.Writer) (written uint64, err error) {
	batch, err := s.get(ctx, request{Sequence: next, Batch: auditBatch, MaxBytes: auditBatchBytes})
	var lines []byte
	for _, msg := range batch {
		sequence, malformed := strconv.ParseUint(msg.Header.Get(nats.JSSequence), 10, 64)
		if malformed != nil {
			return written, fmt.Errorf("%s answered without a sequence", s.url)
		}
		if sequence != next+written {
			// The stream has lost an event, or the network a message, which is then asked for again.
			err = s.isMissing(ctx, next+written, sequence)
			break
		}
		line, malformed := jsonLine(msg, sequence)
		if malformed != nil {
			return written, malformed
		}
		lines = append(lines, line...)
		written++
	}
	if _, failed := out.Write(lines); failed != nil {
		return 0, failed
	}
	return written, err
}

// isMissing returns an error when the stream has found but not what comes before it.
func (s *auditStream) isMissing(ctx context.Context, sequence, found uint64) error {
	if found < sequence {
		return fmt.Errorf("%s sent event %d again", s.url, found)
	}
	one, err := s.get(ctx, request{Sequence: sequence})
	if err == nil && len(one) == 0 {
		return gapError(sequence, found)
	}
	return err
}

// request asks a stream for messages (JetStream's direct get): one by its sequence, or with Batch as many from there on.
type request struct {
	Sequence uint64 `json:"seq"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// get returns what the stream has of a request; nothing is no error. With an error it returns what arrived before.
func (s *auditStream) get(ctx context.Context, r request) ([]*nats.Msg, error) {
	question, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	inbox := s.conn.NewInbox()
	answers, err := s.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("read the audit stream: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }() // fails only when the connection is closed
	if err := s.conn.PublishRequest(auditDirectGet, inbox, question); err != nil {
		return nil, errNoAnswer
	}
	var got []*nats.Msg
	for {
		msg, err := s.receive(ctx, answers)
		if err != nil {
			return got, err
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			got = append(got, msg)
			if r.Batch == 0 {
				return got, nil
			}
		case "204", "404": // the end of the batch; nothing there
			return got, nil
		case "503": // nobody answers for the stream
			return got, errNoAnswer
		default:
			return got, fmt.Errorf("%s refuses to read the audit stream: %s %s", s.url, status, clean(msg.Header.Get("Description")))
		}
	}
}

// receive waits for the next answer, unless the connection on which it was to come is lost.
func (s *auditStream) receive(ctx context.Context, answers *nats.Subscription) (*nats.Msg, error) {
	connection := s.conn.Stats().Reconnects
	for range natsTimeout / natsPatience {
		limited, cancel := context.WithTimeout(ctx, natsPatience)
		msg, err := answers.NextMsgWithContext(limited)
		cancel()
		switch {
		case err == nil:
			return msg, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case s.denied.Load():
			return nil, s.explain(ctx, err)
		case !errors.Is(err, context.DeadlineExceeded), !s.conn.IsConnected(), s.conn.Stats().Reconnects != connection:
			return nil, errNoAnswer
		}
	}
	return nil, errNoAnswer
}
