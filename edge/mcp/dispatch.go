package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// answer appends the whole answer to a request. code is that of a JSON-RPC error, 0 for a result. An error is what
// appendCall returns one for. A panic is answered without its text.
func (s *Server) answer(ctx context.Context, dst []byte, m *message, c *caller, modern bool, l *line) (out []byte, code int, err error) {
	start := len(dst)
	defer func() {
		if r := recover(); r != nil {
			text := s.internal(ctx, m.method, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
			out, code, err = appendError(dst[:start], m.id, &rpcError{code: mcp.INTERNAL_ERROR, text: text}), mcp.INTERNAL_ERROR, nil
		}
	}()
	var fault *rpcError
	out, fault, err = s.appendResult(ctx, append(appendHead(dst, m.id), `,"result":`...), m, c, modern, l)
	switch {
	case err != nil:
		return dst[:start], 0, err
	case fault != nil:
		return appendError(dst[:start], m.id, fault), fault.code, nil
	default:
		return append(out, '}'), 0, nil
	}
}

// A talker sends what belongs to a call before its answer. Its methods are called one at a time.
type talker interface {
	// note sends a notification. One that cannot be sent is lost.
	note(note mcp.JSONRPCNotification)
	// ask sends a request. An error says that the client has gone.
	ask(request []byte) error
	// alive keeps the way to the client open while a call takes long.
	alive() error
}

// answerOn is answer for a call that may report on its way and ask: what it sends on the line is handed to t as it comes,
// all of it before it returns. At each tick t gives a sign of life, once it has asked something.
func (s *Server) answerOn(ctx context.Context, m *message, c *caller, modern bool, l *line, t talker, every time.Duration) (out []byte, code int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, code, err = s.answer(ctx, nil, m, c, modern, l)
	}()
	note := func(n mcp.JSONRPCNotification) {
		if m.wants(n, modern) {
			t.note(n)
		}
	}
	var tick <-chan time.Time
	check := func(lost error) {
		if lost != nil && tick != nil {
			tick = nil
			close(l.gone)
		}
	}
	for {
		select {
		case n := <-l.notes:
			note(n)
		case request := <-l.asks:
			for len(l.notes) > 0 {
				note(<-l.notes)
			}
			if tick == nil {
				ticker := time.NewTicker(every)
				defer ticker.Stop()
				tick = ticker.C
			}
			check(t.ask(request))
		case <-tick:
			check(t.alive())
		case <-done:
			for len(l.notes) > 0 {
				note(<-l.notes)
			}
			return out, code, err
		}
	}
}

// wants says whether a notification is for the sender of m. Since 2026-07-28 each request says from which level on it wants
// log messages, and without it none.
func (m *message) wants(n mcp.JSONRPCNotification, modern bool) bool {
	if !modern || n.Method != string(mcp.MethodNotificationMessage) {
		return true
	}
	level := fmt.Sprint(n.Params.AdditionalFields["level"])
	return m.meta.logLevel != "" && mcp.LoggingLevel(level).ShouldSendTo(mcp.LoggingLevel(m.meta.logLevel))
}

func (s *Server) appendResult(ctx context.Context, dst []byte, m *message, c *caller, modern bool, l *line) ([]byte, *rpcError, error) {
	switch mcp.MCPMethod(m.method) {
	case mcp.MethodToolsCall:
		t := s.tools[m.tool]
		if t != nil && c.has(t) {
			return s.appendCall(ctx, dst, t, m, c, modern, l)
		}
		if t != nil || !c.has(t) || s.mcp.GetTool(m.tool) == nil {
			return dst, &rpcError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("there is no tool %.64q", m.tool)}, nil
		}
	case mcp.MethodToolsList:
		list, fault, err := s.list(ctx, m, c, modern)
		return append(dst, list...), fault, err
	}
	return s.dispatch(ctx, dst, m, c, l)
}

// dispatch lets mcp-go answer. Each request is a session of its own, so that nobody's message can touch another's.
func (s *Server) dispatch(ctx context.Context, dst []byte, m *message, c *caller, l *line) ([]byte, *rpcError, error) {
	from := &session{id: strconv.FormatUint(s.sessions.Add(1), 10), line: l}
	ctx = context.WithValue(s.mcp.WithContext(ctx, from), callerKey{}, c)
	// Only the parts that have been read are handed on: encoding/json would find others, such as "Method".
	request := append([]byte(`{"jsonrpc":"2.0","id":1,"method":`), appendQuoted(nil, m.method)...)
	request = append(append(append(request, `,"params":`...), m.params...), '}')
	switch answer := s.mcp.HandleMessage(ctx, request).(type) {
	case mcp.JSONRPCResponse:
		if found, ok := answer.Result.(mcp.DiscoverResult); ok && s.memos != nil {
			answer.Result = withSubscriptions(found)
		}
		if found, ok := answer.Result.(mcp.ListResourcesResult); ok && !c.apps {
			answer.Result = withoutApp(found)
		}
		result, err := json.Marshal(answer.Result)
		if err != nil {
			return dst, &rpcError{code: mcp.INTERNAL_ERROR, text: s.internal(ctx, m.method, err)}, nil
		}
		return append(dst, result...), nil, nil
	case mcp.JSONRPCError:
		if refusal := from.refusal.Load(); refusal != nil {
			return dst, refusal.fault, refusal.err
		}
		return dst, s.fault(ctx, m, answer.Error), nil
	default:
		err := fmt.Errorf("an answer of type %T", answer)
		return dst, &rpcError{code: mcp.INTERNAL_ERROR, text: s.internal(ctx, m.method, err)}, nil
	}
}

