package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/paput/paput/cli"
)

// hub is a NATS server with the streams and the users of paputd.
type hub struct {
	t       *testing.T
	options *natsserver.Options
	*natsserver.Server
	seed  string // the auditor's key file
	relay nkeys.KeyPair
	js    jetstream.JetStream
	sent  int
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, seed: filepath.Join(t.TempDir(), "auditor.nk")}
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	public, _ := pair.PublicKey()
	if err := os.WriteFile(h.seed, append(seed, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if h.relay, err = nkeys.CreateUser(); err != nil {
		t.Fatal(err)
	}
	relay, _ := h.relay.PublicKey()
	// The configuration that operators start from.
	conf, err := os.ReadFile(filepath.Join("..", "deploy", "nats", "paput.conf"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "paput.conf")
	filled := strings.NewReplacer("$PAPUT_RELAY_NKEY", relay, "$PAPUT_AUDITOR_NKEY", public).Replace(string(conf))
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	if h.options, err = natsserver.ProcessConfigFile(file); err != nil {
		t.Fatal(err)
	}
	h.options.Host, h.options.Port, h.options.StoreDir, h.options.NoLog, h.options.NoSigs = "127.0.0.1", -1, t.TempDir(), true, true
	h.start()
	for name, subjects := range map[string]string{"AUTH": "paput.auth.>", "MEMO": "paput.memo.>"} {
		_, err := h.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}, AllowDirect: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// start starts the server, at the port it had before if it had one.
func (h *hub) start() {
	h.t.Helper()
	s, err := natsserver.NewServer(h.options)
	if err != nil {
		h.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		h.t.Fatal("the NATS server does not start")
	}
	h.Server = s
	h.options.Port = s.Addr().(*net.TCPAddr).Port
	relay, _ := h.relay.PublicKey()
	conn, err := nats.Connect(s.ClientURL(), nats.Nkey(relay, h.relay.Sign))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close(); s.Shutdown(); s.WaitForShutdown() })
	if h.js, err = jetstream.New(conn); err != nil {
		h.t.Fatal(err)
	}
}

// publish adds n events.
func (h *hub) publish(n int) {
	h.t.Helper()
	for range n {
		h.sent++
		m := nats.NewMsg("paput.auth.grant.token_refreshed")
		for name, value := range map[string]string{
			"ce-specversion": "1.0", "ce-id": fmt.Sprintf("grant/grant_1#%d", h.sent), "ce-type": "paput.oauth.v1.TokenRefreshed",
			"ce-source": "http://localhost:8080", "ce-time": "2026-03-01T12:00:00.000Z", "ce-subject": "grant/grant_1",
			"ce-datacontenttype": "application/json", "content-type": "application/json",
		} {
			m.Header[name] = []string{value}
		}
		m.Data = []byte(`{"n": ` + fmt.Sprint(h.sent) + `, "scope": "a<b"}`)
		if _, err := h.js.PublishMsg(h.t.Context(), m); err != nil {
			h.t.Fatal(err)
		}
	}
}

// tail runs `paput audit tail` with the auditor's key.
func (h *hub) tail(args ...string) outcome {
	h.t.Helper()
	return newPerson(h.t).run(h.arguments(args...)...)
}

func (h *hub) arguments(args ...string) []string {
	return append([]string{"audit", "tail", "--nats", h.ClientURL(), "--nkey", h.seed}, args...)
}

// sequences reads the sequences of the lines, and fails unless each is one more than the one before.
func sequences(t testing.TB, out string) (all []int) {
	t.Helper()
	for line := range strings.Lines(out) {
		var e struct{ Sequence int }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("got line %q: %v", line, err)
		}
		if n := len(all); n > 0 && e.Sequence != all[n-1]+1 {
			t.Fatalf("got sequence %d after %d", e.Sequence, all[n-1])
		}
		all = append(all, e.Sequence)
	}
	return all
}

