package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	maxRegistration = 16 << 10 // bytes
	maxClientName   = 100      // characters
	maxSoftware     = 255      // characters
)

// clientMetadata is what a client says about itself (RFC 7591, section 2; application_type of OpenID Connect Dynamic
// Client Registration). Other members are ignored.
type clientMetadata struct {
	RedirectURIs    []string `json:"redirect_uris,omitempty"`
	AuthMethod      string   `json:"token_endpoint_auth_method"`
	GrantTypes      []string `json:"grant_types"`
	ResponseTypes   []string `json:"response_types"`
	Name            string   `json:"client_name,omitempty"`
	ApplicationType string   `json:"application_type,omitempty"`
	SoftwareID      string   `json:"software_id,omitempty"`
	SoftwareVersion string   `json:"software_version,omitempty"`
	// LogoURI is judged and not kept: no page shows a stranger's picture.
	LogoURI string `json:"logo_uri,omitempty"`
}

// registered is the answer to a registration (RFC 7591, section 3.2.1).
type registered struct {
	ClientID       string `json:"client_id"`
	IssuedAt       int64  `json:"client_id_issued_at"`
	ClientSecret   string `json:"client_secret,omitempty"`
	SecretsExpires *int64 `json:"client_secret_expires_at,omitempty"`
	// Where the client looks at its registration or ends it, and the token that it needs for that (RFC 7592, section 3).
	ClientURI string `json:"registration_client_uri,omitempty"`
	Token     string `json:"registration_access_token,omitempty"`
	clientMetadata
}

// parseMetadata reads and judges a client's metadata and fills in what it left out. allow says which schemes of their own
// apps may use.
func parseMetadata(body []byte, allow func(scheme string) bool) (clientMetadata, error) {
	var m clientMetadata
	if err := json.Unmarshal(body, &m); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && strings.HasPrefix(wrong.Field, "redirect_uris") {
			return m, &refusal{invalidRedirectURI, "redirect_uris must be a list of strings"}
		}
		return m, &refusal{invalidClientMetadata, "the client metadata must be a JSON object with members of the right types"}
	}
	if fault := m.metadataFault(); fault != "" {
		return m, &refusal{invalidClientMetadata, fault}
	}
	if fault := m.redirectFault(allow); fault != "" {
		return m, &refusal{invalidRedirectURI, fault}
	}
	m.complete()
	return m, nil
}

func (m *clientMetadata) redirectFault(allow func(scheme string) bool) string {
	switch n := len(m.RedirectURIs); {
	case n == 0 && m.uses(oidc.GrantTypeCode):
		return "redirect_uris is missing"
	case n > maxRedirectURIs:
		return "redirect_uris has more than 10 items"
	case len(list(m.RedirectURIs)) > maxRedirectsLength:
		return "redirect_uris has more than 2048 characters in all"
	}
	for _, u := range m.RedirectURIs {
		if fault := redirectFault(u, m.ApplicationType, allow); fault != "" {
			return fault
		}
	}
	return ""
}

func (m *clientMetadata) metadataFault() string {
	m.Name = strings.TrimSpace(m.Name)
	switch {
	case !isPlainText(m.Name, maxClientName):
		return "client_name is at most 100 characters, without control or invisible ones"
	case !isPlainText(m.SoftwareID, maxSoftware), !isPlainText(m.SoftwareVersion, maxSoftware):
		return "software_id and software_version are at most 255 characters, without control or invisible ones"
	case !slices.Contains([]string{"", applicationWeb, applicationNative}, m.ApplicationType):
		return "application_type must be web or native"
	case !slices.Contains([]string{"", "none", "client_secret_basic", "client_secret_post"}, m.AuthMethod):
		return "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post"
	case !m.uses(oidc.GrantTypeCode) && !m.uses(oidc.GrantTypeDeviceCode):
		return "grant_types must include authorization_code or " + string(oidc.GrantTypeDeviceCode)
	case m.ResponseTypes != nil && !slices.Contains(m.ResponseTypes, "code") && m.uses(oidc.GrantTypeCode):
		return "response_types must include code"
	case m.LogoURI != "" && !isHTTPS(m.LogoURI):
		return "logo_uri must begin with https://"
	}
	return ""
}

