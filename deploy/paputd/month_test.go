package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paput/paput/cli"
	"github.com/paput/paput/deploy/visitor"
)

var (
	soak = flag.Bool("soak", false, "run the long versions of the tests that have one")
	seed = flag.Uint64("seed", 0, "repeat the random course of TestMonth")
)

// calendar is a clock that stands still until it is told to go on.
type calendar struct {
	mu  sync.Mutex
	now time.Time
}

func (c *calendar) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *calendar) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// line is the network between paput and paputd, on whose address people know the server. It cuts connections.
type line struct {
	http   *httptest.Server
	server atomic.Pointer[url.URL]
	mu     sync.Mutex
	random *rand.Rand // guarded by mu
	cut    bool       // the last token request; guarded by mu
	lost   atomic.Int64
}

func newLine(t *testing.T, random *rand.Rand) *line {
	t.Helper()
	l := &line{random: random}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(l.server.Load()); r.Out.Host = r.In.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	l.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before, after := l.cuts(r)
		if before {
			panic(http.ErrAbortHandler)
		}
		if !after {
			proxy.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r) // the server has done it, and nobody learns of it
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(l.http.Close)
	return l
}

// cuts says whether the connection breaks before the server hears of the request, or after it has answered. It does not
// break twice in a row.
func (l *line) cuts(r *http.Request) (before, after bool) {
	if r.URL.Path != "/token" {
		return false, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		l.cut = false
		return false, false
	}
	chance := l.random.IntN(100)
	before, after = chance < 10, chance >= 10 && chance < 30
	l.cut = before || after
	if after {
		l.lost.Add(1)
	}
	return before, after
}

// assistant is a process that has run `paput mcp` and asks it for things.
type assistant struct {
	in      io.Writer
	out     *bufio.Reader
	stop    context.CancelFunc
	stopped chan struct{}
	calls   int
}

// household is four assistants of one person on one machine, who logged in once.
type household struct {
	*testing.T
	*calendar
	line       *line
	data, home string
	server     *running
	assistants [4]*assistant
}

func (h *household) streams(in io.Reader, out io.Writer, browse func(context.Context, string) error) cli.Streams {
	return cli.Streams{
		In: in, Out: out, Err: io.Discard, Now: h.Now, Browse: browse,
		Env: func(key string) (string, bool) {
			if key == "PAPUT_HOME" {
				return h.home, true
			}
			return "", false
		},
	}
}

// startServer starts paputd, or starts it again, behind the line.
func (h *household) startServer() {
	h.Helper()
	if h.server != nil {
		if err := h.server.stop(); err != nil {
			h.Fatal(err)
		}
	}
	h.server = start(h.T, h.data, false, func(c *config) {
		c.now = h.Now
		c.publicURL = strings.Replace(h.line.http.URL, "127.0.0.1", "localhost", 1)
	})
	to := &url.URL{Scheme: "http", Host: h.server.app.listener.Addr().String()}
	h.line.server.Store(to)
}

// logIn is the one log-in.
func (h *household) logIn() {
	h.Helper()
	aiko := visitor.New(h.server.url, "aiko@example.com", "correct horse battery")
	if err := aiko.SetUp(h.Context(), h.server.console); err != nil {
		h.Fatal(err)
	}
	visit := func(ctx context.Context, address string) error {
		page, err := aiko.Get(ctx, address)
		if err == nil && strings.HasPrefix(page.URL.Path, "/login") {
			page, err = aiko.Submit(ctx, page, url.Values{"email": {aiko.Email}, "password": {aiko.Password}})
		}
		if err == nil {
			page, err = aiko.Submit(ctx, page, url.Values{"decision": {"approve"}, "scope": {"paput.read", "paput.write"}})
		}
		if err != nil {
			return err
		}
		if !page.URL.Query().Has("code") {
			return fmt.Errorf("got %d from %s: %s", page.Status, page.URL.Path, page.HTML)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.URL.String(), nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	ctx, cancel := context.WithCancelCause(h.Context())
	defer cancel(nil)
	browse := func(ctx context.Context, address string) error {
		go func() {
			if err := visit(ctx, address); err != nil {
				cancel(err)
			}
		}()
		return nil
	}
	h.line.mu.Lock()
	h.line.cut = true // the code is good once: a person would log in again
	h.line.mu.Unlock()
	var out strings.Builder
	if err := cli.Run(ctx, []string{"login", h.server.url}, h.streams(strings.NewReader(""), &out, browse)); err != nil {
		h.Fatalf("log in: %v, %v", err, context.Cause(ctx))
	}
}

// startAssistant starts an assistant, or starts it again.
func (h *household) startAssistant(i int) {
	h.Helper()
	h.stopAssistant(i)
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.Context()))
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	a := &assistant{in: inWrite, out: bufio.NewReader(outRead), stop: func() { cancel(); inWrite.Close() }, stopped: make(chan struct{})}
	go func() {
		defer close(a.stopped)
		defer outWrite.Close()
		_ = cli.Run(ctx, []string{"mcp"}, h.streams(inRead, outWrite, nil))
	}()
	h.assistants[i] = a
	if _, err := a.call(`"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`); err != nil {
		h.Fatal(err)
	}
}

