package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"google.golang.org/protobuf/proto"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// unsentRedirect stands for a redirect_uri that a token request does not have. OAuth 2.1 dropped the parameter there
// (section 10.2), op demands it; with PKCE it protects nothing.
const unsentRedirect = "urn:paput:unsent"

// VerifyAuthRequest finds the client and makes sure that it registered the redirect URI. Up to here a refusal is a page;
// what else is wrong with the request is found out now and reported by Authorize, to the client.
func (s *Server) VerifyAuthRequest(
	ctx context.Context, r *op.Request[oidc.AuthRequest],
) (*op.ClientRequest[oidc.AuthRequest], error) {
	known, err := s.findClient(ctx, r.Data.ClientID)
	var told *refusal
	switch {
	case errors.Is(err, errAbsent):
		return nil, refusing(ctx, errUnknownClient)
	case errors.As(err, &told):
		return nil, refusing(ctx, told)
	case err != nil:
		return nil, s.internal(ctx, err)
	case !matchRedirect(known.redirectURIs, r.Data.RedirectURI), !s.mayLeadToApp(known, r.Data.RedirectURI):
		return nil, refusing(ctx, errUnknownRedirect)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refusing(ctx, errMalformed)
	}
	resources, err := s.findResources(ctx)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	bound := *known
	bound.asked = r.Data.RedirectURI
	bound.request, bound.fault = parseAuthorize(query, resources, known.scopes)
	// What op looks at before it calls Authorize was judged above.
	r.Data.ResponseType, r.Data.Scopes = oidc.ResponseTypeCode, oidc.SpaceDelimitedArray(defaultScopes())
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: &bound}, nil
}

// Authorize sends the browser on to the consent page, with a cookie that ties the request to it, or back to the client
// with an error, or with a code when the person has allowed the same before.
func (s *Server) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	c, ok := r.Client.(*client)
	if !ok {
		return nil, s.internal(ctx, errors.New("the client is not ours"))
	}
	query := r.URL.Query()
	answer := answerTo{redirectURI: c.asked, state: query.Get("state"), hasState: query.Has("state")}
	if c.fault != nil {
		return op.NewRedirect(s.errorURL(answer, c.fault)), nil //nolint:nilerr // the client is told
	}
	t, secret := s.begin(c, answer)
	person, signedIn := s.signedIn((&http.Request{Method: r.Method, URL: r.URL, Header: r.Header}).WithContext(ctx))
	suggestion := http.Header{}
	if s.suggest != nil && s.suggest(suggestion, c.request.hint) && signedIn && !isSameAddress(c.request.hint, person.Email) {
		t.Ask = true
	}
	why := errLoginRequired
	if signedIn {
		var code string
		var err error
		if code, why, err = s.recall(ctx, t, person); err != nil {
			return nil, s.internal(ctx, err)
		}
		if why == nil {
			return op.NewRedirect(s.codeURL(answer, code)), nil
		}
	}
	if c.request.silent {
		return op.NewRedirect(s.errorURL(answer, why)), nil
	}
	sealed, err := s.ring().inUse().seal(t)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	redirect := op.NewRedirect(consentPath(sealed))
	redirect.Header.Set("Set-Cookie", t.cookie(secret, s.life.Transaction, s.secure).String())
	for _, cookie := range suggestion["Set-Cookie"] {
		redirect.Header.Add("Set-Cookie", cookie)
	}
	return redirect, nil
}

// begin makes a transaction of a request, and the secret that binds it to a browser.
func (s *Server) begin(c *client, a answerTo) (t transaction, secret string) {
	now := s.now().UTC()
	secret = newSecret("")
	t = transaction{
		ID:          s.newID("tx"),
		ClientID:    c.id,
		RedirectURI: a.redirectURI,
		State:       []byte(a.state),
		HasState:    a.hasState,
		Challenge:   c.request.challenge,
		Resource:    c.request.resource,
		Scopes:      c.request.scopes,
		Expires:     now.Add(s.life.Transaction),
		Ask:         c.request.ask,
		CookieHash:  hashSecret(secret),
	}
	if c.host != "" {
		t.ClientName, t.ClientDigest = c.name, c.digest()
	}
	if c.request.maxAge >= 0 {
		// Sign-ins are known to the millisecond: one that follows must not seem to have come before.
		t.FreshSince = now.Add(-c.request.maxAge).Truncate(time.Millisecond)
	}
	return t, secret
}

