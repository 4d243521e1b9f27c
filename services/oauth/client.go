package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is an app that registered, that an administrator registered, or that a metadata document describes. It is what op
// calls a client, too; most of what op wants to know is about logins and ID tokens, which this server leaves alone.
type client struct {
	id, name, authMethod string
	host                 string // of the metadata document; empty for one that registered
	secretHash           []byte
	previousHash         []byte    // of the secret before, which works
	previousUntil        time.Time // until then
	redirectURIs         []string
	grantTypes           []oidc.GrantType
	scopes               []string // that it may ask for; empty for every scope
	jwks                 string   // its public keys; empty unless it uses private_key_jwt
	resource             string   // that it is the server of; empty for none
	accountIDs           []string // that it may act for by itself
	preregistered        bool

	// asked is the one redirect URI of an authorization request, once it is known to be among those registered, and
	// request or fault what the rest of it says. Only the copy made for that request has them.
	asked   string
	request authorizeRequest
	fault   error
	// assertion is what it has just authenticated with; zero for another method. Only the copy made for that request has it.
	assertion assertion
}

var _ op.Client = (*client)(nil)

// knownClient is a public client that was looked up, and until when it need not be again.
type knownClient struct {
	client *client
	until  time.Time
}

// findClient looks a client up; errAbsent when there is none, a *refusal when its metadata document cannot be had or used.
func (s *Server) findClient(ctx context.Context, id string) (*client, error) {
	if isDocumentID(id) && !s.noDocuments {
		return s.findDocument(ctx, id)
	}
	now := s.now()
	known, ticket, ok := s.clients.get(id)
	if ok && now.Before(known.until) {
		return known.client, nil
	}
	c := &client{id: id}
	var secretHash, previousHash, redirectURIs, grantTypes, scopes, accountIDs string
	var previousUntil int64
	err := s.log.DB().QueryRowContext(ctx, `SELECT name, auth_method, secret_hash, previous_secret_hash, previous_expires_at,
		redirect_uris, grant_types, scopes, jwks, resource, account_ids, preregistered FROM oauth_clients WHERE id = ?`, id).
		Scan(&c.name, &c.authMethod, &secretHash, &previousHash, &previousUntil,
			&redirectURIs, &grantTypes, &scopes, &c.jwks, &c.resource, &accountIDs, &c.preregistered)
	if err != nil {
		return nil, absent("find the client", err)
	}
	if c.secretHash, err = hex.DecodeString(secretHash); err != nil {
		return nil, fmt.Errorf("find the client: %w", err)
	}
	if c.previousHash, err = hex.DecodeString(previousHash); err != nil {
		return nil, fmt.Errorf("find the client: %w", err)
	}
	c.previousUntil = fromMillis(previousUntil)
	c.redirectURIs, c.scopes, c.accountIDs = strings.Fields(redirectURIs), strings.Fields(scopes), strings.Fields(accountIDs)
	for _, t := range strings.Fields(grantTypes) {
		c.grantTypes = append(c.grantTypes, oidc.GrantType(t))
	}
	if c.authMethod == string(oidc.AuthMethodNone) {
		// The others are looked up unless they have shown their secret (see proofKey), so that a wrong secret takes as long as
		// an unknown client.
		s.clients.put(id, knownClient{c, now.Add(memory)}, ticket)
	}
	return c, nil
}

// authenticates says whether the secret is right and came the way that the client registered.
func (c *client) authenticates(secret string, byHeader bool, now time.Time) bool {
	switch c.authMethod {
	case string(oidc.AuthMethodNone):
		// golang.org/x/oauth2 tries the header with an empty password first.
		return secret == ""
	case string(oidc.AuthMethodBasic):
		return byHeader && c.hasSecret(secret, now)
	case string(oidc.AuthMethodPost):
		return !byHeader && c.hasSecret(secret, now)
	default:
		return false
	}
}

// hasSecret says whether the secret is the client's, or the one before while that works. It takes as long either way.
func (c *client) hasSecret(secret string, now time.Time) bool {
	hash := hashSecret(secret)
	current := subtle.ConstantTimeCompare(hash, c.secretHash)
	previous := subtle.ConstantTimeCompare(hash, c.previousHash)
	return current == 1 || previous == 1 && now.Before(c.previousUntil)
}

func (c *client) usesRefresh() bool { return slices.Contains(c.grantTypes, oidc.GrantTypeRefreshToken) }

// GetID returns the client id.
func (c *client) GetID() string { return c.id }

// RedirectURIs returns the one that was asked for and found good, so that what op compares is equal. Its own comparison
// takes https for http, other addresses of the loopback network, user names and fragments for the same.
func (c *client) RedirectURIs() []string { return []string{c.asked} }

// ApplicationType is native, for which op allows both http on loopback and https.
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }

// AuthMethod returns how the client authenticates.
func (c *client) AuthMethod() oidc.AuthMethod { return oidc.AuthMethod(c.authMethod) }

// ResponseTypes returns the only one there is.
func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes returns what the client registered.
func (c *client) GrantTypes() []oidc.GrantType { return c.grantTypes }

// PostLogoutRedirectURIs and what follows are about logins and ID tokens.
func (c *client) PostLogoutRedirectURIs() []string { return nil }

// LoginURL is not used.
func (c *client) LoginURL(string) string { return "" }

// AccessTokenType is not used.
func (c *client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }

// IDTokenLifetime is not used.
func (c *client) IDTokenLifetime() time.Duration { return 0 }

// DevMode is never on.
func (c *client) DevMode() bool { return false }

// RestrictAdditionalIdTokenScopes is not used.
func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string { return noScopes }

// RestrictAdditionalAccessTokenScopes is not used.
func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return noScopes }

// IsScopeAllowed is asked about scopes that were judged before.
func (c *client) IsScopeAllowed(string) bool { return true }

// IDTokenUserinfoClaimsAssertion is not used.
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return false }

// ClockSkew is not used.
func (c *client) ClockSkew() time.Duration { return 0 }

func noScopes([]string) []string { return nil }
