package oauth

import (
	"net/url"
	"slices"
	"strings"
)

const maxScheme = 64 // characters

// IsPrivateScheme says whether an app may have a redirect URI with this scheme of its own (RFC 8252, section 7.1), such as
// com.example.notes or cursor. The reverse of a domain that the app's maker has is best: nobody else will choose it. No
// scheme that browsers or systems act on themselves is one, and neither is a single letter, which may be a drive.
func IsPrivateScheme(scheme string) bool {
	const more = "abcdefghijklmnopqrstuvwxyz0123456789+-."
	if len(scheme) < 2 || len(scheme) > maxScheme || scheme[0] < 'a' || scheme[0] > 'z' {
		return false
	}
	if strings.ContainsFunc(scheme, func(r rune) bool { return !strings.ContainsRune(more, r) }) {
		return false
	}
	return !slices.Contains(publicSchemes(), scheme) && !strings.HasPrefix(scheme, "ms-") && !strings.HasPrefix(scheme, "web+")
}

// publicSchemes are those that mean something to everyone: they run code, read files, begin calls and messages, or lead to
// servers. With ms- Windows begins its own, with web+ sites may claim one.
func publicSchemes() []string {
	return []string{
		"about", "afp", "android-app", "applescript", "blob", "brave", "callto", "chrome", "chrome-extension", "cid", "content",
		"data", "dav", "davs", "dict", "dns", "edge", "facetime", "feed", "file", "filesystem", "finger", "ftp", "ftps", "geo", "git",
		"gopher", "hcp", "help", "http", "https", "ie", "info", "intent", "ios-app", "irc", "ircs", "itms", "itms-apps", "itms-services",
		"jar", "javascript", "ldap", "ldaps", "livescript", "magnet", "mailto", "maps", "market", "mhtml", "mid", "mk", "mms",
		"moz-extension", "news", "nfs", "nntp", "opera", "otpauth", "rdp", "res", "resource", "rtsp", "safari-web-extension", "search",
		"search-ms", "sftp", "shell", "sip", "sips", "smb", "sms", "smsto", "ssh", "svn", "tag", "tel", "telnet", "terminal", "urn",
		"vbscript", "view-source", "vnc", "webcal", "ws", "wss", "wyciwyg", "x-apple-helpbasic", "x-help-action", "x-man-page", "xmpp",
	}
}

// privateScheme returns the scheme of a redirect URI that leads to an app and not to a site; empty for one of http or https.
func privateScheme(redirectURI string) string {
	scheme, _, ok := strings.Cut(redirectURI, ":")
	if !ok || scheme == "http" || scheme == "https" {
		return ""
	}
	return scheme
}

// privateFault says what is wrong with a redirect URI that has a scheme of its own; empty when nothing is.
func privateFault(u *url.URL, raw, applicationType string) string {
	switch {
	case applicationType == applicationWeb:
		return "a web application's redirect URI begins with https://"
	case !strings.HasPrefix(raw, u.Scheme+":/"):
		return "a redirect URI with a scheme of its own has a slash after the colon, as in com.example.app:/callback"
	case u.Host != "" && !validHost(u):
		return "a redirect URI has a plain name behind its slashes"
	}
	return ""
}

// mayLeadToApp says whether a redirect URI of the client that has a scheme of its own may be used, in case it was allowed
// once and is not any more.
func (s *Server) mayLeadToApp(c *client, redirectURI string) bool {
	scheme := privateScheme(redirectURI)
	return scheme == "" || c.preregistered || s.allowsScheme(scheme)
}
