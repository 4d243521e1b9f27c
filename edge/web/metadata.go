package web

import (
	"encoding/json"
	"net/http"
)

// protectedResource is the metadata of one resource (RFC 9728, section 2).
type protectedResource struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers"`
	ScopesSupported        []string `json:"scopes_supported"`
	BearerMethodsSupported []string `json:"bearer_methods_supported"`
	ResourceName           string   `json:"resource_name"`
}

// resourceMetadata serves the protected-resource metadata of the endpoint at path, which may end with a slash. The scopes
// are those that every client needs, unless given: some clients ask for exactly these and cannot ask for more later.
func (c Config) resourceMetadata(path string, scopes []string) http.HandlerFunc {
	if scopes == nil {
		scopes = []string{"paput.read", "paput.write"}
	}
	body, err := json.Marshal(protectedResource{
		Resource:               c.PublicURL + path,
		AuthorizationServers:   []string{c.PublicURL},
		ScopesSupported:        scopes,
		BearerMethodsSupported: []string{"header"},
		ResourceName:           "Paput",
	})
	if err != nil {
		panic("web: " + err.Error())
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "public, max-age=300")
			h.Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(body)
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "*, Authorization, MCP-Protocol-Version")
			w.WriteHeader(http.StatusNoContent)
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			plain(w, http.StatusMethodNotAllowed, "Only GET is possible here.\n")
		}
	}
}
