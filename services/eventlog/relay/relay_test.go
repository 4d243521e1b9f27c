package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/relay"
	"github.com/paput/paput/services/eventlog/sqlite"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

const source = "https://paput.example"

// startNATS starts a server with JetStream in dir; port -1 takes a free one.
func startNATS(tb testing.TB, dir string, port int) *server.Server {
	tb.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the NATS server does not become ready")
	}
	tb.Cleanup(func() { stopNATS(s) })
	return s
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(tb testing.TB, s *server.Server) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// run runs a relay until the returned function is called or the test ends.
func run(tb testing.TB, l *eventlog.Log, nc *nats.Conn) (r *relay.Relay, stop func()) {
	tb.Helper()
	r = relay.New(relay.Config{Log: l, Conn: nc, Source: source, Logger: slog.New(slog.NewTextHandler(tb.Output(), nil))})
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("the relay ended: %v", err)
		}
	})
	tb.Cleanup(stop)
	return r, stop
}

func add(tb testing.TB, l *eventlog.Log, events ...*eventlogtestv1.CounterEvent) {
	tb.Helper()
	for chunk := range slices.Chunk(events, 10) {
		err := l.Do(tb.Context(), func(tx *eventlog.Tx) error {
			for i, e := range chunk {
				if err := tx.Append(fmt.Sprintf("counter/%d", i%3), e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// amounts returns the events of adding from first to last.
func amounts(first, last int64) []*eventlogtestv1.CounterEvent {
	var events []*eventlogtestv1.CounterEvent
	for n := first; n <= last; n++ {
		events = append(events, eventlogtest.Added(1000+n))
	}
	return events
}

// eventually waits until what returns nil.
func eventually(tb testing.TB, what func() error) {
	tb.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := what()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// line is what a test looks at of a message.
type line struct {
	Sequence uint64
	Subject  string
	ID       string
	Data     string
}

// content returns all messages of AUTH, once there are n.
func content(tb testing.TB, nc *nats.Conn, n uint64) []line {
	tb.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	var s jetstream.Stream
	eventually(tb, func() (err error) {
		if s, err = js.Stream(tb.Context(), "AUTH"); err != nil {
			return err
		}
		if last := s.CachedInfo().State.LastSeq; last != n {
			return fmt.Errorf("the stream ends at %d, want %d", last, n)
		}
		return nil
	})
	var lines []line
	for seq := uint64(1); seq <= n; seq++ {
		m, err := s.GetMsg(tb.Context(), seq)
		if err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, line{m.Sequence, m.Subject, m.Header.Get("ce-id"), string(m.Data)})
	}
	return lines
}

// want returns what AUTH must hold.
func want(tb testing.TB, l *eventlog.Log) []line {
	tb.Helper()
	var lines []line
	for o, err := range l.Outgoing(tb.Context(), "AUTH", 0) {
		if err != nil {
			tb.Fatal(err)
		}
		name, _ := eventlog.Case(o.Event)
		data := fmt.Sprintf(`{"amount":"%d"}`, o.Event.(*eventlogtestv1.CounterEvent).GetAdded().GetAmount())
		lines = append(lines, line{uint64(o.Ordinal), "paput.auth.counter." + name, fmt.Sprintf("%s#%d", o.Stream, o.Version), data})
	}
	return lines
}

func checkEqual(tb testing.TB, l *eventlog.Log, nc *nats.Conn) {
	tb.Helper()
	w := want(tb, l)
	if diff := cmp.Diff(content(tb, nc, uint64(len(w))), w); diff != "" {
		tb.Errorf("the stream (-) is not the log (+):\n%s", diff)
	}
}

func TestEventsArriveInOrder(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), -1))
	l := eventlogtest.Open(t, eventlogtest.Counters())
	add(t, l, amounts(1, 2700)...) // more than are on their way at once
	r, _ := run(t, l, nc)
	eventually(t, r.Health)
	add(t, l, amounts(2701, 3000)...)
	checkEqual(t, l, nc)
	if err := r.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
}

func TestMessageIsARedactedCloudEvent(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), -1))
	c := eventlogtest.Counters()
	c.Now = func() time.Time { return time.Date(2031, 2, 3, 4, 5, 6, 789_999_999, time.FixedZone("", 3600)) }
	l := eventlogtest.Open(t, c)
	secret := func(id string) *eventlogtestv1.Person { return &eventlogtestv1.Person{Id: id, Name: "SECRET"} }
	add(t, l, &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Opened{Opened: &eventlogtestv1.Opened{
		Name: "steps", Email: "SECRET@example.com", Owner: secret("a"),
		People: []*eventlogtestv1.Person{secret("b"), secret("c")},
		Roles:  map[string]*eventlogtestv1.Person{"admin": secret("d")},
	}}})
	run(t, l, nc)
	content(t, nc, 1)

	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "AUTH")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	header := maps.Clone(m.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
	wantHeader := nats.Header{
		"ce-specversion":     {"1.0"},
		"ce-id":              {"counter/0#1"},
		"ce-type":            {"paput.eventlogtest.v1.Opened"},
		"ce-source":          {source},
		"ce-time":            {"2031-02-03T03:05:06.789Z"},
		"ce-subject":         {"counter/0"},
		"ce-datacontenttype": {"application/json"},
		"content-type":       {"application/json"},
	}
	if diff := cmp.Diff(header, wantHeader); diff != "" {
		t.Errorf("headers got (-) want (+):\n%s", diff)
	}
	if m.Subject != "paput.auth.counter.opened" {
		t.Errorf("the subject is %s", m.Subject)
	}
	wantData := `{"name":"steps","people":[{"id":"b"},{"id":"c"}],"roles":{"admin":{"id":"d"}},"owner":{"id":"a"}}`
	if string(m.Data) != wantData || !json.Valid(m.Data) {
		t.Errorf("the body is %s, want %s", m.Data, wantData)
	}
	i := s.CachedInfo().Config
	if i.Storage != jetstream.FileStorage || !i.DenyDelete || !i.DenyPurge || !i.AllowDirect || !slices.Equal(i.Subjects, []string{"paput.auth.>"}) {
		t.Errorf("the stream is %+v", i)
	}
}

