package mcp

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// callsAtOnce is how many requests of an account are worked on at once.
	callsAtOnce = 128
	// burstSeconds is for how many seconds' worth of calls an account may save up.
	burstSeconds = 10
	// forgetAfter is how long after its last request an account that has saved up everything is forgotten.
	forgetAfter = burstSeconds * time.Second
)

// tooMany is the JSON-RPC code for one too many, one of those that an implementation chooses (JSON-RPC 2.0, section 5.1).
const tooMany = -32000

// limits bound the requests of each account or, for tokens that are nobody's, of each client, so that a model that runs in
// circles leaves room for others.
type limits struct {
	// perSecond is how many requests an account may make in the long run; 0 for any number.
	perSecond rate.Limit
	now       func() time.Time

	mu sync.Mutex // guards what follows
	of map[string]*usage
	// swept is when accounts were last forgotten.
	swept time.Time
}

type usage struct {
	calls *rate.Limiter
	open  int
	last  time.Time
}

// enter counts a request in. When there are too many, it says so and after how long to try again.
func (l *limits) enter(owner string) (wait time.Duration, ok bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	u := l.of[owner]
	if u == nil {
		u = &usage{calls: rate.NewLimiter(l.perSecond, max(1, int(burstSeconds*float64(l.perSecond))))}
		l.of[owner] = u
	}
	u.last = now
	if u.open >= callsAtOnce {
		return time.Second, false
	}
	if l.perSecond > 0 && !u.calls.AllowN(now, 1) {
		missing := 1 - u.calls.TokensAt(now)
		return time.Duration(missing / float64(l.perSecond) * float64(time.Second)), false
	}
	u.open++
	return 0, true
}

// leave counts out a request that enter counted in.
func (l *limits) leave(owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of[owner].open--
}

// sweep forgets accounts of which there is nothing to know any more. The caller holds mu.
func (l *limits) sweep(now time.Time) {
	if now.Sub(l.swept) < forgetAfter {
		return
	}
	l.swept = now
	for owner, u := range l.of {
		if u.open == 0 && now.Sub(u.last) >= forgetAfter {
			delete(l.of, owner)
		}
	}
}

// enter lets a request in, or answers that there are too many.
func (x *exchange) enter(m *message, c *caller) bool {
	wait, ok := x.h.limits.enter(c.owner())
	if !ok {
		x.w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
		text := fmt.Sprintf("this account makes more requests than it may, %g a second and %d at once: wait a little", float64(x.h.limits.perSecond), callsAtOnce)
		if x.h.limits.perSecond == 0 {
			text = fmt.Sprintf("%d requests of this account are under way, and there may be no more: wait for one to end", callsAtOnce)
		}
		x.fail(http.StatusTooManyRequests, m.id, &rpcError{code: tooMany, text: text})
	}
	return ok
}
