package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/paput/paput/deploy/visitor"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/account"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/memo"
	"github.com/paput/paput/services/oauth"
)

// TestKilledUnderLoad kills the server, without any warning, while it takes memos and refreshes tokens, several times over.
// What it has acknowledged is there after each restart, what it has not is made again with its idempotency key and is there
// once, and in the end NATS has every event, once, in the log's order.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	const kills, writers, refreshers, perKill = 3, 6, 3, 120
	server := startPaputd(t)
	server.addAccount(t)
	aiko := visitor.New(server.url, email, password)
	token, err := aiko.LogIn(t.Context(), "paput.read", "paput.write")
	if err != nil {
		t.Fatal(err)
	}
	grants := make([]string, refreshers)
	for i := range grants {
		grant, err := aiko.Grant(t.Context(), token.ClientID, server.url, "paput.read")
		if err != nil {
			t.Fatal(err)
		}
		grants[i] = grant.Refresh
	}

	w := &work{url: server.url, token: token, kept: map[string]string{}, grants: grants}
	for range kills {
		w.until(t, writers, len(w.kept)+perKill, server.kill)
		server = startPaputdOn(t, server.data, server.args()...)
		w.check(t)
	}
	if n := w.refreshes.total(); n < kills*refreshers {
		t.Errorf("got %d refreshes, want some under every load", n)
	}
	t.Logf("%d memos and %d refreshes acknowledged over %d kills, %d memos not before the next start, %d of which were there", len(w.kept), w.refreshes.total(), kills, w.unanswered, w.there)

	// The relay catches up after a start; being stopped again before it has is no fault of its.
	deadline := time.Now().Add(patience)
	for {
		if err := waitReady(server.url); err != nil {
			t.Fatal(err)
		}
		if err := server.stop(os.Interrupt, patience); err != nil {
			t.Fatal(err)
		}
		behind := compareStreams(t, server.data, w.kept)
		if behind == "" {
			return
		}
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("the streams have not caught up with the log: %s", behind)
		}
		server = startPaputdOn(t, server.data, server.args()...)
	}
}

// work is what clients do and have been told was done.
type work struct {
	url   string
	token *visitor.Token

	mu   sync.Mutex
	kept map[string]string // the titles of the memos that were acknowledged, by id
	open []string          // the titles of the others; a title is its call's idempotency key
	// unanswered counts all that were ever open, and there those of them that the server had.
	unanswered, there int

	// grants are refresh tokens, each replaced by its successor once that has arrived; each belongs to one goroutine.
	grants    []string
	refreshes counter
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counter) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// until lets clients work until many memos are kept, then calls kill in the middle of it and waits for all of them to
// notice.
func (w *work) until(t *testing.T, writers, many int, kill func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reached := make(chan struct{})
	var once sync.Once
	var clients sync.WaitGroup
	for i := range writers {
		clients.Go(func() {
			for n := 0; w.create(ctx, fmt.Sprintf("memo %d of writer %d at %d", n, i, time.Now().UnixNano())) == nil; n++ {
				if w.keptSoFar() >= many {
					once.Do(func() { close(reached) })
				}
			}
		})
	}
	for i := range w.grants {
		clients.Go(func() {
			for w.refresh(ctx, i) == nil {
				w.refreshes.add()
			}
		})
	}
	select {
	case <-reached:
	case <-ctx.Done():
		t.Errorf("only %d memos in time, want %d", w.keptSoFar(), many)
	}
	kill()
	clients.Wait()
}

func (w *work) keptSoFar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.kept)
}

func (w *work) create(ctx context.Context, title string) error {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+w.token.Access)
	res, err := w.memos().CreateMemos(ctx, &memov1.CreateMemosRequest{
		Memos: []*memov1.MemoDraft{{Title: title, Body: "本文 " + title}}, IdempotencyKey: title,
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.open = append(w.open, title)
		return err
	}
	w.kept[res.GetResults()[0].GetMemo().GetId()] = title
	return nil
}

func (w *work) memos() memov1connect.MemoServiceClient {
	return memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, w.url)))
}

// refresh exchanges a refresh token. When the answer does not arrive the token stays: whether it was exchanged is then
// unknown, and presenting it again must be safe.
func (w *work) refresh(ctx context.Context, i int) error {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {w.token.ClientID}, "refresh_token": {w.grants[i]}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var next visitor.Token
	if err := json.NewDecoder(res.Body).Decode(&next); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || next.Refresh == "" {
		return fmt.Errorf("the token endpoint answered %s", res.Status)
	}
	w.grants[i] = next.Refresh
	return nil
}

