package web

import (
	"net/http"
	"strings"
)

// robots keeps search engines to the landing page: a public memo is for whoever has its address.
const robots = "User-agent: *\nAllow: /$\nDisallow: /\n"

// strictTransport is for a year, in seconds (RFC 6797, section 6.1).
const strictTransport = "max-age=31536000"

// mountHosting serves what others look for on every host.
func (c Config) mountHosting(mux *http.ServeMux) {
	mountIcons(mux)
	mux.Handle("/robots.txt", readOnly(func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, robots) }))
	if c.OpenAIChallenge != "" {
		mux.Handle("/.well-known/openai-apps-challenge", readOnly(func(w http.ResponseWriter, _ *http.Request) {
			plain(w, http.StatusOK, c.OpenAIChallenge)
		}))
	}
}

// onlyHTTPS tells browsers never to come without TLS again, once they were told an https address.
func (c Config) onlyHTTPS(next http.Handler) http.Handler {
	if !strings.HasPrefix(c.PublicURL, "https://") {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", strictTransport)
		next.ServeHTTP(w, r)
	})
}