// withSubscriptions says that resources can be subscribed to. It is so since 2026-07-28 only: before, there was no way to a
// client that does not call.
func withSubscriptions(found mcp.DiscoverResult) mcp.DiscoverResult {
	resources := *found.Capabilities.Resources
	resources.Subscribe = true
	found.Capabilities.Resources = &resources
	return found
}

// fault says in our words what mcp-go says in the words of encoding/json and of its handlers.
func (s *Server) fault(ctx context.Context, m *message, e mcp.JSONRPCErrorDetails) *rpcError {
	switch e.Code {
	case mcp.INVALID_REQUEST, mcp.PARSE_ERROR:
		return &rpcError{code: mcp.INVALID_PARAMS, text: "the params of " + m.method + " have the wrong shape"}
	case mcp.INTERNAL_ERROR:
		return &rpcError{code: e.Code, text: s.internal(ctx, m.method, errors.New(e.Message))}
	}
	fault := &rpcError{code: e.Code, text: e.Message}
	if m.method == string(mcp.MethodResourcesRead) {
		var asked struct{ URI string }
		_ = json.Unmarshal(m.params, &asked)
		return notFound(e.Code, asked.URI)
	}
	if e.Data != nil {
		fault.data, _ = json.Marshal(e.Data)
	}
	return fault
}

// notFound says that there is no such resource, or none for the caller. The code depends on the era.
func notFound(code int, uri string) *rpcError {
	return &rpcError{code: code, text: "there is no such resource", data: append(appendQuoted([]byte(`{"uri":`), uri), '}')}
}

type callerKey struct{}

// callerFrom finds the caller of the request that a handler of the registry answers.
func callerFrom(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	if c == nil {
		return &caller{}
	}
	return c
}

// listed leaves those tools that the caller is told of.
func (s *Server) listed(ctx context.Context, tools []mcp.Tool) []mcp.Tool {
	c := callerFrom(ctx)
	listed := tools[:0]
	for _, t := range tools {
		if rpc := s.tools[t.Name]; c.has(rpc) && (rpc == nil || c.sees(rpc.scope)) {
			listed = append(listed, t)
		}
	}
	return listed
}

// listCache keeps the lists of tools as they are sent: there are as many as sets of scopes.
type listCache struct {
	mu sync.RWMutex
	of map[listKey][]byte
}

type listKey struct {
	modern, local, apps bool
	set                 string
	// scopes has a bit for each of Server.scopes whose tools the caller is told of.
	scopes uint64
}

// plain returns the message without those of its params that could bear on its result. encoding/json takes "Cursor" for
// "cursor", and what is answered to one caller is answered to others from the cache.
func (m *message) plain(modern bool) *message {
	about := *m
	about.params = []byte("{}")
	if modern {
		about.params = appendQuoted([]byte(`{"_meta":{"`+mcp.MetaKeyProtocolVersion+`":`), m.meta.version)
		about.params = append(about.params, `,"`+mcp.MetaKeyClientCapabilities+`":{}}}`...)
	}
	return &about
}

// list returns the result of tools/list: one page, from the cache.
func (s *Server) list(ctx context.Context, m *message, c *caller, modern bool) ([]byte, *rpcError, error) {
	if err := eachMember(m.params, func(name, value []byte) error {
		if string(name) == "cursor" && !isNull(value) {
			return errors.New("the list has one page: leave the cursor out")
		}
		return nil
	}); err != nil {
		return nil, &rpcError{code: mcp.INVALID_PARAMS, text: err.Error()}, nil
	}
	key := listKey{modern: modern, local: c.local, apps: c.apps, set: c.set}
	for i, scope := range s.scopes {
		if c.sees(scope) {
			key.scopes |= 1 << i
		}
	}
	s.lists.mu.RLock()
	list := s.lists.of[key]
	s.lists.mu.RUnlock()
	if list != nil {
		return list, nil, nil
	}
	list, fault, err := s.dispatch(ctx, nil, m.plain(modern), c, &line{})
	if fault != nil || err != nil {
		return nil, fault, err
	}
	if list, err = s.annotated(list, c); err != nil {
		return nil, &rpcError{code: mcp.INTERNAL_ERROR, text: s.internal(ctx, m.method, err)}, nil
	}
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	s.lists.of[key] = list
	return list, nil, nil
}

// annotated adds to each tool of a list what a token must allow for it, as ChatGPT reads it to know when to ask its user
// (OpenAI Apps SDK, Authentication), and, for a client that shows apps, the one that shows its results. The former stands in two
// places: libraries between here and there may know only _meta.
func (s *Server) annotated(list []byte, c *caller) ([]byte, error) {
	var result map[string]json.RawMessage
	if err := json.Unmarshal(list, &result); err != nil {
		return nil, err
	}
	var tools []map[string]json.RawMessage
	if err := json.Unmarshal(result["tools"], &tools); err != nil {
		return nil, err
	}
	for _, about := range tools {
		var name string
		if err := json.Unmarshal(about["name"], &name); err != nil {
			return nil, err
		}
		meta := make(map[string]json.RawMessage)
		if t := s.tools[name]; t != nil && !c.local {
			about["securitySchemes"] = t.schemes
			meta["securitySchemes"] = t.schemes
		}
		if c.apps && s.memos != nil && (name == memosTool || name == candidatesTool) {
			meta["ui"] = json.RawMessage(`{"resourceUri":"` + appURI + `"}`)
		}
		if len(meta) == 0 {
			continue
		}
		var err error
		if about["_meta"], err = json.Marshal(meta); err != nil {
			return nil, err
		}
	}
	var err error
	if result["tools"], err = json.Marshal(tools); err != nil {
		return nil, err
	}
	return json.Marshal(result)
}
