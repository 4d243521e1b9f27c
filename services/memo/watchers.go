package memo

import (
	"fmt"
	"sync"
	"time"
)

const (
	// maxWatchers is how many streams of WatchMemos an account may have open, as the proto file states it.
	maxWatchers = 32
	// followPause is how long changes are gathered before those who watch are woken for them: under a load of writes that
	// costs a fiftieth of a second and saves most of the work.
	followPause = 20 * time.Millisecond
)

// watchers are the open streams of WatchMemos. The zero value has none.
type watchers struct {
	mu sync.Mutex // guards what follows
	// byAccount has no empty maps. Each channel holds one thing to be told.
	byAccount map[string]map[chan struct{}]bool
}

// enter counts a stream in. Something can be received from changed when the account's memos may have changed since it was last
// received from. Leave counts the stream out.
func (w *watchers) enter(accountID string) (changed <-chan struct{}, leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.byAccount[accountID]) >= maxWatchers {
		return nil, nil, &fault{ErrTooMany, fmt.Sprintf("%d streams of this account are open, and there may be no more; close one first", maxWatchers)}
	}
	if w.byAccount == nil {
		w.byAccount = make(map[string]map[chan struct{}]bool)
	}
	if w.byAccount[accountID] == nil {
		w.byAccount[accountID] = make(map[chan struct{}]bool)
	}
	c := make(chan struct{}, 1)
	w.byAccount[accountID][c] = true
	return c, func() { w.leave(accountID, c) }, nil
}

func (w *watchers) leave(accountID string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.byAccount[accountID], c); len(w.byAccount[accountID]) == 0 {
		delete(w.byAccount, accountID)
	}
}

func (w *watchers) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byAccount) > 0
}

// wake tells those who watch the account. It does not wait for them.
func (w *watchers) wake(accountID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.byAccount[accountID] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
