package oauth

import "net/http"

// refusal is an error of the OAuth protocol: what the client is told. Its text never holds anything internal, and only
// the characters that RFC 6749, section 5.2, allows in error_description.
type refusal struct {
	code string // of RFC 6749 and its extensions
	text string
}

// Error returns the text.
func (r *refusal) Error() string { return r.text }

// status is the HTTP status of the refusal for a program.
func (r *refusal) status() int {
	switch r.code {
	case "invalid_client", "invalid_token":
		return http.StatusUnauthorized
	case "temporarily_unavailable":
		return http.StatusTooManyRequests
	case "server_error":
		if r == errBusy {
			return http.StatusServiceUnavailable
		}
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// pageStatus is the HTTP status of the refusal for a person.
func (r *refusal) pageStatus() int {
	if status := r.status(); status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return status
	}
	if r == errForged {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// What the token, revocation and device authorization endpoints refuse.
var (
	errInvalidClient = &refusal{"invalid_client", "client authentication failed: register again"}
	errCode          = &refusal{"invalid_grant", "the authorization code is unknown, expired or used"}
	errCodeRedirect  = &refusal{"invalid_grant", "redirect_uri is not the one that the code was issued for"}
	errVerifier      = &refusal{"invalid_grant", "code_verifier does not fit the code challenge"}
	errRefresh       = &refusal{"invalid_grant", "the refresh token is unknown, expired, used or revoked"}
	errGrantType     = &refusal{"unsupported_grant_type", "this grant type is not supported"}
	errScope         = &refusal{"invalid_scope", "scope names more than was granted"}
	errTarget        = &refusal{"invalid_target", "resource is not the one that was granted"}
	errNoDeviceGrant = &refusal{"unauthorized_client", "the client did not register the grant type urn:ietf:params:oauth:grant-type:device_code"}

	errNoToken          = &refusal{"invalid_request", "token is missing: it is the access token to introspect"}
	errNoResourceServer = &refusal{"unauthorized_client", "this client is not registered as a resource server: it may not introspect"}

	errServiceScope   = &refusal{"invalid_scope", "scope names more than this client is registered for"}
	errServiceAccount = &refusal{"invalid_request", "account is not one that this client may act for"}
	errWhichAccount   = &refusal{"invalid_request", "this client may act for several accounts: name one with the parameter account"}
)

// What a device is told until it has its tokens (RFC 8628, section 3.5), besides that the person said no.
var (
	errPending       = &refusal{"authorization_pending", "the person has not answered yet"}
	errSlowDown      = &refusal{"slow_down", "polled too early: wait 5 seconds longer from now on"}
	errDeviceCode    = &refusal{"invalid_grant", "the device code is unknown or used"}
	errDeviceExpired = &refusal{"expired_token", "the device code has expired: ask for another"}
)

// What the authorization endpoint refuses by sending the browser back to the client.
var (
	errRepeated        = &refusal{"invalid_request", "a parameter is given more than once"}
	errNoResponseType  = &refusal{"invalid_request", "response_type is missing: it must be code"}
	errResponseType    = &refusal{"unsupported_response_type", "response_type must be code"}
	errResponseMode    = &refusal{"invalid_request", "response_mode must be query"}
	errRequestObject   = &refusal{"request_not_supported", "the request parameter is not supported"}
	errRequestURI      = &refusal{"request_uri_not_supported", "the request_uri parameter is not supported"}
	errChallengeMethod = &refusal{"invalid_request", "code_challenge_method must be S256"}
	errChallenge       = &refusal{"invalid_request", "code_challenge must be 43 base64url characters"}
	errUnknownTarget   = &refusal{"invalid_target", "resource is not one of this server"}
	errUnknownScopes   = &refusal{"invalid_scope", "scope names none that this server knows"}
	errPrompt          = &refusal{"invalid_request", "prompt=none stands alone"}
	errMaxAge          = &refusal{"invalid_request", "max_age must be a number of seconds"}
	errLoginRequired   = &refusal{"login_required", "nobody is signed in"}
	errInteraction     = &refusal{"interaction_required", "the person must be asked"}
	errAccessDenied    = &refusal{"access_denied", "the person said no"}
)

// What a person sees on a page, because there is no client yet that could be trusted with it.
var (
	errUnknownClient   = &refusal{"invalid_client", "the app is not registered here"}
	errDocument        = &refusal{"invalid_client", "the app's metadata document cannot be used"}
	errUnknownRedirect = &refusal{"invalid_request", "redirect_uri is not one that the app registered"}
	errMalformed       = &refusal{"invalid_request", "the request is malformed"}
	errTransaction     = &refusal{"invalid_request", "the request is unknown, expired or from another browser"}
	errAnswered        = &refusal{"invalid_request", "the request was answered before"}
	errForged          = &refusal{"invalid_request", "the answer did not come from the page that asked"}
	errUserCode        = &refusal{"invalid_request", "the code is not that of a device that waits"}
)

// What is nobody's fault but ours, or too much. Of the registered codes, temporarily_unavailable alone says what is so: it
// blames neither the client nor the grant, for which apps would throw away what they hold, and they know it already.
// slow_down belongs to the polling of RFC 8628 and would have clients poll more slowly for good.
var (
	errServer            = &refusal{"server_error", "something went wrong here: try again"}
	errBusy              = &refusal{"server_error", "the server cannot take this just now: try again"}
	errTooManyDocuments  = &refusal{"temporarily_unavailable", "too many metadata documents for this address: try again later"}
	errSpareSite         = &refusal{"temporarily_unavailable", "the site of the metadata document was asked too often: try again later"}
	errTooManyRequests   = &refusal{"temporarily_unavailable", "too many registrations from this address: try again later"}
	errTooManyVisits     = &refusal{"temporarily_unavailable", "too many requests from this address: try again later"}
	errTooManyDevices    = &refusal{"temporarily_unavailable", "too many devices ask from this address: try again later"}
	errTooManyGuesses    = &refusal{"temporarily_unavailable", "too many codes were tried: try again later"}
	errTooManyRefreshes  = &refusal{"temporarily_unavailable", "this log-in was refreshed too often: use each access token until it expires"}
	errTooManyFailures   = &refusal{"temporarily_unavailable", "too many failed requests from this address: try again later"}
	errTooManyAssertions = &refusal{"temporarily_unavailable", "too many assertions in a short time: let them expire sooner, and use each access token until it expires"}
)

// errRegistrationToken is one answer to a wrong token and an unknown client (RFC 7592, section 2.1; RFC 6750, section 3.1).
var errRegistrationToken = &refusal{"invalid_token", "the registration access token does not fit: register again"}

// The errors of a registration (RFC 7591, section 3.2.2).
const (
	invalidClientMetadata = "invalid_client_metadata"
	invalidRedirectURI    = "invalid_redirect_uri"
)
