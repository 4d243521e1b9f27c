package oauth

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxRedirectURIs   = 10
	maxRedirectLength = 2048
	// maxRedirectsLength bounds those of an app that registers itself together: the log never forgets them.
	maxRedirectsLength = 2048
)

// The application types of OpenID Connect Dynamic Client Registration, section 2.
const (
	applicationWeb    = "web"
	applicationNative = "native"
)

// loopbackHosts are the hosts that stand for the person's own computer, as they are written in a redirect URI (RFC 8252,
// section 7.3; localhost because most clients use it).
func loopbackHosts() []string { return []string{"localhost", "127.0.0.1", "[::1]"} }

// redirectFault says what is wrong with a redirect URI that a client wants to register; empty when nothing is. https may
// lead anywhere, http to the person's own computer and not for a web application, a scheme of its own, where allow says so,
// to an app. Whatever could be read in two ways is refused.
func redirectFault(raw, applicationType string, allow func(scheme string) bool) string {
	if raw == "" || len(raw) > maxRedirectLength {
		return "a redirect URI has 1 to 2048 characters"
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\*\"<>^`{|}", c) >= 0 {
			return "a redirect URI is printable ASCII without spaces, backslashes, asterisks and brackets"
		}
	}
	if strings.Contains(raw, "#") {
		return "a redirect URI has no fragment"
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "a redirect URI must be a URL"
	}
	private := IsPrivateScheme(u.Scheme)
	switch {
	case private && !allow(u.Scheme):
		return "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it"
	case !private && !strings.HasPrefix(raw, "https://") && !strings.HasPrefix(raw, "http://"):
		return "a redirect URI begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"
	case u.User != nil || strings.Contains(u.Host, "@"):
		return "a redirect URI has no user name"
	case slices.Contains(strings.Split(u.Path, "/"), "..") || slices.Contains(strings.Split(u.Path, "/"), "."):
		return "a redirect URI has no dot segments"
	case carriesAnswer(u.Query()):
		return "a redirect URI has no parameter that an answer has: code, state, iss or error"
	}
	if private {
		return privateFault(u, raw, applicationType)
	}
	if u.Scheme == "http" {
		switch _, _, loopback := splitLoopback(raw); {
		case !loopback:
			return "http is only for localhost, 127.0.0.1 and [::1]: use https"
		case applicationType == applicationWeb:
			return "a web application's redirect URI begins with https://"
		}
		return ""
	}
	if !validHost(u) {
		return "a redirect URI needs a host name"
	}
	return ""
}

// carriesAnswer says whether a query already has a parameter of the authorization response.
func carriesAnswer(query url.Values) bool {
	for _, name := range []string{"code", "state", "iss", "error", "error_description"} {
		if query.Has(name) {
			return true
		}
	}
	return false
}

// validHost says whether the host is a plain name or an address, with a port or without.
func validHost(u *url.URL) bool {
	if port, found := strings.CutPrefix(u.Host, u.Hostname()+":"); found && !validPort(port) {
		return false
	}
	host := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		_, err := netip.ParseAddr(host)
		return err == nil && !strings.Contains(host, "%")
	}
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool { return !strings.ContainsRune(plain, r) })
}

// matchRedirect says whether answers may be sent to asked, given what the client registered. They must be equal byte for
// byte, but for the port of a loopback address: a native app takes whichever is free (RFC 8252, section 7.3).
func matchRedirect(registered []string, asked string) bool {
	if slices.Contains(registered, asked) {
		return true
	}
	host, rest, ok := splitLoopback(asked)
	if !ok {
		return false
	}
	for _, r := range registered {
		if h, want, ok := splitLoopback(r); ok && h == host && want == rest {
			return true
		}
	}
	return false
}

// splitLoopback splits an http URL that leads to the person's own computer into its host and what follows the port. It
// knows one spelling of each and refuses every other.
func splitLoopback(raw string) (host, rest string, ok bool) {
	after, found := strings.CutPrefix(raw, "http://")
	if !found || strings.ContainsAny(after, "#\\") {
		return "", "", false
	}
	for _, host := range loopbackHosts() {
		rest, found := strings.CutPrefix(after, host)
		if !found {
			continue
		}
		if portAndRest, found := strings.CutPrefix(rest, ":"); found {
			end := strings.IndexAny(portAndRest, "/?")
			if end < 0 {
				end = len(portAndRest)
			}
			if !validPort(portAndRest[:end]) {
				return "", "", false
			}
			rest = portAndRest[end:]
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", "", false
		}
		return host, rest, true
	}
	return "", "", false
}

// validPort says whether port is a number from 1 to 65535 in its one plain spelling.
func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// redirectHost is the host that the consent page names, and whether it is the person's own computer.
func redirectHost(redirectURI string) (host string, loopback bool) {
	if host, _, ok := splitLoopback(redirectURI); ok {
		return host, true
	}
	u, err := url.Parse(redirectURI)
	if err != nil {
		return "", false
	}
	return u.Host, isLoopback(u.Hostname())
}

// isLoopback says whether a host, however it is written, stands for the person's own computer.
func isLoopback(hostname string) bool {
	name := strings.TrimSuffix(strings.ToLower(hostname), ".")
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsLoopback() || ip.IsUnspecified()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") // RFC 6761, section 6.3
}
