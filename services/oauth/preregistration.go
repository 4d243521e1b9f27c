package oauth

import (
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

const (
	maxResource = 2048 // characters
	maxAccounts = 1000
)

// preregister judges what an administrator says about a client, as strictly as what a client says about itself, and puts
// it in order. The error is an *argumentFault.
func preregister(c *oauthv1.Client) (*oauthv1.ClientRegistered, error) {
	event := &oauthv1.ClientRegistered{
		Name:            strings.TrimSpace(c.GetName()),
		AuthMethod:      c.GetAuthMethod(),
		RedirectUris:    c.GetRedirectUris(),
		ApplicationType: c.GetApplicationType(),
		Preregistered:   true,
	}
	var fault *argumentFault
	if event.GrantTypes, fault = inOrder("grant_types", grantTypeNames(), c.GetGrantTypes()); fault != nil {
		return nil, fault
	}
	if event.Scopes, fault = inOrder("scopes", scopeNames(), c.GetScopes()); fault != nil {
		return nil, fault
	}
	for _, judge := range []func(*oauthv1.ClientRegistered, *oauthv1.Client) *argumentFault{
		nameFault, methodFault, grantsFault, redirectsFault, takeKeys, takeResource, takeAccounts,
	} {
		if fault := judge(event, c); fault != nil {
			return nil, fault
		}
	}
	return event, nil
}

// grantTypeNames lists what a client may be registered for.
func grantTypeNames() []string {
	return []string{
		string(oidc.GrantTypeCode), string(oidc.GrantTypeRefreshToken), string(oidc.GrantTypeClientCredentials),
		string(oidc.GrantTypeDeviceCode),
	}
}

// inOrder returns those of the known names that were given, each once.
func inOrder(field string, known, given []string) (named []string, fault *argumentFault) {
	for _, name := range given {
		if !slices.Contains(known, name) {
			return nil, &argumentFault{field, "each must be one of " + strings.Join(known, ", ")}
		}
	}
	for _, name := range known {
		if slices.Contains(given, name) {
			named = append(named, name)
		}
	}
	return named, nil
}

func nameFault(e *oauthv1.ClientRegistered, _ *oauthv1.Client) *argumentFault {
	switch {
	case e.GetName() == "":
		return &argumentFault{"name", "say what the client is called"}
	case !isPlainText(e.GetName(), maxClientName):
		return &argumentFault{"name", "it has at most 100 characters, none of them control or invisible ones"}
	}
	return nil
}

// methodFault sees to it that whoever gets something for itself has something to prove who it is with.
func methodFault(e *oauthv1.ClientRegistered, c *oauthv1.Client) *argumentFault {
	methods := []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}
	switch {
	case !slices.Contains(methods, e.GetAuthMethod()):
		return &argumentFault{"auth_method", "it must be one of " + strings.Join(methods, ", ")}
	case e.GetAuthMethod() != string(oidc.AuthMethodNone):
		return nil
	case hasGrant(e, oidc.GrantTypeClientCredentials):
		return &argumentFault{"auth_method", "client_credentials needs a secret or private_key_jwt"}
	case c.GetResource() != "":
		return &argumentFault{"auth_method", "the server of a resource needs a secret or private_key_jwt"}
	}
	return nil
}

func grantsFault(e *oauthv1.ClientRegistered, c *oauthv1.Client) *argumentFault {
	person := hasGrant(e, oidc.GrantTypeCode) || hasGrant(e, oidc.GrantTypeDeviceCode)
	switch {
	case len(e.GetGrantTypes()) == 0 && c.GetResource() == "":
		return &argumentFault{"grant_types", "name at least one: only the server of a resource can do without"}
	case hasGrant(e, oidc.GrantTypeRefreshToken) && !person:
		return &argumentFault{"grant_types", "refresh_token goes with authorization_code or the device code"}
	case hasGrant(e, oidc.GrantTypeClientCredentials) && len(e.GetScopes()) == 0:
		return &argumentFault{"scopes", "say what a client with client_credentials may do: nobody else is asked"}
	}
	return nil
}

