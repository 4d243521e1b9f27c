package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectinprocess"
	"connectrpc.com/grpcreflect/v2"
	"github.com/gofrs/flock"
	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/paput/paput/edge/mcp"
	"github.com/paput/paput/edge/web"
	"github.com/paput/paput/proto/gen/grpc/health/v1/healthv1connect"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	"github.com/paput/paput/services/account"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/relay"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/memo"
	"github.com/paput/paput/services/oauth"
	"github.com/paput/paput/services/rpc"
)

// drainTime is how long calls in progress may take to finish once the server stops.
const drainTime = 2 * time.Second

// publishTime is how long the relay may then take to publish what was committed. What it has not done goes on at the next
// start.
const publishTime = 2 * time.Second

// greetTime is how long the greeting waits for JetStream.
const greetTime = 3 * time.Second

// readTime is how long a request may take to arrive, so that nobody can hold connections for ever by sending slowly.
const readTime = time.Minute

// writeTime is how long an answer may take from the moment that its request began to arrive: readTime, the minute that a
// call may last, and a minute to be read. Streams are bounded message by message.
const writeTime = 3 * time.Minute

// app is a paputd with everything wired. Tests start it on port 0 as main does on 8080.
type app struct {
	cfg      config
	log      *slog.Logger
	lock     *flock.Flock
	listener net.Listener
	tls      *tls.Config  // nil without
	socket   net.Listener // for administration
	events   *eventlog.Log
	nats     *embeddedNATS // nil when an external cluster is used
	conn     *nats.Conn
	relay    *relay.Relay
	memos    *memo.Service
	accounts *account.Service
	oauth    *oauth.Server
	keys     *keeper
	edge     *mcp.Server
	front    http.Handler
	admin    http.Handler
	// stopping is closed when calls in progress must come to an end.
	stopping chan struct{}
}

// newApp claims the port and the data directory and wires everything; nothing is served before run.
func newApp(ctx context.Context, cfg config, log *slog.Logger) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.lock, err = cfg.lockData(); err != nil {
		return nil, err
	}
	keys, err := readKeys(cfg.keyFile(), time.Now())
	if err != nil {
		return nil, err
	}
	if a.socket, err = listenSocket(ctx, cfg.socketFile()); err != nil {
		return nil, err
	}
	if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.listen); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another with --listen or PAPUT_LISTEN", cfg.listen, cause(err))
	}
	if a.tls, err = cfg.tlsConfig(log); err != nil {
		return nil, err
	}
	if strings.HasSuffix(a.cfg.publicURL, ":0") {
		a.cfg.publicURL = strings.TrimSuffix(a.cfg.publicURL, "0") + port(a.listener)
	}
	if a.events, err = openLog(ctx, &a.cfg); err != nil {
		return nil, err
	}
	if err := a.connectNATS(); err != nil {
		return nil, err
	}
	a.relay = relay.New(relay.Config{Log: a.events, Conn: a.conn, Source: a.cfg.publicURL, Logger: log})
	return a, a.wire(keys)
}

// kinds lists the streams of all services.
func kinds() []eventlog.Kind {
	return slices.Concat(memo.Kinds(), account.Kinds(), oauth.Kinds(), serverKinds())
}

// openLog opens the event log with the read models of all services.
func openLog(ctx context.Context, cfg *config) (*eventlog.Log, error) {
	store, err := sqlite.Open(ctx, cfg.logFile())
	if err != nil {
		return nil, fmt.Errorf("the event log cannot be used: %w", err) // it names the file
	}
	var c eventlog.Config
	c.Now = cfg.clock()
	c.Kinds = kinds()
	c.Projections = append(c.Projections, memo.Projections()...)
	c.Projections = append(c.Projections, account.Projections()...)
	c.Projections = append(c.Projections, oauth.Projections()...)
	c.Caches = memo.Caches()
	events, err := eventlog.Open(ctx, store, c)
	if err != nil {
		return nil, fmt.Errorf("open the event log %s: %w", cfg.logFile(), err)
	}
	return events, nil
}

func (a *app) connectNATS() (err error) {
	if a.cfg.natsURL == "" {
		if a.nats, err = startNATS(a.cfg.natsDir(), a.cfg.natsListen); err != nil {
			return err
		}
		a.conn, err = a.nats.connect()
		return err
	}
	options := []nats.Option{nats.Name("paputd relay"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true)}
	if a.cfg.natsCreds != "" {
		options = append(options, nats.UserCredentials(a.cfg.natsCreds))
	}
	if a.cfg.natsNkey != "" {
		nkey, err := nats.NkeyOptionFromSeed(a.cfg.natsNkey)
		if err != nil {
			return fmt.Errorf("--nats-nkey %s: %w", a.cfg.natsNkey, cause(err))
		}
		options = append(options, nkey)
	}
	if a.conn, err = nats.Connect(a.cfg.natsURL, options...); err != nil {
		return fmt.Errorf("connect to NATS at %s: %w", a.cfg.natsURL, err)
	}
	return nil
}

