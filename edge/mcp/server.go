// Package mcp offers RPCs as MCP tools, to remote clients over Streamable HTTP and to local ones over stdio.
//
// An RPC becomes a tool by its paput.tool.v1.method option; its schemas follow from its messages. The package knows no
// service, resources aside: it translates a tools/call into an RPC, sends the caller's own token with it, and translates the answer back.
// The service at the other end checks that token again.
//
// # What is an error of what kind
//
//   - A body that is not a JSON-RPC request, or whose params have the wrong shape (no tool name, arguments that are no
//     object, an unknown tool), is a JSON-RPC error: the client is at fault, and a model cannot mend it.
//   - Whatever is wrong inside the arguments, and whatever the service refuses, is a result with isError and a sentence
//     that names the argument and what it must be: a model can mend it, or tell its user.
//   - A token that is missing or no longer good, or does not reach far enough, is 401 or 403 with a challenge: the client
//     then asks its user. It never reaches the model.
//   - A fault of our own is a result with isError that says nothing but a number, which the log has too.
//
// # Both eras
//
// A request that names protocol version 2026-07-28 is answered by the rules of that version, any other by those of the
// initialize handshake. Nothing is kept between requests in either, so any process can answer any request: what a client of
// the handshake can be asked for in the middle of a call is in the id of its session, and what a call of the newer era waits
// for is in its requestState, both signed.
//
// # What the person must agree to
//
// A tool whose RPC has a confirmation asks the person: through the client where it says that it can ask, whatever the model
// says, and else by having the model ask and call again. It is for what cannot be taken back, as publishing and replacing the
// capture policy, or is too much to be taken back by hand, as deleting many memos.
//
// # Resources and prompts
//
// The memos of a caller can be read as resources, memo://{id}, and four prompts put habits into words. They know the memo
// service, which they ask by RPC with the caller's token. A client that says that it shows apps (MCP Apps, 2026-01-26) is told of
// one, ui://paput/app, in which a person sees what two of the tools found and decides on candidates.
//
// The registry, the dispatch of everything but tools/call of an RPC, and the types are mcp-go's. Its transports are not
// used: over HTTP they let one caller cancel another's request and lose notifications, and over stdio they drop the
// requests in flight when the input ends.
package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// cacheTTLMillis is how long a client may keep the list of tools, in milliseconds.
const cacheTTLMillis = 300_000

// Config is what a Server needs. Services, Client, Now and Log are required.
type Config struct {
	// Services whose RPCs become tools where they say so.
	Services []protoreflect.ServiceDescriptor
	// Client is what RPCs go through.
	Client *connect.Client
	// Now tells the time.
	Now func() time.Time
	// Version is what clients are told of this program.
	Version string
	// Website is where people find the server and its icon, such as https://paput.example.com; empty for none.
	Website string
	// Instructions are for the model, at most 1 kB; empty means DefaultInstructions.
	Instructions string
	// Extend, if not nil, adds to the registry what is no RPC. It is called once, at the end of New.
	Extend func(*Server, *Registry)
	// CallTimeout ends a call of a tool that takes longer; 0 means a minute.
	CallTimeout time.Duration
	// NewID makes the id of an error from the prefix "err"; nil numbers them.
	NewID func(prefix string) string
	Log   *slog.Logger
}

// Registry is mcp-go's: tools, prompts and resources by their names, and what handles them.
type Registry = server.MCPServer

// Server is a set of tools. It is made by New and safe for concurrent use.
type Server struct {
	mcp         *server.MCPServer
	client      *connect.Client
	log         *slog.Logger
	now         func() time.Time
	newID       func(prefix string) string
	callTimeout time.Duration
	tools       map[string]*tool
	sets        []Toolset
	// memos is nil when there is no memo service.
	memos *memos
	// scopes are those that any tool demands.
	scopes  []string
	lists   listCache
	buffers buffers
	seals   sealer
	// questions are those that clients are to answer.
	questions questions
	// identity is what each result of the newer era says of this server, as JSON.
	identity []byte
	sessions atomic.Uint64
	// closing is closed by Shutdown.
	closing  chan struct{}
	shutdown sync.Once
}

