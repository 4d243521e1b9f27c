package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/mark3labs/mcp-go/mcp"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// maxSubscriptions is how many resources one stream may be about.
const maxSubscriptions = 1000

// A subscription tells which of a caller's resources change. The zero one tells nothing.
type subscription struct {
	// uris are what the client asked for and there can be.
	uris []string
	// changes has the ids of memos that have changed. It is closed when no more will be told.
	changes <-chan string
}

// about lists the resources that a change of a memo is a change of.
func (s subscription) about(memo string) (uris []string) {
	for _, uri := range s.uris {
		// Any memo may be among the recent ones, or have been, and each has categories.
		if uri == recentURI || uri == categoriesURI || uri == memoScheme+memo {
			uris = append(uris, uri)
		}
	}
	return uris
}

// subscriptionsOf reads what a subscriptions/listen asks for: the resources that can change here.
func subscriptionsOf(params []byte) (uris []string, fault *rpcError) {
	var asked struct {
		Notifications struct {
			ResourceSubscriptions []string `json:"resourceSubscriptions"`
		} `json:"notifications"`
	}
	if err := json.Unmarshal(params, &asked); err != nil {
		return nil, &rpcError{code: mcp.INVALID_PARAMS, text: "notifications must be an object, and its resourceSubscriptions a list of URIs"}
	}
	for _, uri := range asked.Notifications.ResourceSubscriptions {
		if strings.HasPrefix(uri, memoScheme) && !slices.Contains(uris, uri) {
			uris = append(uris, uri)
		}
		if len(uris) > maxSubscriptions {
			return nil, &rpcError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("at most %d resources can be subscribed to on one stream", maxSubscriptions)}
		}
	}
	return uris, nil
}

// silence is after how long a watch that says nothing is taken for dead: the service says something every half a minute.
const silence = 75 * time.Second

// watch begins to tell of changes. When it returns none is missed from then on; it ends with ctx.
func (m *memos) watch(ctx context.Context, c *caller, uris []string) (subscription, error) {
	ctx, info := connect.NewClientContext(ctx)
	if c.authorization != nil {
		info.RequestHeader().SetValues("Authorization", c.authorization)
	}
	ctx, cancel := context.WithCancel(ctx)
	dead := time.AfterFunc(silence, cancel)
	end := func() {
		dead.Stop()
		cancel()
	}
	stream, err := m.service.WatchMemos(ctx, &memov1.WatchMemosRequest{NewOnly: true})
	if err != nil {
		end()
		return subscription{}, err
	}
	// The first message says that the watch has begun.
	first, err := stream.Receive()
	if err != nil {
		end()
		return subscription{}, err
	}
	changes := make(chan string)
	go func() {
		defer end()
		tell(ctx, stream, first, changes, dead)
	}()
	return subscription{uris: uris, changes: changes}, nil
}

// tell hands on the ids of memos that change, until the stream ends.
func tell(ctx context.Context, stream memov1connect.MemoServiceWatchMemosClientStream, next *memov1.WatchMemosResponse, changes chan<- string, dead *time.Timer) {
	defer close(changes)
	for {
		dead.Reset(silence)
		id := next.GetPurgedId()
		if m := next.GetMemo(); m != nil {
			id = m.GetId()
		}
		if id != "" {
			select {
			case changes <- id:
			case <-ctx.Done():
				return
			}
		}
		var err error
		if next, err = stream.Receive(); err != nil {
			return
		}
	}
}

// subscribe finds out what a stream can tell of, or answers that it cannot be had. Nobody is told of what they may not read.
func (x *exchange) subscribe(ctx context.Context, m *message, c *caller) (subscription, bool) {
	uris, fault := subscriptionsOf(m.params)
	if fault != nil {
		x.fail(http.StatusBadRequest, m.id, fault)
		return subscription{}, false
	}
	if len(uris) == 0 || x.h.s.memos == nil || !c.may(readScope) {
		return subscription{}, true
	}
	found, err := x.h.s.memos.watch(ctx, c, uris)
	switch {
	case err == nil:
		return found, true
	case isUnauthenticated(err):
		x.invalidToken()
	case ctx.Err() != nil:
		panic(http.ErrAbortHandler)
	case connect.CodeOf(err) == connect.CodeResourceExhausted:
		x.tooManyStreams(m)
	default:
		id := x.h.s.newID("err")
		x.h.log.ErrorContext(ctx, "memos not watched", "error_id", id, "error", err)
		x.w.Header().Set("Retry-After", strconv.Itoa(retryWatch))
		x.fail(http.StatusServiceUnavailable, m.id, &rpcError{code: mcp.INTERNAL_ERROR, text: fmt.Sprintf("Paput cannot watch memos right now. Try again in a moment (error %s).", id)})
	}
	return subscription{}, false
}

// retryWatch is after how many seconds a client may try again.
const retryWatch = 2

// updated tells of each resource that a change of a memo is a change of.
func (x *exchange) updated(m *message, about subscription, memo string) error {
	for _, uri := range about.about(memo) {
		if err := x.event(update(m.id, uri)); err != nil {
			return err
		}
	}
	return nil
}

// update is the message of a subscription that a resource has changed.
func update(id []byte, uri string) []byte {
	note := []byte(`{"jsonrpc":"2.0","method":"` + mcp.MethodNotificationResourceUpdated + `","params":{`)
	note = append(appendSubscription(note, id), `},"uri":`...)
	return append(appendQuoted(note, uri), `}}`...)
}
