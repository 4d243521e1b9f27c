package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"golang.org/x/time/rate"

	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
)

// DefaultMaxBody is how large a message may be, in bytes.
const DefaultMaxBody = 5 << 20

// DefaultMaxStreams is how many streams the clients of one account may hold open at once. A person has a few machines, on
// each of which a few clients listen.
const DefaultMaxStreams = 32

// defaultPatience is how long a client may take to read one event of a stream.
const defaultPatience = 30 * time.Second

// HTTPConfig is what the Streamable HTTP transport needs. Only PublicURL is required.
type HTTPConfig struct {
	// PublicURL is the address that people give to their clients, such as https://mcp.example.com. The endpoint is that
	// URL itself and its /mcp; the Host and Origin of requests are checked against it. Loopback addresses of any port
	// stand for each other.
	PublicURL string
	// Tokens says what a caller's token is worth; nil means to ask through the server's own Client.
	Tokens oauthv1connect.OAuthServiceClient
	// Hosts and Origins are allowed besides those of PublicURL: "paput.internal:8080", "https://inspector.example.com".
	Hosts, Origins []string
	// ChallengeScope is what a client without a token is told to ask for; empty means "paput.read paput.write".
	ChallengeScope string
	// MaxBody bounds a message, in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	// KeepAlive is the time between two signs of life on an open stream; 0 means 20 seconds. At each the token is looked
	// up again, and the stream ends with it.
	KeepAlive time.Duration
	// Patience is how long a client may take to read one event of a stream before the stream ends; 0 means 30 seconds.
	// Other answers are bounded by http.Server.WriteTimeout.
	Patience time.Duration
	// CallsPerSecond is how many requests an account may make in the long run, and may save up ten seconds' worth of; 0 for
	// any number.
	CallsPerSecond float64
	// MaxStreams bounds the open streams of an account; 0 means DefaultMaxStreams.
	MaxStreams int
	// Log replaces the server's own.
	Log *slog.Logger
}

// A place is one path of the endpoint.
type place struct {
	// metadata is the address of the protected-resource metadata.
	metadata string
	// set is the toolset that is there, empty for all tools, and resource its own name as a resource.
	set, resource string
	// scope is what a client without a token is told to ask for.
	scope string
}

// handler is the Streamable HTTP transport.
type handler struct {
	s         *Server
	log       *slog.Logger
	tokens    oauthv1connect.OAuthServiceClient
	gate      gate
	resources []string
	// places are the paths that the endpoint has.
	places    map[string]place
	scope     string
	maxBody   int64
	keepAlive time.Duration
	patience  time.Duration
	listeners listeners
	limits    limits
}

// Handler returns the handler of the endpoint. It answers at the path of PublicURL and at its /mcp, with or without a slash
// at the end, at the paths of Toolsets, and 404 elsewhere.
//
// A request passes these checks, in this order: path (404), Host and Origin (403), a token in the URL or two Authorization
// headers (400), the token (401), method (405), content type (415), size (413), JSON (400), the account's limits
// (429), and for a tool the scope (403).
// So whoever has no token learns nothing but where to get one, by any method; only OPTIONS is answered without.
//
// The answer is JSON unless the client's Accept names text/event-stream and not application/json. A missing or odd Accept
// is no error. Streams are used where a request stays open, for subscriptions/listen, or reports progress.
func (s *Server) Handler(c HTTPConfig) (http.Handler, error) {
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Host == "" || public.Scheme != "http" && public.Scheme != "https" {
		return nil, fmt.Errorf("mcp: the public URL %q is not of the form https://host", c.PublicURL)
	}
	h := &handler{
		s:         s,
		log:       c.Log,
		tokens:    c.Tokens,
		gate:      newGate(public, c.Hosts, c.Origins),
		scope:     c.ChallengeScope,
		maxBody:   c.MaxBody,
		keepAlive: cmp.Or(c.KeepAlive, 20*time.Second),
		patience:  cmp.Or(c.Patience, defaultPatience),
		listeners: listeners{most: cmp.Or(c.MaxStreams, DefaultMaxStreams), open: make(map[string]int)},
		limits:    limits{perSecond: rate.Limit(c.CallsPerSecond), now: s.now, of: make(map[string]*usage)},
	}
	origin, base := public.Scheme+"://"+public.Host, strings.TrimSuffix(public.Path, "/")
	h.resources = []string{origin + base, origin + base + "/mcp"}
	if h.scope == "" {
		h.scope = "paput.read paput.write"
	}
	h.places = make(map[string]place)
	for _, path := range []string{base, base + "/", base + "/mcp", base + "/mcp/"} {
		h.places[path] = place{metadata: metadataOf(origin, path), scope: h.scope}
	}
	for _, set := range s.sets {
		at := place{metadata: metadataOf(origin, base+set.Path), set: set.name, resource: origin + base + set.Path, scope: h.scope}
		if set.Scopes != nil {
			at.scope = strings.Join(set.Scopes, " ")
		}
		h.places[base+set.Path] = at
	}
	if h.log == nil {
		h.log = s.log
	}
	if h.tokens == nil {
		h.tokens = oauthv1connect.NewOAuthServiceClient(s.client)
	}
	if h.maxBody == 0 {
		h.maxBody = DefaultMaxBody
	}
	return h, nil
}

