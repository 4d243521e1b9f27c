package oauth

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// forms reads for op what it wants of a form. op's own decoder looks for the fields of each by reflection, each time, which
// is a good part of what a refresh costs.
type forms struct{}

// Decode fills in one of op's requests; an error for one that no endpoint of this server has.
func (forms) Decode(to any, form map[string][]string) error {
	get := url.Values(form).Get
	switch to := to.(type) {
	case *op.ClientCredentials:
		to.ClientID, to.ClientSecret = get("client_id"), get("client_secret")
		to.ClientAssertion, to.ClientAssertionType = get("client_assertion"), get("client_assertion_type")
	case *oidc.AuthRequest:
		to.ClientID, to.RedirectURI = get("client_id"), get("redirect_uri") // all that op is shown of it
	case *oidc.AccessTokenRequest:
		to.Code, to.CodeVerifier, to.RedirectURI = get("code"), get("code_verifier"), get("redirect_uri")
	case *oidc.RefreshTokenRequest:
		to.RefreshToken, to.Scopes = get("refresh_token"), strings.Fields(get("scope"))
	case *oidc.ClientCredentialsRequest:
		to.Scope = strings.Fields(get("scope"))
	case *oidc.DeviceAuthorizationRequest:
		to.ClientID, to.Scopes = get("client_id"), strings.Fields(get("scope"))
	case *oidc.DeviceAccessTokenRequest:
		to.DeviceCode = get("device_code")
	case *oidc.RevocationRequest:
		to.Token = get("token")
	case *oidc.TokenExchangeRequest: // nobody may
	default:
		return fmt.Errorf("%T is not read from a form here", to)
	}
	return nil
}
