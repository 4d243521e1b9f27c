package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/paput/paput/edge/mcp"
	"github.com/paput/paput/edge/web"
	"github.com/paput/paput/services/oauth"
)

// defaultListen is where a server without configuration is found.
const defaultListen = "127.0.0.1:8080"

// config is everything that can be set, by a flag or by its twin in the environment.
type config struct {
	listen     string
	publicURL  string
	data       string
	natsURL    string
	natsCreds  string
	natsNkey   string
	natsListen string
	logFormat  string
	// tlsCert and tlsKey are files; acme gets a certificate instead.
	tlsCert, tlsKey          string
	acme                     bool
	acmeEmail, acmeDirectory string
	openAIChallenge          string
	accessTTL                time.Duration
	// callsPerSecond bounds the MCP requests of an account; 0 does not.
	callsPerSecond float64
	documents      bool
	// redirectSchemes are those of redirect URIs that lead to apps.
	redirectSchemes []string
	// proxies is the flag; trustedProxies what check makes of it.
	proxies        []string
	trustedProxies []netip.Prefix
	// embeddings says how searches find by meaning; off when it has no URL.
	embeddings embeddingsConfig
	// split sends the edge's calls over HTTP instead of in process. It is no flag: tests hold both to the same table.
	split bool
	// readTime, writeTime and publishTime replace the constants of these names in tests.
	readTime, writeTime, publishTime time.Duration
	// extend adds to the MCP edge what tests ask for.
	extend func(*mcp.Server, *mcp.Registry)
	// now replaces the clock in tests.
	now func() time.Time
}

// clock is what tells the time.
func (c *config) clock() func() time.Time {
	if c.now == nil {
		return time.Now
	}
	return c.now
}

func (c *config) addDataFlag(flags *pflag.FlagSet) {
	flags.StringVar(&c.data, "data", "./paput-data", "directory for everything that is kept")
}

// addOfflineFlags adds what a command must know that works with the data directory, while the server does not run: where
// it is found when it does.
func (c *config) addOfflineFlags(flags *pflag.FlagSet) {
	c.addDataFlag(flags)
	flags.StringVar(&c.listen, "listen", defaultListen, "as for serve; needed while the server does not run")
	flags.StringVar(&c.publicURL, "public-url", "", "as for serve; needed while the server does not run")
}

func (c *config) addServeFlags(flags *pflag.FlagSet) {
	c.addDataFlag(flags)
	flags.StringVar(&c.listen, "listen", defaultListen, "address and port to serve HTTP on")
	flags.StringVar(&c.publicURL, "public-url", "", "address that clients use, such as https://paput.example.com; needed off loopback\n(default http://localhost and the port of --listen)")
	flags.StringSliceVar(&c.proxies, "trusted-proxies", nil, "addresses or networks of reverse proxies, such as 127.0.0.1,10.0.0.0/8: limits then count for the client\nthat they name in X-Forwarded-For; everybody else's such header is ignored")
	flags.StringVar(&c.tlsCert, "tls-cert", "", "file with the certificate chain, PEM: TLS is then served here, without a proxy; read again when it is renewed")
	flags.StringVar(&c.tlsKey, "tls-key", "", "file with the private key of --tls-cert")
	flags.BoolVar(&c.acme, "acme", false, "get the certificate of --public-url from Let's Encrypt and agree to its terms; port 443 of that host must lead\nto --listen")
	flags.StringVar(&c.acmeEmail, "acme-email", "", "address for the certificate authority to warn about certificates")
	flags.StringVar(&c.acmeDirectory, "acme-directory", "", "directory URL of another certificate authority than Let's Encrypt")
	flags.StringVar(&c.openAIChallenge, "openai-apps-challenge", "", "token that proves to OpenAI's app directory whose host this is")
	flags.StringVar(&c.natsListen, "nats-listen", "127.0.0.1:4222", "address and port of the embedded NATS server")
	flags.StringVar(&c.natsURL, "nats-url", "", "use this NATS cluster instead of the embedded server, such as nats://nats.internal:4222")
	flags.StringVar(&c.natsCreds, "nats-creds", "", "credentials file for --nats-url")
	flags.StringVar(&c.natsNkey, "nats-nkey", "", "file with an NKey seed for --nats-url")
	flags.StringVar(&c.logFormat, "log-format", "text", "text or json")
	flags.BoolVar(&c.documents, "client-documents", true, "let apps introduce themselves by a document on their own site, which is then fetched;\nturn it off (=false) where there is no way to the internet, and they register instead")
	flags.StringSliceVar(&c.redirectSchemes, "redirect-schemes", nil, "schemes that apps may be sent back to besides https, such as cursor,com.example.app:\nany program on a person's computer can claim one, so name those you need only")
	flags.Float64Var(&c.callsPerSecond, "calls-per-second", 50, "MCP requests that an account may make each second in the long run, and ten times as many at once; 0 for any number")
	flags.DurationVar(&c.accessTTL, "access-token-ttl", 15*time.Minute, "lifetime of access tokens, 1m to 24h")
	c.embeddings.addFlags(flags)
}

