package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// refreshEarly is how long before its end an access token is no longer used.
	refreshEarly = time.Minute
	// againWithin is how long after a refresh without an answer another makes sense: servers that know a grace time grant
	// from ten seconds on.
	againWithin = 10 * time.Second
	// rpcTimeout bounds one call to the server.
	rpcTimeout = time.Minute
)

// session gives access tokens of one server and keeps them fresh, together with every other paput on this machine that
// shares the credentials: all of them may refresh at once and none is logged out.
type session struct {
	app    *app
	vault  vault
	server string

	mu     sync.Mutex // guards tokens; held while they are refreshed, so one process asks once
	tokens *tokens    // as last seen in the vault; nil before
}

// session opens the session that the command line is about. It does not fail when there is none: the first call does.
func (a *app) session() (*session, error) {
	v, err := a.vault()
	if err != nil {
		return nil, err
	}
	c, err := v.read()
	if err != nil {
		return nil, err
	}
	server, err := a.serverURL(c)
	if err != nil {
		return nil, err
	}
	return &session{app: a, vault: v, server: server, tokens: c.of(server).Tokens}, nil
}

// access returns an access token that is good for a while. refused is one that the server has refused, or empty: it is
// not given again.
func (s *session) access(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isGood(s.tokens, refused) {
		return s.tokens.Access, nil
	}
	// Another process, or a log-in since, may have left better ones.
	c, err := s.vault.read()
	if err != nil {
		return "", err
	}
	s.tokens = c.of(s.server).Tokens
	if s.isGood(s.tokens, refused) {
		return s.tokens.Access, nil
	}
	if s.tokens == nil {
		return "", notLoggedIn(s.server)
	}
	return s.renew(ctx, refused)
}

// isGood says whether t may be used.
func (s *session) isGood(t *tokens, refused string) bool {
	return t != nil && t.Access != refused &&
		(t.Expires.IsZero() || s.app.Now().Add(refreshEarly).Before(t.Expires))
}

// renew refreshes the tokens under the vault's lock, unless another process has done so by the time it has the lock.
// A refresh token is thus presented by one process at a time, and never after its successor has been kept.
func (s *session) renew(ctx context.Context, refused string) (string, error) {
	var ended error
	err := s.vault.update(ctx, func(c *credentials) error {
		acc := c.of(s.server)
		s.tokens = acc.Tokens
		switch {
		case acc.Tokens == nil:
			return notLoggedIn(s.server)
		case s.isGood(acc.Tokens, refused):
			return nil
		case acc.Tokens.Refresh == "":
			ended = sessionEnded(s.server)
			acc.Tokens = nil
			return nil
		}
		// Once sent, the request is waited for: its answer holds the only tokens that will be good.
		renewed, err := s.refresh(context.WithoutCancel(ctx), acc)
		switch {
		case errors.Is(err, errInvalidGrant), errors.Is(err, errInvalidClient):
			ended = sessionEnded(s.server)
			acc.Tokens = nil
			return nil
		case err != nil:
			return fmt.Errorf("refresh the session: %w", err)
		}
		acc.Tokens, s.tokens = renewed, renewed
		return nil
	})
	if err != nil {
		return "", err
	}
	if ended != nil {
		s.tokens = nil
		return "", ended
	}
	return s.tokens.Access, nil
}

// refresh exchanges the refresh token, and asks again soon when no answer comes: the server may have exchanged it and its
// answer be lost. It gives the same answer again within its grace time, and takes a token that comes later for a stolen one,
// which ends the session.
func (s *session) refresh(ctx context.Context, acc *account) (*tokens, error) {
	asked := s.app.Now()
	renewed, err := s.app.refresh(ctx, acc)
	for _, pause := range []time.Duration{0, time.Second} {
		if !errors.Is(err, errUnreachable) || s.app.Now().Sub(asked) > againWithin {
			break
		}
		time.Sleep(pause)
		renewed, err = s.app.refresh(ctx, acc)
	}
	return renewed, err
}

// client returns a client of the server's RPCs that presents the access token.
func (s *session) client() *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(s.app.http, s.server), s.authorize)
}

// authorize adds the access token to each call. A call of the one-request kind is given up after rpcTimeout, and may be made
// again before: see retryStream.
func (s *session) authorize(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		token, err := s.access(ctx, "")
		if err != nil {
			return nil, s.asRPC(err)
		}
		setBearer(ctx, token)
		if spec.StreamType != connect.StreamTypeUnary {
			stream, err := next(ctx, spec)
			return refusedStream{stream}, err
		}
		ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
		stream, err := next(ctx, spec)
		if err != nil {
			cancel()
			return nil, err
		}
		r := &retryStream{ClientStream: stream, cancel: cancel, isRead: spec.IdempotencyLevel == connect.IdempotencyNoSideEffects}
		r.again = func() (connect.ClientStream, error) { return next(ctx, spec) }
		r.renew = func() error {
			fresh, err := s.access(ctx, token)
			if err != nil {
				return s.asRPC(err)
			}
			setBearer(ctx, fresh)
			return nil
		}
		r.ended = func() error { return s.asRPC(sessionEnded(s.server)) }
		return r, nil
	}
}

