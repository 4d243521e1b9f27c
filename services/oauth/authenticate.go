package oauth

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/rpc"
)

// memory is how long the worth of a token is answered from memory before it is looked up again. A revocation takes it out
// at once; this is for one that was committed after the server gave up waiting for it.
const memory = 10 * time.Second

// remembered is the worth of an access token, and until when it may be answered from memory.
type remembered struct {
	caller rpc.Caller
	until  time.Time
}

// Authenticate tells whom an access token speaks for; rpc.ErrUnauthenticated when it is unknown, expired or revoked, or
// bound to a resource that is not this server (RFC 8707): whoever got it there could use it here otherwise.
func (s *Server) Authenticate(ctx context.Context, token string) (rpc.Caller, error) {
	found, err := s.find(ctx, token)
	if err != nil {
		return rpc.Caller{}, err
	}
	if !s.isOwn(found.caller.Resource) {
		return rpc.Caller{}, rpc.ErrUnauthenticated
	}
	return found.caller, nil
}

// find tells what an access token is worth, wherever it is; rpc.ErrUnauthenticated when it is unknown, expired or revoked.
func (s *Server) find(ctx context.Context, token string) (remembered, error) {
	if !isToken(accessPrefix, token) {
		return remembered{}, rpc.ErrUnauthenticated
	}
	now := s.now().UTC()
	hash := hashToken(token)
	known, ticket, ok := s.callers.get(string(hash))
	if !ok || !now.Before(known.until) {
		var err error
		known, err = s.findCaller(ctx, hash)
		if errors.Is(err, errAbsent) {
			return remembered{}, rpc.ErrUnauthenticated
		}
		if err != nil {
			return remembered{}, err
		}
		known.until = now.Add(memory)
		s.callers.put(string(hash), known, ticket)
	}
	if !now.Before(known.caller.Expires) {
		return remembered{}, rpc.ErrUnauthenticated
	}
	return known, nil
}

// findCaller looks up what an access token is worth; errAbsent when it is unknown or revoked.
func (s *Server) findCaller(ctx context.Context, hash []byte) (remembered, error) {
	var c rpc.Caller
	var scopes string
	var expires int64
	err := s.log.DB().QueryRowContext(ctx, `SELECT g.account_id, g.client_id, g.id, g.resource, t.scopes, t.expires_at,
			EXISTS (SELECT 1 FROM oauth_service_grants s WHERE s.expires_at = g.expires_at AND s.grant_id = g.id)
		FROM oauth_access_tokens t JOIN oauth_grants g ON g.id = t.grant_id WHERE t.hash = ? AND g.revoked = 0`, hash).
		Scan(&c.AccountID, &c.ClientID, &c.GrantID, &c.Resource, &scopes, &expires, &c.IsService)
	if err != nil {
		return remembered{}, absent("find the access token", err)
	}
	c.Scopes, c.Expires = strings.Fields(scopes), fromMillis(expires)
	return remembered{caller: c}, nil
}

// forgetCallers takes callers out of memory.
func (s *Server) forgetCallers(condition func(rpc.Caller) bool) {
	s.callers.purge(func(r remembered) bool { return condition(r.caller) })
}

// GetToken tells what the access token of the call is worth.
func (s *Server) GetToken(ctx context.Context, _ *oauthv1.GetTokenRequest) (*oauthv1.GetTokenResponse, error) {
	c := rpc.CallerFrom(ctx)
	return &oauthv1.GetTokenResponse{
		AccountId:     c.AccountID,
		ClientId:      c.ClientID,
		GrantId:       c.GrantID,
		Scopes:        c.Scopes,
		Resource:      c.Resource,
		ExpireTime:    timestamppb.New(c.Expires),
		AllowedScopes: c.Allowed(),
	}, nil
}
