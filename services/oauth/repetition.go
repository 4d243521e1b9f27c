package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/paput/paput/services/eventlog"
)

// admit answers a registration with a client: the one that an equal registration from the same address got, while that
// is unused and has time enough left for a sign-in, or else another. Some programs register at every start.
//
// A client with a secret is always another, because the secret is not known here any more. A public client's id is no
// secret, and holding it gives nobody anything; its registration token would, so it is never handed to the second
// requester, who may be a stranger behind the same address, and void for the first from then on, who could end what the
// stranger has come to rely on.
//
// Where registrations came from is kept in memory alone and in no event: an address is personal data, and the log never
// forgets. After a restart, or when equal registrations come at the very same moment, there is a row more, for a day.
func (s *Server) admit(r *http.Request, m clientMetadata) (registered, error) {
	if m.AuthMethod != string(oidc.AuthMethodNone) {
		return s.record(r.Context(), m)
	}
	print, err := fingerprint(address(r), m)
	if err != nil {
		return registered{}, err
	}
	id, ticket, known := s.lately.get(print)
	if known {
		if answer, err := s.giveBack(r.Context(), id); !errors.Is(err, errAbsent) {
			return answer, err
		}
	}
	answer, err := s.record(r.Context(), m)
	if err == nil {
		s.lately.put(print, answer.ClientID, ticket)
	}
	return answer, err
}

// fingerprint is the same for equal registrations from one address.
func fingerprint(address string, m clientMetadata) (string, error) {
	said, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("fingerprint of a registration: %w", err)
	}
	sum := sha256.Sum256(append([]byte(address+" "), said...))
	return string(sum[:]), nil
}

// giveBack answers with a client that exists, without any means to manage it; errAbsent when it is used, or too old, or
// there is none.
func (s *Server) giveBack(ctx context.Context, id string) (registered, error) {
	var answer registered
	err := s.do(ctx, func(tx *eventlog.Tx) (err error) {
		managed, err := isSpare(tx, id, tx.Now().Add(s.life.Transaction+s.life.Code-s.life.Unused))
		if err != nil {
			return err
		}
		if answer, err = loadRegistration(func(query string, args ...any) row { return tx.QueryRow(query, args...) }, id); err != nil {
			return err
		}
		if !managed {
			return nil
		}
		return tx.Append(kindClient+"/"+id, registrationRepeated())
	})
	if err != nil {
		return registered{}, err
	}
	s.logger.DebugContext(ctx, "registration repeated", "client_id", id)
	return answer, nil
}

// isSpare returns nil for a client that nobody has used and that was registered since, and says whether there is a token
// to manage it with; errAbsent for any other.
func isSpare(tx *eventlog.Tx, id string, since time.Time) (managed bool, err error) {
	err = tx.QueryRow(`SELECT token_hash <> '' FROM oauth_clients WHERE id = ? AND used_at = 0 AND registered_at > ?`,
		id, millis(since)).Scan(&managed)
	if err != nil {
		return false, absent("find an unused client", err)
	}
	return managed, nil
}
