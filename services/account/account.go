// Package account knows the people who use a server: their e-mail addresses and passwords, the links with which they set
// these up, and the browser sessions in which they are signed in. It serves the pages for all that.
//
// A person is found by e-mail address; letter case does not count. Passwords are hashed with argon2id behind a limiter, so
// that a rush of sign-ins slows down sign-ins and nothing else. Of session secrets, invitation tokens and set-up tokens the
// server keeps SHA-256 hashes only.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/paput/paput/services/eventlog"
)

// How long an invitation and a browser session last. A session ends when it has not been used for sessionIdle, and in any
// case sessionLife after the sign-in. Use is recorded when it is sessionStep after the use recorded before.
const (
	invitationLife = 7 * 24 * time.Hour
	sessionIdle    = 14 * 24 * time.Hour
	sessionLife    = 90 * 24 * time.Hour
	sessionStep    = time.Hour
	// browserLife is how long a browser that has signed in is known again.
	browserLife = 365 * 24 * time.Hour
)

// Errors that callers see.
var (
	// ErrNotFound is returned for an account that does not exist.
	ErrNotFound = errors.New("account not found")
	// ErrExists is returned for an e-mail address whose account already has a password.
	ErrExists = errors.New("an account with this e-mail address already exists")
	// ErrOtherEmail is returned when the address that is to confirm an erasure is not the account's.
	ErrOtherEmail = errors.New("email is not the e-mail address of this account: nothing was erased")
	// ErrService is returned to a service that wants to erase the account that it acts for.
	ErrService = errors.New("only a person who is signed in erases the account, and whoever runs the server")
	// ErrWhichAccount is returned when an account is named in two ways or in none.
	ErrWhichAccount = errors.New("name the account by its e-mail address or by its id")
	// ErrEmail is returned for what is no e-mail address.
	ErrEmail = errors.New("email is not a valid e-mail address: write it like name@example.com, at most 254 characters")
	// ErrPasswordText is returned for a password that is not UTF-8.
	ErrPasswordText = errors.New("password is not valid UTF-8 text")
	// ErrPasswordShort is returned for a password of fewer than 8 characters.
	ErrPasswordShort = errors.New("password is too short: use at least 8 characters")
	// ErrPasswordLong is returned for a password of more than 200 characters.
	ErrPasswordLong = errors.New("password is too long: use at most 200 characters")
	// ErrPasswordEmail is returned for a password that is the e-mail address.
	ErrPasswordEmail = errors.New("password is the e-mail address: use something else")
	// ErrPasswordCommon is returned for one of the passwords that are tried first.
	ErrPasswordCommon = errors.New("password is one of the most common ones: use something harder to guess")
	// ErrBusy is returned when too many passwords wait to be hashed.
	ErrBusy = errors.New("the server is busy with other sign-ins: try again in a few seconds")
)

// errLink is returned for a set-up or invitation link that is unknown, used, replaced or expired.
var errLink = errors.New("the link does not work any more")

// errWrong is returned when an e-mail address and a password do not belong together.
var errWrong = errors.New("the e-mail address or the password is wrong")

// Codes translates the errors of this package.
func Codes(err error) (connect.Code, bool) {
	switch {
	case errors.Is(err, ErrNotFound):
		return connect.CodeNotFound, true
	case errors.Is(err, ErrExists):
		return connect.CodeAlreadyExists, true
	case errors.Is(err, ErrService):
		return connect.CodePermissionDenied, true
	case errors.Is(err, ErrBusy):
		return connect.CodeUnavailable, true
	case errors.Is(err, ErrEmail), errors.Is(err, ErrOtherEmail), errors.Is(err, ErrWhichAccount), errors.Is(err, ErrPasswordText), errors.Is(err, ErrPasswordShort),
		errors.Is(err, ErrPasswordLong), errors.Is(err, ErrPasswordEmail), errors.Is(err, ErrPasswordCommon):
		return connect.CodeInvalidArgument, true
	default:
		return 0, false
	}
}

// Config is what a Service needs. Hashing and Limits have good defaults where they are zero; all else is required.
type Config struct {
	Log *eventlog.Log
	// PublicURL is where people reach the server, such as "https://paput.example.com". With https, cookies are bound to it.
	PublicURL string
	Now       func() time.Time
	// NewID returns an id never returned before, prefix + "_" + something.
	NewID  func(prefix string) string
	Logger *slog.Logger
	// Hashing says what a password hash costs.
	Hashing Hashing
	// Limits say how many wrong passwords are let pass.
	Limits Limits
	// Erasures are what the other services do when an account is erased, in this order.
	Erasures []Erasure
}

// Service is the accounts of one server. New makes it; it is safe for concurrent use.
type Service struct {
	log       *eventlog.Log
	publicURL string
	now       func() time.Time
	newID     func(prefix string) string
	logger    *slog.Logger
	hasher    *hasher
	limits    *limits
	reports   *limit // lines about refusals in the log
	cookies   cookies
	pages     pages
	origin    originCheck
	erasures  []Erasure
	toFinish  chan struct{} // has one when Run is to look for erased accounts

	mu sync.Mutex
	// setupHash is the SHA-256 of the set-up token given out last; nil when there is none. Guarded by mu.
	setupHash []byte
}

// New returns a service. It panics when the public URL is none.
func New(c Config) *Service {
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Host == "" || (public.Scheme != "https" && public.Scheme != "http") {
		panic(fmt.Sprintf("account: the public URL %q is no http or https URL", c.PublicURL))
	}
	return &Service{
		log:       c.Log,
		publicURL: strings.TrimRight(c.PublicURL, "/"),
		now:       func() time.Time { return c.Now().UTC() },
		newID:     c.NewID,
		logger:    c.Logger,
		hasher:    newHasher(c.Hashing),
		limits:    newLimits(c.Limits),
		reports:   newLimit(reports(), Rate{}),
		cookies:   cookies{secure: public.Scheme == "https"},
		pages:     newPages(),
		origin:    newOriginCheck(public.Scheme + "://" + public.Host),
		erasures:  c.Erasures,
		toFinish:  make(chan struct{}, 1),
	}
}

// SetupLink returns a link with which the first account is made in a browser; empty when there already is an account that
// can sign in. Each call makes a fresh link and ends the one before. A link lives in memory: it works until it has been
// used, another account has become able to sign in, or the program ends.
func (s *Service) SetupLink(ctx context.Context) (string, error) {
	open, err := needsSetup(ctx, s.log.DB())
	if err != nil || !open {
		return "", err
	}
	token := newSecret()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setupHash = hashSecret(token)
	return s.publicURL + "/setup?token=" + token, nil
}

// newSecret returns 256 random bits as text that is safe in a URL and in a cookie.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b) //nolint:errcheck // it never returns an error
	return base64.RawURLEncoding.EncodeToString(b)
}

// hashSecret is what is kept of a secret. A fast hash will do: nobody can guess 256 bits.
func hashSecret(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}
