package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ParseProxies reads the addresses and networks of reverse proxies, such as "127.0.0.1" and "10.0.0.0/8".
func ParseProxies(list []string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	for _, text := range list {
		text = strings.TrimSpace(text)
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a network: write 127.0.0.1 or 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("%s is everybody: name the proxies alone, or anyone can claim any address", text)
		}
		proxies = append(proxies, p.Masked())
	}
	return proxies, nil
}

// direct makes every request look as if its client had connected here: when a trusted proxy did, RemoteAddr becomes the
// client's address, with port 0. The headers in which proxies tell of clients, hosts and schemes go no further, so nothing
// behind this can believe one by mistake.
//
// Only X-Forwarded-For is read. A proxy that writes one of these headers passes the others on as the client sent them, so
// believing in two would be believing the client.
func (c Config) direct(next http.Handler) http.Handler {
	told := []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.ContainsFunc(told, func(name string) bool { return r.Header[name] != nil }) {
			client, ok := c.client(r)
			r = r.WithContext(r.Context()) // a copy
			if ok {
				r.RemoteAddr = net.JoinHostPort(client.String(), "0")
			}
			r.Header = r.Header.Clone()
			for _, name := range told {
				delete(r.Header, name)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// client finds who is behind the trusted proxies that a request came through; ok is false when that is the peer. Each proxy
// adds at the end the address that connected to it, so the first address from the right that is no trusted proxy's is the
// last that one of ours has seen itself. What is left of it anyone can have written.
func (c Config) client(r *http.Request) (client netip.Addr, ok bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !c.trusts(plainAddress(peer.Addr())) {
		return netip.Addr{}, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		client, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return netip.Addr{}, false
		}
		if !c.trusts(client) {
			return client, true
		}
	}
	return netip.Addr{}, false
}

func (c Config) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseHop reads one address of X-Forwarded-For. Some proxies add the port, and brackets around an IPv6 address.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plainAddress(ap.Addr()), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(s)
	return plainAddress(a), err == nil
}

// plainAddress is an address in the form in which networks are written: IPv4 as such, and without a zone.
func plainAddress(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