// VerifyClient authenticates a client at every endpoint where one must. All that can be wrong looks the same.
func (s *Server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	// At the device authorization endpoint a log-in begins.
	exchangeFrom(ctx).authenticating = r.URL.Path != pathDevices
	if r.Data.ClientAssertion != "" {
		return s.verifyAssertion(ctx, r.Data.ClientID, r.Data.ClientAssertion)
	}
	_, byHeader := basicAuth(r.Header)
	if r.Data.ClientSecret == "" {
		return s.verifySecret(ctx, r.Data, byHeader)
	}
	now, shown := s.now(), proofKey(r.Data, byHeader)
	known, ticket, ok := s.proofs.get(shown)
	if ok && now.Before(known.until) {
		return known.client, nil
	}
	c, err := s.verifySecret(ctx, r.Data, byHeader)
	if err == nil {
		s.proofs.put(shown, newProof(c, now), ticket)
	}
	return c, err
}

// verifySecret authenticates a client by its secret, or by having none.
func (s *Server) verifySecret(ctx context.Context, shown *op.ClientCredentials, byHeader bool) (*client, error) {
	known, err := s.findClient(ctx, shown.ClientID)
	if errors.Is(err, errDocument) {
		s.report(ctx, "client not authenticated", "cause", exchangeFrom(ctx).cause)
		return nil, refusing(ctx, errInvalidClient)
	}
	if errors.Is(err, errAbsent) {
		(&client{}).hasSecret(shown.ClientSecret, s.now()) // as much work as for a known one
		return nil, refusing(ctx, errInvalidClient)
	}
	if told := (*refusal)(nil); errors.As(err, &told) {
		return nil, refusing(ctx, told)
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	if !known.authenticates(shown.ClientSecret, byHeader, s.now()) {
		return nil, refusing(ctx, errInvalidClient)
	}
	return known, nil
}

// CodeExchange makes tokens of a code (RFC 6749, section 4.1.3).
func (s *Server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	c, ok := r.Client.(*client)
	if !ok {
		return nil, s.internal(ctx, errors.New("the client is not ours"))
	}
	resource, err := s.requestedResource(ctx, r.Form)
	if err != nil {
		return nil, s.failing(ctx, err)
	}
	if !isToken(codePrefix, r.Data.Code) {
		return nil, refusing(ctx, errCode)
	}
	now := s.now()
	access, refreshSecret := newToken(accessPrefix, now), newToken(refreshPrefix, now)
	wish := redemption{
		clientID: c.id, verifier: r.Data.CodeVerifier, resource: resource,
		codeHash: hashToken(r.Data.Code), accessHash: hashToken(access),
	}
	if r.Data.RedirectURI != unsentRedirect {
		wish.redirectURI = r.Data.RedirectURI
	}
	if guess, err := s.isGuessAgain(ctx, codeIsKnown, wish.codeHash); err != nil {
		return nil, s.internal(ctx, err)
	} else if guess {
		return nil, refusing(ctx, errCode)
	}
	if c.usesRefresh() {
		wish.refreshHash = hashToken(refreshSecret)
	}
	v, err := s.decide(ctx, func(tx *eventlog.Tx) (string, verdict, error) {
		state, err := loadCode(tx, wish.codeHash)
		if errors.Is(err, errAbsent) {
			return "", refuse(errCode), nil
		}
		return state.grant.id, redeem(state, wish, tx.Now(), s.life), err
	})
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	return s.tokens(ctx, v, access, refreshSecret)
}

// RefreshToken makes new tokens of a refresh token (RFC 6749, section 6).
func (s *Server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	resource, err := s.requestedResource(ctx, r.Form)
	if err != nil {
		return nil, s.failing(ctx, err)
	}
	presented := r.Data.RefreshToken
	if !isToken(refreshPrefix, presented) {
		return nil, refusing(ctx, errRefresh)
	}
	place := placeOf(presented)
	grantKey := r.Client.GetID() + string(place[:placeTime]) // the same for all refresh tokens of a grant
	if s.refreshes.isSpent(grantKey, s.now()) {
		return nil, refusing(ctx, errTooManyRefreshes)
	}
	access, successor := newToken(accessPrefix, s.now()), ""
	wish := refreshing{
		clientID: r.Client.GetID(), resource: resource, scope: strings.Join(r.Data.Scopes, " "),
		presentedHash: hashToken(presented), accessHash: hashToken(access),
	}
	if guess, err := s.isGuessAgain(ctx, refreshIsKnown, wish.presentedHash); err != nil {
		return nil, s.internal(ctx, err)
	} else if guess {
		return nil, refusing(ctx, errRefresh)
	}
	v, err := s.decide(ctx, func(tx *eventlog.Tx) (string, verdict, error) {
		state, err := loadRefresh(tx, wish.presentedHash)
		if errors.Is(err, errAbsent) {
			return "", refuse(errRefresh), nil
		}
		if err != nil {
			return "", verdict{}, err
		}
		wish := wish
		if successor, wish.successorKnown, err = s.successorOf(tx, presented, !state.rotated.IsZero()); err != nil {
			return "", verdict{}, err
		}
		wish.successorHash = hashToken(successor)
		return state.grant.id, refresh(state, wish, tx.Now(), s.life), nil
	})
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	if v.refusal == nil { // others cannot use up what is the grant's
		s.refreshes.reserve(grantKey, s.now())
	}
	return s.tokens(ctx, v, access, successor)
}

// Revocation ends the grant that a token belongs to (RFC 7009). A token that is unknown, or another client's, is no error.
func (s *Server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	if token := r.Data.Token; isToken(refreshPrefix, token) || isToken(accessPrefix, token) {
		if guess, err := s.isGuess(ctx, eitherIsKnown, hashToken(token)); err != nil {
			return nil, s.internal(ctx, err)
		} else if guess {
			return op.NewResponse(nil), nil
		}
		_, err := s.decide(ctx, func(tx *eventlog.Tx) (string, verdict, error) {
			g, err := loadGrantOf(tx, hashToken(token))
			if errors.Is(err, errAbsent) {
				return "", verdict{}, nil
			}
			return g.id, verdict{events: revoke(g, r.Client.GetID())}, err
		})
		if err != nil {
			return nil, s.internal(ctx, err)
		}
	}
	return op.NewResponse(nil), nil
}

// decide runs a decision about a grant in the log's next transaction and records what it says. When the grant was revoked,
// no access token of it is answered from memory from then on.
func (s *Server) decide(ctx context.Context, decision func(tx *eventlog.Tx) (grantID string, v verdict, err error)) (verdict, error) {
	var made verdict
	var grantID string
	err := s.do(ctx, func(tx *eventlog.Tx) (err error) {
		if grantID, made, err = decision(tx); err != nil || len(made.events) == 0 {
			return err
		}
		events := make([]proto.Message, 0, len(made.events))
		for _, e := range made.events {
			events = append(events, e)
		}
		return tx.Append(kindGrant+"/"+grantID, events...)
	})
	if err != nil {
		// The decision may have been made, or be about to: fn may even be running.
		s.forgetCallers(func(rpc.Caller) bool { return true })
		return verdict{}, err
	}
	for _, e := range made.events {
		if r, ok := e.GetEvent().(*oauthv1.GrantEvent_Revoked); ok {
			s.forgetCallers(func(c rpc.Caller) bool { return c.GrantID == grantID })
			s.logger.InfoContext(ctx, "grant revoked", "grant_id", grantID, "reason", r.Revoked.GetReason().String())
		}
	}
	return made, nil
}

// tokens is the answer to a token request (RFC 6749, section 5.1).
func (s *Server) tokens(ctx context.Context, v verdict, access, refreshSecret string) (*op.Response, error) {
	if v.refusal != nil {
		return nil, refusing(ctx, v.refusal)
	}
	answer := &oidc.AccessTokenResponse{
		AccessToken: access,
		TokenType:   oidc.BearerToken,
		ExpiresIn:   v.expiresIn,
		Scope:       v.scopes,
	}
	if v.withRefresh {
		answer.RefreshToken = refreshSecret
	}
	return op.NewResponse(answer), nil
}
