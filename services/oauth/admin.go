package oauth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	"github.com/paput/paput/services/eventlog"
)

// maxKeep is how long the secret before may go on working at most.
const maxKeep = 90 * 24 * time.Hour

// The errors of the administration. The text of an ErrInvalidArgument begins with the field that it is about, a colon and a
// space.
var (
	ErrInvalidArgument = errors.New("an argument makes no sense")
	ErrNotFound        = errors.New("there is no client with this id")
	ErrNoSecret        = errors.New("the client has no secret: it authenticates in another way, or not at all")
)

// argumentFault is an ErrInvalidArgument that says which and why.
type argumentFault struct{ field, text string }

// Error returns the field and the text.
func (f *argumentFault) Error() string { return f.field + ": " + f.text }

// Unwrap says that it is an ErrInvalidArgument.
func (f *argumentFault) Unwrap() error { return ErrInvalidArgument }

// Codes translates the domain errors of the RPCs.
func Codes(err error) (connect.Code, bool) {
	switch {
	case errors.Is(err, ErrInvalidArgument):
		return connect.CodeInvalidArgument, true
	case errors.Is(err, ErrNotFound):
		return connect.CodeNotFound, true
	case errors.Is(err, ErrNoSecret):
		return connect.CodeFailedPrecondition, true
	default:
		return 0, false
	}
}

var _ oauthv1connect.OAuthAdminServiceHandler = admin{}

// Admin returns the service for whoever runs the server. It asks nobody for permission.
func (s *Server) Admin() oauthv1connect.OAuthAdminServiceHandler { return admin{s} }

type admin struct{ s *Server }

// CreateClient registers a client that stays until it is removed.
func (a admin) CreateClient(ctx context.Context, req *oauthv1.CreateClientRequest) (*oauthv1.CreateClientResponse, error) {
	event, err := preregister(req.GetClient())
	if err != nil {
		return nil, err
	}
	id, secret := a.s.newID("client"), ""
	if hasSecretMethod(event.GetAuthMethod()) {
		secret = newSecret(secretPrefix)
		event.SecretHash = hashSecret(secret)
	}
	var at time.Time
	err = a.s.do(ctx, func(tx *eventlog.Tx) error {
		at = tx.Now()
		if err := a.s.checkResource(tx, event.GetResource()); err != nil {
			return err
		}
		return tx.Append(kindClient+"/"+id, clientRegistered(event))
	})
	a.s.forgetResources()
	if err != nil {
		return nil, err
	}
	a.s.logger.InfoContext(ctx, "client preregistered", "client_id", id, "auth_method", event.GetAuthMethod())
	return &oauthv1.CreateClientResponse{ClientSecret: secret, Client: &oauthv1.Client{
		Id:              id,
		Name:            event.GetName(),
		AuthMethod:      event.GetAuthMethod(),
		RedirectUris:    event.GetRedirectUris(),
		GrantTypes:      event.GetGrantTypes(),
		Scopes:          event.GetScopes(),
		Jwks:            event.GetJwks(),
		Resource:        event.GetResource(),
		AccountIds:      event.GetAccountIds(),
		Preregistered:   true,
		RegisterTime:    timestamppb.New(at),
		ApplicationType: event.GetApplicationType(),
	}}, nil
}

// checkResource refuses a second server for one resource. This server's own have as many as there are processes that
// stand for it.
func (s *Server) checkResource(tx *eventlog.Tx, resource string) error {
	if resource == "" || slices.Contains(s.resources, resource) {
		return nil
	}
	var taken string
	err := tx.QueryRow(`SELECT coalesce(min(id), '') FROM oauth_clients WHERE resource = ?`, resource).Scan(&taken)
	if err != nil {
		return fmt.Errorf("find the server of a resource: %w", err)
	}
	if taken != "" {
		return &argumentFault{"resource", "the client " + taken + " is the server of this resource: remove it first"}
	}
	return nil
}

