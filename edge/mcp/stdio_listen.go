package mcp

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// A lost watch is begun again after soonestWatch, then after twice as long each time, at most latestWatch.
const (
	soonestWatch = time.Second
	latestWatch  = 15 * time.Second
)

// listen begins to tell of the resources that a subscriptions/listen asks for. It goes on until the client cancels it or
// goes.
func (p *stdio) listen(ctx context.Context, m *message) {
	uris, fault := subscriptionsOf(m.params)
	if fault == nil && !p.listeners.enter(p.owner) {
		fault = &rpcError{code: tooMany, text: fmt.Sprintf("%d subscriptions are open, and there may be no more: cancel one, or do without", p.listeners.most)}
	}
	if fault != nil {
		p.write(appendError(nil, m.id, fault))
		return
	}
	if p.s.memos == nil {
		uris = nil
	}
	// A subscription stays open for long, and needs no more of the message.
	id := bytes.Clone(m.id)
	ctx, end := p.cancellable(ctx, m)
	p.calls.Go(func() {
		defer p.listeners.leave(p.owner)
		defer end()
		if len(uris) == 0 {
			p.write(acknowledgement(id, nil))
			<-ctx.Done()
			return
		}
		p.tell(ctx, id, uris)
	})
}

// tell tells of changes, over as many watches as it takes: the server may restart, the machine sleep, and the person log in
// later. What may have changed between two watches is told of when the second begins.
func (p *stdio) tell(ctx context.Context, id []byte, uris []string) {
	wait, begun, lost := soonestWatch, false, false
	for {
		about, err := p.s.memos.watch(ctx, &caller{local: true}, uris)
		if ctx.Err() != nil {
			return
		}
		if !begun {
			p.write(acknowledgement(id, uris))
		}
		if err == nil {
			p.updates(id, about, begun)
			wait = soonestWatch
		} else if !lost {
			p.s.log.WarnContext(ctx, "changes of memos are not told for now", "error", err)
		}
		begun, lost = true, err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, latestWatch)
	}
}

// updates tells of the changes of one watch, and before of all resources when changes may have been missed.
func (p *stdio) updates(id []byte, about subscription, missed bool) {
	if missed {
		for _, uri := range about.uris {
			p.write(update(id, uri))
		}
	}
	for memo := range about.changes {
		for _, uri := range about.about(memo) {
			p.write(update(id, uri))
		}
	}
}