// wire makes the services, puts them behind the interceptors, and the edges in front of them.
func (a *app) wire(keys serverKeys) (err error) {
	if a.accounts, a.oauth, a.memos, err = a.cfg.newServices(a.events, keys, a.log); err != nil {
		return err
	}
	codes := []rpc.Codes{memo.Codes, account.Codes, oauth.Codes}
	server := rpc.NewServer(rpc.Config{Auth: a.oauth, Log: a.log, Codes: codes, Stopping: a.stopping})
	memov1connect.RegisterMemoServiceHandler(server, a.memos)
	accountv1connect.RegisterAccountServiceHandler(server, a.accounts)
	oauthv1connect.RegisterOAuthServiceHandler(server, a.oauth)
	healthv1connect.RegisterHealthHandler(server, &rpc.Health{Ready: a.ready, Services: []string{
		memov1connect.MemoServiceName, accountv1connect.AccountServiceName, oauthv1connect.OAuthServiceName,
	}})
	grpcreflect.Register(server)

	a.keys = newKeeper(a.cfg, a.events, a.log)
	a.keys.keys = keys
	a.keys.use = a.useKeys
	socket := http.NewServeMux()
	connecthttp.Mount(socket, newAdministration(a.log, a.accounts, a.oauth, a.keys))
	socket.Handle("/debug/vars", expvar.Handler()) // what memory is in use
	a.admin = socket

	// The one line that changes when the edge runs on another machine than the services.
	transport := connectinprocess.New(server)
	if a.cfg.split {
		transport = connecthttp.NewTransport(http.DefaultClient, "http://"+a.listener.Addr().String())
	}
	client := connect.NewClient(transport, rpc.Refusals)
	if a.edge, err = mcp.New(mcp.Config{
		Services: toolServices(),
		Client:   client, Now: a.cfg.clock(), Version: version(), Website: a.cfg.publicURL, Extend: a.cfg.extend, NewID: newID, Log: a.log,
	}); err != nil {
		return err
	}
	if err := a.useKeys(keys); err != nil {
		return err
	}
	tools, err := a.edge.Handler(mcp.HTTPConfig{
		PublicURL: a.cfg.publicURL, CallsPerSecond: a.cfg.callsPerSecond, Tokens: oauthv1connect.NewOAuthServiceClient(client), Log: a.log,
	})
	if err != nil {
		return err
	}
	a.front = web.New(web.Config{
		PublicURL:      a.cfg.publicURL,
		MCP:            tools,
		Toolsets:       toolsetScopes(),
		Memos:          memov1connect.NewMemoServiceClient(client),
		TrustedProxies: a.cfg.trustedProxies, OpenAIChallenge: a.cfg.openAIChallenge,
		Mount: func(mux *http.ServeMux) {
			connecthttp.Mount(mux, server)
			a.oauth.Register(mux)
			a.accounts.Register(mux)
		},
		Ready:    func(r *http.Request) error { return a.ready(r.Context()) },
		Now:      a.cfg.clock(),
		Patience: cmp.Or(a.cfg.writeTime, writeTime),
		Log:      a.log,
	})
	return nil
}

// useKeys replaces the server's keys wherever they are used.
func (a *app) useKeys(keys serverKeys) error {
	earlier := make([][]byte, 0, len(keys))
	for _, k := range keys[1:] {
		earlier = append(earlier, k.Key)
	}
	return errors.Join(a.oauth.UseKeys(keys[0].Key, keys.earlier()...), a.edge.UseKeys(keys[0].Key, earlier...))
}

// toolServices are the services whose RPCs are tools.
func toolServices() []protoreflect.ServiceDescriptor {
	return []protoreflect.ServiceDescriptor{memov1.File_paput_memo_v1_memo_service_proto.Services().ByName("MemoService")}
}

// toolsetURLs are the addresses of parts of the tools.
func (c *config) toolsetURLs() (urls []string) {
	for _, set := range mcp.Toolsets(toolServices()...) {
		urls = append(urls, c.publicURL+set.Path)
	}
	return urls
}

// toolsetScopes are what a client needs at each of their paths.
func toolsetScopes() map[string][]string {
	scopes := make(map[string][]string)
	for _, set := range mcp.Toolsets(toolServices()...) {
		scopes[set.Path] = set.Scopes
	}
	return scopes
}