func TestAuditTail(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	if o := h.tail("--follow=false"); o.code != 0 || o.out != "" {
		t.Errorf("of an empty stream: got %d %q %q", o.code, o.out, o.err)
	}
	h.publish(1203) // more than two batches
	o := h.tail("--follow=false")
	if got := sequences(t, o.out); o.code != 0 || len(got) != 1203 || got[0] != 1 {
		t.Errorf("got %d events from %v, want 1203 from 1: %s", len(got), got[:1], o.err)
	}
	line, _, _ := strings.Cut(o.out, "\n")
	if want := `{"specversion":"1.0","id":"grant/grant_1#1","source":"http://localhost:8080","type":"paput.oauth.v1.TokenRefreshed",` +
		`"subject":"grant/grant_1","time":"2026-03-01T12:00:00.000Z","datacontenttype":"application/json","sequence":1,` +
		`"natssubject":"paput.auth.grant.token_refreshed","data":{"n":1,"scope":"a<b"}}`; line != want {
		t.Errorf("got\n%s\nwant\n%s", line, want)
	}
	for from, want := range map[string]int{"1200": 4, "last": 1, "new": 0, "1203": 1, "1204": 0, "5000": 0} {
		if got := sequences(t, h.tail("--follow=false", "--from", from).out); len(got) != want {
			t.Errorf("from %s: got %v, want %d events", from, got, want)
		}
	}
}

// follower is a `paput audit tail` that goes on until it is stopped.
type follower struct {
	lines chan string
	errs  *buffer
	stop  func() error
}

func (h *hub) follow(args ...string) *follower {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	f := &follower{lines: make(chan string, 10_000), errs: &buffer{}}
	ended := make(chan error, 1)
	go func() {
		ended <- cli.Run(ctx, h.arguments(args...), cli.Streams{
			In: strings.NewReader(""), Err: f.errs, Now: time.Now,
			Env: func(string) (string, bool) { return "", false },
			Out: watcher(func(text string) {
				for line := range strings.Lines(text) {
					f.lines <- line
				}
			}),
		})
	}()
	f.stop = func() error { cancel(); return <-ended }
	h.t.Cleanup(cancel)
	return f
}

// take waits for n lines.
func (f *follower) take(t *testing.T, n int) (text string) {
	t.Helper()
	for i := range n {
		select {
		case line := <-f.lines:
			text += line
		case <-time.After(20 * time.Second):
			t.Fatalf("got %d lines, want %d: %s", i, n, f.errs)
		}
	}
	return text
}

func TestAuditTailFollows(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.publish(2)
	f := h.follow()
	text := f.take(t, 2)
	for range 3 {
		h.publish(1)
		text += f.take(t, 1)
	}
	// The server goes away and comes back with more.
	h.Shutdown()
	h.WaitForShutdown()
	h.start()
	h.publish(700)
	text += f.take(t, 700)
	if got := sequences(t, text); len(got) != 705 || got[0] != 1 {
		t.Errorf("got %d events from %d, want 705 from 1", len(got), got[0])
	}
	has(t, f.errs.String(), "is lost; trying again", "connected to "+h.ClientURL()+" again")
	if err := f.stop(); err != nil {
		t.Errorf("got %v when it was stopped, want nothing", err)
	}
}