// metadataOf is where the protected-resource metadata of a path is. RFC 9728, section 3.1: the well-known part goes between
// the host and a path that is more than a slash. Each spelling of the endpoint has a document of its own, which names exactly
// what the client was told (section 3.3).
func metadataOf(origin, path string) string {
	if path == "/" {
		path = ""
	}
	return origin + "/.well-known/oauth-protected-resource" + path
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, r: r}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // panicked by identity
				panic(p)
			}
			text := h.s.internal(r.Context(), "http", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			x.fail(http.StatusInternalServerError, nil, &rpcError{code: mcp.INTERNAL_ERROR, text: text})
		}
	}()
	x.serve()
	if x.streaming {
		// What is left of the stream, its end, is sent when this returns.
		x.hurry()
	}
}

// An exchange is one HTTP request and its answer.
type exchange struct {
	h *handler
	w http.ResponseWriter
	r *http.Request
	// place is what was asked for.
	place place
	// body is lent by Server.buffers, and nil before and afterwards.
	body    *[]byte
	started bool
	// streaming says that the answer is a stream of events.
	streaming bool
}

func (x *exchange) serve() {
	if !x.find() || !x.pass() {
		return
	}
	if x.r.Method == http.MethodOptions {
		x.start(http.StatusNoContent)
		return
	}
	c, ok := x.authenticate()
	if !ok {
		return
	}
	if x.r.Method != http.MethodPost {
		x.w.Header().Set("Allow", "POST, OPTIONS")
		x.fail(http.StatusMethodNotAllowed, nil, &rpcError{code: mcp.INVALID_REQUEST, text: "send messages by POST"})
		return
	}
	if kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		x.fail(http.StatusUnsupportedMediaType, nil, &rpcError{code: mcp.INVALID_REQUEST, text: "the Content-Type must be application/json"})
		return
	}
	x.body = x.h.s.buffers.get()
	defer x.giveBack()
	if !x.read(x.body) {
		return
	}
	x.message(*x.body, c)
}

// giveBack makes an end of the body, and of what was read from it.
func (x *exchange) giveBack() {
	if x.body != nil {
		x.h.s.buffers.put(x.body)
		x.body = nil
	}
}

// find answers 404 for a path that is not the endpoint.
func (x *exchange) find() (ok bool) {
	if x.place, ok = x.h.places[x.r.URL.Path]; !ok {
		http.NotFound(x.w, x.r)
	}
	return ok
}

// read reads the body, up to its bound.
func (x *exchange) read(into *[]byte) bool {
	if x.r.ContentLength > x.h.maxBody {
		x.w.Header().Set("Connection", "close")
		x.tooLarge()
		return false
	}
	err := readAll(into, http.MaxBytesReader(x.w, x.r.Body, x.h.maxBody))
	if err == nil {
		return true
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		x.tooLarge()
		return false
	}
	x.fail(http.StatusBadRequest, nil, &rpcError{code: mcp.PARSE_ERROR, text: "the body could not be read"})
	return false
}

func (x *exchange) tooLarge() {
	text := fmt.Sprintf("a message may have at most %d bytes", x.h.maxBody)
	x.fail(http.StatusRequestEntityTooLarge, nil, &rpcError{code: mcp.INVALID_REQUEST, text: text})
}