// fromEnvironment sets each flag that was not given from its twin: --public-url from PAPUT_PUBLIC_URL.
func fromEnvironment(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "PAPUT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := lookup(name); ok && !f.Changed && f.Name != "help" {
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", name, value, err))
			}
		}
	})
	return errors.Join(errs...)
}

// check completes what follows from the rest and refuses what cannot be served safely.
func (c *config) check() error {
	if c.logFormat != "text" && c.logFormat != "json" {
		return fmt.Errorf("--log-format %q: text or json", c.logFormat)
	}
	if c.accessTTL < time.Minute || c.accessTTL > 24*time.Hour {
		return fmt.Errorf("--access-token-ttl %s: between 1m and 24h", c.accessTTL)
	}
	if c.callsPerSecond < 0 {
		return fmt.Errorf("--calls-per-second %g: 0 or more", c.callsPerSecond)
	}
	if err := c.embeddings.check(os.LookupEnv); err != nil {
		return err
	}
	for _, scheme := range c.redirectSchemes {
		if !oauth.IsPrivateScheme(scheme) {
			return fmt.Errorf("--redirect-schemes %q: name schemes of apps' own, in lower case and without a colon, such as com.example.app", scheme)
		}
	}
	var err error
	if c.trustedProxies, err = web.ParseProxies(c.proxies); err != nil {
		return fmt.Errorf("--trusted-proxies: %w", err)
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	return c.checkAddress()
}

// checkAddress finds the public URL and refuses one that is not safe.
func (c *config) checkAddress() error {
	host, port, err := net.SplitHostPort(c.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: give an address and a port, such as 127.0.0.1:8080", c.listen)
	}
	if c.publicURL == "" {
		if !isLoopback(host) {
			return fmt.Errorf("--listen %s is reachable from elsewhere: say with --public-url https://… which address clients use", c.listen)
		}
		c.publicURL = "http://localhost:" + port
		if c.tlsCert != "" {
			c.publicURL = "https://localhost:" + port
		}
	}
	u, err := url.Parse(c.publicURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("--public-url %q: give scheme and host only, such as https://paput.example.com", c.publicURL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fmt.Errorf("--public-url %q: only https is safe off loopback", c.publicURL)
	}
	if u.Scheme == "http" && !isLoopback(host) {
		return fmt.Errorf("--listen %s is reachable from elsewhere: say with --public-url https://… which address clients use", c.listen)
	}
	if u.Scheme == "http" && (c.acme || c.tlsCert != "") {
		return fmt.Errorf("--public-url %q: with a certificate it begins with https", c.publicURL)
	}
	c.publicURL = u.Scheme + "://" + u.Host
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (c *config) logFile() string    { return filepath.Join(c.data, "paput.db") }
func (c *config) natsDir() string    { return filepath.Join(c.data, "nats") }
func (c *config) lockFile() string   { return filepath.Join(c.data, "lock") }
func (c *config) keyFile() string    { return filepath.Join(c.data, "server.key") }
func (c *config) socketFile() string { return filepath.Join(c.data, "admin.sock") }

// cause drops from a file or network error what its message repeats: the operation and the name.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err
		}
		return op.Err
	}
	return err
}
