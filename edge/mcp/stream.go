package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// startStream begins an answer of many events.
func (x *exchange) startStream() {
	header := x.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	// Proxies would otherwise hold the events back.
	header.Set("X-Accel-Buffering", "no")
	// A stream outlives the server's bound on writing an answer.
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
	x.start(http.StatusOK)
}

// event sends one message of a stream.
func (x *exchange) event(message []byte) error {
	event := append(append([]byte("event: message\ndata: "), message...), "\n\n"...)
	if _, err := x.w.Write(event); err != nil {
		return err
	}
	return http.NewResponseController(x.w).Flush()
}

// alive sends a comment, so that nothing between here and the client takes the stream for dead.
func (x *exchange) alive() error {
	if _, err := x.w.Write([]byte(": alive\n\n")); err != nil {
		return err
	}
	return http.NewResponseController(x.w).Flush()
}

// stream answers a call that may report on its way. The answer becomes a stream with the first notification, if the client
// takes streams, and without it notifications are dropped.
func (x *exchange) stream(ctx context.Context, m *message, c *caller, modern bool) {
	streams := x.takes("text/event-stream")
	answer, code, err := x.h.s.answerWithNotes(ctx, m, c, modern, func(note mcp.JSONRPCNotification) { x.note(note, streams) })
	switch {
	case !x.started:
		x.reply(answer, code, err, modern)
	case err != nil:
		panic(http.ErrAbortHandler)
	default:
		_ = x.event(answer)
	}
}

// note sends a notification. One that cannot be sent is lost: the client has gone.
func (x *exchange) note(note mcp.JSONRPCNotification, streams bool) {
	text, err := json.Marshal(note)
	if err != nil || !streams {
		return
	}
	if !x.started {
		x.startStream()
	}
	_ = x.event(text)
}

// listen holds a stream open (subscriptions/listen, 2026-07-28). Nothing that a client can subscribe to changes while the
// server runs, so the acknowledged filter is empty and nothing but signs of life follows. The stream ends with the client,
// with its token, or with the server, which then says so.
func (x *exchange) listen(m *message, c *caller) {
	x.startStream()
	if x.event(acknowledgement(m.id)) != nil {
		return
	}
	tick := time.NewTicker(x.h.keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-x.r.Context().Done():
			return
		case <-tick.C:
			if _, err := x.h.lookUp(x.r.Context(), c.bearer); isUnauthenticated(err) {
				return
			}
			if x.alive() != nil {
				return
			}
		case <-x.h.s.closing:
			end := append(appendHead(nil, m.id), `,"result":{"resultType":"complete",`...)
			end = append(appendSubscription(end, m.id), `}}}`...)
			_ = x.event(end)
			return
		}
	}
}

// acknowledgement is the first message of a subscription.
func acknowledgement(id []byte) []byte {
	head := []byte(`{"jsonrpc":"2.0","method":"` + mcp.MethodNotificationSubscriptionsAcknowledged + `","params":{`)
	return append(appendSubscription(head, id), `},"notifications":{}}}`...)
}

// appendSubscription appends the beginning of the _meta that each message of a subscription carries.
func appendSubscription(dst, id []byte) []byte {
	return append(append(dst, `"_meta":{"`+mcp.MetaKeySubscriptionID+`":`...), id...)
}
