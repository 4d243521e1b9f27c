package mcp

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"github.com/mark3labs/mcp-go/mcp"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

// authenticate finds out whose request it is, and answers it when it is nobody's.
func (x *exchange) authenticate() (*caller, bool) {
	if x.r.URL.RawQuery != "" && x.r.URL.Query().Has("access_token") {
		// RFC 6750, section 2.3, allows it; OAuth 2.1 does not, because URLs end up in logs.
		x.challenge(http.StatusBadRequest, "invalid_request", "a token does not belong in the URL: send it in the Authorization header")
		return nil, false
	}
	values := x.r.Header.Values("Authorization")
	if len(values) > 1 {
		x.challenge(http.StatusBadRequest, "invalid_request", "send one Authorization header")
		return nil, false
	}
	var kind string
	if len(values) == 1 {
		kind, _, _ = strings.Cut(values[0], " ")
	}
	if !strings.EqualFold(kind, "Bearer") {
		x.challenge(http.StatusUnauthorized, "", "")
		return nil, false
	}
	c, err := x.h.lookUp(x.r.Context(), values, x.place)
	switch {
	case err == nil:
		return c, true
	case isUnauthenticated(err):
		x.invalidToken()
	case x.r.Context().Err() != nil:
		panic(http.ErrAbortHandler)
	default:
		id := x.h.s.newID("err")
		x.h.log.ErrorContext(x.r.Context(), "token not looked up", "error_id", id, "error", err)
		x.w.Header().Set("Retry-After", "2")
		x.fail(http.StatusServiceUnavailable, nil, &rpcError{code: mcp.INTERNAL_ERROR, text: fmt.Sprintf("Paput cannot check tokens right now. Try again in a moment (error %s).", id)})
	}
	return nil, false
}

// lookUp asks what the token in an Authorization header is worth. A token of another resource is worth nothing here (RFC 8707).
func (h *handler) lookUp(ctx context.Context, authorization []string, at place) (*caller, error) {
	if _, token, _ := strings.Cut(authorization[0], " "); !isToken(token) {
		return nil, connect.NewError(connect.CodeUnauthenticated, "the token is malformed")
	}
	ctx, cancel := context.WithTimeout(ctx, h.s.callTimeout)
	defer cancel()
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().SetValues("Authorization", authorization)
	found, err := h.tokens.GetToken(ctx, &oauthv1.GetTokenRequest{})
	if err != nil {
		return nil, err
	}
	// A token for all tools is good for some of them, and not the other way round.
	resource := strings.TrimSuffix(found.GetResource(), "/")
	if !slices.Contains(h.resources, resource) && (at.resource == "" || at.resource != resource) {
		return nil, connect.NewError(connect.CodeUnauthenticated, "the token is for another resource")
	}
	return &caller{
		authorization: authorization, account: found.GetAccountId(), client: found.GetClientId(), scopes: found.GetAllowedScopes(), set: at.set,
	}, nil
}

// isToken says whether s has the syntax of RFC 6750, section 2.1.
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func (x *exchange) invalidToken() {
	x.challenge(http.StatusUnauthorized, "invalid_token", errToken.Error())
}

// insufficientScope tells the client what to ask its user for (RFC 6750, section 3.1): all that the call needs and nothing
// else. A client adds it to what it has (MCP 2026-07-28, step-up); one that asks for it alone loses nothing that a tool needs,
// because each scope implies the lesser ones. The same call is refused in the same words each time, by which a client knows that
// asking has not helped. The body of a call of a tool is its result, for whoever has no eye for headers.
func (x *exchange) insufficientScope(m *message, e scopeError, modern bool) {
	value := x.challengeOf("insufficient_scope", e.Error(), e.scope)
	body := appendError(nil, m.id, &rpcError{code: mcp.INVALID_REQUEST, text: e.Error()})
	if m.tool != "" {
		body = append(appendHead(nil, m.id), `,"result":`...)
		body = append(x.h.s.appendChallenged(body, e.Error(), value, modern), '}')
	}
	x.refuse(http.StatusForbidden, value, body)
}

// challenge answers that a token, or another one, is needed. A request without a token is told no error, only where to get
// one (RFC 6750, section 3.1).
func (x *exchange) challenge(status int, code, description string) {
	body := []byte(`{"error":"unauthorized","error_description":"an access token is needed"}`)
	if code != "" {
		body = appendQuoted(append(appendQuoted([]byte(`{"error":`), code), `,"error_description":`...), description)
		body = append(body, '}')
	}
	x.refuse(status, x.challengeOf(code, description, x.place.scope), body)
}

// challengeOf is the value of a WWW-Authenticate header (RFC 6750, section 3; RFC 9728, section 5.1).
func (x *exchange) challengeOf(code, description, scope string) string {
	value := "Bearer "
	if code != "" {
		value += fmt.Sprintf("error=%q, error_description=%q, ", code, description)
	}
	return value + fmt.Sprintf("resource_metadata=%q, scope=%q", x.place.metadata, scope)
}

func (x *exchange) refuse(status int, challenge string, body []byte) {
	header := x.w.Header()
	header.Set("WWW-Authenticate", challenge)
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	x.start(status)
	_, _ = x.w.Write(body)
}

func isUnauthenticated(err error) bool { return connect.CodeOf(err) == connect.CodeUnauthenticated }