func (h *household) stopAssistant(i int) {
	if a := h.assistants[i]; a != nil {
		a.stop()
		go func() { _, _ = io.Copy(io.Discard, a.out) }()
		<-a.stopped
	}
}

// call sends a message and returns the answer's text.
func (a *assistant) call(method string) (string, error) {
	a.calls++
	if _, err := fmt.Fprintf(a.in, `{"jsonrpc":"2.0","id":%d,"method":%s}`+"\n", a.calls, method); err != nil {
		return "", err
	}
	answer, err := a.out.ReadString('\n')
	return answer, err
}

// use asks an assistant for something that needs the log-in, and returns what it could not do.
func (h *household) use(i int) error {
	answer, err := h.assistants[i].call(`"tools/call","params":{"name":"paput_get_categories","arguments":{}}`)
	if err != nil {
		return err
	}
	var said struct {
		Result struct {
			IsError bool `json:"isError"`
			Content []struct{ Text string }
		} `json:"result"`
		Error *struct{ Message string }
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil || said.Error != nil || said.Result.IsError {
		return fmt.Errorf("assistant %d was told %s", i, answer)
	}
	return nil
}

// TestMonth lets four processes share one log-in for thirty days: they sleep for minutes or days, wake together or alone,
// are started again, and so is the server; answers to their refreshes get lost on the way. Nobody has to log in again until
// the grant ends after ninety days. The long version takes a hundred courses.
func TestMonth(t *testing.T) {
	t.Parallel()
	courses := 1
	if *soak {
		courses = 100
	}
	for i := range courses {
		n := *seed
		if n == 0 {
			n = rand.Uint64()
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("repeat this course with -seed=%d", n)
				}
			})
			liveThrough(t, rand.New(rand.NewPCG(n, 0)))
		})
	}
}

func liveThrough(t *testing.T, random *rand.Rand) {
	t.Helper()
	home, err := os.MkdirTemp(t.TempDir(), "home")
	if err != nil {
		t.Fatal(err)
	}
	h := &household{
		T: t, calendar: &calendar{now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)},
		line: newLine(t, rand.New(rand.NewPCG(random.Uint64(), 1))), data: t.TempDir(), home: filepath.Join(home, "paput"),
	}
	h.startServer()
	h.logIn()
	begin := h.Now()
	for i := range h.assistants {
		h.startAssistant(i)
		t.Cleanup(func() { h.stopAssistant(i) })
	}
	var used [4]atomic.Int64
	for h.Now().Before(begin.Add(30 * 24 * time.Hour)) {
		switch random.IntN(20) {
		case 0:
			h.startServer()
		case 1, 2:
			h.startAssistant(random.IntN(len(h.assistants)))
		}
		// Some wake at the very same time.
		var awake sync.WaitGroup
		for _, i := range random.Perm(len(h.assistants))[:1+random.IntN(len(h.assistants))] {
			awake.Go(func() {
				if err := h.use(i); err != nil {
					t.Errorf("on day %d: %v", int(h.Now().Sub(begin).Hours()/24), err)
				}
				used[i].Add(1)
			})
		}
		awake.Wait()
		if t.Failed() {
			return
		}
		h.advance(pause(random))
	}
	for i := range used {
		if used[i].Load() == 0 {
			t.Errorf("assistant %d was never used", i)
		}
	}
	t.Logf("%d answers to refreshes were lost", h.line.lost.Load())

	h.liveOn(begin.Add(90 * 24 * time.Hour))
}

// liveOn uses the log-in now and then until its end, and looks at how it ends.
func (h *household) liveOn(end time.Time) {
	h.Helper()
	lastMinutes := end.Add(-10 * time.Minute)
	for at := h.Now(); at.Before(lastMinutes); at = at.Add(5 * 24 * time.Hour) {
		h.advance(at.Sub(h.Now()))
		for i := range h.assistants {
			if err := h.use(i); err != nil {
				h.Errorf("%s before the end: %v", end.Sub(at), err)
			}
		}
	}
	h.advance(lastMinutes.Sub(h.Now()))
	if err := h.use(0); err != nil {
		h.Errorf("ten minutes before the end: %v", err)
	}
	h.advance(end.Sub(h.Now()))
	for i := range h.assistants {
		if err := h.use(i); err == nil || !strings.Contains(err.Error(), "run: paput login") {
			h.Errorf("after ninety days: got %v, want to be told to log in", err)
		}
	}
}

// pause is how long nothing happens: seconds or minutes mostly, a night sometimes, and days when it is a holiday.
func pause(random *rand.Rand) time.Duration {
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	switch n := random.IntN(100); {
	case n < 40:
		return upTo(2 * time.Minute)
	case n < 80:
		return upTo(time.Hour)
	case n < 97:
		return 6*time.Hour + upTo(8*time.Hour)
	default:
		return upTo(4 * 24 * time.Hour)
	}
}