// check makes the calls again that got no answer, reads back everything that was acknowledged, and goes on with every grant.
func (w *work) check(t *testing.T) {
	t.Helper()
	open := w.open
	w.open = nil
	for _, title := range open {
		w.unanswered++
		before := w.titled(t, title)
		w.there += before
		for range 2 {
			if err := w.create(t.Context(), title); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.titled(t, title); n != 1 {
			t.Errorf("there were %d memos %q after the restart, and %d when the call was made again, want 1", before, title, n)
		}
	}
	var ids []string
	for id := range w.kept {
		ids = append(ids, id)
	}
	for from := 0; from < len(ids); from += 100 {
		some := ids[from:min(from+100, len(ids))]
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Authorization", "Bearer "+w.token.Access)
		res, err := w.memos().SearchMemos(ctx, &memov1.SearchMemosRequest{Ids: some})
		if err != nil {
			t.Fatal(err)
		}
		if lost := res.GetMissingIds(); len(lost) > 0 {
			t.Errorf("%d acknowledged memos are lost, %s among them", len(lost), lost[0])
		}
		for _, m := range res.GetMemos() {
			if m.GetTitle() != w.kept[m.GetId()] || m.GetBody() != "本文 "+m.GetTitle() {
				t.Errorf("got memo %s %q, want %q", m.GetId(), m.GetTitle(), w.kept[m.GetId()])
			}
		}
	}
	for i := range w.grants {
		if err := w.refresh(t.Context(), i); err != nil {
			t.Errorf("refresh after the restart: %v", err)
		}
	}
}

// titled counts the memos with a title.
func (w *work) titled(t *testing.T, title string) (n int) {
	t.Helper()
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+w.token.Access)
	res, err := w.memos().SearchMemos(ctx, &memov1.SearchMemosRequest{Query: title, PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range res.GetEntries() {
		if e.GetTitle() == title {
			n++
		}
	}
	return n
}

// compareStreams holds the JetStream streams of a stopped server against its log. What must never be, a message that is
// not the log's next, fails the test; a stream that merely ends too early is returned in words.
func compareStreams(t *testing.T, data string, kept map[string]string) (behind string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(data, "paput.db"))
	if err != nil {
		t.Fatal(err)
	}
	c := eventlog.Config{Now: time.Now}
	c.Kinds = append(append(append(c.Kinds, memo.Kinds()...), account.Kinds()...), oauth.Kinds()...)
	log, err := eventlog.Open(t.Context(), store, c)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	created := map[string]bool{}
	for record, err := range log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if id, isMemo := strings.CutPrefix(record.Stream, "memo/"); isMemo && record.Version == 1 {
			created[id] = true
		}
	}
	for id := range kept {
		if !created[id] {
			t.Errorf("the log has no event of %s, which was acknowledged", id)
		}
	}

	js, closeJetStream := openJetStream(t, filepath.Join(data, "nats"))
	defer closeJetStream()
	for _, name := range log.Relays() {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state := stream.CachedInfo().State
		if state.Msgs != state.LastSeq || state.LastSeq > uint64(log.Ordinal(name)) {
			t.Errorf("%s has %d messages up to %d, the log has %d", name, state.Msgs, state.LastSeq, log.Ordinal(name))
		}
		for o, err := range log.Outgoing(t.Context(), name, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if uint64(o.Ordinal) > state.LastSeq {
				behind = fmt.Sprintf("%s ends at %d of %d", name, state.LastSeq, log.Ordinal(name))
				break
			}
			msg, err := stream.GetMsg(t.Context(), uint64(o.Ordinal))
			if err != nil {
				t.Fatal(err)
			}
			if id, want := msg.Header.Get("ce-id"), fmt.Sprintf("%s#%d", o.Stream, o.Version); id != want || msg.Subject != o.Subject {
				t.Fatalf("%s: got %s %s at %d, want %s %s", name, msg.Subject, id, o.Ordinal, o.Subject, want)
			}
		}
	}
	return behind
}

