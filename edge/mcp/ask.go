package mcp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// askTime is how long a person may take to answer what their client asks them in the middle of a call.
const askTime = 5 * time.Minute

var (
	errCannotAsk = errors.New("the client did not say that it can be asked")
	errNoAnswer  = errors.New("the client did not answer in time")
	errGone      = errors.New("the client has gone")
)

// abilities are what a client can be asked for while a call of its is under way, and whether it shows apps.
type abilities struct{ elicitation, sampling, roots, apps bool }

func (a abilities) any() bool { return a.elicitation || a.sampling || a.roots || a.apps }

// allow says whether a client with these abilities may be sent a request of a method.
func (a abilities) allow(method mcp.MCPMethod) bool {
	switch method {
	case mcp.MethodElicitationCreate:
		return a.elicitation
	case mcp.MethodSamplingCreateMessage:
		return a.sampling
	case mcp.MethodListRoots:
		return a.roots
	default:
		return false
	}
}

// readAbilities reads the capabilities that a client declares, at initialize or in each request. An elicitation that names
// modes has forms only if it names them; without any it has forms (MCP 2025-11-25, Elicitation, Capabilities).
func readAbilities(capabilities []byte) (a abilities) {
	if !isObject(capabilities) {
		return a
	}
	_ = eachMember(capabilities, func(name, value []byte) error {
		switch string(name) {
		case "elicitation":
			a.elicitation = isObject(value) && (!has(value, "url") || has(value, "form"))
		case "sampling":
			a.sampling = isObject(value)
		case "roots":
			a.roots = isObject(value)
		case "extensions":
			a.apps = showsApps(value)
		}
		return nil
	})
	return a
}

// abilities are those that an initialize declares.
func (m *message) abilities() (a abilities) {
	_ = eachMember(m.params, func(name, value []byte) error {
		if string(name) == "capabilities" {
			a = readAbilities(value)
		}
		return nil
	})
	return a
}

func has(object []byte, member string) (found bool) {
	_ = eachMember(object, func(name, _ []byte) error {
		found = found || string(name) == member
		return nil
	})
	return found
}

// mayTalk says whether something may be sent before the answer to a request: by a handler of the registry, or to ask the
// person behind a client of the handshake era.
func (s *Server) mayTalk(m *message, modern bool) bool {
	switch mcp.MCPMethod(m.method) {
	case mcp.MethodPromptsGet:
		return true
	case mcp.MethodToolsCall:
		t := s.tools[m.tool]
		return t == nil || t.confirmation != nil && !modern
	default:
		return false
	}
}

// A line leads to the client while a call is under way. The zero line leads nowhere: what is sent is dropped, and nothing
// can be asked.
type line struct {
	notes chan mcp.JSONRPCNotification
	// asks takes requests to the client, whole.
	asks chan []byte
	// gone is closed when the client can no longer be reached.
	gone chan struct{}
	// can is what the client may be asked for on this line.
	can abilities
	// owner is whose answers count.
	owner string
	open  *questions
}

func newLine(can abilities, owner string, open *questions) *line {
	return &line{
		notes: make(chan mcp.JSONRPCNotification, 256), asks: make(chan []byte), gone: make(chan struct{}), can: can, owner: owner, open: open,
	}
}

// ask sends a request and waits for its result, at most askTime.
func (l *line) ask(ctx context.Context, method mcp.MCPMethod, params any, result any) error {
	if l.asks == nil || !l.can.allow(method) {
		return errCannotAsk
	}
	text, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", method, err)
	}
	id, answer := l.open.add(l.owner)
	defer l.open.remove(id)
	request := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%q,"method":%q,"params":%s}`, id, method, text)
	timer := time.NewTimer(askTime)
	defer timer.Stop()
	select {
	case l.asks <- request:
	case <-l.gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case said := <-answer:
		if said == nil {
			return fmt.Errorf("the client refused %s", method)
		}
		if err := json.Unmarshal(said, result); err != nil {
			return fmt.Errorf("the answer to %s cannot be read", method)
		}
		return nil
	case <-timer.C:
		return errNoAnswer
	case <-l.gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// questions are those that clients have been asked and not answered. An answer comes in a request of its own.
//
// BUG: they are known to the process that asked alone. When several share the work, an answer that another one is given is
// lost, and the call that waits for it ends after askTime.
type questions struct {
	mu sync.Mutex // guards open
	// open has what waits for each answer, by the request's id.
	open map[string]question
}

type question struct {
	owner string
	// answer takes the result, nil for an error.
	answer chan []byte
}

// add begins to wait for an answer from owner. The id cannot be guessed.
func (q *questions) add(owner string) (id string, answer <-chan []byte) {
	id = "ask_" + rand.Text()
	c := make(chan []byte, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = make(map[string]question)
	}
	q.open[id] = question{owner: owner, answer: c}
	return id, c
}

func (q *questions) remove(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, id)
}

// answer hands on what a client answered. Answers to nothing, and those of others, are dropped.
func (q *questions) answer(owner string, m *message) {
	if !isString(m.id) {
		return
	}
	id := unquote(m.id)
	q.mu.Lock()
	defer q.mu.Unlock()
	found, ok := q.open[id]
	if !ok || found.owner != owner {
		return
	}
	delete(q.open, id)
	found.answer <- bytes.Clone(m.result)
}