func readAll(into *[]byte, r io.Reader) error {
	b := *into
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*into = b
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// message answers one JSON-RPC message.
func (x *exchange) message(body []byte, c *caller) {
	m, fault := parse(body)
	if fault != nil {
		x.fail(http.StatusBadRequest, m.id, fault)
		return
	}
	if m.response {
		x.h.s.questions.answer(c.identity(), &m)
	}
	if m.id == nil || m.response {
		// A notification; cancelled means nothing here, because each request is its own connection: closing that cancels it.
		x.start(http.StatusAccepted)
		return
	}
	modern := x.isModern(&m)
	if fault := x.checkVersion(&m, modern); fault != nil {
		x.fail(http.StatusBadRequest, m.id, fault)
		return
	}
	if c.project, fault = projectOf(x.r.Header); fault != nil {
		x.fail(http.StatusBadRequest, m.id, fault)
		return
	}
	if modern && m.method == string(mcp.MethodSubscriptionsListen) {
		x.listen(&m, c)
		return
	}
	if !x.enter(&m, c) {
		return
	}
	defer x.h.limits.leave(c.owner())
	c.apps = x.abilities(&m, c, modern).apps
	ctx := x.r.Context()
	if !modern {
		// Up to 2025-11-25 a lost connection does not cancel a request.
		ctx = context.WithoutCancel(ctx)
	}
	if m.method == string(mcp.MethodInitialize) {
		x.begin(&m, c)
	}
	if x.h.s.mayTalk(&m, modern) {
		x.stream(ctx, &m, c, modern)
		return
	}
	answer := x.h.s.buffers.get()
	defer x.h.s.buffers.put(answer)
	out, code, err := x.h.s.answer(ctx, *answer, &m, c, modern, &line{})
	*answer = out
	x.reply(&m, out, code, err, modern)
}

// reply sends the outcome of Server.answer.
func (x *exchange) reply(m *message, answer []byte, code int, err error, modern bool) {
	var scope scopeError
	switch {
	case err == nil:
		x.send(statusOf(code, modern), answer)
	case errors.Is(err, errToken):
		x.invalidToken()
	case errors.As(err, &scope):
		x.insufficientScope(m, scope, modern)
	default:
		// The client has gone.
		panic(http.ErrAbortHandler)
	}
}

// send sends a whole answer, as JSON or, for a client that takes nothing else, as the one event of a stream.
func (x *exchange) send(status int, answer []byte) {
	header := x.w.Header()
	if status == http.StatusOK && !x.takes("application/json") && x.takes("text/event-stream") {
		x.startStream()
		_ = x.event(answer)
		return
	}
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	x.start(status)
	_, _ = x.w.Write(answer)
}

// fail sends an error answer to a request that could not be read.
func (x *exchange) fail(status int, id []byte, e *rpcError) {
	if x.started {
		return
	}
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	x.start(status)
	_, _ = x.w.Write(appendError(nil, id, e))
}

func (x *exchange) start(status int) {
	x.started = true
	x.w.WriteHeader(status)
}

// takes says whether the client's Accept allows a type. None allows JSON.
func (x *exchange) takes(kind string) bool {
	accept := x.r.Header.Values("Accept")
	if len(accept) == 0 {
		return kind == "application/json"
	}
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			main, _, _ := strings.Cut(kind, "/")
			if name == kind || name == main+"/*" || name == "*/*" && kind == "application/json" {
				return true
			}
		}
	}
	return false
}

// abilities are those that the sender of a request says it has: in the request itself or, before 2026-07-28, by its session.
func (x *exchange) abilities(m *message, c *caller, modern bool) abilities {
	if modern {
		return readAbilities(m.meta.capabilities)
	}
	if id := x.r.Header.Get(mcp.HeaderSessionID); id != "" {
		return x.h.s.openSession(c.identity(), id)
	}
	return abilities{}
}

// begin gives a client that can be asked something, or show it, a session to say so with from then on. Others need none.
func (x *exchange) begin(m *message, c *caller) {
	if can := m.abilities(); can.any() {
		x.w.Header().Set(mcp.HeaderSessionID, x.h.s.newSession(c.identity(), can))
	}
}
