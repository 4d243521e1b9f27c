package mcp

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// A gate knows the hosts that requests may name and the origins of the pages that may send them. A page of another origin
// could otherwise reach a server on its reader's own machine, by DNS rebinding too.
type gate struct {
	hosts, origins []string
	// loopback says that the server is one on a machine of its user: there every port and name of it is the same.
	loopback bool
}

func newGate(public *url.URL, hosts, origins []string) gate {
	host := strings.ToLower(public.Host)
	g := gate{
		hosts:    []string{host},
		origins:  []string{strings.ToLower(public.Scheme) + "://" + host},
		loopback: isLoopback(public.Hostname()),
	}
	if public.Port() == "" {
		g.hosts = append(g.hosts, net.JoinHostPort(strings.ToLower(public.Hostname()), map[string]string{"http": "80", "https": "443"}[public.Scheme]))
	}
	for _, h := range hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	for _, o := range origins {
		g.origins = append(g.origins, strings.ToLower(strings.TrimSuffix(o, "/")))
	}
	return g
}

func isLoopback(name string) bool {
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

func (g *gate) allowsHost(host string) bool {
	host = strings.ToLower(host)
	if slices.Contains(g.hosts, host) {
		return true
	}
	if !g.loopback {
		return false
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return isLoopback(name)
}

func (g *gate) allowsOrigin(origin string) bool {
	origin = strings.ToLower(origin)
	if slices.Contains(g.origins, origin) {
		return true
	}
	if !g.loopback {
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Path == "" && isLoopback(u.Hostname())
}

// pass answers 403 for a foreign Host or Origin. For an allowed origin it lets the page read the answer (CORS), without
// credentials: the token is a header that the page sets itself.
func (x *exchange) pass() bool {
	if !x.h.gate.allowsHost(x.r.Host) {
		x.fail(http.StatusForbidden, nil, &rpcError{code: mcp.INVALID_REQUEST, text: "the Host header is not the name of this server"})
		return false
	}
	origin := x.r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if !x.h.gate.allowsOrigin(origin) {
		x.fail(http.StatusForbidden, nil, &rpcError{code: mcp.INVALID_REQUEST, text: "pages of this origin may not use this server"})
		return false
	}
	header := x.w.Header()
	header.Add("Vary", "Origin")
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, Retry-After")
	if x.r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		header.Set("Access-Control-Allow-Headers", x.wanted())
		header.Set("Access-Control-Max-Age", "7200")
	}
	return true
}

// wanted lists the headers that a page may send: the fixed ones, and of those it asks for each that begins with Mcp-.
func (x *exchange) wanted() string {
	allow := []string{"Authorization", "Content-Type", "Accept", "Last-Event-Id", projectHeader}
	for name := range strings.SplitSeq(x.r.Header.Get("Access-Control-Request-Headers"), ",") {
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if strings.HasPrefix(name, "Mcp-") && !strings.ContainsAny(name, " \r\n") {
			allow = append(allow, name)
		}
	}
	return strings.Join(allow, ", ")
}