// openJetStream opens the streams of a server that is stopped, until they are closed.
func openJetStream(t *testing.T, dir string) (_ jetstream.JetStream, closeAll func()) {
	t.Helper()
	owner := server.NewAccount("PAPUT")
	s, err := server.NewServer(&server.Options{
		ServerName: "paputd", DontListen: true, StoreDir: dir, JetStream: true, NoSigs: true, NoLog: true,
		Accounts: []*server.Account{owner},
		Users:    []*server.User{{Username: "test", Password: "test", Account: owner}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS did not start")
	}
	// The server works on a copy of the account.
	if owner, err = s.LookupAccount(owner.Name); err == nil {
		err = owner.EnableJetStream(nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo("test", "test"))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js, func() {
		conn.Close()
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// TestStopsWhileClientsAreConnected interrupts a server that clients hold on to in every way there is.
func TestStopsWhileClientsAreConnected(t *testing.T) {
	t.Parallel()
	server := startPaputd(t)
	server.addAccount(t)
	token, err := visitor.New(server.url, email, password).LogIn(t.Context(), "paput.read")
	if err != nil {
		t.Fatal(err)
	}

	// An MCP client that listens, an RPC client that watches, and one that has sent half a request.
	listening := openStream(t, server.url+"/mcp", token.Access, map[string]string{
		"Content-Type": "application/json", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen",
	}, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"e2e","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`)
	watching := openStream(t, server.url+"/grpc.health.v1.Health/Watch", token.Access, map[string]string{
		"Content-Type": "application/connect+json", "Connect-Protocol-Version": "1",
	}, "\x00\x00\x00\x00\x02{}")
	half, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := half.Write([]byte("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nAuthorization: Bearer " + token.Access + "\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}

	if err := server.stop(os.Interrupt, 5*time.Second); err != nil {
		t.Error(err)
	}
	if code := server.state.ExitCode(); code != 0 {
		t.Errorf("got exit code %d, want 0:\n%s", code, server.err.String())
	}
	for name, stream := range map[string]*bufio.Reader{"the listener": listening, "the watcher": watching} {
		if _, err := stream.WriteTo(discard{}); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s still waits: %v", name, err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// openStream sends a request whose answer has no end, and returns the answer once it has begun.
func openStream(t *testing.T, address, token string, header map[string]string, body string) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	reader := bufio.NewReader(res.Body)
	if _, err := reader.Peek(1); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %s, %v, want a stream", address, res.Status, err)
	}
	return reader
}

// TestAuditorOfARunningServer reads the audit stream with the key in the data directory, and tries for more.
func TestAuditorOfARunningServer(t *testing.T) {
	t.Parallel()
	server := startPaputd(t)
	server.addAccount(t)
	if err := waitReady(server.url); err != nil {
		t.Fatal(err)
	}
	key, err := nats.NkeyOptionFromSeed(filepath.Join(server.data, "nats", "auditor.nk"))
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan string, 16)
	auditor, err := nats.Connect(server.nats, key, nats.CustomInboxPrefix("_INBOX_auditor"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		refused <- err.Error()
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	first, err := auditor.Request("$JS.API.DIRECT.GET.AUTH", []byte(`{"seq":1}`), patience)
	if err != nil || first.Header.Get("Nats-Subject") != "paput.auth.account.created" || strings.Contains(string(first.Data), email) {
		t.Errorf("got %v, %v, want the first event, without the address", first, err)
	}
	for _, test := range []struct{ name, subject, body string }{
		{"publish an event", "paput.auth.account.created", "{}"},
		{"delete an event", "$JS.API.STREAM.MSG.DELETE.AUTH", `{"seq":1}`},
		{"purge the stream", "$JS.API.STREAM.PURGE.AUTH", ""},
		{"delete the stream", "$JS.API.STREAM.DELETE.AUTH", ""},
		{"create a consumer", "$JS.API.CONSUMER.CREATE.AUTH", `{"stream_name":"AUTH","config":{"deliver_subject":"paput.memo.created"}}`},
		{"read what happened to memos", "$JS.API.DIRECT.GET.MEMO", `{"seq":1}`},
		{"read what happened to memos another way", "$JS.API.STREAM.MSG.GET.MEMO", `{"seq":1}`},
	} {
		if err := auditor.Publish(test.subject, []byte(test.body)); err != nil {
			t.Fatal(err)
		}
		select {
		case text := <-refused:
			if !strings.Contains(strings.ToLower(text), "permissions violation") {
				t.Errorf("%s: got %q, want a permissions violation", test.name, text)
			}
		case <-time.After(patience):
			t.Errorf("%s: got no refusal", test.name)
		}
	}
	for _, subject := range []string{"paput.memo.>", ">", "$JS.>"} {
		if _, err := auditor.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		select {
		case <-refused:
		case <-time.After(patience):
			t.Errorf("subscribe to %s: got no refusal", subject)
		}
	}
	if _, err := nats.Connect(server.nats); err == nil {
		t.Error("got a connection without any key, want none")
	}
}

// TestVersionsAreTold checks what a bug report needs.
func TestVersionsAreTold(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"paput", "paputd"} {
		out, err := exec.Command(program(name), "version").CombinedOutput()
		if err != nil || !regexp.MustCompile(`^\S.*\n$`).Match(out) {
			t.Errorf("%s version: got %q, %v, want one line", name, out, err)
		}
	}
}
