package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// noStore keeps an answer out of every cache (OAuth 2.1, section 3.2.3).
func noStore(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client has gone: there is no one to tell
}

// writeRefusal writes an error as RFC 6749, section 5.2, wants it.
func writeRefusal(w http.ResponseWriter, status int, r *refusal) {
	writeJSON(w, status, struct {
		Code string `json:"error"`
		Text string `json:"error_description,omitempty"`
	}{r.code, r.text})
}

// refuse answers a program.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var known *refusal
	if !errors.As(err, &known) {
		_ = s.internal(r.Context(), err)
		known = exchangeFrom(r.Context()).refusal
	}
	status := known.status()
	if e := exchangeFrom(r.Context()); e.requestID != "" {
		known = &refusal{known.code, known.text + ". Reference: " + e.requestID}
	}
	if status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		// RFC 6749, section 5.2: in the way that the client tried.
		w.Header().Set("WWW-Authenticate", `Basic realm="paput", charset="UTF-8"`)
	}
	retryLater(w, status)
	writeRefusal(w, status, known)
}

// refuseProgram is refuse for what protect caught.
func (s *Server) refuseProgram(w http.ResponseWriter, r *http.Request, known *refusal) {
	s.refuse(w, r, known)
}

// answerTo is where an authorization response goes.
type answerTo struct {
	redirectURI string
	state       string
	hasState    bool
}

// errorURL is the address that tells a client of a refusal (RFC 6749, section 4.1.2.1; RFC 9207 for iss).
func (s *Server) errorURL(a answerTo, err error) string {
	known := errServer
	_ = errors.As(err, &known)
	return s.responseURL(a, url.Values{"error": {known.code}, "error_description": {known.text}})
}

// codeURL is the address that hands a client its code (RFC 6749, section 4.1.2).
func (s *Server) codeURL(a answerTo, code string) string {
	return s.responseURL(a, url.Values{"code": {code}})
}

// responseURL adds the answer to the redirect URI, whose own query stays as it is, byte for byte.
func (s *Server) responseURL(a answerTo, answer url.Values) string {
	answer.Set("iss", s.issuer)
	if a.hasState {
		answer.Set("state", a.state)
	}
	switch {
	case !strings.Contains(a.redirectURI, "?"):
		return a.redirectURI + "?" + answer.Encode()
	case strings.HasSuffix(a.redirectURI, "?"), strings.HasSuffix(a.redirectURI, "&"):
		return a.redirectURI + answer.Encode()
	default:
		return a.redirectURI + "&" + answer.Encode()
	}
}
