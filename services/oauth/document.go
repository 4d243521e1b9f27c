package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

const (
	documentScheme    = "https://"
	maxDocumentURL    = 512     // characters
	maxDocument       = 5 << 10 // bytes (draft-ietf-oauth-client-id-metadata-document, section 6.6)
	maxHostName       = 253     // characters (RFC 1035, section 2.3.4, without the root)
	maxHostLabel      = 63      // characters, of the same section
	fieldClientID     = "client_id"
	fieldClientName   = "client_name"
	fieldAuthMethod   = "token_endpoint_auth_method"
	fieldRedirectURIs = "redirect_uris"
)

// isDocumentID says whether a client id is the address of the client's metadata document. The ids that this server gives
// out never are.
func isDocumentID(id string) bool { return strings.HasPrefix(id, documentScheme) }

// documentFault says what is wrong with the address of a metadata document and returns its host; the fault is empty when
// nothing is (draft-ietf-oauth-client-id-metadata-document, section 3). The address is compared as text and its host is
// shown to people, so each has one spelling here; a query, other ports and addresses in place of names are refused too.
func documentFault(raw string) (host, fault string) {
	if len(raw) > maxDocumentURL {
		return "", "the address is longer than 512 characters"
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\*\"<>^`{|}", c) >= 0 {
			return "", "the address has a character that needs escaping"
		}
	}
	if strings.ContainsAny(raw, "?#") {
		return "", "the address has a query or a fragment"
	}
	u, err := url.Parse(raw)
	if err != nil || !isDocumentID(raw) {
		return "", "the address is no https URL"
	}
	authority, _, _ := strings.Cut(strings.TrimPrefix(raw, documentScheme), "/")
	host = strings.TrimSuffix(authority, ":443")
	switch {
	case len(documentScheme)+len(authority) == len(raw):
		return "", "the address has no path"
	case hasDotSegment(u.Path): // decoded
		return "", "the address has dot segments"
	case !isHostName(host):
		return "", "the address must have the full name of a host, in lower case, without user or port"
	}
	return host, ""
}

func hasDotSegment(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

// isHostName says whether host is a name of at least two labels. The last is no number: some resolvers read 127.1 and
// 0x7f.1 as addresses.
func isHostName(host string) bool {
	labels := strings.Split(host, ".")
	if len(labels) < 2 || len(host) > maxHostName {
		return false
	}
	for _, label := range labels {
		const plain = "abcdefghijklmnopqrstuvwxyz0123456789-"
		strange := strings.ContainsFunc(label, func(r rune) bool { return !strings.ContainsRune(plain, r) })
		if label == "" || len(label) > maxHostLabel || strange || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	last := labels[len(labels)-1][0]
	return last < '0' || last > '9'
}

// parseDocument reads the metadata document at an address and judges it like a registration, and more strictly: it must
// name its own address and the app, and cannot hold a secret, because everyone can read it.
func parseDocument(id, host string, body []byte, allow func(scheme string) bool) (*client, error) {
	members, err := parseMembers(body)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"client_secret", "client_secret_expires_at"} {
		if _, ok := members[name]; ok {
			return nil, errors.New("the document has a secret")
		}
	}
	var own, method string
	if err := json.Unmarshal(members[fieldClientID], &own); err != nil || own != id {
		return nil, errors.New("client_id is not the address of the document")
	}
	if raw, ok := members[fieldAuthMethod]; ok {
		if err := json.Unmarshal(raw, &method); err != nil || method != string(oidc.AuthMethodNone) {
			return nil, errors.New("token_endpoint_auth_method must be none")
		}
	}
	m, err := parseMetadata(registrationOf(members), allow)
	switch {
	case err != nil:
		return nil, err
	case m.Name == "":
		return nil, errors.New("client_name is missing")
	case len(members[fieldRedirectURIs]) == 0:
		return nil, errors.New("redirect_uris is missing")
	}
	c := &client{id: id, name: m.Name, host: host, authMethod: string(oidc.AuthMethodNone), redirectURIs: m.RedirectURIs}
	for _, t := range m.GrantTypes {
		c.grantTypes = append(c.grantTypes, oidc.GrantType(t))
	}
	return c, nil
}

// registrationOf is what a document would say in a registration. Only a public client can leave its authentication method
// out of a document; in a registration that would mean a secret.
func registrationOf(members map[string]json.RawMessage) []byte {
	said := map[string]json.RawMessage{fieldAuthMethod: json.RawMessage(`"none"`)}
	for _, name := range []string{fieldClientName, fieldRedirectURIs, "grant_types", "response_types", "application_type", "logo_uri"} {
		if raw, ok := members[name]; ok {
			said[name] = raw
		}
	}
	body, err := json.Marshal(said)
	if err != nil {
		return nil // which is no registration
	}
	return body
}

// parseMembers splits a JSON object into its members. It is stricter than encoding/json, which takes the last of two
// members of one name, and names in any case: nobody else may read the document in another way.
func parseMembers(body []byte) (map[string]json.RawMessage, error) {
	malformed := errors.New("the document is no JSON object in UTF-8 with each member once")
	if !utf8.Valid(body) {
		return nil, malformed
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, malformed
	}
	members := make(map[string]json.RawMessage)
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if _, repeated := members[name]; err != nil || !ok || repeated {
			return nil, malformed
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, malformed
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed
	}
	return members, nil
}
