package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// auditorInbox is the only place where the auditor may receive answers, so that one auditor cannot listen to the answers
// of another user.
const auditorInbox = "_INBOX_auditor"

// embeddedNATS is a NATS server inside this process, with JetStream in the data directory and its TCP listener for
// auditors. It has two users: the relay, whose key lives in memory only, and the auditor, whose key is a file.
type embeddedNATS struct {
	server *server.Server
	relay  nkeys.KeyPair
}

// startNATS starts the server. dir holds the JetStream data and the auditor's key.
func startNATS(dir, listen string) (*embeddedNATS, error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("--nats-listen %q: give an address and a port, such as 127.0.0.1:4222", listen)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("--nats-listen %q: give an address and a port, such as 127.0.0.1:4222", listen)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("--nats-listen %s: the embedded NATS server has no TLS and stays on loopback; off it, use a cluster with --nats-url", listen)
	}
	// The library would retry a busy port for a while and then only log.
	if port != 0 {
		l, err := net.Listen("tcp", listen) //nolint:noctx // closed at once
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s for NATS: %w; choose another with --nats-listen or PAPUT_NATS_LISTEN", listen, cause(err))
		}
		_ = l.Close()
	} else {
		port = server.RANDOM_PORT
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create %s: %w", dir, cause(err))
	}
	auditor, err := auditorKey(filepath.Join(dir, "auditor.nk"))
	if err != nil {
		return nil, err
	}
	relay, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("create the relay's key: %w", err)
	}
	relayKey, err := relay.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("create the relay's key: %w", err)
	}

	account, auditors := server.NewAccount("PAPUT"), server.NewAccount("AUDIT")
	s, err := server.NewServer(&server.Options{
		ServerName: "paputd",
		Host:       host,
		Port:       port,
		StoreDir:   dir,
		JetStream:  true,
		NoSigs:     true,
		NoLog:      true,
		Accounts:   []*server.Account{account, auditors},
		Nkeys: []*server.NkeyUser{
			{Nkey: relayKey, Account: account},
			{Nkey: auditor, Account: auditors, Permissions: auditorPermissions()},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("NATS did not start within 10 s")
	}
	if err := enableJetStream(s, account.Name); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start JetStream: %w", err)
	}
	if err := showAuditors(s, account.Name, auditors.Name); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("open the audit stream to auditors: %w", err)
	}
	return &embeddedNATS{server: s, relay: relay}, nil
}

func enableJetStream(s *server.Server, name string) error {
	account, err := s.LookupAccount(name)
	if err != nil {
		return err
	}
	return account.EnableJetStream(nil, nil)
}

const (
	// auditSubjects are where the events of the stream AUTH go by.
	auditSubjects = "paput.auth.>"
	// auditInfo asks for the state of the stream. In the auditors' account it is passed on as auditForward, because an
	// account without JetStream has an answer of its own to what begins with $JS.API: that it has none.
	auditInfo    = "$JS.API.STREAM.INFO.AUTH"
	auditForward = "paput.audit.info"
)

// auditGets ask for events of the stream.
func auditGets() []string { return []string{"$JS.API.DIRECT.GET.AUTH", "$JS.API.DIRECT.GET.AUTH.>"} }

// auditorPermissions lets the auditor read the stream AUTH and do nothing else: not publish events, not read another
// stream, not create consumers (a push consumer could aim one stream's messages at another's subject).
func auditorPermissions() *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: append(auditGets(), auditForward)},
		Subscribe: &server.SubjectPermission{Allow: []string{auditSubjects, auditorInbox + ".>"}},
	}
}

// showAuditors lets one account read in another what auditorPermissions names. Permissions alone would not do: NATS asks
// nobody whether an answer may go to the address that came with the question, which could be one of a stream. Between
// accounts an answer goes back to where the question came from, and there are no streams.
func showAuditors(s *server.Server, owner, reader string) error {
	from, err := s.LookupAccount(owner)
	if err != nil {
		return err
	}
	to, err := s.LookupAccount(reader)
	if err != nil {
		return err
	}
	only := []*server.Account{to}
	err = errors.Join(
		from.AddStreamExport(auditSubjects, only), to.AddStreamImport(from, auditSubjects, ""),
		from.AddServiceExport(auditInfo, only), to.AddServiceImport(from, auditForward, auditInfo), to.AddMapping(auditInfo, auditForward),
	)
	for _, get := range auditGets() {
		// One question may have many answers.
		err = errors.Join(err, from.AddServiceExportWithResponse(get, server.Streamed, only), to.AddServiceImport(from, get, get))
	}
	return err
}

// auditorKey returns the public key of the auditor's NKey seed in file, which it creates when there is none.
func auditorKey(file string) (string, error) {
	seed, err := os.ReadFile(file) //nolint:gosec // below the data directory
	if errors.Is(err, os.ErrNotExist) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			return "", fmt.Errorf("create the auditor's key: %w", err)
		}
		if seed, err = pair.Seed(); err != nil {
			return "", fmt.Errorf("create the auditor's key: %w", err)
		}
		if err := os.WriteFile(file, append(seed, '\n'), 0o600); err != nil {
			return "", fmt.Errorf("write the auditor's key: %w", cause(err))
		}
		return pair.PublicKey()
	}
	if err != nil {
		return "", fmt.Errorf("read the auditor's key: %w", cause(err))
	}
	pair, err := nkeys.ParseDecoratedUserNKey(seed)
	if err != nil {
		return "", fmt.Errorf("%s holds no NKey seed; delete it and start again for a new one", file)
	}
	return pair.PublicKey()
}

// connect returns the relay's connection, inside the process.
func (e *embeddedNATS) connect() (*nats.Conn, error) {
	key, err := e.relay.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	conn, err := nats.Connect("", nats.InProcessServer(e.server), nats.Nkey(key, e.relay.Sign), nats.Name("paputd relay"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return conn, nil
}

// url is where auditors connect.
func (e *embeddedNATS) url() string { return e.server.ClientURL() }

func (e *embeddedNATS) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}
