package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// httpTimeout bounds one request of the log-in protocols.
	httpTimeout = 30 * time.Second
	// maxDocument bounds what a server may answer such a request with, in bytes.
	maxDocument = 256 << 10
)

// endpoints is what paput has found out about a server (RFC 9728 and RFC 8414).
type endpoints struct {
	Issuer        string `json:"issuer"`
	Resource      string `json:"resource"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Registration  string `json:"registration_endpoint"`
	Revocation    string `json:"revocation_endpoint,omitempty"`
	Device        string `json:"device_authorization_endpoint,omitempty"`
	// SendsIssuer says that every authorization response carries iss (RFC 9207).
	SendsIssuer bool `json:"sends_issuer,omitempty"`
	// Scopes are what to ask for.
	Scopes []string `json:"scopes,omitempty"`
}

// newHTTPClient returns the client for everything but NATS. It follows no redirect: none of the protocols has one, and a
// token must not travel where it was not meant to.
func newHTTPClient() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// checkSecure refuses a URL over which secrets would travel in the open: plain http is for this very machine.
func checkSecure(u *url.URL) error {
	switch {
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme != "http" || u.Host == "":
		return usagef("%q is not a server's URL; write it like https://paput.example.com", u.Redacted())
	case !isLoopback(u.Hostname()):
		return usagef("%s would send your tokens in the open: use https, or http on this machine only", u.Redacted())
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// discover finds a server's endpoints as an MCP client does: the protected resource's metadata name the authorization
// server, whose metadata name the rest.
func (a *app) discover(ctx context.Context, server string) (endpoints, error) {
	var resource struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := a.getJSON(ctx, wellKnown(server, "oauth-protected-resource"), &resource); err != nil {
		return endpoints{}, describeDiscovery(server, err)
	}
	// RFC 9728, section 3.3: metadata for another resource must not be used. Clients differ in the trailing slash.
	if strings.TrimSuffix(resource.Resource, "/") != server {
		return endpoints{}, problemf(errRefused, "the server at %s calls itself %q; run: paput login %s", server, resource.Resource, resource.Resource)
	}
	if len(resource.Servers) == 0 {
		return endpoints{}, fmt.Errorf("%s names no authorization server", server)
	}
	e, err := a.authorizationServer(ctx, resource.Servers[0])
	if err != nil {
		return endpoints{}, describeDiscovery(server, err)
	}
	e.Resource = resource.Resource
	e.Scopes = resource.Scopes
	return e, nil
}

// authorizationServer reads the metadata of an issuer, wherever it has put them.
func (a *app) authorizationServer(ctx context.Context, issuer string) (endpoints, error) {
	var doc struct {
		endpoints
		Methods     []string `json:"code_challenge_methods_supported"`
		SendsIssuer bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := secureURL(issuer); err != nil {
		return endpoints{}, err
	}
	// The order of the MCP specification.
	places := []string{
		wellKnown(issuer, "oauth-authorization-server"),
		wellKnown(issuer, "openid-configuration"),
		strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration",
	}
	var err error
	for _, place := range places {
		if err = a.getJSON(ctx, place, &doc); !errors.Is(err, errNoDocument) {
			break
		}
	}
	if err != nil {
		return endpoints{}, err
	}
	// RFC 8414, section 3.3: identical, not alike.
	if doc.Issuer != issuer {
		return endpoints{}, fmt.Errorf("the authorization server %s calls itself %q", issuer, doc.Issuer)
	}
	if !slices.Contains(doc.Methods, "S256") {
		return endpoints{}, fmt.Errorf("the authorization server %s does not offer PKCE with S256", issuer)
	}
	if doc.Registration == "" {
		return endpoints{}, fmt.Errorf("the authorization server %s does not let clients register", issuer)
	}
	doc.endpoints.SendsIssuer = doc.SendsIssuer
	offered := []string{doc.Authorization, doc.Token, doc.Registration}
	for _, optional := range []string{doc.Revocation, doc.Device} {
		if optional != "" {
			offered = append(offered, optional)
		}
	}
	for _, u := range offered {
		if err := secureURL(u); err != nil {
			return endpoints{}, err
		}
	}
	return doc.endpoints, nil
}

// wellKnown puts a well-known name between the host and the path of a URL (RFC 8414, section 3.1).
func wellKnown(base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	u.Path = "/.well-known/" + name + strings.TrimSuffix(u.Path, "/")
	return u.String()
}

func secureURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("the server names %q as an endpoint, which is no URL", raw)
	}
	if checkSecure(u) != nil {
		return fmt.Errorf("the server names %q as an endpoint, which is not safe", raw)
	}
	return nil
}

// errNoDocument means that a server has nothing at an address.
var errNoDocument = errors.New("there is no such document")

// getJSON reads a JSON document.
func (a *app) getJSON(ctx context.Context, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	status, body, err := a.fetch(req)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %w", from, errNoDocument)
	case status >= 500:
		return fmt.Errorf("%s answered with HTTP status %d: %w", from, status, errUnreachable)
	case status != http.StatusOK || json.Unmarshal(body, into) != nil:
		return fmt.Errorf("%s is not the document it should be (HTTP status %d): %w", from, status, errNoDocument)
	}
	return nil
}

// fetch sends a request and reads the answer, up to maxDocument bytes.
func (a *app) fetch(req *http.Request) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(req.Context(), httpTimeout)
	defer cancel()
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "paput/"+version())
	res, err := a.http.Do(req.WithContext(ctx))
	if err != nil {
		return 0, nil, unreachable(req.URL.Scheme+"://"+req.URL.Host, err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxDocument))
	if err != nil {
		return 0, nil, unreachable(req.URL.Scheme+"://"+req.URL.Host, err)
	}
	return res.StatusCode, body, nil
}

// describeDiscovery says what a server without the documents is.
func describeDiscovery(server string, err error) error {
	if errors.Is(err, errNoDocument) {
		return problemf(errRefused, "%s does not look like a Paput server: %s", server, err)
	}
	return err
}
