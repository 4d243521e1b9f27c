package oauth

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses is how many addresses a limiter remembers; when there are more, those that have been quiet are forgotten.
const maxAddresses = 10_000

// limiter limits how often each address may do something, or each of what else it is asked about: an account, a grant.
type limiter struct {
	limit rate.Limit
	burst int

	mu sync.Mutex
	// byAddress holds a bucket for each address that was seen lately. Guarded by mu.
	byAddress map[string]*rate.Limiter
}

func newLimiter(limit rate.Limit, burst int) *limiter {
	return &limiter{limit: limit, burst: burst, byAddress: make(map[string]*rate.Limiter)}
}

// reserve takes one from the address's bucket and returns 0, or says how long to wait for the next and takes nothing.
func (l *limiter) reserve(address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, known := l.byAddress[address]
	if !known {
		l.forget(now)
		bucket = rate.NewLimiter(l.limit, l.burst)
		l.byAddress[address] = bucket
	}
	reservation := bucket.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// isSpent says whether the address would have to wait for its next.
func (l *limiter) isSpent(address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, known := l.byAddress[address]
	return known && l.limit != rate.Inf && bucket.TokensAt(now) < 1
}

// forget makes room: a full bucket is as good as none. When none is full, all go. The caller holds mu.
func (l *limiter) forget(now time.Time) {
	if len(l.byAddress) < maxAddresses {
		return
	}
	for address, bucket := range l.byAddress {
		if bucket.TokensAt(now) >= float64(l.burst) {
			delete(l.byAddress, address)
		}
	}
	if len(l.byAddress) >= maxAddresses {
		clear(l.byAddress)
	}
}

// address is whom a request is counted against: the peer's address, or its network of 64 bits with IPv6, where one
// machine has as many addresses as it likes.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}