func hasGrant(e *oauthv1.ClientRegistered, t oidc.GrantType) bool {
	return slices.Contains(e.GetGrantTypes(), string(t))
}

func redirectsFault(e *oauthv1.ClientRegistered, _ *oauthv1.Client) *argumentFault {
	const field = "redirect_uris"
	if !slices.Contains([]string{"", applicationWeb, applicationNative}, e.GetApplicationType()) {
		return &argumentFault{"application_type", "it must be web or native"}
	}
	uses, n := hasGrant(e, oidc.GrantTypeCode), len(e.GetRedirectUris())
	switch {
	case uses && n == 0:
		return &argumentFault{field, "authorization_code needs at least one"}
	case !uses && n > 0:
		return &argumentFault{field, "they are for the grant type authorization_code alone"}
	case n > maxRedirectURIs:
		return &argumentFault{field, "there are more than 10"}
	}
	for _, u := range e.GetRedirectUris() {
		if fault := redirectFault(u, e.GetApplicationType(), IsPrivateScheme); fault != "" {
			return &argumentFault{field, fault}
		}
	}
	return nil
}

func takeKeys(e *oauthv1.ClientRegistered, c *oauthv1.Client) *argumentFault {
	const field = "jwks"
	switch uses := e.GetAuthMethod() == string(oidc.AuthMethodPrivateKeyJWT); {
	case !uses && c.GetJwks() == "":
		return nil
	case !uses:
		return &argumentFault{field, "keys are for private_key_jwt alone"}
	case c.GetJwks() == "":
		return &argumentFault{field, "private_key_jwt needs the client's public keys"}
	}
	keys, err := parseKeys(c.GetJwks())
	if err == nil {
		e.Jwks, err = formatKeys(keys)
	}
	if err != nil {
		return &argumentFault{field, err.Error()}
	}
	return nil
}

func takeResource(e *oauthv1.ClientRegistered, c *oauthv1.Client) *argumentFault {
	if c.GetResource() == "" {
		return nil
	}
	e.Resource = strings.TrimSuffix(c.GetResource(), "/")
	if fault := resourceFault(e.GetResource()); fault != "" {
		return &argumentFault{"resource", fault}
	}
	return nil
}

// resourceFault says what is wrong with the identifier of a resource (RFC 8707, section 2; RFC 9728, section 1.2); empty
// when nothing is. It is compared as text, so there is one spelling of each.
func resourceFault(raw string) string {
	if len(raw) > maxResource || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>^`{|}", r) }) {
		return "it is printable ASCII without spaces, at most 2048 characters"
	}
	u, err := url.Parse(raw)
	_, _, loopback := splitLoopback(raw)
	switch {
	case err != nil || u.Host == "" || !strings.HasPrefix(raw, "https://") && !loopback:
		return "it is a URL that begins with https://, or with http:// and localhost, 127.0.0.1 or [::1]"
	case strings.ContainsAny(raw, "#?") || u.User != nil:
		return "it has no user, query or fragment"
	case !validHost(u) || u.Host != strings.ToLower(u.Host) || strings.HasSuffix(u.Host, ":443") && u.Scheme == "https":
		return "its host is a name in lower case, without the port when that is 443"
	case hasDotSegment(u.Path) || strings.HasSuffix(raw, "/"):
		return "its path has no dot segments, and at most one slash at its end"
	}
	return ""
}

func takeAccounts(e *oauthv1.ClientRegistered, c *oauthv1.Client) *argumentFault {
	const field = "account_ids"
	switch n := len(c.GetAccountIds()); {
	case n > 0 && !hasGrant(e, oidc.GrantTypeClientCredentials):
		return &argumentFault{field, "a client acts for accounts with the grant type client_credentials alone"}
	case n > maxAccounts:
		return &argumentFault{field, "there are more than 1000"}
	}
	for _, id := range c.GetAccountIds() {
		if id == "" || len(id) > maxSoftware || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return &argumentFault{field, "each is the id of an account"}
		}
		if !slices.Contains(e.GetAccountIds(), id) {
			e.AccountIds = append(e.AccountIds, id)
		}
	}
	return nil
}