// New makes a server with a tool for each annotated RPC of the services. An annotation that clients could not live with is
// an error.
func New(c Config) (*Server, error) {
	if c.Client == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("mcp: Client, Now and Log are required")
	}
	instructions := c.Instructions
	if instructions == "" {
		instructions = DefaultInstructions
	}
	if len(instructions) > maxInstructions {
		return nil, fmt.Errorf("mcp: the instructions have %d bytes, at most %d", len(instructions), maxInstructions)
	}
	s := &Server{
		client:      c.Client,
		log:         c.Log,
		now:         c.Now,
		newID:       c.NewID,
		callTimeout: c.CallTimeout,
		tools:       make(map[string]*tool),
		closing:     make(chan struct{}),
	}
	s.lists.of = make(map[listKey][]byte)
	if s.callTimeout == 0 {
		s.callTimeout = time.Minute
	}
	if s.newID == nil {
		var n atomic.Uint64
		s.newID = func(prefix string) string { return fmt.Sprintf("%s_%d", prefix, n.Add(1)) }
	}
	s.mcp = server.NewMCPServer("paput", c.Version,
		server.WithTitle("Paput"),
		server.WithInstructions(instructions),
		server.WithToolCapabilities(false),
		server.WithCacheHints(cacheTTLMillis, mcp.CacheScopePrivate),
		server.WithMethodCacheHints(mcp.MethodServerDiscover, cacheTTLMillis, mcp.CacheScopePublic),
		server.WithToolFilter(s.listed),
	)
	if c.Website != "" {
		server.WithWebsiteURL(c.Website)(s.mcp)
		server.WithIcons(
			mcp.Icon{Src: c.Website + "/icon.svg", MIMEType: "image/svg+xml", Sizes: []string{"any"}},
			mcp.Icon{Src: c.Website + "/icon-192.png", MIMEType: "image/png", Sizes: []string{"192x192"}},
		)(s.mcp)
	}
	var err error
	if s.identity, err = json.Marshal(mcp.Implementation{Name: "paput", Version: c.Version, Title: "Paput"}); err != nil {
		return nil, fmt.Errorf("mcp: %w", err)
	}
	if err := s.UseKeys(newKey()); err != nil {
		return nil, fmt.Errorf("mcp: %w", err)
	}
	for _, service := range c.Services {
		if err := s.addService(service); err != nil {
			return nil, fmt.Errorf("mcp: %w", err)
		}
	}
	s.sets = Toolsets(c.Services...)
	s.addMemos(c.Services)
	if c.Extend != nil {
		c.Extend(s, s.mcp)
	}
	return s, nil
}

func (s *Server) addService(service protoreflect.ServiceDescriptor) error {
	for i := range service.Methods().Len() {
		t, err := newTool(service.Methods().Get(i))
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if s.tools[t.name] != nil {
			return fmt.Errorf("%s: the tool %s exists already", service.Methods().Get(i).FullName(), t.name)
		}
		s.tools[t.name] = t
		if !slices.Contains(s.scopes, t.scope) {
			s.scopes = append(s.scopes, t.scope)
		}
		s.mcp.AddTool(t.definition, unreachable)
	}
	return nil
}

// unreachable stands in the registry for the RPCs: answerCall finds them in Server.tools first.
func unreachable(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return nil, errors.New("an RPC is not called through the registry")
}

// LocalTool is a tool that is no RPC: one that needs the files of the person at this machine.
type LocalTool struct {
	// Name, Title and Description are as those of an RPC's tool.
	Name, Title, Description string
	// Input is the JSON Schema of the arguments, an object. The handler checks them itself.
	Input json.RawMessage
	// ReadOnly, Destructive and Idempotent tell a client what a call may do.
	ReadOnly, Destructive, Idempotent bool
	// Handle answers a call with a text. An error's text is for the model: it must say what to change.
	Handle func(ctx context.Context, arguments json.RawMessage) (string, error)
}

// AddLocalTool adds a tool. It must be called before the server serves anybody.
func (s *Server) AddLocalTool(t LocalTool) error {
	if s.mcp.GetTool(t.Name) != nil {
		return fmt.Errorf("mcp: the tool %s exists already", t.Name)
	}
	if !json.Valid(t.Input) || t.Handle == nil {
		return fmt.Errorf("mcp: the tool %s has no input schema or no handler", t.Name)
	}
	definition := mcp.Tool{
		Name:           t.Name,
		Title:          t.Title,
		Description:    t.Description,
		RawInputSchema: t.Input,
		Annotations: annotations(t.Title, hints{
			readOnly:    t.ReadOnly,
			destructive: t.Destructive,
			idempotent:  t.Idempotent || t.ReadOnly,
		}),
	}
	s.mcp.AddTool(definition, func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		said, err := t.Handle(ctx, r.Params.RawArguments)
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		return mcp.NewToolResultText(said), nil
	})
	return nil
}

// Shutdown ends the streams that clients keep open to be notified; requests in flight are not touched. It is meant for
// http.Server.RegisterOnShutdown, and may be called more than once.
func (s *Server) Shutdown() {
	s.shutdown.Do(func() { close(s.closing) })
}
