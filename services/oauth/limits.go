package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// Limits are how often each address may do what strangers can do. A rate is per second in the long run, a burst at once.
// A field that is zero gets the default, which its comment names; rate.Inf lifts a limit.
//
// An address that floods is told so and nothing more; nobody else is, and neither is a client for the registrations of
// others. The address is that of http.Request.RemoteAddr, of IPv6 the first 64 bits; behind a reverse proxy, whoever serves
// the routes puts the client's there.
type Limits struct {
	// RegisterRate (0.1) and RegisterBurst (60) are for registrations. Each is in the log for good, so that one address fills
	// it by some 40 MB a day at most.
	RegisterRate  rate.Limit
	RegisterBurst int
	// PageRate (5) and PageBurst (60) are for visits of the authorization endpoint, and again for those of the consent
	// page and the page about devices, so that people who have got so far can give their answer. A log-in is one of the
	// former and two or three of the latter.
	PageRate  rate.Limit
	PageBurst int
	// FailureRate (5) and FailureBurst (300) are for what programs get wrong at the token and revocation endpoints: client
	// authentication, codes and refresh tokens that are not good, and polls that come too early. What they get right
	// is not counted among these, nor refused because of them.
	FailureRate  rate.Limit
	FailureBurst int
	// RefreshRate (1) and RefreshBurst (1000) are for the refreshes of one grant, whatever the address: each is in the log
	// for good, and a program that does nothing else would fill it. Hundreds of processes that share a log-in fit in.
	RefreshRate  rate.Limit
	RefreshBurst int
	// DeviceRate (0.05) and DeviceBurst (30) are for devices that ask for access. A request is over after ten minutes, so
	// that one address has at most 60 at a time.
	DeviceRate  rate.Limit
	DeviceBurst int
	// GuessRate (1/60) and GuessBurst (10) are for the device codes that one account looks up, whatever its address, and
	// GuessFromRate (0.1) and GuessFromBurst (30) for those that one address does, whatever the accounts. While a code is
	// good these are at most 20 and 90 look-ups, of 20^8 codes: an account hits one of 100 that wait with a chance of
	// 8 in 10^8, all accounts behind one address together with 4 in 10^7 (RFC 8628, section 5.1).
	GuessRate      rate.Limit
	GuessBurst     int
	GuessFromRate  rate.Limit
	GuessFromBurst int
}

func (l *Limits) setDefaults() {
	l.RegisterRate, l.RegisterBurst = orDefault(l.RegisterRate, 0.1), orDefault(l.RegisterBurst, 60)
	l.PageRate, l.PageBurst = orDefault(l.PageRate, 5), orDefault(l.PageBurst, 60)
	l.FailureRate, l.FailureBurst = orDefault(l.FailureRate, 5), orDefault(l.FailureBurst, 300)
	l.RefreshRate, l.RefreshBurst = orDefault(l.RefreshRate, 1), orDefault(l.RefreshBurst, 1000)
	l.DeviceRate, l.DeviceBurst = orDefault(l.DeviceRate, 0.05), orDefault(l.DeviceBurst, 30)
	l.GuessRate, l.GuessBurst = orDefault(l.GuessRate, 1.0/60), orDefault(l.GuessBurst, 10)
	l.GuessFromRate, l.GuessFromBurst = orDefault(l.GuessFromRate, 0.1), orDefault(l.GuessFromBurst, 30)
}

// Lines of the log that one address may cause by being refused: per second in the long run, and at once. It is as many as a
// person reads out references from pages; what is more is for debugging only.
const (
	reportRate  = rate.Limit(0.1)
	reportBurst = 20
)

// report tells the log that somebody was refused, unless their address has filled it enough.
func (s *Server) report(ctx context.Context, message string, args ...any) {
	level := slog.LevelInfo
	if s.reports.reserve(exchangeFrom(ctx).asker, s.now()) > 0 {
		level = slog.LevelDebug
	}
	s.logger.Log(ctx, level, message, args...)
}

// limited serves a page to an address as often as the limiter lets it.
func (s *Server) limited(l *limiter, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if wait := l.reserve(exchangeFrom(r.Context()).asker, s.now()); wait > 0 {
			retryAfter(w, wait)
			s.problem(w, r, http.StatusTooManyRequests, errTooManyVisits)
			return
		}
		next(w, r)
	}
}

// counted returns what a program is told of a refusal. An address that has failed too often learns that and not what was
// wrong, so that waiting is all it can do.
func (s *Server) counted(w http.ResponseWriter, r *http.Request, known *refusal) *refusal {
	if known.code != errInvalidClient.code && known.code != errRefresh.code && known != errSlowDown {
		return known
	}
	wait := s.failures.reserve(exchangeFrom(r.Context()).asker, s.now())
	if wait == 0 {
		return known
	}
	retryAfter(w, wait)
	return errTooManyFailures
}

// Whether a code, a refresh token or either sort of token was ever handed out.
const (
	codeIsKnown    = `SELECT EXISTS (SELECT 1 FROM oauth_codes WHERE hash = ?1)`
	refreshIsKnown = `SELECT EXISTS (SELECT 1 FROM oauth_refresh_tokens WHERE hash = ?1)`
	eitherIsKnown  = `SELECT EXISTS (SELECT 1 FROM oauth_refresh_tokens WHERE hash = ?1)
		OR EXISTS (SELECT 1 FROM oauth_access_tokens WHERE hash = ?1)`
)

// isGuess says whether a secret is one that nobody was given, as a flood of them would be. It is a look-up among what is
// committed, which is all that anyone was given, and spares the others the wait for a transaction. The query is one of
// the above.
func (s *Server) isGuess(ctx context.Context, query string, hash []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	var known bool
	if err := s.log.DB().QueryRowContext(ctx, query, hash).Scan(&known); err != nil {
		return false, fmt.Errorf("find a code or token: %w", err)
	}
	return !known, nil
}

// isGuessAgain is isGuess for addresses that have failed too often. Others are believed, which saves the look-up.
func (s *Server) isGuessAgain(ctx context.Context, query string, hash []byte) (bool, error) {
	if !s.failures.isSpent(exchangeFrom(ctx).asker, s.now()) {
		return false, nil
	}
	return s.isGuess(ctx, query, hash)
}

// retryLater says when to come back after trouble that passes, unless that is said more exactly.
func retryLater(w http.ResponseWriter, status int) {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "" {
		return
	}
	retryAfter(w, 5*time.Second)
}

// retryAfter tells a client how long to wait, in whole seconds (RFC 9110, section 10.2.3).
func retryAfter(w http.ResponseWriter, wait time.Duration) {
	seconds := int64((wait + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
}
