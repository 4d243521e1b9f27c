package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

const (
	dialTimeout     = 3 * time.Second
	maxAnswerHeader = 16 << 10 // bytes
)

var errSpecialAddress = errors.New("the host has an address that is not of the public internet")

// newEgress returns the way out for requests whose destination a stranger has named. It connects to port 443 of public
// addresses only, whatever a name resolves to at that moment, and knows no proxy, which would resolve the name again. A
// nil resolver is the system's.
func newEgress(resolver *net.Resolver) *http.Transport {
	d := &net.Dialer{Timeout: dialTimeout, Resolver: resolver, Control: refuseSpecial}
	return &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		DisableKeepAlives:      true,
		DisableCompression:     true, // what is counted is what was sent
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

// refuseSpecial is asked about every connection after its name was resolved and before its first packet.
func refuseSpecial(network, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	if network != "tcp4" && network != "tcp6" || a.Port() != 443 || !isPublic(a.Addr()) {
		return errSpecialAddress
	}
	return nil
}

// isPublic says whether an address is of the public internet. Of IPv6 that is 2000::/3 at most, which leaves out loopback,
// link-local, unique local and multicast addresses, those with a zone, and those that a NAT64 gateway translates.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false
	}
	return a.IsValid() && !slices.ContainsFunc(specialAddresses(), func(special string) bool {
		return netip.MustParsePrefix(special).Contains(a)
	})
}

// specialAddresses are the special-purpose blocks of RFC 6890 and the IANA registries that it began.
func specialAddresses() []string {
	return []string{
		"0.0.0.0/8",         // this network
		"10.0.0.0/8",        // private
		"100.64.0.0/10",     // behind a carrier's NAT
		"127.0.0.0/8",       // loopback
		"169.254.0.0/16",    // link-local; clouds serve machine credentials there
		"172.16.0.0/12",     // private
		"192.0.0.0/24",      // protocol assignments
		"192.0.2.0/24",      // documentation
		"192.31.196.0/24",   // AS112
		"192.52.193.0/24",   // AMT
		"192.88.99.0/24",    // 6to4 relays
		"192.168.0.0/16",    // private
		"192.175.48.0/24",   // AS112
		"198.18.0.0/15",     // benchmarks
		"198.51.100.0/24",   // documentation
		"203.0.113.0/24",    // documentation
		"224.0.0.0/4",       // multicast
		"240.0.0.0/4",       // reserved, and broadcast
		"2001::/23",         // protocol assignments, Teredo among them
		"2001:db8::/32",     // documentation
		"2002::/16",         // 6to4: any IPv4 address in disguise
		"2620:4f:8000::/48", // AS112
		"3fff::/20",         // documentation
	}
}
