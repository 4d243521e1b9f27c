package mcp

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// stdioCalls is how many requests of one client are worked on at once; more wait.
const stdioCalls = 16

// stdioTick is how often a call that waits for an answer looks whether the client is still there.
const stdioTick = 5 * time.Second

// ServeStdio serves one client that writes a message on each line of in and reads answers from out. The client is the
// person at this machine: it sees every tool, the Config's Client adds the token, and what the services refuse reaches the
// model as an error.
//
// It returns nil when in ends, after the requests in flight have been answered, all but subscriptions, which end without an
// answer; and ctx's error when ctx is done, which cancels them all. A Read of in that is under way then is left behind.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &stdio{s: s, out: out, owner: "stdio " + rand.Text(), listeners: listeners{most: DefaultMaxStreams, open: make(map[string]int)}, slots: make(chan struct{}, stdioCalls), cancels: make(map[string]context.CancelFunc)}
	listening, stopListening := context.WithCancel(ctx)
	defer stopListening()
	lines := make(chan []byte)
	ended := make(chan error, 1)
	go func() { ended <- readLines(ctx, in, lines) }()
	for {
		select {
		case line := <-lines:
			p.message(ctx, listening, line)
		case err := <-ended:
			stopListening()
			p.calls.Wait()
			return errors.Join(err, p.broken())
		case <-ctx.Done():
			p.calls.Wait()
			return ctx.Err()
		}
	}
}

// readLines sends each line of in that is not blank.
func readLines(ctx context.Context, in io.Reader, lines chan<- []byte) error {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if i := skipSpace(line, 0); i < len(line) {
			select {
			case lines <- line[i:]:
			case <-ctx.Done():
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
	}
}

// stdio is one client on a pair of pipes.
type stdio struct {
	s     *Server
	slots chan struct{}
	calls sync.WaitGroup
	// listeners are the open subscriptions.
	listeners listeners
	// owner is whose answers to questions count.
	owner string
	// can is what the client can be asked for since its handshake. One goroutine reads messages and this.
	can abilities

	mu  sync.Mutex // guards what follows, and keeps messages whole on out
	out io.Writer
	err error
	// cancels ends the requests in flight, by their ids as they came.
	cancels map[string]context.CancelFunc
}

// message answers a message, or begins to. Subscriptions last as long as listening.
func (p *stdio) message(ctx, listening context.Context, line []byte) {
	m, fault := parse(line)
	switch {
	case fault != nil:
		p.write(appendError(nil, m.id, fault))
		return
	case m.response:
		p.s.questions.answer(p.owner, &m)
		return
	case m.id == nil:
		if m.method == string(mcp.MethodNotificationCancelled) {
			p.cancel(m.params)
		}
		return
	}
	modern := mcp.IsModernProtocol(m.meta.version)
	if fault := checkMeta(&m, modern); fault != nil {
		p.write(appendError(nil, m.id, fault))
		return
	}
	if modern && m.method == string(mcp.MethodSubscriptionsListen) {
		p.listen(listening, &m)
		return
	}
	if m.method == string(mcp.MethodInitialize) {
		p.can = m.abilities()
	}
	p.begin(ctx, m, modern)
}

// begin answers a request while the next ones are read.
func (p *stdio) begin(ctx context.Context, m message, modern bool) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	can, apps := p.can, p.can.apps
	if modern {
		can, apps = abilities{}, readAbilities(m.meta.capabilities).apps
	}
	l := newLine(can, p.owner, &p.s.questions)
	ctx, end := p.cancellable(ctx, &m)
	p.calls.Go(func() {
		defer func() {
			end()
			<-p.slots
		}()
		answer, _, err := p.s.answerOn(ctx, &m, &caller{local: true, apps: apps}, modern, l, p, stdioTick)
		if err == nil {
			p.write(answer)
		}
	})
}

// cancellable returns the context of a request that the client may cancel until end is called.
func (p *stdio) cancellable(ctx context.Context, m *message) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	id := string(m.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancels[id] = cancel
	return ctx, func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.cancels, id)
	}
}

// cancel ends the request that the params of a notifications/cancelled name. It gets no answer.
func (p *stdio) cancel(params []byte) {
	_ = eachMember(params, func(name, value []byte) error {
		if string(name) != "requestId" {
			return nil
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if cancel := p.cancels[string(value)]; cancel != nil {
			cancel()
		}
		return nil
	})
}

// note implements talker.
func (p *stdio) note(note mcp.JSONRPCNotification) {
	if text, err := json.Marshal(note); err == nil {
		p.write(text)
	}
}

// ask implements talker.
func (p *stdio) ask(request []byte) error {
	p.write(request)
	return p.broken()
}

// alive implements talker: pipes need no sign of life.
func (p *stdio) alive() error { return p.broken() }

func (p *stdio) write(message []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		_, p.err = p.out.Write(append(message, '\n'))
	}
}

func (p *stdio) broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("write a message: %w", p.err)
}