// newServices makes the services. What one needs of another it is given here.
func (c *config) newServices(events *eventlog.Log, keys serverKeys, log *slog.Logger) (*account.Service, *oauth.Server, *memo.Service, error) {
	var server *oauth.Server
	memos := memo.New(memo.Config{
		Log: events, Now: c.clock(), NewID: newID, PublicURL: c.publicURL, Logger: log, Meaning: c.embeddings.meaning(),
		ClientNames: func(ctx context.Context, ids []string) (map[string]string, error) {
			return server.ClientNames(ctx, ids)
		},
	})
	accounts := account.New(account.Config{
		Log: events, PublicURL: c.publicURL, Now: c.clock(), NewID: newID, Logger: log,
		Erasures: []account.Erasure{
			{
				Begin: func(tx *eventlog.Tx, accountID string) error { return server.EndAccount(tx, accountID) },
				Begun: func(accountID string) { server.ForgetAccount(accountID) },
			},
			{Begin: memos.BeginErasure, Finish: memos.Erase},
		},
	})
	server, err := oauth.New(oauth.Config{
		Log: events, PublicURL: c.publicURL, Resources: c.toolsetURLs(), Key: keys[0].Key, EarlierKeys: keys.earlier(), SignedIn: signedIn(accounts),
		Suggest: accounts.Suggest, HasAccount: account.Exists, Now: c.clock(), NewID: newID, Logger: log, AccessTTL: c.accessTTL,
		NoDocuments: !c.documents, RedirectSchemes: c.redirectSchemes,
	})
	return accounts, server, memos, err
}

// signedIn lets the authorization server ask who the browser belongs to.
func signedIn(accounts *account.Service) func(*http.Request) (oauth.Person, bool) {
	return func(r *http.Request) (oauth.Person, bool) {
		s, ok := accounts.SignedIn(r)
		return oauth.Person{AccountID: s.AccountID, Email: s.Email, SessionID: s.ID, AuthTime: s.AuthTime}, ok
	}
}

// ready says why the server cannot do its work: the log cannot be written, or JetStream cannot be reached.
func (a *app) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := a.events.Do(ctx, func(*eventlog.Tx) error { return nil }); err != nil {
		return fmt.Errorf("the event log cannot be written: %w", err)
	}
	return a.relay.Health()
}

// run serves until ctx is done, then drains and stops; started is called once, when the server is ready. It returns nil after
// an orderly stop.
func (a *app) run(ctx context.Context, started func(context.Context) error) error {
	defer a.close()
	// The log outlives the callers that wait for it, and the relay the log's last commit.
	logging, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLog()
	relaying, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()
	relayed := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stopRelay()
		if err := a.events.Run(logging); err != nil {
			return fmt.Errorf("%w; what was acknowledged is safe: mend the cause, such as a full disk, and start again", err)
		}
		if a.conn.IsConnected() {
			select {
			case <-relayed:
			case <-time.After(cmp.Or(a.cfg.publishTime, publishTime)):
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(relayed)
		return a.relay.Run(relaying)
	})
	group.Go(func() error { return a.oauth.Run(ctx) })
	group.Go(func() error { return a.accounts.Run(ctx) })
	group.Go(func() error { return a.memos.Run(ctx) })
	group.Go(func() error { return a.keys.run(ctx) })
	group.Go(func() error {
		defer stopLog()
		return a.serve(ctx)
	})
	group.Go(func() error {
		a.awaitReady(ctx)
		return started(ctx)
	})
	return group.Wait()
}

// awaitReady waits until the server can do its work, or is stopped, or greetTime has passed: an external NATS cluster may
// be away for longer, and everything else works without it.
func (a *app) awaitReady(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	for a.ready(ctx) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// serve answers on the public address and the admin socket until ctx is done.
func (a *app) serve(ctx context.Context) error {
	calls, cancelCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelCalls()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	front := &http.Server{
		Handler:           a.front,
		Protocols:         protocols,
		BaseContext:       func(net.Listener) context.Context { return calls },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       cmp.Or(a.cfg.readTime, readTime),
		WriteTimeout:      cmp.Or(a.cfg.writeTime, writeTime),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    128 << 10,
		ErrorLog:          connectionLog(a.log),
	}
	// In this order: the edge must know that its streams end because the server stops.
	front.RegisterOnShutdown(func() {
		a.edge.Shutdown()
		close(a.stopping)
	})
	admin := &http.Server{Handler: a.admin, ReadHeaderTimeout: 10 * time.Second}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if a.tls == nil {
			return ignoreClosed(front.Serve(a.listener))
		}
		front.TLSConfig = a.tls
		return ignoreClosed(front.ServeTLS(a.listener, "", ""))
	})
	group.Go(func() error { return ignoreClosed(admin.Serve(a.socket)) })
	group.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		var stopping sync.WaitGroup
		stopping.Go(func() { _ = admin.Shutdown(drain) })
		if front.Shutdown(drain) != nil {
			cancelCalls()
			_ = front.Close()
		}
		stopping.Wait()
		return nil
	})
	return group.Wait()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// close gives back what newApp took.
func (a *app) close() {
	if a.conn != nil {
		a.conn.Close()
	}
	if a.nats != nil {
		a.nats.stop()
	}
	if a.events != nil {
		if err := a.events.Close(); err != nil {
			a.log.Error("close the event log", "error", err)
		}
	}
	if a.listener != nil {
		_ = a.listener.Close()
	}
	if a.socket != nil {
		_ = a.socket.Close()
	}
	if a.lock != nil {
		_ = a.lock.Unlock()
	}
}

// newID returns prefix, an underscore and a ULID in lower case.
func newID(prefix string) string {
	return prefix + "_" + strings.ToLower(ulid.MustNew(ulid.Now(), rand.Reader).String())
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}
