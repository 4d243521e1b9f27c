package account

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Rate lets Burst wrong attempts pass at once and one more after each Every.
type Rate struct {
	Every time.Duration
	Burst int
}

// Limits say how many wrong passwords are let pass. Zero rates take the defaults.
//
// An attempt counts against its client address and against its e-mail address. So that nobody can lock a person out by
// failing in that person's name, or from behind the same address, a browser that has signed in to the account before has a
// rate of its own instead. A browser never seen before has to compete with the attacker for the attempts that become free,
// until the attack stops. Right passwords do not count.
type Limits struct {
	// Address is the rate of one client address, of IPv6 the first 64 bits; by default 20, and one each 10 seconds.
	Address Rate
	// Email is the rate of one e-mail address from all browsers not known; by default 10, and one each minute.
	Email Rate
	// Browser is the rate of one known browser for one account; by default 10, and one each minute.
	Browser Rate
}

// maxBuckets bounds the memory of each limit. The buckets used longest ago are forgotten first.
const maxBuckets = 20_000

type limits struct {
	address, email, browser *limit
}

func newLimits(l Limits) *limits {
	return &limits{
		address: newLimit(l.Address, Rate{Every: 10 * time.Second, Burst: 20}),
		email:   newLimit(l.Email, Rate{Every: time.Minute, Burst: 10}),
		browser: newLimit(l.Browser, Rate{Every: time.Minute, Burst: 10}),
	}
}

// limit is a token bucket for each key.
type limit struct {
	rate Rate
	max  int

	mu sync.Mutex
	// buckets by key, and in the order of their last use. Guarded by mu.
	buckets map[string]*list.Element
	order   *list.List
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time
}

func newLimit(r, fallback Rate) *limit {
	if r == (Rate{}) {
		r = fallback
	}
	return &limit{rate: r, max: maxBuckets, buckets: map[string]*list.Element{}, order: list.New()}
}

// take takes a token. It returns 0, or the time until there is one.
func (l *limit) take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.find(key, now)
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) * float64(l.rate.Every))
	}
	b.tokens--
	return 0
}

// giveBack returns a token taken.
func (l *limit) giveBack(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.find(key, now)
	b.tokens = min(b.tokens+1, float64(l.rate.Burst))
}

// find returns the bucket of a key with the tokens it has at now. The caller holds mu.
func (l *limit) find(key string, now time.Time) *bucket {
	if e, ok := l.buckets[key]; ok {
		l.order.MoveToFront(e)
		b := e.Value.(*bucket)
		if passed := now.Sub(b.at); passed > 0 {
			b.tokens = min(b.tokens+float64(passed)/float64(l.rate.Every), float64(l.rate.Burst))
			b.at = now
		}
		return b
	}
	if l.order.Len() >= l.max {
		oldest := l.order.Back()
		delete(l.buckets, l.order.Remove(oldest).(*bucket).key)
	}
	b := &bucket{key: key, tokens: float64(l.rate.Burst), at: now}
	l.buckets[key] = l.order.PushFront(b)
	return b
}

// taken is what one attempt took from the limits.
type taken []struct {
	limit *limit
	key   string
}

func (t taken) giveBack(now time.Time) {
	for _, b := range t {
		b.limit.giveBack(b.key, now)
	}
}

// take counts an attempt in the name of email. knownBrowser is the hash of a browser that has signed in to that account
// before, nil for any other. wait is 0 when the attempt may go on, else the time after which it may be tried again.
func (l *limits) take(address, email string, knownBrowser []byte, now time.Time) (t taken, wait time.Duration) {
	if knownBrowser != nil {
		key := string(knownBrowser) + email
		return taken{{l.browser, key}}, l.browser.take(key, now)
	}
	if wait = l.address.take(address, now); wait > 0 {
		return nil, wait
	}
	// When the second refuses, the first keeps its loss: whoever runs on against one limit is slowed down by the other.
	return taken{{l.address, address}, {l.email, email}}, l.email.take(email, now)
}

// clientAddress is the key of a client in the address limit, from http.Request.RemoteAddr. Behind a reverse proxy, whoever
// serves the pages puts the client's address there.
func clientAddress(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}
