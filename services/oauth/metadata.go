package oauth

import (
	"encoding/json"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// metadata is what the server says about itself (RFC 8414, section 2; OpenID Connect Discovery, section 3).
type metadata struct {
	oidc.DiscoveryConfiguration
	AuthorizationResponseIss bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207, section 3
	ProtectedResources       []string `json:"protected_resources"`                            // RFC 9728, section 4
}

// describe makes the metadata document. Some clients read it as that of an OpenID provider and refuse one without keys,
// subject types and signature algorithms, though there are no ID tokens.
func (s *Server) describe() metadata {
	methods := []oidc.AuthMethod{oidc.AuthMethodNone, oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT}
	var algorithms []string
	for _, a := range signatureAlgorithms() {
		algorithms = append(algorithms, string(a))
	}
	return metadata{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer:                      s.issuer,
			AuthorizationEndpoint:       s.issuer + pathAuthorize,
			TokenEndpoint:               s.issuer + pathToken,
			RevocationEndpoint:          s.issuer + pathRevoke,
			DeviceAuthorizationEndpoint: s.issuer + pathDevices,
			IntrospectionEndpoint:       s.issuer + pathIntrospect,
			IntrospectionEndpointAuthMethodsSupported: methods[1:],
			RegistrationEndpoint:                      s.issuer + pathRegister,
			JwksURI:                                   s.issuer + pathKeys,
			ScopesSupported:                           append(scopeNames(), scopeOfflineAccess),
			ResponseTypesSupported:                    []string{string(oidc.ResponseTypeCode)},
			ResponseModesSupported:                    []string{string(oidc.ResponseModeQuery)},
			GrantTypesSupported:                       []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken, oidc.GrantTypeClientCredentials, oidc.GrantTypeDeviceCode},
			SubjectTypesSupported:                     []string{"public"},
			IDTokenSigningAlgValuesSupported:          []string{"ES256"},
			TokenEndpointAuthMethodsSupported:         methods,
			RevocationEndpointAuthMethodsSupported:    methods,
			ClientIDMetadataDocumentSupported:         !s.noDocuments,
			CodeChallengeMethodsSupported:             []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},

			TokenEndpointAuthSigningAlgValuesSupported:         algorithms,
			RevocationEndpointAuthSigningAlgValuesSupported:    algorithms,
			IntrospectionEndpointAuthSigningAlgValuesSupported: algorithms,
		},
		AuthorizationResponseIss: true,
		// As their own metadata spell them: a host alone has the path /.
		ProtectedResources: append([]string{s.issuer + "/"}, s.resources[1:]...),
	}
}

// document serves a fixed JSON document.
func document(content any) http.HandlerFunc {
	body, err := json.Marshal(content)
	if err != nil {
		panic("oauth: " + err.Error())
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			writeRefusal(w, http.StatusMethodNotAllowed, &refusal{"invalid_request", "this document is read with GET"})
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(body)
	}
}
