package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

// paramAccount names the account that a service wants to act for. It is a parameter of this server's own (RFC 6749,
// section 8.2).
const paramAccount = "account"

// service is what decisions need to know of a client that may get tokens by itself.
type service struct {
	clientID           string
	scopes, accountIDs []string
	// repeated says that it got a token before for the same assertion.
	repeated bool
}

// serviceWish is a service's wish for a token. Its resource is canonical; an empty account leaves the choice to the server.
type serviceWish struct {
	accountID, resource, scope string
	accessHash                 []byte
	assertion                  assertion // that it authenticated with; zero for another method
}

// grantService decides about a token for a service (RFC 6749, section 4.4). There is never a refresh token: the service
// can ask again.
func grantService(c service, w serviceWish, now time.Time, l Lifetimes) verdict {
	switch {
	case c.repeated:
		return refuse(errInvalidClient)
	case len(c.scopes) == 0:
		return refuse(errServiceScope)
	}
	scopes, ok := narrowedScopes(c.scopes, w.scope)
	if !ok {
		return refuse(errServiceScope)
	}
	accountID := w.accountID
	switch {
	case accountID != "" && !slices.Contains(c.accountIDs, accountID):
		return refuse(errServiceAccount)
	case accountID == "" && len(c.accountIDs) > 1:
		return refuse(errWhichAccount)
	case accountID == "" && len(c.accountIDs) == 1:
		accountID = c.accountIDs[0]
	}
	access := newAccess(w.accessHash, scopes, now, now.Add(l.Access), l)
	event := &oauthv1.ClientCredentialsGranted{ClientId: c.clientID, AccountId: accountID, Resource: w.resource, AccessToken: access}
	if w.assertion.hash != nil {
		event.AssertionHash, event.AssertionExpireTime = w.assertion.hash, timestamppb.New(w.assertion.until)
	}
	return verdict{
		events:    []*oauthv1.GrantEvent{clientCredentialsGranted(event)},
		scopes:    scopes,
		expiresIn: seconds(access, now),
	}
}

// ClientCredentialsExchange gives a registered service a token (RFC 6749, section 4.4). op has made sure that the client
// has the grant type and is not a public one.
func (s *Server) ClientCredentialsExchange(
	ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest],
) (*op.Response, error) {
	c, ok := r.Client.(*client)
	if !ok {
		return nil, s.internal(ctx, errors.New("the client is not ours"))
	}
	resource, err := s.requestedResource(ctx, r.Form)
	if err != nil {
		return nil, s.failing(ctx, err)
	}
	access := newToken(accessPrefix, s.now())
	wish := serviceWish{
		accountID:  r.Form.Get(paramAccount),
		resource:   orDefault(resource, s.resources[0]),
		scope:      strings.Join(r.Data.Scope, " "),
		accessHash: hashToken(access),
		assertion:  c.assertion,
	}
	grantID := s.newID("grant")
	v, err := s.decide(ctx, func(tx *eventlog.Tx) (string, verdict, error) {
		service, err := loadService(tx, c.id, c.assertion)
		if errors.Is(err, errAbsent) {
			return "", refuse(errInvalidClient), nil // it has just ceased to be
		}
		if err != nil {
			return "", verdict{}, err
		}
		if len(service.accountIDs) > 0 {
			if service.accountIDs, err = s.existing(tx, service.accountIDs); err == nil && len(service.accountIDs) == 0 {
				return "", refuse(errServiceAccount), nil // they were erased: it does not act for itself instead
			}
		}
		return grantID, grantService(service, wish, tx.Now(), s.life), err
	})
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	return s.tokens(ctx, v, access, "")
}

