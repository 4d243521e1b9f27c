package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// certificateLook is how often to see whether the certificate's files were renewed.
const certificateLook = 30 * time.Second

// tlsConfig says how TLS is served; nil when a proxy in front does it, or nothing leaves this machine.
func (c *config) tlsConfig(log *slog.Logger) (*tls.Config, error) {
	switch {
	case c.acme:
		return c.acmeConfig()
	case c.tlsCert != "":
		files := &certificateFiles{cert: c.tlsCert, key: c.tlsKey, now: c.clock(), log: log}
		if err := files.load(); err != nil {
			return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", c.tlsCert, c.tlsKey, cause(err))
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get}, nil
	default:
		return nil, nil
	}
}

// acmeConfig gets certificates for the host of the public URL, and only for it, from a certificate authority that speaks
// ACME (RFC 8555) and proves control over port 443 itself (RFC 8737).
func (c *config) acmeConfig() (*tls.Config, error) {
	u, err := url.Parse(c.publicURL)
	if err != nil {
		return nil, err
	}
	manager := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(u.Hostname()),
		Cache:      autocert.DirCache(filepath.Join(c.data, "acme")),
		Email:      c.acmeEmail,
	}
	if c.acmeDirectory != "" {
		manager.Client = &acme.Client{DirectoryURL: c.acmeDirectory}
	}
	config := manager.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	return config, nil
}

// checkTLS refuses what does not fit together.
func (c *config) checkTLS() error {
	switch {
	case (c.tlsCert == "") != (c.tlsKey == ""):
		return errors.New("give both --tls-cert and --tls-key, or none of them")
	case c.acme && c.tlsCert != "":
		return errors.New("--acme gets a certificate by itself: leave out --tls-cert and --tls-key")
	case !c.acme && (c.acmeEmail != "" || c.acmeDirectory != ""):
		return errors.New("--acme-email and --acme-directory are for --acme")
	case c.acme && c.publicURL == "":
		return errors.New("--acme needs to know the host: say with --public-url https://… which address clients use")
	default:
		return nil
	}
}

// certificateFiles is a certificate in two files, which whoever renews it replaces.
type certificateFiles struct {
	cert, key string
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	// read is when the files were looked at, and changed when the newer of them was written.
	read, changed time.Time
}

// load reads the files, if they have changed since.
func (f *certificateFiles) load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = f.now()
	changed := time.Time{}
	for _, name := range []string{f.cert, f.key} {
		about, err := os.Stat(name)
		if err != nil {
			return err
		}
		if about.ModTime().After(changed) {
			changed = about.ModTime()
		}
	}
	if f.current != nil && changed.Equal(f.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return err
	}
	f.current, f.changed = &pair, changed
	return nil
}

// get implements tls.Config.GetCertificate. A certificate that cannot be read, such as one that is half written, leaves the
// one before in use.
func (f *certificateFiles) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	due := f.now().Sub(f.read) >= certificateLook
	f.mu.Unlock()
	if due {
		if err := f.load(); err != nil {
			f.log.WarnContext(hello.Context(), "certificate not renewed", "file", f.cert, "error", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current, nil
}