// TestRedactionChangesNoMessage fills a lost stream again from a log that was redacted meanwhile.
func TestRedactionChangesNoMessage(t *testing.T) {
	t.Parallel()
	l := eventlogtest.Open(t, eventlogtest.Counters())
	var events []*eventlogtestv1.CounterEvent
	for i := range int64(30) {
		note := eventlogtest.Added(i + 100)
		note.GetAdded().Note = "SECRET"
		events = append(events, note, &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Opened{Opened: &eventlogtestv1.Opened{
			Email: "SECRET@example.com", Roles: map[string]*eventlogtestv1.Person{"admin": {Id: "d", Name: "SECRET"}, "other": {Name: "SECRET"}},
		}}})
	}
	add(t, l, events...)
	first := connect(t, startNATS(t, t.TempDir(), -1))
	r, _ := run(t, l, first)
	before := content(t, first, 60)
	for _, stream := range []string{"counter/0", "counter/2"} {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Redact(stream) }); err != nil {
			t.Fatal(err)
		}
	}
	add(t, l, eventlogtest.Added(1)) // the stream goes on
	content(t, first, 61)
	eventually(t, r.Health)

	second := connect(t, startNATS(t, t.TempDir(), -1))
	run(t, l, second)
	if diff := cmp.Diff(content(t, second, 61)[:60], before); diff != "" {
		t.Errorf("messages after the redaction (-) and before (+):\n%s", diff)
	}
}

func TestRestartGoesOnWhereTheStreamEnds(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), -1))
	l := eventlogtest.Open(t, eventlogtest.Counters())
	for i := range int64(5) {
		_, stop := run(t, l, nc)
		add(t, l, amounts(200*i, 200*i+99)...)
		stop() // in the midst of publishing
		add(t, l, amounts(200*i+100, 200*i+199)...)
	}
	run(t, l, nc)
	checkEqual(t, l, nc)
}

func TestTwoRelaysDoNotDouble(t *testing.T) {
	t.Parallel()
	s := startNATS(t, t.TempDir(), -1)
	l := eventlogtest.Open(t, eventlogtest.Counters())
	a, _ := run(t, l, connect(t, s))
	b, _ := run(t, l, connect(t, s))
	add(t, l, amounts(1, 700)...)
	checkEqual(t, l, connect(t, s))
	eventually(t, func() error { return errors.Join(a.Health(), b.Health()) })
}

func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startNATS(t, dir, -1)
	port := s.Addr().(*net.TCPAddr).Port
	nc := connect(t, s)
	l := eventlogtest.Open(t, eventlogtest.Counters())
	r, _ := run(t, l, nc)
	eventually(t, r.Health)
	add(t, l, amounts(1, 300)...)
	stopNATS(s)
	add(t, l, amounts(301, 600)...) // no command fails while NATS is away
	eventually(t, func() error {
		if r.Health() == nil {
			return errors.New("the relay is healthy without NATS")
		}
		return nil
	})
	startNATS(t, dir, port)
	checkEqual(t, l, nc)
	eventually(t, r.Health)
}

