package oauth

import "net/http"

const (
	pathAuthorize  = "/authorize"
	pathToken      = "/token"
	pathRevoke     = "/revoke"
	pathIntrospect = "/introspect"
	pathDevices    = "/device_authorization"
	pathDevice     = "/device"
	pathRegister   = "/register"
	pathConsent    = "/consent"
	pathKeys       = "/jwks"
)

// Register adds the server's routes to a mux. Every path it does not add is somebody else's, or nobody's.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc(pathAuthorize, s.page(s.limited(s.visits, s.authorize)))
	mux.HandleFunc(pathConsent, s.page(s.limited(s.answers, s.asking(s.ask, s.answer))))
	mux.HandleFunc(pathDevice, s.page(s.limited(s.answers, s.asking(s.askDevice, s.answerDevice))))
	mux.HandleFunc(pathDevices, s.endpoint(s.authorizeDevice))
	mux.HandleFunc(pathToken, s.endpoint(s.form))
	mux.HandleFunc(pathRevoke, s.endpoint(s.form))
	mux.HandleFunc(pathIntrospect, s.protect(s.introspect, s.refuseProgram)) // no page anywhere has business there
	mux.HandleFunc(pathRegister, s.endpoint(s.register))
	mux.HandleFunc(pathRegister+"/{id}", s.endpoint(s.manage))
	mux.HandleFunc(pathKeys, s.endpoint(document(struct {
		Keys []struct{} `json:"keys"`
	}{[]struct{}{}})))
	described := s.endpoint(document(s.describe()))
	for _, path := range []string{
		"/.well-known/oauth-authorization-server",
		"/.well-known/openid-configuration",
	} {
		// Clients look in the place of the issuer, and in those that /mcp would have if it were one: with the path behind
		// (RFC 8414, section 3.1) and in front (OpenID Connect Discovery, section 4).
		mux.HandleFunc(path, described)
		mux.HandleFunc(path+"/mcp", described)
		mux.HandleFunc("/mcp"+path, described)
	}
}

// Handler serves the server's routes and nothing else.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.Register(mux)
	return mux
}

// endpoint is for what programs call, from anywhere: any page may, because nothing here knows a browser's cookies.
func (s *Server) endpoint(next http.HandlerFunc) http.HandlerFunc {
	next = s.protect(next, s.refuseProgram)
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "*, Authorization, Content-Type, MCP-Protocol-Version")
			h.Set("Access-Control-Max-Age", "7200")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
		next(w, r)
	}
}

// page is for what a person's browser visits: never framed, never cached, nothing from elsewhere. There is no form-action
// in the policy, because browsers apply it to where the answer is sent on to.
func (s *Server) page(next http.HandlerFunc) http.HandlerFunc {
	next = s.protect(next, func(w http.ResponseWriter, r *http.Request, known *refusal) {
		s.problem(w, r, known.pageStatus(), known)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		noStore(w)
		h.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY")
		// Not no-referrer, with which browsers post forms from the origin null.
		h.Set("Referrer-Policy", "same-origin")
		next(w, r)
	}
}
