package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate writes a certificate for localhost, with a serial number, as whoever renews it does.
func writeCertificate(t *testing.T, dir string, serial int64, written time.Time) (cert, key string, root *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	public, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, written, written); err != nil {
			t.Fatal(err)
		}
	}
	root = x509.NewCertPool()
	root.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}))
	return cert, key, root
}

// TestTLS serves TLS from files, with HTTP/2 and a promise to browsers.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key, root := writeCertificate(t, t.TempDir(), 1, time.Now())
	server := start(t, t.TempDir(), false, func(c *config) { c.tlsCert, c.tlsKey = cert, key })
	if !strings.HasPrefix(server.url, "https://localhost:") {
		t.Fatalf("got the address %s, want https", server.url)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: root}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/mcp", strings.NewReader(ping))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" ||
		!strings.Contains(res.Header.Get("WWW-Authenticate"), `resource_metadata="`+server.url+`/.well-known/`) {
		t.Errorf("got %d over HTTP/%d with %v", res.StatusCode, res.ProtoMajor, res.Header)
	}
	plain, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(server.url, "https", "http", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err = client.Do(plain)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: got %d, want 400", res.StatusCode)
	}
}

// TestCertificateIsRenewed replaces the files while they are in use.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	var said bytes.Buffer
	f := &certificateFiles{now: func() time.Time { return now }, log: slog.New(slog.NewTextHandler(&said, nil))}
	f.cert, f.key, _ = writeCertificate(t, dir, 1, now)
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		got, err := f.get(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.SerialNumber.Int64()
	}
	writeCertificate(t, dir, 2, now.Add(time.Second))
	if got := serial(); got != 1 {
		t.Errorf("before it looks: got %d, want 1", got)
	}
	now = now.Add(certificateLook)
	if got := serial(); got != 2 {
		t.Errorf("renewed: got %d, want 2", got)
	}
	if err := os.WriteFile(f.cert, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(certificateLook)
	if got := serial(); got != 2 || !strings.Contains(said.String(), "certificate not renewed") {
		t.Errorf("half written: got %d and the log %s", got, said.String())
	}
	writeCertificate(t, dir, 3, now)
	now = now.Add(certificateLook)
	if got := serial(); got != 3 {
		t.Errorf("written at last: got %d, want 3", got)
	}
}

// TestACMEKnowsOneHost checks that nobody can have certificates ordered for names of their choice.
func TestACMEKnowsOneHost(t *testing.T) {
	t.Parallel()
	c := config{acme: true, publicURL: "https://paput.example.com", data: t.TempDir(), acmeDirectory: "http://127.0.0.1:1/directory"}
	config, err := c.tlsConfig(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.GetCertificate(&tls.ClientHelloInfo{ServerName: "evil.example.com"})
	if err == nil || !strings.Contains(err.Error(), "not configured in HostWhitelist") {
		t.Errorf("another host: got %v", err)
	}
}