func TestStreamAheadOfTheLogStopsTheRelay(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), -1))
	first := eventlogtest.Open(t, eventlogtest.Counters())
	_, stop := run(t, first, nc)
	add(t, first, amounts(1, 10)...)
	before := content(t, nc, 10)
	stop()

	restored := eventlogtest.Open(t, eventlogtest.Counters())
	add(t, restored, amounts(1, 4)...)
	r, _ := run(t, restored, nc)
	waitForHealth(t, r, "it holds 10 events and the log only 4 of them")

	// The log has overtaken the stream, but what the stream ends with is not of it.
	add(t, restored, amounts(50, 60)...)
	waitForHealth(t, r, "its sequence 10 is not the log's event of that ordinal")
	if diff := cmp.Diff(content(t, nc, 10), before); diff != "" {
		t.Errorf("the stream was changed:\n%s", diff)
	}

	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "AUTH"); err != nil {
		t.Fatal(err)
	}
	eventually(t, r.Health)
	checkEqual(t, restored, nc)
}

func waitForHealth(tb testing.TB, r *relay.Relay, text string) {
	tb.Helper()
	eventually(tb, func() error {
		if err := r.Health(); err == nil || !strings.Contains(err.Error(), text) {
			return fmt.Errorf("Health: got %w, want %q", err, text)
		}
		return nil
	})
}

func TestFullStreamSaysSo(t *testing.T) {
	t.Parallel()
	nc, l := connect(t, startNATS(t, t.TempDir(), -1)), eventlogtest.Open(t, eventlogtest.Counters())
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "AUTH", Subjects: []string{"paput.auth.>"}, MaxMsgs: 5, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, amounts(1, 20)...)
	r, _ := run(t, l, nc)
	eventually(t, func() error {
		if err := r.Health(); err == nil || !strings.Contains(err.Error(), "publish ordinal 6: ") || !strings.Contains(err.Error(), "maximum messages exceeded") {
			return fmt.Errorf("health: %w", err)
		}
		return nil
	})
	if got := content(t, nc, 5); len(got) != 5 {
		t.Errorf("the stream has %d messages, want 5", len(got))
	}
}

func TestLostStreamComesBackTheSame(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), -1))
	l := eventlogtest.Open(t, eventlogtest.Counters())
	run(t, l, nc)
	add(t, l, amounts(1, 100)...)
	before := content(t, nc, 100)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "AUTH"); err != nil {
		t.Fatal(err)
	}
	add(t, l, eventlogtest.Added(7))
	after := content(t, nc, 101)
	if diff := cmp.Diff(after[:100], before); diff != "" {
		t.Errorf("the stream came back different:\n%s", diff)
	}
}

func BenchmarkRelay(b *testing.B) {
	nc := connect(b, startNATS(b, b.TempDir(), -1))
	l := eventlogtest.Open(b, eventlogtest.Counters())
	const perCommand = 100
	for n := 0; n < b.N; n += perCommand {
		err := l.Do(b.Context(), func(tx *eventlog.Tx) error {
			for range perCommand {
				if err := tx.Append("counter/1", eventlogtest.Added(1)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	run(b, l, nc)
	for {
		s, err := js.Stream(b.Context(), "AUTH")
		if err == nil && s.CachedInfo().State.LastSeq >= uint64(b.N) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// TestTheRestIsPublishedWhenTheLogStops starts the relay when the log has stopped already.
func TestTheRestIsPublishedWhenTheLogStops(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), -1))
	b, err := sqlite.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(t.Context(), b, eventlogtest.Counters())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stopLog := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- l.Run(ctx) }()
	add(t, l, amounts(1, 1500)...)
	stopLog()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	r := relay.New(relay.Config{Log: l, Conn: nc, Source: source, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err := r.Run(t.Context()); err != nil {
		t.Errorf("got %v, want the relay to end by itself", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "AUTH")
	if err != nil || s.CachedInfo().State.LastSeq != 1500 {
		t.Errorf("got the stream %+v, %v, want 1500 messages", s.CachedInfo().State, err)
	}
	if strings.Contains(logs.String(), "WARN") {
		t.Errorf("got log lines about an orderly end: %s", logs.String())
	}
}