func TestAuditTailReportsAGap(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.publish(5)
	f := h.follow("--from", "4")
	f.take(t, 2)
	stream, err := h.js.Stream(t.Context(), "AUTH")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{2, 3} {
		if err := stream.DeleteMsg(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	o := h.tail("--follow=false")
	if o.code != 1 || len(sequences(t, o.out)) != 1 || !strings.Contains(o.err, "events 2 to 3 are missing from the audit stream") {
		t.Errorf("got %d %q %q", o.code, o.out, o.err)
	}
	if err := stream.DeleteMsg(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if o := h.tail("--follow=false", "--from", "4"); o.code != 1 || !strings.Contains(o.err, "event 5 is missing") {
		t.Errorf("got %d %q %q", o.code, o.out, o.err)
	}
	if err := f.stop(); err != nil {
		t.Error(err)
	}
}

func TestAuditTailRefusals(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := newPerson(t)
	none := filepath.Join(t.TempDir(), "none.nk")
	p.fails(7, "there is no key "+none, "audit", "tail", "--nkey", none)
	p.env["PAPUT_NATS_NKEY"] = h.seed
	p.fails(6, "cannot reach nats://127.0.0.1:1", "audit", "tail", "--nats", "nats://127.0.0.1:1")
	p.env["PAPUT_NATS_URL"] = h.ClientURL()
	p.ok("audit", "tail", "--follow=false")
	if err := os.Chmod(h.seed, 0o640); err != nil {
		t.Fatal(err)
	}
	p.fails(1, "run: chmod 600 "+h.seed, "audit", "tail")
	if err := os.WriteFile(none, []byte("SUAsecretbutnokey"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := p.fails(7, "holds no NKey seed", "audit", "tail", "--nkey", none)
	if strings.Contains(o.err, "SUAsecret") {
		t.Errorf("got %q, the seed in it", o.err)
	}
	pair, _ := nkeys.CreateUser()
	seed, _ := pair.Seed()
	if err := os.WriteFile(none, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	p.fails(7, "does not know the user of "+none, "audit", "tail", "--nkey", none)
	if err := h.js.DeleteStream(t.Context(), "AUTH"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.seed, 0o600); err != nil {
		t.Fatal(err)
	}
	p.fails(7, "has no audit stream", "audit", "tail")
}

// closedPipe is what `| head` leaves behind.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
}

func TestAuditTailEndsWithItsReader(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.publish(1)
	for name, s := range map[string]cli.Streams{
		"at the next event":          {Out: closedPipe{}},
		"while there is nothing new": {Out: io.Discard, OutIsGone: func() bool { return true }},
	} {
		var errs buffer
		s.In, s.Err, s.Now, s.Env = strings.NewReader(""), &errs, time.Now, func(string) (string, bool) { return "", false }
		if err := cli.Run(t.Context(), h.arguments(), s); err != nil || errs.String() != "" {
			t.Errorf("%s: got %v %q, want silence", name, err, errs.String())
		}
	}
}

// TestAuditorCanOnlyRead proves that what `paput audit tail` needs is all that its user may do.
func TestAuditorCanOnlyRead(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.publish(3)
	if _, err := h.js.Publish(t.Context(), "paput.memo.created", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	key, err := nats.NkeyOptionFromSeed(h.seed)
	if err != nil {
		t.Fatal(err)
	}
	denied := make(chan error, 16)
	auditor, err := nats.Connect(h.ClientURL(), key, nats.CustomInboxPrefix("_INBOX_auditor"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	for _, subject := range []string{
		"paput.auth.x", "paput.memo.x", "$JS.API.STREAM.MSG.DELETE.AUTH", "$JS.API.STREAM.PURGE.AUTH", "$JS.API.STREAM.DELETE.AUTH",
		"$JS.API.STREAM.UPDATE.AUTH", "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.MSG.GET.MEMO", "$JS.API.STREAM.MSG.GET.AUTH",
		"$JS.API.DIRECT.GET.MEMO", "$JS.API.DIRECT.GET.MEMO.paput.memo.created", "$JS.API.STREAM.INFO.MEMO", "$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.SNAPSHOT.AUTH", "$JS.API.CONSUMER.CREATE.AUTH", "$JS.API.CONSUMER.CREATE.AUTH.x", "$JS.API.CONSUMER.DURABLE.CREATE.AUTH.x",
		"$JS.API.CONSUMER.CREATE.MEMO.x", "$JS.API.INFO", "_INBOX_auditor.other", "$SYS.REQ.SERVER.PING",
	} {
		if err := auditor.PublishRequest(subject, auditor.NewInbox(), []byte(`{"seq":1}`)); err != nil {
			t.Fatal(err)
		}
		expectDenied(t, denied, "publish to "+subject)
	}
	for _, subject := range []string{">", "paput.>", "paput.memo.>", "_INBOX.>", "$JS.>", "$SYS.>"} {
		if _, err := auditor.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		expectDenied(t, denied, "subscribe to "+subject)
	}
	for name, want := range map[string]uint64{"AUTH": 3, "MEMO": 1} {
		stream, err := h.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if s := stream.CachedInfo().State; s.Msgs != want || s.LastSeq != want || s.Consumers != 0 {
			t.Errorf("%s: got %+v, want %d messages as before", name, s, want)
		}
	}
	if got := sequences(t, h.tail("--follow=false").out); len(got) != 3 {
		t.Errorf("got %v, want to read on", got)
	}
}

func expectDenied(t *testing.T, denied chan error, what string) {
	t.Helper()
	select {
	case err := <-denied:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: got %v, want a permissions violation", what, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s was allowed", what)
	}
}
