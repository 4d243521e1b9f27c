package main

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	serverv1 "github.com/paput/paput/proto/gen/paput/server/v1"
	"github.com/paput/paput/services/eventlog"
)

// startCluster starts a NATS server of its own on a port, -1 for a free one.
func startCluster(t *testing.T, dir string, port int) (s *server.Server, stop func()) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	stop = func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	t.Cleanup(stop)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	return s, stop
}

// TestStopPublishesWhatWasCommitted stops the server when NATS has just come back: what happened meanwhile is published
// without another start.
func TestStopPublishesWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cluster, stopCluster := startCluster(t, dir, -1)
	address := cluster.ClientURL()
	running := start(t, t.TempDir(), false, func(c *config) { c.natsURL, c.publishTime = address, time.Minute })
	running.awaitReady(t)
	port := cluster.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	stopCluster()
	event := &serverv1.ServerEvent{Event: &serverv1.ServerEvent_KeyRotated{KeyRotated: &serverv1.KeyRotated{KeyId: "x"}}}
	for range 5 { // more than are published while the server stops anyway
		err := running.app.events.Do(t.Context(), func(tx *eventlog.Tx) error {
			return tx.Append("server/test", slices.Repeat([]proto.Message{event}, 1000)...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	startCluster(t, dir, int(port))
	for deadline := time.Now().Add(30 * time.Second); !running.app.conn.IsConnected(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the relay does not connect again")
		}
	}
	if err := running.stop(); err != nil {
		t.Fatal(err)
	}

	conn, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "AUTH")
	if err != nil {
		t.Fatal(err)
	}
	if got, logged := stream.CachedInfo().State.LastSeq, running.app.events.Ordinal("AUTH"); got != uint64(logged) || logged == 0 {
		t.Errorf("got %d events in the stream, want the %d of the log", got, logged)
	}
}

// TestStopDoesNotWaitForNATS stops a server whose NATS cluster is away.
func TestStopDoesNotWaitForNATS(t *testing.T) {
	t.Parallel()
	cluster, stopCluster := startCluster(t, t.TempDir(), -1)
	const long = time.Minute // longer than anything else takes, on a busy machine too
	running := start(t, t.TempDir(), false, func(c *config) { c.natsURL, c.publishTime = cluster.ClientURL(), long })
	running.awaitReady(t)
	stopCluster()
	if _, err := newVisitor(running).Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := running.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took >= long {
		t.Errorf("stopping took %s, want less than %s", took, long)
	}
}
