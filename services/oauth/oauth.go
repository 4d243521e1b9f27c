// Package oauth is the authorization server: apps register themselves, people allow them some of what they may do, and
// apps get tokens for that. It follows OAuth 2.1 as the Model Context Protocol wants it: PKCE with S256 for everyone,
// resource-bound tokens (RFC 8707), issuer in every answer (RFC 9207), dynamic registration (RFC 7591), and apps that need
// none because a document of theirs on the web describes them (client id metadata documents).
//
// Routing, form decoding and client credentials are those of github.com/zitadel/oidc's op.Server. It decides nothing: what
// it would check is checked here before, more strictly, and it sees the result only. So nothing that a client sent reaches
// its log lines, and no error is rendered in its words.
//
// Everything that is decided is an event. A registration is the stream of one client. An authorization is the stream of
// one grant: the person's answer, the code, every token, the end. Decisions are pure functions over rows of the service's
// own tables, read in the same transaction, and not over a fold of the stream: a grant is refreshed thousands of times
// and its last token is one row. A refusal that must leave a trace (a spent code, a revoked grant) is an event that is
// committed, and the error is the answer to it.
//
// Tokens, codes and client secrets are random strings of 256 bits, of which SHA-256 hashes are kept. What an access token
// is worth is looked up for every call, behind a cache that a revocation empties.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// Person is someone who is signed in in a browser.
type Person struct {
	AccountID string
	Email     string
	SessionID string
	// AuthTime is when they last proved who they are.
	AuthTime time.Time
}

// Config is what a Server needs.
type Config struct {
	Log *eventlog.Log
	// PublicURL is where clients find this server, such as "https://mcp.example.com": the issuer. It has no path, and http
	// is for loopback only.
	PublicURL string
	// Resources are the addresses below PublicURL, besides it and its /mcp, that tokens may be for.
	Resources []string
	// Key is 32 secret bytes that are kept with the data directory. EarlierKeys were in its place not long ago. Without the
	// key that made them, authorization requests that wait for an answer are void, and so are answers to repeated refreshes.
	Key         []byte
	EarlierKeys []EarlierKey
	// SignedIn returns who is signed in in the browser that sent the request.
	SignedIn func(*http.Request) (Person, bool)
	// Suggest adds to an answer's header what makes the browser's next sign-in page come filled in with an e-mail address.
	// For what is no address it returns false, and the page comes empty. Nil when there is no such page: then clients'
	// hints are ignored.
	Suggest func(header http.Header, email string) bool
	// HasAccount says, in a command, whether an account exists that was not erased: a person who answers may have been erased
	// since they were recognised. Nil when accounts last for ever.
	HasAccount func(q eventlog.Querier, accountID string) (bool, error)
	Now        func() time.Time
	// NewID returns a new id that begins with the prefix and an underscore.
	NewID  func(prefix string) string
	Logger *slog.Logger

	// AccessTTL is how long an access token works; Lifetimes.Access when it is zero.
	AccessTTL time.Duration
	Lifetimes Lifetimes
	Limits
	// Documents fetches client metadata documents, whose addresses strangers choose; nil for one that reaches nothing but
	// port 443 of public addresses. It must not follow redirects.
	Documents http.RoundTripper
	// RedirectSchemes are the schemes besides https, and http on loopback, that the redirect URIs of apps may have that
	// register themselves or have a metadata document, such as "cursor": any app on a person's computer can claim one, so
	// there are none unless they are named here. Each must be an IsPrivateScheme.
	RedirectSchemes []string
	// NoDocuments turns client metadata documents off, for a server that cannot reach other sites: nothing is fetched or
	// advertised, and apps register instead.
	NoDocuments bool
}

// Server is the authorization server. New makes one; its methods may be called from any goroutine.
type Server struct {
	op.UnimplementedServer

	log        *eventlog.Log
	issuer     string
	resources  []string
	secure     bool // https: cookies may be bound to the host
	keys       atomic.Pointer[keyring]
	signedIn   func(*http.Request) (Person, bool)
	suggest    func(http.Header, string) bool
	hasAccount func(eventlog.Querier, string) (bool, error)
	now        func() time.Time
	newID      func(string) string
	logger     *slog.Logger
	life       Lifetimes

	pages         *template.Template
	protocol      http.Handler // of op
	registrations *limiter
	visits        *limiter // of the authorization endpoint
	answers       *limiter // to the consent page, and visits of it
	failures      *limiter // of programs
	refreshes     *limiter // of grants
	reports       *limiter // lines about refusals in the log
	devices       *limiter // that ask for access
	guesses       *limiter // at user codes, by account
	guessesFrom   *limiter // and by address
	polls         *polls
	lately        cache[string]      // ids of clients, by what was registered and from where
	clients       cache[knownClient] // public ones that registered, by id
	documents     *documents
	noDocuments   bool
	callers       cache[remembered]
	known         cache[knownResources] // all of them, by the empty string
	proofs        cache[proof]          // of clients with a secret, by proofKey
	accepted      accepted

	redirectSchemes []string
	decoys          map[string]string // key sets by algorithm
}

