// Package rpc is what every RPC passes through on its way to a service: recover, translate errors, authenticate,
// authorize, validate, and log what failed. What an RPC demands is written beside it in its proto file
// (paput.tool.v1.method and paput.tool.v1.field); an RPC that demands nothing there can be called by nobody.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// The scopes with a meaning of their own in a method's option.
const (
	scopePublic        = "public"
	scopeAuthenticated = "authenticated"
)

// ErrUnauthenticated is what an Authenticator returns for a token that is unknown, expired or revoked.
var ErrUnauthenticated = errors.New("the access token is unknown, expired or revoked")

// Caller is whoever an access token speaks for.
type Caller struct {
	// AccountID is empty for a service that acts for no account. Only RPCs that ask for any valid token see such a caller.
	AccountID string
	ClientID  string
	GrantID   string
	// IsService says that the client acts by itself (RFC 6749, section 4.4): each of its tokens has a grant of its own.
	IsService bool
	// Scopes are the scopes granted, without those that they imply.
	Scopes []string
	// Resource is what the token is bound to (RFC 8707).
	Resource string
	// Expires is when the token does, UTC.
	Expires time.Time
}

// Has says whether the caller's scopes allow what scope allows.
func (c Caller) Has(scope string) bool {
	return slices.ContainsFunc(c.Scopes, func(granted string) bool {
		return granted == scope || slices.Contains(implied(granted), scope)
	})
}

// Allowed lists the caller's scopes and those that they imply, in alphabetical order.
func (c Caller) Allowed() []string {
	allowed := slices.Clone(c.Scopes)
	for _, scope := range c.Scopes {
		allowed = append(allowed, implied(scope)...)
	}
	slices.Sort(allowed)
	return slices.Compact(allowed)
}

// implied lists what a scope allows besides itself.
func implied(scope string) []string {
	switch scope {
	case "paput.publish":
		return []string{"paput.write", "paput.capture", "paput.read"}
	case "paput.write":
		return []string{"paput.capture", "paput.read"}
	default:
		return nil
	}
}

// Authenticator tells whom an access token speaks for. A token that speaks for nobody is ErrUnauthenticated.
type Authenticator interface {
	Authenticate(ctx context.Context, accessToken string) (Caller, error)
}

// Codes translates the domain errors of a service; ok is false for an error it does not know.
type Codes func(err error) (code connect.Code, ok bool)

// Config is what the interceptors need.
type Config struct {
	// Auth may be nil when every RPC on the server is public.
	Auth Authenticator
	Log  *slog.Logger
	// Stopping is closed when the server stops, which ends every stream; nil for one that never does.
	Stopping <-chan struct{}
	// Codes of all services on the server.
	Codes []Codes
}

// NewServer returns a server on which services register themselves.
func NewServer(c Config) *connect.Server {
	return connect.NewServer(c.logAndTranslate, c.recover, c.authenticate, validate)
}

type callerKey struct{}

// CallerFrom returns the caller that the interceptors found. It panics in a handler whose RPC is public.
func CallerFrom(ctx context.Context) Caller {
	c, ok := ctx.Value(callerKey{}).(*Caller)
	if !ok || c == nil {
		panic("rpc: no caller: the RPC is public")
	}
	return *c
}

// logAndTranslate turns domain errors into Connect errors. An error that no service knows leaves without its text and is
// logged here, once.
func (c Config) logAndTranslate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		err := next(ctx, spec, stream)
		if err == nil {
			return nil
		}
		var already *connect.Error
		switch {
		case errors.As(err, &already) && !already.IsRemote():
			return already
		case errors.Is(err, context.Canceled):
			return connect.NewError(connect.CodeCanceled, "the call was cancelled")
		case errors.Is(err, context.DeadlineExceeded):
			return connect.NewError(connect.CodeDeadlineExceeded, "the call took too long")
		}
		for _, codes := range c.Codes {
			if code, ok := codes(err); ok {
				return connect.NewError(code, err.Error())
			}
		}
		c.Log.ErrorContext(ctx, "rpc failed", "procedure", spec.Procedure, "error", err)
		return connect.NewError(connect.CodeInternal, "internal error")
	}
}

func (c Config) recover(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		return next(ctx, spec, stream)
	}
}

// authenticate finds the caller and checks the scope that the method's option asks for.
func (c Config) authenticate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		scope := Scope(spec)
		if scope == scopePublic {
			return c.guard(context.WithValue(ctx, callerKey{}, (*Caller)(nil)), spec, stream, next, nil)
		}
		if scope == "" || c.Auth == nil {
			return connect.NewError(connect.CodePermissionDenied, "this RPC is not open to anyone")
		}
		token, err := bearer(ctx)
		if err != nil {
			return err
		}
		caller, err := c.Auth.Authenticate(ctx, token)
		if err := authentication(err); err != nil {
			return err
		}
		if scope != scopeAuthenticated && !caller.Has(scope) {
			return connect.Errorf(connect.CodePermissionDenied, "this needs the scope %s, which the access token does not have", scope)
		}
		if scope != scopeAuthenticated && caller.AccountID == "" {
			return connect.NewError(connect.CodePermissionDenied, "this token speaks for no account: get one that acts for an account")
		}
		return c.guard(context.WithValue(ctx, callerKey{}, &caller), spec, stream, next, func() error {
			_, err := c.Auth.Authenticate(ctx, token)
			return authentication(err)
		})
	}
}

// authentication is what the caller is told of an Authenticator's error.
func authentication(err error) error {
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return connect.NewError(connect.CodeUnauthenticated, ErrUnauthenticated.Error())
	case err != nil:
		return fmt.Errorf("authenticate: %w", err)
	}
	return nil
}

// bearer takes the token from the Authorization header (RFC 6750, section 2.1).
func bearer(ctx context.Context) (string, error) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return "", connect.NewError(connect.CodeUnauthenticated, "an access token is needed")
	}
	values := info.RequestHeader().Values("Authorization")
	if len(values) != 1 {
		return "", connect.NewError(connect.CodeUnauthenticated, "an access token is needed: send one Authorization header, Bearer and the token")
	}
	kind, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(kind, "bearer") || token == "" {
		return "", connect.NewError(connect.CodeUnauthenticated, "an access token is needed: send one Authorization header, Bearer and the token")
	}
	return token, nil
}

// Scope returns what the RPC's option demands; empty when it has none.
func Scope(spec connect.Spec) string {
	if m := Method(spec); m != nil {
		return m.GetScope()
	}
	if strings.HasPrefix(spec.Procedure, "/grpc.reflection.") {
		return scopePublic
	}
	return ""
}

// Method returns the RPC's paput.tool.v1.method option, nil when it has none.
func Method(spec connect.Spec) *toolv1.Method {
	desc, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok || desc == nil {
		return nil
	}
	m, _ := proto.GetExtension(desc.Options(), toolv1.E_Method).(*toolv1.Method)
	return m
}