// uses says whether the client wants the grant type; what names none wants codes (RFC 7591, section 2).
func (m *clientMetadata) uses(t oidc.GrantType) bool {
	if m.GrantTypes == nil {
		return t == oidc.GrantTypeCode
	}
	return slices.Contains(m.GrantTypes, string(t))
}

// complete fills in what the client left out and drops what this server does not do. RFC 7591 would have a client that
// names no grant types do without refresh tokens; clients that people use daily name none and expect them.
func (m *clientMetadata) complete() {
	if m.AuthMethod == "" {
		m.AuthMethod = string(oidc.AuthMethodBasic)
	}
	refresh := m.GrantTypes == nil || slices.Contains(m.GrantTypes, string(oidc.GrantTypeRefreshToken))
	code, devices := m.uses(oidc.GrantTypeCode), m.uses(oidc.GrantTypeDeviceCode)
	m.GrantTypes, m.ResponseTypes = nil, []string{}
	if code {
		m.GrantTypes, m.ResponseTypes = append(m.GrantTypes, string(oidc.GrantTypeCode)), []string{"code"}
	} else {
		m.RedirectURIs = nil // nothing is ever sent there
	}
	if refresh {
		m.GrantTypes = append(m.GrantTypes, string(oidc.GrantTypeRefreshToken))
	}
	if devices {
		m.GrantTypes = append(m.GrantTypes, string(oidc.GrantTypeDeviceCode))
	}
	m.LogoURI = ""
}

// isPlainText says whether a page can show s as it is. Invisible characters, the ones that turn the direction of writing
// among them, would let a stranger's text pose as ours.
func isPlainText(s string, limit int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\u3000' || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
	})
}

func isHTTPS(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.Host != "" && len(raw) <= maxRedirectLength
}

// register answers a registration request (RFC 7591, section 3).
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		writeRefusal(w, http.StatusMethodNotAllowed, &refusal{"invalid_request", "registration needs POST"})
		return
	}
	if wait := s.registrations.reserve(address(r), s.now()); wait > 0 {
		retryAfter(w, wait)
		writeRefusal(w, http.StatusTooManyRequests, errTooManyRequests)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeRefusal(w, http.StatusBadRequest, &refusal{invalidClientMetadata, "the content type must be application/json"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegistration))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			writeRefusal(w, http.StatusRequestEntityTooLarge, &refusal{invalidClientMetadata, "the client metadata is larger than 16 KiB"})
			return
		}
		writeRefusal(w, http.StatusBadRequest, &refusal{invalidClientMetadata, "the client metadata could not be read"})
		return
	}
	metadata, err := parseMetadata(body, s.allowsScheme)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer, err := s.admit(r, metadata)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, answer)
}

// allowsScheme says whether apps that nobody registered beforehand may have redirect URIs with this scheme of their own.
func (s *Server) allowsScheme(scheme string) bool { return slices.Contains(s.redirectSchemes, scheme) }

// record keeps the client and returns what it must know.
func (s *Server) record(ctx context.Context, m clientMetadata) (registered, error) {
	now := s.now()
	answer := registered{ClientID: s.newID("client"), IssuedAt: now.Unix(), Token: newSecret(registrationPrefix), clientMetadata: m}
	answer.ClientURI = s.clientURI(answer.ClientID)
	event := &oauthv1.ClientRegistered{
		Name:            m.Name,
		AuthMethod:      m.AuthMethod,
		RedirectUris:    m.RedirectURIs,
		GrantTypes:      m.GrantTypes,
		ApplicationType: m.ApplicationType,
		SoftwareId:      m.SoftwareID,
		SoftwareVersion: m.SoftwareVersion,

		RegistrationTokenHash: hashSecret(answer.Token),
	}
	if m.AuthMethod != string(oidc.AuthMethodNone) {
		answer.ClientSecret = newSecret(secretPrefix)
		answer.SecretsExpires = new(int64) // 0: never
		event.SecretHash = hashSecret(answer.ClientSecret)
	}
	err := s.do(ctx, func(tx *eventlog.Tx) error {
		return tx.Append(kindClient+"/"+answer.ClientID, clientRegistered(event))
	})
	if err != nil {
		return registered{}, err
	}
	// Its event says so as well. Strangers choose how often, and a line costs as much as the rest.
	s.logger.DebugContext(ctx, "client registered", "client_id", answer.ClientID, "auth_method", m.AuthMethod)
	return answer, nil
}
