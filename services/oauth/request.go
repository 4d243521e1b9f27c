package oauth

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorizeRequest is what a client asks for at the authorization endpoint, once it is known to be well-formed.
type authorizeRequest struct {
	challenge []byte // SHA-256 of the code verifier
	resource  string // canonical
	scopes    []string
	// silent says that no page may be shown: prompt=none.
	silent bool
	// ask says that the person wants, or the client wants them, to see the consent page whatever they allowed before:
	// prompt=consent, and prompt=select_account because the page is where they change accounts.
	ask bool
	// hint is the e-mail address that the client believes the person to have; as it was sent.
	hint string
	// maxAge is how long ago the person may have signed in at most; negative when it does not matter.
	maxAge time.Duration
}

// parseAuthorize judges the query of an authorization request, client_id and redirect_uri aside: they are trusted before
// this is asked, so that a refusal can be sent to the client. The resources are those that are known, the scopes those
// that the client may ask for; none means every scope.
func parseAuthorize(query url.Values, resources, scopes []string) (authorizeRequest, error) {
	for name, values := range query {
		if len(values) > 1 && name != "resource" {
			return authorizeRequest{}, errRepeated
		}
	}
	if err := refuseUnsupported(query); err != nil {
		return authorizeRequest{}, err
	}
	challenge, err := parseChallenge(query)
	if err != nil {
		return authorizeRequest{}, err
	}
	request := authorizeRequest{challenge: challenge}
	var ok bool
	if request.resource, ok = canonicalResource(resources, query["resource"]); !ok {
		return authorizeRequest{}, errUnknownTarget
	}
	if request.scopes, ok = requestedScopes(query.Get("scope"), scopes); !ok {
		return authorizeRequest{}, errUnknownScopes
	}
	prompts := strings.Fields(query.Get("prompt"))
	request.silent = slices.Contains(prompts, "none")
	if request.silent && len(prompts) > 1 {
		return authorizeRequest{}, errPrompt
	}
	request.ask = slices.Contains(prompts, "consent") || slices.Contains(prompts, "select_account")
	request.hint = query.Get("login_hint")
	request.maxAge, err = parseMaxAge(query, prompts)
	return request, err
}

// refuseUnsupported refuses what OAuth 2.1 has abolished and what this server does not do.
func refuseUnsupported(query url.Values) error {
	responseType := query.Get("response_type")
	responseMode := query.Get("response_mode")
	switch {
	case query.Has("request"):
		return errRequestObject
	case query.Has("request_uri"):
		return errRequestURI
	case responseType == "":
		return errNoResponseType
	case responseType != "code":
		return errResponseType
	case responseMode != "" && responseMode != "query":
		return errResponseMode
	}
	return nil
}

// parseChallenge demands S256 from everyone (RFC 7636; OAuth 2.1, section 4.1.1).
func parseChallenge(query url.Values) ([]byte, error) {
	if query.Get("code_challenge_method") != "S256" {
		return nil, errChallengeMethod
	}
	raw := query.Get("code_challenge")
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(raw)
	if err != nil || len(raw) != 43 { // the decoder overlooks line breaks
		return nil, errChallenge
	}
	return challenge, nil
}

// parseMaxAge reads how fresh the sign-in must be (OpenID Connect Core, section 3.1.2.1).
func parseMaxAge(query url.Values, prompts []string) (time.Duration, error) {
	maxAge := time.Duration(-1)
	if raw := query.Get("max_age"); raw != "" {
		seconds, err := strconv.ParseUint(raw, 10, 31)
		if err != nil {
			return 0, errMaxAge
		}
		maxAge = time.Duration(seconds) * time.Second
	}
	if slices.Contains(prompts, "login") {
		maxAge = 0
	}
	return maxAge, nil
}
