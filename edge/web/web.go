// Package web is the HTTP front door: it tells a person from a program, an MCP client from an RPC, and sends each where it
// belongs. What it answers itself is the landing page, public memos, the protected-resource metadata, health, the
// stylesheet, the icon, and what others look for on every host.
package web

import (
	"embed"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

//go:embed assets/paput.css assets/icon.svg
var assets embed.FS

// Config is what the front door leads to.
type Config struct {
	// PublicURL is the address that clients use, scheme and authority only, without a trailing slash.
	PublicURL string
	// MCP answers at /, /mcp and the paths of Toolsets.
	MCP http.Handler
	// Toolsets are the paths of parts of the tools, with the scopes that a client needs there; nil means the usual ones.
	Toolsets map[string][]string
	// Memos are shown at /m/.
	Memos PublicMemos
	// Mount adds the routes of the services: RPCs, OAuth endpoints, sign-in pages.
	Mount func(mux *http.ServeMux)
	// TrustedProxies are the reverse proxies whose word on a client's address is taken; see ParseProxies.
	TrustedProxies []netip.Prefix
	// OpenAIChallenge proves to OpenAI's app directory whose host this is; empty for no such proof.
	OpenAIChallenge string
	// Ready returns why the server cannot do its work, nil when it can.
	Ready func(r *http.Request) error
	// Now tells the time.
	Now func() time.Time
	// Patience is how long the caller of a streaming RPC may take to read one message. Other answers are bounded by
	// http.Server.WriteTimeout.
	Patience time.Duration
	Log      *slog.Logger
}

// New returns the handler for everything that arrives at the public address.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", readOnly(func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }))
	mux.Handle("/readyz", readOnly(c.ready(rate.NewLimiter(reportRate, reportBurst))))
	mux.Handle("/assets/paput.css", readOnly(cached(http.FileServerFS(assets))))
	mux.Handle("/m/{id}", readOnly(newMemoPages(c.Memos, c.Log).serve))
	// RFC 9728, section 3.3: a document is of use only to a client that was told the very URL that it names. Of a host alone
	// there is one spelling, because every client asks for the path /.
	mux.HandleFunc("/.well-known/oauth-protected-resource", c.resourceMetadata("/", nil))
	mux.HandleFunc("/.well-known/oauth-protected-resource/{$}", c.resourceMetadata("/", nil))
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp", c.resourceMetadata("/mcp", nil))
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp/{$}", c.resourceMetadata("/mcp/", nil))
	mux.Handle("/mcp", c.MCP)
	mux.Handle("/mcp/{$}", c.MCP)
	for path, scopes := range c.Toolsets {
		mux.HandleFunc("/.well-known/oauth-protected-resource"+path, c.resourceMetadata(path, scopes))
		mux.Handle(path, c.MCP)
	}
	c.mountHosting(mux)
	mux.HandleFunc("/{$}", c.root)
	mux.HandleFunc("/", notFound)
	c.Mount(mux)
	return c.onlyHTTPS(boundLanguages(c.direct(c.boundStreams(mux))))
}

// root shows a person the landing page; everything else that arrives at / is for the MCP endpoint, whose own answer to a
// stranger is the challenge that starts a log-in.
func (c Config) root(w http.ResponseWriter, r *http.Request) {
	if isBrowser(r) {
		c.landing(w, r)
		return
	}
	c.MCP.ServeHTTP(w, r)
}

// isBrowser says whether a person's browser asks for a page: MCP clients that probe with GET ask for an event stream or
// for anything.
func isBrowser(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	accept := r.Header.Get("Accept")
	return r.Header.Get("Authorization") == "" && strings.Contains(accept, "text/html") && !strings.Contains(accept, "text/event-stream")
}

// Lines of the log about a server that is not ready: per second in the long run, and at once. Anyone can ask.
const (
	reportRate  = rate.Limit(0.1)
	reportBurst = 20
)

// ready answers whether the server can do its work. Of whoever asks and hangs up the log learns nothing.
func (c Config) ready(reports *rate.Limiter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := c.Ready(r)
		if err == nil {
			plain(w, http.StatusOK, "ready\n")
			return
		}
		if r.Context().Err() == nil && reports.AllowN(c.Now(), 1) {
			c.Log.WarnContext(r.Context(), "not ready", "error", err)
		}
		w.Header().Set("Retry-After", "5")
		plain(w, http.StatusServiceUnavailable, "not ready\n")
	}
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusNotFound, "There is nothing at this address. The MCP endpoint is / or /mcp.\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func cached(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	}
}

// readOnly refuses every method but GET and HEAD. A method in the mux's pattern would not do: all others are then for the
// handler of everything else, which knows no such path.
func readOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "Only GET is possible here.\n")
			return
		}
		next(w, r)
	}
}
