package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

// Lifetimes say how long things last. Zero means the default in brackets; a negative grace means none.
type Lifetimes struct {
	// Transaction is how long a person may take to sign in and answer (10 minutes).
	Transaction time.Duration
	// Code is how long an authorization code may be redeemed (60 seconds).
	Code time.Duration
	// Access is how long an access token works (15 minutes).
	Access time.Duration
	// Refresh is how long a refresh token works that is not used (30 days).
	Refresh time.Duration
	// Grant is how long a grant lasts, however often it is refreshed (90 days).
	Grant time.Duration
	// Grace is how long an exchanged refresh token is answered with the same successor again, at most 300 seconds (30
	// seconds). Several processes that share one token refresh at nearly the same time and none may be logged out.
	Grace time.Duration
	// Unused is how long a registration lasts that nobody has used: redeemed a code, that is, or refreshed a token (24 hours).
	Unused time.Duration
	// Idle is how long a registration lasts after its last use (90 days).
	Idle time.Duration
}

func (l *Lifetimes) setDefaults() {
	l.Transaction = orDefault(l.Transaction, 10*time.Minute)
	l.Code = orDefault(l.Code, time.Minute)
	l.Access = orDefault(l.Access, 15*time.Minute)
	l.Refresh = orDefault(l.Refresh, 30*24*time.Hour)
	l.Grant = orDefault(l.Grant, 90*24*time.Hour)
	l.Unused = orDefault(l.Unused, 24*time.Hour)
	l.Idle = orDefault(l.Idle, 90*24*time.Hour)
	l.Grace = max(orDefault(l.Grace, 30*time.Second), 0)
}

// grant is what decisions need to know of one authorization.
type grant struct {
	id, clientID, redirectURI, resource string
	scopes                              []string
	expires                             time.Time // zero until the code is redeemed
	revoked                             bool
}

// spent says what became of a code.
type spent int

const (
	unspent spent = iota
	redeemed
	refused
)

// code is what decisions need to know of an authorization code.
type code struct {
	grant     grant
	challenge []byte
	expires   time.Time
	spent     spent
}

// refreshToken is what decisions need to know of a refresh token.
type refreshToken struct {
	grant   grant
	expires time.Time
	rotated time.Time // zero for one that was never exchanged
}

// verdict is a decision: what is recorded, and what the client is told. Both may be said at once: a replayed code is
// refused and the grant revoked.
type verdict struct {
	events  []*oauthv1.GrantEvent
	refusal error
	// What was handed out, when nothing was refused.
	scopes      []string
	expiresIn   uint64 // seconds, of the access token
	withRefresh bool
}

// refuse is a verdict that hands nothing out.
func refuse(err error, events ...*oauthv1.GrantEvent) verdict {
	return verdict{refusal: err, events: events}
}

// redemption is a client's wish to exchange a code. Its resource, if any, is canonical.
type redemption struct {
	clientID, redirectURI, verifier, resource string
	codeHash, accessHash                      []byte
	refreshHash                               []byte // nil when the client uses no refresh tokens
}

// redeem decides about a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6). Someone else's attempt neither spends nor
// betrays it; its owner has one, and a replay after success ends the grant.
func redeem(c code, r redemption, now time.Time, l Lifetimes) verdict {
	switch {
	case c.grant.clientID != r.clientID || c.grant.revoked || c.spent == refused:
		return refuse(errCode)
	case c.spent == redeemed:
		return refuse(errCode, codeReplayed(r.codeHash), revoked(oauthv1.RevokeReason_REVOKE_REASON_CODE_REPLAYED))
	case !now.Before(c.expires):
		return refuse(errCode, codeRefused(r.codeHash, oauthv1.CodeRefusal_CODE_REFUSAL_EXPIRED))
	case r.resource != "" && r.resource != c.grant.resource:
		return refuse(errTarget)
	case r.redirectURI != "" && r.redirectURI != c.grant.redirectURI:
		return refuse(errCodeRedirect, codeRefused(r.codeHash, oauthv1.CodeRefusal_CODE_REFUSAL_REDIRECT_URI))
	case !answers(r.verifier, c.challenge):
		return refuse(errVerifier, codeRefused(r.codeHash, oauthv1.CodeRefusal_CODE_REFUSAL_VERIFIER))
	}
	end := now.Add(l.Grant)
	event := &oauthv1.CodeRedeemed{
		CodeHash:        r.codeHash,
		AccessToken:     newAccess(r.accessHash, c.grant.scopes, now, end, l),
		GrantExpireTime: timestamppb.New(end),
	}
	if r.refreshHash != nil {
		event.RefreshToken = newRefresh(r.refreshHash, now, end, l)
	}
	return verdict{
		events:      []*oauthv1.GrantEvent{codeRedeemed(event)},
		scopes:      c.grant.scopes,
		expiresIn:   seconds(event.GetAccessToken(), now),
		withRefresh: r.refreshHash != nil,
	}
}