func setBearer(ctx context.Context, token string) {
	if info, ok := connect.CallInfoForClientContext(ctx); ok {
		info.RequestHeader().Set("Authorization", "Bearer "+token)
	}
}

// asRPC makes an error of this program's own look like the server's to whoever calls the RPC, text and all, and keeps it
// for fromRPC.
func (s *session) asRPC(err error) error {
	code := connect.CodeFailedPrecondition
	switch {
	case errors.Is(err, errNotLoggedIn):
		code = connect.CodeUnauthenticated
	case errors.Is(err, errUnreachable):
		code = connect.CodeUnavailable
	}
	return connect.NewError(code, err.Error()).WithCause(localError{err})
}

// localError marks an error that never went to the server.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

// refusedStream is a call with a stream of answers. The server may refuse it before it has read the request: then the request
// cannot be sent, which is no reason, and the reason is there to be received.
type refusedStream struct{ connect.ClientStream }

// Send fails for the server's reason, where there is one.
func (r refusedStream) Send(msg any) error {
	err := r.ClientStream.Send(msg)
	if !errors.Is(err, io.EOF) {
		return err
	}
	if reason := r.Receive(&emptypb.Empty{}); reason != nil && !errors.Is(reason, io.EOF) {
		return reason
	}
	return err
}

// retryStream is a unary call that is made again, once, with a fresh token when it is refused for its token, and once when its
// answer is lost: the server may have carried it out, but what only reads can be asked twice, and for everything else the
// request's idempotency key makes the server give its first answer.
type retryStream struct {
	connect.ClientStream
	again func() (connect.ClientStream, error) // makes the call
	renew func() error                         // gets a fresh token; nil once used
	ended func() error                         // what to say when that is refused too
	// cancel releases what all times share.
	cancel context.CancelFunc
	isRead bool
	sent   any
	isLost bool // an answer was
}

// Send keeps the request for the next time. One that may have a key and has none gets one.
func (r *retryStream) Send(msg any) error {
	r.sent = withKey(msg)
	return r.ClientStream.Send(r.sent)
}

// Close ends the call.
func (r *retryStream) Close() error {
	err := r.ClientStream.Close()
	r.cancel()
	return err
}

// Receive makes the call again when that helps.
func (r *retryStream) Receive(msg any) error {
	for {
		err := r.ClientStream.Receive(msg)
		switch {
		case err == nil:
			return nil
		case connect.CodeOf(err) == connect.CodeUnauthenticated && r.renew == nil:
			return r.ended()
		case connect.CodeOf(err) == connect.CodeUnauthenticated:
			renew := r.renew
			r.renew = nil
			if err := renew(); err != nil {
				return err
			}
		case isLost(err) && !r.isLost && (r.isRead || keyOf(r.sent) != ""):
			r.isLost = true
		default:
			return err
		}
		if err := r.repeat(); err != nil {
			return err
		}
	}
}

// repeat makes the call again.
func (r *retryStream) repeat() error {
	stream, err := r.again()
	if err != nil {
		return err
	}
	_ = r.ClientStream.Close() //nolint:staticcheck // the call before alone, which has told all it had to tell
	r.ClientStream = stream
	if err := stream.Send(r.sent); err != nil {
		return err
	}
	return stream.CloseSend()
}

// isLost says whether a call failed between here and the server, so that it may have been carried out.
func isLost(err error) bool {
	var ce *connect.Error
	return errors.As(err, &ce) && !ce.IsRemote() && ce.Code() == connect.CodeUnavailable || errors.Is(err, io.ErrUnexpectedEOF)
}

// keyField is the field of a request's idempotency key; nil for a message without one.
func keyField(msg any) (protoreflect.Message, protoreflect.FieldDescriptor) {
	m, ok := msg.(proto.Message)
	if !ok {
		return nil, nil
	}
	f := m.ProtoReflect().Descriptor().Fields().ByName("idempotency_key")
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return nil, nil
	}
	return m.ProtoReflect(), f
}

func keyOf(msg any) string {
	m, f := keyField(msg)
	if f == nil {
		return ""
	}
	return m.Get(f).String()
}

// withKey gives a request that may have an idempotency key one of its own, unless it has one: then, and otherwise, it is msg.
func withKey(msg any) any {
	m, f := keyField(msg)
	if f == nil || m.Get(f).String() != "" {
		return msg
	}
	keyed := proto.Clone(m.Interface())
	keyed.ProtoReflect().Set(f, protoreflect.ValueOfString(rand.Text()))
	return keyed
}

// host is the server without its scheme, for people.
func host(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	return u.Host + u.Path
}
