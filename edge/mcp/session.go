package mcp

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// A session is what mcp-go knows of the sender of one request.
type session struct {
	id   string
	line *line
	// refusal is what the handler wants answered.
	refusal atomic.Pointer[refusal]
}

// A refusal is an error answer that a handler chose: a JSON-RPC error, or what the transport must answer.
type refusal struct {
	fault *rpcError
	err   error
}

var (
	_ server.SessionWithLogging         = (*session)(nil)
	_ server.SessionWithElicitation     = (*session)(nil)
	_ server.SessionWithSampling        = (*session)(nil)
	_ server.SessionWithRoots           = (*session)(nil)
	_ server.SessionWithProtocolVersion = (*session)(nil)
)

func (s *session) SessionID() string                                   { return s.id }
func (s *session) Initialize()                                         {}
func (s *session) Initialized() bool                                   { return true }
func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.line.notes }

// ProtocolVersion is that of the handshake, which nothing is kept of.
func (s *session) ProtocolVersion() string { return "" }

// SetLogLevel forgets the level: of a session nothing is kept between requests.
func (s *session) SetLogLevel(mcp.LoggingLevel)  {}
func (s *session) GetLogLevel() mcp.LoggingLevel { return mcp.LoggingLevelDebug }

func (s *session) RequestElicitation(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	result := new(mcp.ElicitationResult)
	return result, s.line.ask(ctx, mcp.MethodElicitationCreate, r.Params, result)
}

func (s *session) RequestSampling(ctx context.Context, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	result := new(mcp.CreateMessageResult)
	return result, s.line.ask(ctx, mcp.MethodSamplingCreateMessage, r.CreateMessageParams, result)
}

func (s *session) ListRoots(ctx context.Context, _ mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	result := new(mcp.ListRootsResult)
	return result, s.line.ask(ctx, mcp.MethodListRoots, struct{}{}, result)
}

// Refuse has the request that ctx is of answered by a JSON-RPC error of the handler's choice; mcp-go makes all of them
// internal errors. The handler returns what Refuse returns. data may be nil.
func Refuse(ctx context.Context, code int, text string, data any) error {
	fault := &rpcError{code: code, text: text}
	if data != nil {
		fault.data, _ = json.Marshal(data)
	}
	return refuse(ctx, refusal{fault: fault})
}

func refuse(ctx context.Context, r refusal) error {
	if from, ok := server.ClientSessionFromContext(ctx).(*session); ok {
		from.refusal.Store(&r)
	}
	if r.err != nil {
		return r.err
	}
	return r.fault
}