// loadService finds a client that an administrator registered, and whether it has used the assertion before; errAbsent when
// there is none.
func loadService(tx *eventlog.Tx, id string, a assertion) (service, error) {
	c := service{clientID: id}
	var scopes, accountIDs string
	err := tx.QueryRow(`SELECT scopes, account_ids, EXISTS (SELECT 1 FROM oauth_assertions WHERE hash = ?2)
		FROM oauth_clients WHERE id = ?1 AND preregistered = 1`, id, a.hash).Scan(&scopes, &accountIDs, &c.repeated)
	if err != nil {
		return service{}, absent("find the service", err)
	}
	c.scopes, c.accountIDs = strings.Fields(scopes), strings.Fields(accountIDs)
	return c, nil
}

// servicesSchema lists the grants of services by when they end, so that those that are over are found and forgotten, and
// the assertions that they authenticated with.
const servicesSchema = `
CREATE TABLE oauth_service_grants (
	expires_at INTEGER NOT NULL,
	grant_id TEXT NOT NULL,
	PRIMARY KEY (expires_at, grant_id)
) WITHOUT ROWID;
CREATE TABLE oauth_assertions (
	hash BLOB PRIMARY KEY,
	expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oauth_assertions_by_expiry ON oauth_assertions (expires_at);
`

// forgetServiceGrants is how many grants that are over are forgotten when one begins: more than one, so that their number
// falls after a flood.
const forgetServiceGrants = 4

// applyClientCredentials begins the grant of a service, which is one token, and forgets some that are over. Nothing can
// come of those: there was no code and no refresh token, and an expired access token, which goes with the others of its
// kind, is worth as much as an unknown one. It is done here and not by Sweep so that a rebuild of the tables does the same.
// The log keeps all of them.
func applyClientCredentials(tx *eventlog.Tx, id string, e *oauthv1.ClientCredentialsGranted, now time.Time) error {
	if err := forgetServices(tx, now); err != nil {
		return err
	}
	expires := millis(e.GetAccessToken().GetExpireTime().AsTime())
	err := exec(tx, `INSERT INTO oauth_grants
		(id, account_id, client_id, redirect_uri, resource, scopes, expires_at, revoked) VALUES (?, ?, ?, '', ?, ?, ?, 0)`,
		id, e.GetAccountId(), e.GetClientId(), e.GetResource(), list(e.GetAccessToken().GetScopes()), expires)
	if err != nil {
		return err
	}
	if err := exec(tx, `INSERT INTO oauth_service_grants (expires_at, grant_id) VALUES (?, ?)`, expires, id); err != nil {
		return err
	}
	if err := applyAssertion(tx, e, now); err != nil {
		return err
	}
	if err := applyUse(tx, id, now); err != nil {
		return err
	}
	return insertAccess(tx, id, e.GetAccessToken())
}

// applyAssertion remembers what the service authenticated with, which is good once, and forgets those that have expired.
func applyAssertion(tx *eventlog.Tx, e *oauthv1.ClientCredentialsGranted, now time.Time) error {
	if len(e.GetAssertionHash()) == 0 {
		return nil
	}
	if err := exec(tx, `DELETE FROM oauth_assertions WHERE expires_at <= ?`, millis(now)); err != nil {
		return err
	}
	return exec(tx, `INSERT INTO oauth_assertions (hash, expires_at) VALUES (?, ?)`,
		e.GetAssertionHash(), millis(e.GetAssertionExpireTime().AsTime()))
}

func forgetServices(tx *eventlog.Tx, now time.Time) error {
	const over = `(SELECT grant_id FROM oauth_service_grants WHERE expires_at <= ?1 ORDER BY expires_at, grant_id LIMIT ?2)`
	for _, forget := range []string{
		`DELETE FROM oauth_grants WHERE id IN ` + over,
		`DELETE FROM oauth_service_grants WHERE expires_at <= ?1 AND grant_id IN ` + over,
	} {
		if err := exec(tx, forget, millis(now), forgetServiceGrants); err != nil {
			return err
		}
	}
	return nil
}

func clientCredentialsGranted(e *oauthv1.ClientCredentialsGranted) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_ClientCredentialsGranted{ClientCredentialsGranted: e}}
}