var (
	_ op.Server                          = (*Server)(nil)
	_ rpc.Authenticator                  = (*Server)(nil)
	_ oauthv1connect.OAuthServiceHandler = (*Server)(nil)
)

// New returns a server. It fails when the configuration makes no sense.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	decoys, err := newDecoys()
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	c.setDefaults()
	s := &Server{
		log:           c.Log,
		issuer:        c.PublicURL,
		resources:     append([]string{c.PublicURL, c.PublicURL + "/mcp"}, c.Resources...),
		secure:        strings.HasPrefix(c.PublicURL, "https://"),
		signedIn:      c.SignedIn,
		suggest:       c.Suggest,
		hasAccount:    c.HasAccount,
		now:           c.Now,
		newID:         c.NewID,
		logger:        c.Logger,
		life:          c.Lifetimes,
		pages:         pages,
		registrations: newLimiter(c.RegisterRate, c.RegisterBurst),
		visits:        newLimiter(c.PageRate, c.PageBurst),
		answers:       newLimiter(c.PageRate, c.PageBurst),
		failures:      newLimiter(c.FailureRate, c.FailureBurst),
		refreshes:     newLimiter(c.RefreshRate, c.RefreshBurst),
		reports:       newLimiter(reportRate, reportBurst),
		devices:       newLimiter(c.DeviceRate, c.DeviceBurst),
		guesses:       newLimiter(c.GuessRate, c.GuessBurst),
		guessesFrom:   newLimiter(c.GuessFromRate, c.GuessFromBurst),
		polls:         newPolls(),
		noDocuments:   c.NoDocuments,

		redirectSchemes: c.RedirectSchemes,
		decoys:          decoys,
	}
	s.documents = newDocuments(c.Documents, c.Now, s.allowsScheme)
	if err := s.UseKeys(c.Key, c.EarlierKeys...); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	s.protocol = op.RegisterServer(s, op.Endpoints{
		Authorization: op.NewEndpoint(pathAuthorize),
		Token:         op.NewEndpoint(pathToken),
		Revocation:    op.NewEndpoint(pathRevoke),

		DeviceAuthorization: op.NewEndpoint(pathDevices),
	}, op.WithServerCORSOptions(nil), op.WithDecoder(forms{}))
	return s, nil
}

func (c *Config) check() error {
	if c.Log == nil || c.SignedIn == nil || c.Now == nil || c.NewID == nil || c.Logger == nil {
		return errors.New("one of Log, SignedIn, Now, NewID and Logger is missing")
	}
	if c.Lifetimes.Grace > 300*time.Second {
		return fmt.Errorf("the grace time for refresh tokens is %s, at most 5m", c.Lifetimes.Grace)
	}
	for _, scheme := range c.RedirectSchemes {
		if !IsPrivateScheme(scheme) {
			return fmt.Errorf("%q is no scheme that an app may have of its own", scheme)
		}
	}
	return checkPublicURL(c.PublicURL)
}

// checkPublicURL demands scheme and authority and nothing else, and https but on loopback.
func checkPublicURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != raw {
		return fmt.Errorf("the public URL %q must be a scheme and a host, such as https://mcp.example.com", raw)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return fmt.Errorf("the public URL %q must begin with https:// unless it is on loopback", raw)
	}
	return nil
}

func (c *Config) setDefaults() {
	c.Lifetimes.Access = orDefault(c.AccessTTL, c.Lifetimes.Access)
	c.Lifetimes.setDefaults()
	c.Limits.setDefaults()
}

// orDefault returns v unless it is zero.
func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// writeTimeout is how long a decision may take. It does not end with the request: what is half decided when a client
// hangs up is still decided, and a cache is emptied of it.
const writeTimeout = 15 * time.Second

// do carries out one decision.
func (s *Server) do(ctx context.Context, fn func(tx *eventlog.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return s.log.Do(ctx, fn)
}
