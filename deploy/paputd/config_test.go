package main

import (
	"testing"
	"time"
)

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		give config
		want string // the error
		url  string
	}{
		{name: "nothing set", give: config{listen: defaultListen}, url: "http://localhost:8080"},
		{name: "another loopback port", give: config{listen: "[::1]:9000"}, url: "http://localhost:9000"},
		{name: "a slash at the end", give: config{listen: defaultListen, publicURL: "https://paput.example.com/"}, url: "https://paput.example.com"},
		{name: "off loopback with https", give: config{listen: "0.0.0.0:8080", publicURL: "https://paput.example.com"}, url: "https://paput.example.com"},
		{
			name: "off loopback without an address", give: config{listen: "0.0.0.0:8080"},
			want: "--listen 0.0.0.0:8080 is reachable from elsewhere: say with --public-url https://… which address clients use",
		},
		{
			name: "off loopback with a loopback address", give: config{listen: ":8080", publicURL: "http://localhost:8080"},
			want: "--listen :8080 is reachable from elsewhere: say with --public-url https://… which address clients use",
		},
		{
			name: "plain http off loopback", give: config{listen: defaultListen, publicURL: "http://paput.example.com"},
			want: `--public-url "http://paput.example.com": only https is safe off loopback`,
		},
		{
			name: "an address with a path", give: config{listen: defaultListen, publicURL: "https://example.com/paput"},
			want: `--public-url "https://example.com/paput": give scheme and host only, such as https://paput.example.com`,
		},
		{name: "with a certificate", give: config{listen: defaultListen, tlsCert: "c", tlsKey: "k"}, url: "https://localhost:8080"},
		{
			name: "a certificate without its key", give: config{listen: defaultListen, tlsCert: "c"},
			want: "give both --tls-cert and --tls-key, or none of them",
		},
		{
			name: "a certificate, and http", give: config{listen: defaultListen, publicURL: "http://localhost:8080", tlsCert: "c", tlsKey: "k"},
			want: `--public-url "http://localhost:8080": with a certificate it begins with https`,
		},
		{
			name: "a certificate twice", give: config{listen: defaultListen, acme: true, tlsCert: "c", tlsKey: "k"},
			want: "--acme gets a certificate by itself: leave out --tls-cert and --tls-key",
		},
		{
			name: "ACME for no host", give: config{listen: defaultListen, acme: true},
			want: "--acme needs to know the host: say with --public-url https://… which address clients use",
		},
		{
			name: "an address without ACME", give: config{listen: defaultListen, acmeEmail: "a@example.com"},
			want: "--acme-email and --acme-directory are for --acme",
		},
		{
			name: "no port", give: config{listen: "localhost"},
			want: `--listen "localhost": give an address and a port, such as 127.0.0.1:8080`,
		},
		{
			name: "tokens that live too long", give: config{listen: defaultListen, accessTTL: 48 * time.Hour},
			want: "--access-token-ttl 48h0m0s: between 1m and 24h",
		},
		{
			name: "less than no calls", give: config{listen: defaultListen, callsPerSecond: -1},
			want: "--calls-per-second -1: 0 or more",
		},
		{
			name: "everybody a proxy", give: config{listen: defaultListen, proxies: []string{"0.0.0.0/0"}},
			want: "--trusted-proxies: 0.0.0.0/0 is everybody: name the proxies alone, or anyone can claim any address",
		},
		{
			name: "an unknown log format", give: config{listen: defaultListen, logFormat: "xml"},
			want: `--log-format "xml": text or json`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := test.give
			if c.accessTTL == 0 {
				c.accessTTL = 15 * time.Minute
			}
			if c.logFormat == "" {
				c.logFormat = "text"
			}
			got := ""
			if err := c.check(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got error %q, want %q", got, test.want)
			}
			if test.url != "" && c.publicURL != test.url {
				t.Errorf("got public URL %q, want %q", c.publicURL, test.url)
			}
		})
	}
}
