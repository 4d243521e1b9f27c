package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// clientURI is where a client manages its registration (RFC 7592, section 3).
func (s *Server) clientURI(id string) string { return s.issuer + pathRegister + "/" + id }

// manage lets a client look at its registration and end it (RFC 7592, section 2). It can not change it: what people have
// allowed, they have allowed to the client as it was.
func (s *Server) manage(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	var handle func(http.ResponseWriter, *http.Request, string) error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		handle = s.showRegistration
	case http.MethodDelete:
		handle = s.endRegistration
	default:
		w.Header().Set("Allow", "GET, HEAD, DELETE, OPTIONS")
		writeRefusal(w, http.StatusMethodNotAllowed,
			&refusal{"invalid_request", "a registration is read and deleted, not changed: register again"})
		return
	}
	token, sent := bearerToken(r.Header)
	if !sent {
		w.Header().Set("WWW-Authenticate", `Bearer realm="paput"`)
		writeRefusal(w, http.StatusUnauthorized, errRegistrationToken)
		return
	}
	switch err := handle(w, r, token); {
	case err == nil:
	case errors.Is(err, errRegistrationToken):
		w.Header().Set("WWW-Authenticate", `Bearer realm="paput", error="invalid_token"`)
		writeRefusal(w, http.StatusUnauthorized, errRegistrationToken)
	default:
		s.refuse(w, r, err)
	}
}

// bearerToken returns the token of the one Authorization header (RFC 6750, section 2.1).
func bearerToken(h http.Header) (token string, ok bool) {
	sent := h.Values("Authorization")
	if len(sent) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(sent[0], " ")
	return strings.TrimLeft(token, " "), ok && strings.EqualFold(scheme, "Bearer")
}

// showRegistration tells a client what it registered. Its secret is not known here any more; the token is the one that it
// has just sent, and stands in the answer because RFC 7592, section 3, wants it there.
func (s *Server) showRegistration(w http.ResponseWriter, r *http.Request, token string) error {
	id := r.PathValue("id")
	find := func(query string, args ...any) row { return s.log.DB().QueryRowContext(r.Context(), query, args...) }
	if err := checkRegistrationToken(find, id, token); err != nil {
		return err
	}
	answer, err := loadRegistration(find, id)
	if errors.Is(err, errAbsent) {
		return errRegistrationToken // it has just ceased to be
	}
	if err != nil {
		return err
	}
	answer.ClientURI, answer.Token = s.clientURI(id), token
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// endRegistration forgets a client and ends all that people have allowed it.
func (s *Server) endRegistration(w http.ResponseWriter, r *http.Request, token string) error {
	id := r.PathValue("id")
	// Strangers who guess are told without a wait for a transaction.
	committed := func(query string, args ...any) row { return s.log.DB().QueryRowContext(r.Context(), query, args...) }
	if err := checkRegistrationToken(committed, id, token); err != nil {
		return err
	}
	err := s.endClients(r.Context(), func(tx *eventlog.Tx) ([]string, error) {
		find := func(query string, args ...any) row { return tx.QueryRow(query, args...) }
		if err := checkRegistrationToken(find, id, token); err != nil {
			return nil, err
		}
		return []string{id}, endClient(tx, id, clientDeleted(), oauthv1.RevokeReason_REVOKE_REASON_CLIENT_DELETED)
	})
	if err != nil {
		return err
	}
	s.logger.InfoContext(r.Context(), "client deleted", "client_id", id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// row is what a query for one row returns.
type row interface{ Scan(to ...any) error }

// finder looks for one row, among what is committed or inside a transaction.
type finder func(query string, args ...any) row

// checkRegistrationToken returns errRegistrationToken unless the token is the client's. For an unknown client it does the
// same work.
func checkRegistrationToken(find finder, id, token string) error {
	var stored string
	err := find(`SELECT coalesce((SELECT token_hash FROM oauth_clients WHERE id = ?), '')`, id).Scan(&stored)
	if err != nil {
		return fmt.Errorf("find the registration token: %w", err)
	}
	known := len(stored) == hex.EncodedLen(len(hashSecret("")))
	if !known {
		stored = key(hashSecret(""))
	}
	if subtle.ConstantTimeCompare([]byte(key(hashSecret(token))), []byte(stored)) != 1 || !known {
		return errRegistrationToken
	}
	return nil
}

// loadRegistration reads what a client registered; errAbsent when there is no such client.
func loadRegistration(find finder, id string) (registered, error) {
	answer := registered{ClientID: id}
	var redirectURIs, grantTypes string
	var registeredAt int64
	err := find(`SELECT name, auth_method, redirect_uris, grant_types, application_type, software_id, software_version, registered_at
		FROM oauth_clients WHERE id = ?`, id).
		Scan(&answer.Name, &answer.AuthMethod, &redirectURIs, &grantTypes,
			&answer.ApplicationType, &answer.SoftwareID, &answer.SoftwareVersion, &registeredAt)
	if err != nil {
		return registered{}, absent("find the registration", err)
	}
	answer.IssuedAt = fromMillis(registeredAt).Unix()
	answer.RedirectURIs, answer.GrantTypes = strings.Fields(redirectURIs), strings.Fields(grantTypes)
	answer.ResponseTypes = []string{}
	if answer.uses(oidc.GrantTypeCode) {
		answer.ResponseTypes = []string{"code"}
	}
	return answer, nil
}

// endClient records the end of a client and of every grant that it has.
func endClient(tx *eventlog.Tx, id string, end *oauthv1.ClientEvent, reason oauthv1.RevokeReason) error {
	grants, err := liveGrants(tx, "client_id", id)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if err := tx.Append(kindGrant+"/"+g, revoked(reason)); err != nil {
			return err
		}
	}
	return tx.Append(kindClient+"/"+id, end)
}

// endClients carries out a decision that ends the clients it returns. Nothing is answered from memory for them, nor for
// their tokens, from then on.
func (s *Server) endClients(ctx context.Context, decision func(tx *eventlog.Tx) (ended []string, err error)) error {
	var ended map[string]bool
	err := s.do(ctx, func(tx *eventlog.Tx) error {
		ids, err := decision(tx)
		ended = make(map[string]bool, len(ids))
		for _, id := range ids {
			ended[id] = true
		}
		return err
	})
	if known := (*refusal)(nil); errors.As(err, &known) {
		return err // nothing was decided: strangers must not be able to empty the memory
	}
	// After another error the decision may have been made, or be about to, and fn may even be running.
	isOver := func(id string) bool { return err != nil || ended[id] }
	s.forgetClients(isOver)
	s.forgetCallers(func(c rpc.Caller) bool { return isOver(c.ClientID) })
	return err
}
