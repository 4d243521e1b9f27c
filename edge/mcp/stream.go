package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// listeners counts the open streams of each account or, for tokens that are nobody's, of each client. Each is a connection
// and memory for as long as its client likes.
type listeners struct {
	most int

	mu sync.Mutex // guards open
	// open has no zeros.
	open map[string]int
}

// enter counts a stream in; it says no when there are as many as may be.
func (l *listeners) enter(owner string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[owner] >= l.most {
		return false
	}
	l.open[owner]++
	return true
}

// leave counts out a stream that enter counted in.
func (l *listeners) leave(owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[owner]--; l.open[owner] == 0 {
		delete(l.open, owner)
	}
}

// startStream begins an answer of many events.
func (x *exchange) startStream() {
	header := x.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	// Proxies would otherwise hold the events back.
	header.Set("X-Accel-Buffering", "no")
	x.streaming = true
	x.start(http.StatusOK)
}

// hurry bounds the writing that follows: a client that does not read may not hold on to an answer for ever.
func (x *exchange) hurry() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(x.h.s.now().Add(x.h.patience))
}

// takeTime lifts the bound on writing, the server's own too, while there is nothing to write.
func (x *exchange) takeTime() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
}

// event sends one message of a stream.
func (x *exchange) event(message []byte) error {
	return x.push(append(append([]byte("event: message\ndata: "), message...), "\n\n"...))
}

// alive sends a comment, so that nothing between here and the client takes the stream for dead.
func (x *exchange) alive() error { return x.push([]byte(": alive\n\n")) }

func (x *exchange) push(event []byte) error {
	x.hurry()
	defer x.takeTime()
	if _, err := x.w.Write(event); err != nil {
		return err
	}
	return http.NewResponseController(x.w).Flush()
}

// stream answers a call that may report on its way and ask. The answer becomes a stream with the first message, if the
// client takes streams; without it notifications are dropped, and nothing can be asked.
func (x *exchange) stream(ctx context.Context, m *message, c *caller, modern bool) {
	var can abilities
	if !modern && x.takes("text/event-stream") {
		can = x.abilities(m, c, modern)
	}
	l := newLine(can, c.identity(), &x.h.s.questions)
	answer, code, err := x.h.s.answerOn(ctx, m, c, modern, l, x, x.h.keepAlive)
	switch {
	case !x.started:
		x.reply(m, answer, code, err, modern)
	case err != nil:
		panic(http.ErrAbortHandler)
	default:
		_ = x.event(answer)
	}
}

// note implements talker.
func (x *exchange) note(note mcp.JSONRPCNotification) {
	text, err := json.Marshal(note)
	if err != nil || !x.takes("text/event-stream") {
		return
	}
	_ = x.ask(text)
}

// ask implements talker.
func (x *exchange) ask(request []byte) error {
	if !x.started {
		x.startStream()
	}
	return x.event(request)
}

// listen holds a stream open (subscriptions/listen, 2026-07-28) and tells of the resources that it asks for. Nothing else that
// a client can subscribe to changes while the server runs. The stream ends with the client, with its token, or with the
// server, which then says so.
func (x *exchange) listen(m *message, c *caller) {
	if !x.h.listeners.enter(c.owner()) {
		x.tooManyStreams(m)
		return
	}
	defer x.h.listeners.leave(c.owner())
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	about, ok := x.subscribe(ctx, m, c)
	if !ok {
		return
	}
	// The stream stays open for long, and needs no more of the message.
	m = &message{id: bytes.Clone(m.id)}
	x.giveBack()
	x.startStream()
	if x.event(acknowledgement(m.id, about.uris)) != nil {
		return
	}
	tick := time.NewTicker(x.h.keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case memo, ok := <-about.changes:
			if !ok {
				// Without the watch the client must listen again, or it would wait for what does not come.
				x.endListening(m)
				return
			}
			if x.updated(m, about, memo) != nil {
				return
			}
		case <-tick.C:
			if _, err := x.h.lookUp(ctx, c.authorization, x.place); isUnauthenticated(err) {
				return
			}
			if x.alive() != nil {
				return
			}
		case <-x.h.s.closing:
			x.endListening(m)
			return
		}
	}
}

// endListening says that the server ends a subscription, if it is because the server stops: the watch of the memos may end of
// that before the stream does. Another end is for the client to notice.
func (x *exchange) endListening(m *message) {
	select {
	case <-x.h.s.closing:
		end := append(appendHead(nil, m.id), `,"result":{"resultType":"complete",`...)
		end = append(appendSubscription(end, m.id), `}}}`...)
		_ = x.event(end)
	default:
	}
}

// tooManyStreams answers that there may be no more.
func (x *exchange) tooManyStreams(m *message) {
	// By then the stream of a client that has died has been noticed.
	x.w.Header().Set("Retry-After", strconv.Itoa(int((x.h.keepAlive+x.h.patience).Seconds())+1))
	x.fail(http.StatusTooManyRequests, m.id, &rpcError{
		code: tooMany,
		text: fmt.Sprintf("%d streams of this account are open, and there may be no more: close one, or do without", x.h.listeners.most),
	})
}

// acknowledgement is the first message of a subscription: it names what will be told.
func acknowledgement(id []byte, uris []string) []byte {
	said := []byte(`{"jsonrpc":"2.0","method":"` + mcp.MethodNotificationSubscriptionsAcknowledged + `","params":{`)
	said = append(appendSubscription(said, id), `},"notifications":{`...)
	for i, uri := range uris {
		said = append(said, map[bool]string{true: `"resourceSubscriptions":[`, false: `,`}[i == 0]...)
		said = appendQuoted(said, uri)
	}
	if len(uris) > 0 {
		said = append(said, ']')
	}
	return append(said, "}}}"...)
}

// appendSubscription appends the beginning of the _meta that each message of a subscription carries.
func appendSubscription(dst, id []byte) []byte {
	return append(append(dst, `"_meta":{"`+mcp.MetaKeySubscriptionID+`":`...), id...)
}
