package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestAuditorOfTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	embedded, err := startNATS(dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(embedded.stop)
	owner, err := embedded.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(owner.Close)
	auditorReadsAndNothingElse(t, embedded.url(), filepath.Join(dir, "auditor.nk"), owner)
}

// TestAuditorOfAnotherServer runs the example configuration that operators start from. It sets the environment that the
// configuration reads, so it is not parallel.
func TestAuditorOfAnotherServer(t *testing.T) {
	dir := t.TempDir()
	relay, auditor := filepath.Join(dir, "relay.nk"), filepath.Join(dir, "auditor.nk")
	for name, file := range map[string]string{"PAPUT_RELAY_NKEY": relay, "PAPUT_AUDITOR_NKEY": auditor} {
		public, err := auditorKey(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, public)
	}
	options, err := server.ProcessConfigFile(filepath.Join("..", "nats", "paput.conf"))
	if err != nil {
		t.Fatal(err)
	}
	options.Host, options.Port, options.StoreDir, options.NoLog, options.NoSigs = "127.0.0.1", server.RANDOM_PORT, dir, true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	a := &app{cfg: config{natsURL: s.ClientURL(), natsNkey: relay}}
	if err := a.connectNATS(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.conn.Close)
	auditorReadsAndNothingElse(t, s.ClientURL(), auditor, a.conn)
}

// auditorReadsAndNothingElse tries, as the auditor, everything that the auditor must not be able to do. owner is the
// relay's connection.
func auditorReadsAndNothingElse(t *testing.T, url, key string, owner *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(owner)
	if err != nil {
		t.Fatal(err)
	}
	for name, subject := range map[string]string{"AUTH": "paput.auth.>", "MEMO": "paput.memo.>"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"paput.auth.grant.granted", "paput.memo.created"} {
		if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}

	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got key file %v, %v, want mode 0600", info, err)
	}
	nkey, err := nats.NkeyOptionFromSeed(key)
	if err != nil {
		t.Fatal(err)
	}
	refusals := make(chan string, 10)
	auditor, err := nats.Connect(url, nkey, nats.CustomInboxPrefix(auditorInbox), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		refusals <- err.Error()
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(auditor.Close)

	msg, err := auditor.Request("$JS.API.DIRECT.GET.AUTH", []byte(`{"seq":1}`), 5*time.Second)
	if err != nil || msg.Header.Get("Nats-Subject") != "paput.auth.grant.granted" {
		t.Fatalf("got %v, %v, want the first event of AUTH", msg, err)
	}

	for _, test := range []struct{ name, subject, body string }{
		{"publish an event", "paput.auth.grant.granted", "{}"},
		{"delete an event", "$JS.API.STREAM.MSG.DELETE.AUTH", `{"seq":1}`},
		{"purge the stream", "$JS.API.STREAM.PURGE.AUTH", ""},
		{"delete the stream", "$JS.API.STREAM.DELETE.AUTH", ""},
		{"change the stream", "$JS.API.STREAM.UPDATE.AUTH", `{"name":"AUTH","subjects":["x"]}`},
		{"create a stream", "$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["x"]}`},
		{"create a consumer", "$JS.API.CONSUMER.CREATE.AUTH", `{"stream_name":"AUTH","config":{"deliver_subject":"paput.auth.forged"}}`},
		{"read the memos by direct get", "$JS.API.DIRECT.GET.MEMO", `{"seq":1}`},
		{"read the memos by message get", "$JS.API.STREAM.MSG.GET.MEMO", `{"seq":1}`},
		{"look at the account", "$JS.API.INFO", ""},
	} {
		if err := auditor.Publish(test.subject, []byte(test.body)); err != nil {
			t.Fatal(err)
		}
		expectRefusal(t, refusals, test.name, "Permissions Violation for Publish")
	}
	for _, address := range []string{"paput.auth.forged", "paput.memo.forged"} {
		for _, question := range []string{"$JS.API.DIRECT.GET.AUTH", "$JS.API.STREAM.INFO.AUTH"} {
			if err := auditor.PublishRequest(question, address, []byte(`{"seq":1}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The answer to this comes after those.
	said, err := auditor.Request("$JS.API.STREAM.INFO.AUTH", nil, 5*time.Second)
	if err != nil || !strings.Contains(string(said.Data), `"last_seq":1`) {
		t.Fatalf("got %v, %v, want the state of AUTH", said, err)
	}
	for _, subject := range []string{"paput.memo.>", ">", "_INBOX.>", "$JS.>"} {
		if _, err := auditor.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		expectRefusal(t, refusals, "subscribe to "+subject, "Permissions Violation for Subscription")
	}

	for _, name := range []string{"AUTH", "MEMO"} {
		info, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state, err := info.Info(t.Context())
		if err != nil || state.State.Msgs != 1 || state.State.Consumers != 0 {
			got, _ := json.Marshal(state)
			t.Errorf("got %s %s, %v, want one message and no consumer", name, got, err)
		}
	}
}

func expectRefusal(t *testing.T, refusals <-chan string, name, want string) {
	t.Helper()
	select {
	case got := <-refusals:
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %s", name, got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s: got no refusal, want %s", name, want)
	}
}

func TestBusyNATSPort(t *testing.T) {
	t.Parallel()
	first, err := startNATS(t.TempDir(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(first.stop)
	address := strings.TrimPrefix(first.url(), "nats://")
	want := "cannot listen on " + address + " for NATS: address already in use; choose another with --nats-listen or PAPUT_NATS_LISTEN"
	if _, err := startNATS(t.TempDir(), address); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