// ListClients lists the clients by the time of registration.
func (a admin) ListClients(ctx context.Context, _ *oauthv1.ListClientsRequest) (*oauthv1.ListClientsResponse, error) {
	rows, err := a.s.log.DB().QueryContext(ctx, `SELECT id, name, auth_method, redirect_uris, grant_types, scopes, jwks,
		resource, account_ids, preregistered, application_type, registered_at, used_at FROM oauth_clients ORDER BY registered_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list the clients: %w", err)
	}
	defer rows.Close()
	res := &oauthv1.ListClientsResponse{}
	for rows.Next() {
		c := &oauthv1.Client{}
		var redirectURIs, grantTypes, scopes, accountIDs string
		var registered, used int64
		if err := rows.Scan(&c.Id, &c.Name, &c.AuthMethod, &redirectURIs, &grantTypes, &scopes, &c.Jwks, &c.Resource,
			&accountIDs, &c.Preregistered, &c.ApplicationType, &registered, &used); err != nil {
			return nil, fmt.Errorf("list the clients: %w", err)
		}
		c.RedirectUris, c.GrantTypes = strings.Fields(redirectURIs), strings.Fields(grantTypes)
		c.Scopes, c.AccountIds = strings.Fields(scopes), strings.Fields(accountIDs)
		c.RegisterTime = timestamppb.New(fromMillis(registered))
		if used != 0 {
			c.UseTime = timestamppb.New(fromMillis(used))
		}
		res.Clients = append(res.Clients, c)
	}
	return res, rows.Err()
}

// RotateClientSecret gives a client another secret, and lets the one before work for a while.
func (a admin) RotateClientSecret(
	ctx context.Context, req *oauthv1.RotateClientSecretRequest,
) (*oauthv1.RotateClientSecretResponse, error) {
	if s := req.GetKeepSeconds(); s < 0 || s > int64(maxKeep/time.Second) {
		return nil, &argumentFault{"keep_seconds", "the secret before works for 0 to 7776000 seconds (90 days) more"}
	}
	id, secret := req.GetClientId(), newSecret(secretPrefix)
	var until time.Time
	err := a.s.do(ctx, func(tx *eventlog.Tx) error {
		method, err := authMethodOf(tx, id)
		switch {
		case err != nil:
			return err
		case !hasSecretMethod(method):
			return ErrNoSecret
		}
		until = tx.Now().Add(time.Duration(req.GetKeepSeconds()) * time.Second)
		return tx.Append(kindClient+"/"+id, clientSecretRotated(hashSecret(secret), until))
	})
	// After an error the decision may have been made, or be about to.
	a.s.forgetClients(func(known string) bool { return known == id })
	if err != nil {
		return nil, err
	}
	a.s.logger.InfoContext(ctx, "client secret rotated", "client_id", id, "previous_until", until)
	return &oauthv1.RotateClientSecretResponse{ClientSecret: secret, PreviousExpireTime: timestamppb.New(until)}, nil
}

// RemoveClient ends a registration and every grant of it.
func (a admin) RemoveClient(ctx context.Context, req *oauthv1.RemoveClientRequest) (*oauthv1.RemoveClientResponse, error) {
	id := req.GetClientId()
	err := a.s.endClients(ctx, func(tx *eventlog.Tx) ([]string, error) {
		if _, err := authMethodOf(tx, id); err != nil {
			return nil, err
		}
		return []string{id}, endClient(tx, id, clientRemoved(), oauthv1.RevokeReason_REVOKE_REASON_CLIENT_REMOVED)
	})
	if err != nil {
		return nil, err
	}
	a.s.logger.InfoContext(ctx, "client removed", "client_id", id)
	return &oauthv1.RemoveClientResponse{}, nil
}

// authMethodOf returns how a client authenticates; ErrNotFound when there is no such client.
func authMethodOf(tx *eventlog.Tx, id string) (method string, err error) {
	err = tx.QueryRow(`SELECT auth_method FROM oauth_clients WHERE id = ?`, id).Scan(&method)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", ErrNotFound
	case err != nil:
		return "", fmt.Errorf("find the client: %w", err)
	}
	return method, nil
}

func hasSecretMethod(method string) bool {
	return method == string(oidc.AuthMethodBasic) || method == string(oidc.AuthMethodPost)
}