// answers says whether the verifier answers an S256 challenge (RFC 7636, sections 4.1 and 4.6).
func answers(verifier string, challenge []byte) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare(sum[:], challenge) == 1
}

// refreshing is a client's wish to exchange a refresh token. Its resource, if any, is canonical.
type refreshing struct {
	clientID, resource, scope                string
	presentedHash, successorHash, accessHash []byte
	// successorKnown says whether the successor has been handed out: it has not when the key that made it is forgotten.
	successorKnown bool
}

// refresh decides about a refresh token (RFC 6749, section 6; RFC 9700, section 4.14.2). What is wrong with the request
// alone does not spend the token.
func refresh(t refreshToken, r refreshing, now time.Time, l Lifetimes) verdict {
	repeated := !t.rotated.IsZero()
	switch {
	case t.grant.clientID != r.clientID || t.grant.revoked || !now.Before(t.expires) || !now.Before(t.grant.expires):
		return refuse(errRefresh)
	case repeated && now.After(t.rotated.Add(l.Grace)):
		return refuse(errRefresh,
			refreshReused(r.presentedHash, t.rotated), revoked(oauthv1.RevokeReason_REVOKE_REASON_REFRESH_REUSED))
	case r.resource != "" && r.resource != t.grant.resource:
		return refuse(errTarget)
	case repeated && !r.successorKnown:
		return refuse(errRefresh)
	}
	scopes, ok := narrowedScopes(t.grant.scopes, r.scope)
	if !ok {
		return refuse(errScope)
	}
	access := newAccess(r.accessHash, scopes, now, t.grant.expires, l)
	event := tokenRefreshed(&oauthv1.TokenRefreshed{
		RefreshTokenHash: r.presentedHash,
		Successor:        newRefresh(r.successorHash, now, t.grant.expires, l),
		AccessToken:      access,
	})
	if repeated {
		event = refreshRepeated(r.presentedHash, access)
	}
	return verdict{
		events:      []*oauthv1.GrantEvent{event},
		scopes:      scopes,
		expiresIn:   seconds(access, now),
		withRefresh: true,
	}
}

// revoke decides about a client's wish to end a grant (RFC 7009, section 2.1). Another client's grant is left alone, and
// nobody is told.
func revoke(g grant, clientID string) []*oauthv1.GrantEvent {
	if g.clientID != clientID || g.revoked {
		return nil
	}
	return []*oauthv1.GrantEvent{revoked(oauthv1.RevokeReason_REVOKE_REASON_CLIENT)}
}

func newAccess(hash []byte, scopes []string, now, end time.Time, l Lifetimes) *oauthv1.AccessToken {
	return &oauthv1.AccessToken{Hash: hash, Scopes: scopes, ExpireTime: timestamppb.New(earlier(now.Add(l.Access), end))}
}

func newRefresh(hash []byte, now, end time.Time, l Lifetimes) *oauthv1.RefreshToken {
	return &oauthv1.RefreshToken{Hash: hash, ExpireTime: timestamppb.New(earlier(now.Add(l.Refresh), end))}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// seconds is how long an access token lasts from now on.
func seconds(t *oauthv1.AccessToken, now time.Time) uint64 {
	return uint64(max(t.GetExpireTime().AsTime().Sub(now), 0) / time.Second)
}
