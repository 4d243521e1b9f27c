package oauth

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

// The hashes of codes and tokens are the keys of their tables, in whose order those that are written together lie together;
// see newToken. Times are Unix milliseconds, lists are separated by spaces: neither scopes nor
// redirect URIs have any inside.
const schema = `
CREATE TABLE oauth_clients (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	auth_method TEXT NOT NULL,
	secret_hash TEXT NOT NULL,
	previous_secret_hash TEXT NOT NULL,
	previous_expires_at INTEGER NOT NULL,
	redirect_uris TEXT NOT NULL,
	grant_types TEXT NOT NULL,
	scopes TEXT NOT NULL,
	jwks TEXT NOT NULL,
	resource TEXT NOT NULL,
	account_ids TEXT NOT NULL,
	preregistered INTEGER NOT NULL,
	application_type TEXT NOT NULL,
	software_id TEXT NOT NULL,
	software_version TEXT NOT NULL,
	token_hash TEXT NOT NULL,
	registered_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oauth_clients_by_use ON oauth_clients (used_at, registered_at) WHERE preregistered = 0;
CREATE INDEX oauth_clients_by_resource ON oauth_clients (resource) WHERE resource <> '';
CREATE TABLE oauth_answers (
	transaction_id TEXT PRIMARY KEY,
	expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE oauth_grants (
	id TEXT PRIMARY KEY,
	account_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	redirect_uri TEXT NOT NULL,
	resource TEXT NOT NULL,
	scopes TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	revoked INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oauth_grants_by_client ON oauth_grants (client_id) WHERE revoked = 0;
CREATE TABLE oauth_codes (
	hash BLOB PRIMARY KEY,
	grant_id TEXT NOT NULL,
	challenge TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	spent INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE oauth_refresh_tokens (
	hash BLOB PRIMARY KEY,
	grant_id TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	rotated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE oauth_access_tokens (
	hash BLOB PRIMARY KEY,
	grant_id TEXT NOT NULL,
	scopes TEXT NOT NULL,
	expires_at INTEGER NOT NULL
) WITHOUT ROWID;
`

// Projections are the read models of the service.
func Projections() []eventlog.Projection {
	return []eventlog.Projection{{
		Name:    "oauth",
		Version: 5,
		Kinds:   []string{kindClient, kindGrant},
		Schema:  schema + servicesSchema + consentSchema + devicesSchema,
		Tables: []string{
			"oauth_clients", "oauth_answers", "oauth_grants", "oauth_codes", "oauth_refresh_tokens", "oauth_access_tokens",
			"oauth_service_grants", "oauth_assertions", "oauth_consents", "oauth_devices",
		},
		Apply: apply,
	}}
}

// apply brings the tables up to date with one event.
func apply(tx *eventlog.Tx, r eventlog.Record) error {
	id := streamID(r.Stream)
	switch e := r.Event.(type) {
	case *oauthv1.ClientEvent:
		return applyClient(tx, id, e, r.Time)
	case *oauthv1.GrantEvent:
		return applyGrant(tx, id, e, r)
	default:
		return fmt.Errorf("oauth: an event of the unexpected type %T", r.Event)
	}
}

func applyClient(tx *eventlog.Tx, id string, e *oauthv1.ClientEvent, now time.Time) error {
	switch e := e.GetEvent().(type) {
	case *oauthv1.ClientEvent_Registered:
		c := e.Registered
		return exec(tx, `INSERT INTO oauth_clients (id, name, auth_method, secret_hash, previous_secret_hash, previous_expires_at,
			redirect_uris, grant_types, scopes, jwks, resource, account_ids, preregistered,
			application_type, software_id, software_version, token_hash, registered_at, used_at)
			VALUES (?, ?, ?, ?, '', 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			id, c.GetName(), c.GetAuthMethod(), key(c.GetSecretHash()), list(c.GetRedirectUris()), list(c.GetGrantTypes()),
			list(c.GetScopes()), c.GetJwks(), c.GetResource(), list(c.GetAccountIds()), c.GetPreregistered(),
			c.GetApplicationType(), c.GetSoftwareId(), c.GetSoftwareVersion(), key(c.GetRegistrationTokenHash()), millis(now))
	case *oauthv1.ClientEvent_SecretRotated:
		return exec(tx, `UPDATE oauth_clients SET previous_secret_hash = secret_hash, previous_expires_at = ?, secret_hash = ?
			WHERE id = ?`, millis(e.SecretRotated.GetPreviousExpireTime().AsTime()), key(e.SecretRotated.GetSecretHash()), id)
	case *oauthv1.ClientEvent_Deleted, *oauthv1.ClientEvent_Expired, *oauthv1.ClientEvent_Removed:
		if err := forgetClient(tx, id); err != nil {
			return err
		}
		return exec(tx, `DELETE FROM oauth_clients WHERE id = ?`, id)
	case *oauthv1.ClientEvent_RegistrationRepeated:
		return exec(tx, `UPDATE oauth_clients SET token_hash = '' WHERE id = ?`, id)
	default:
		return nil
	}
}

func applyGrant(tx *eventlog.Tx, id string, e *oauthv1.GrantEvent, r eventlog.Record) error {
	switch e := e.GetEvent().(type) {
	case *oauthv1.GrantEvent_ConsentGranted:
		return applyConsent(tx, id, e.ConsentGranted, r.Time)
	case *oauthv1.GrantEvent_ConsentDenied:
		return applyDenial(tx, id, e.ConsentDenied, r.Time)
	case *oauthv1.GrantEvent_CodeIssued:
		c := e.CodeIssued
		return exec(tx, `INSERT INTO oauth_codes (hash, grant_id, challenge, expires_at, spent) VALUES (?, ?, ?, ?, ?)`,
			c.GetCodeHash(), id, key(c.GetCodeChallenge()), millis(c.GetExpireTime().AsTime()), unspent)
	case *oauthv1.GrantEvent_CodeRedeemed:
		return applyRedeemed(tx, id, e.CodeRedeemed, r.Time)
	case *oauthv1.GrantEvent_CodeRefused:
		return exec(tx, `UPDATE oauth_codes SET spent = ? WHERE hash = ?`, refused, e.CodeRefused.GetCodeHash())
	case *oauthv1.GrantEvent_TokenRefreshed:
		return applyRefreshed(tx, id, e.TokenRefreshed, r.Time)
	case *oauthv1.GrantEvent_RefreshRepeated:
		return insertAccess(tx, id, e.RefreshRepeated.GetAccessToken())
	case *oauthv1.GrantEvent_ClientCredentialsGranted:
		return applyClientCredentials(tx, id, e.ClientCredentialsGranted, r.Time)
	case *oauthv1.GrantEvent_Revoked:
		return applyRevoked(tx, id)
	case *oauthv1.GrantEvent_DeviceAuthorizationRequested:
		return applyDeviceRequested(tx, id, e.DeviceAuthorizationRequested, r.Time)
	case *oauthv1.GrantEvent_DeviceCodeRedeemed:
		return applyDeviceRedeemed(tx, id, e.DeviceCodeRedeemed, r.Time)
	default: // replays and reuse change nothing by themselves
		return nil
	}
}

func applyConsent(tx *eventlog.Tx, id string, c *oauthv1.ConsentGranted, now time.Time) error {
	if err := applyAnswer(tx, c.GetTransactionId(), c.GetTransactionExpireTime().AsTime(), now); err != nil {
		return err
	}
	if err := rememberConsent(tx, c, now); err != nil {
		return err
	}
	if c.GetTransactionId() == "" {
		if err := applyDeviceAnswer(tx, id, deviceAllowed); err != nil {
			return err
		}
	}
	return exec(tx, `INSERT INTO oauth_grants
		(id, account_id, client_id, redirect_uri, resource, scopes, expires_at, revoked) VALUES (?, ?, ?, ?, ?, ?, 0, 0)`,
		id, c.GetAccountId(), c.GetClientId(), c.GetRedirectUri(), c.GetResource(), list(c.GetScopes()))
}

func applyDenial(tx *eventlog.Tx, id string, c *oauthv1.ConsentDenied, now time.Time) error {
	if err := forgetConsents(tx, c.GetAccountId(), c.GetClientId()); err != nil {
		return err
	}
	if c.GetTransactionId() == "" {
		return applyDeviceAnswer(tx, id, deviceDenied)
	}
	return applyAnswer(tx, c.GetTransactionId(), c.GetTransactionExpireTime().AsTime(), now)
}

// applyAnswer remembers which requests were answered, and forgets those that nobody can answer any more.
func applyAnswer(tx *eventlog.Tx, transactionID string, expires, now time.Time) error {
	if transactionID == "" {
		return nil
	}
	if err := exec(tx, `DELETE FROM oauth_answers WHERE expires_at <= ?`, millis(now)); err != nil {
		return err
	}
	return exec(tx, `INSERT INTO oauth_answers (transaction_id, expires_at) VALUES (?, ?)`, transactionID, millis(expires))
}

func applyRedeemed(tx *eventlog.Tx, id string, c *oauthv1.CodeRedeemed, now time.Time) error {
	if err := exec(tx, `UPDATE oauth_codes SET spent = ? WHERE hash = ?`, redeemed, c.GetCodeHash()); err != nil {
		return err
	}
	return applyFirstTokens(tx, id, c.GetAccessToken(), c.GetRefreshToken(), c.GetGrantExpireTime(), now)
}

// applyFirstTokens begins the time of a grant; refresh is nil for a client that uses none.
func applyFirstTokens(
	tx *eventlog.Tx, id string, access *oauthv1.AccessToken, refresh *oauthv1.RefreshToken, end *timestamppb.Timestamp, now time.Time,
) error {
	if err := applyUse(tx, id, now); err != nil {
		return err
	}
	if err := exec(tx, `UPDATE oauth_grants SET expires_at = ? WHERE id = ?`, millis(end.AsTime()), id); err != nil {
		return err
	}
	if refresh != nil {
		if err := insertRefresh(tx, id, refresh); err != nil {
			return err
		}
	}
	return insertAccess(tx, id, access)
}

// useResolution is how exactly it is known when a client was last used: most of the time nothing is written.
const useResolution = time.Hour

// applyUse remembers that the client of a grant is in use. A client of a metadata document has no row.
func applyUse(tx *eventlog.Tx, grantID string, now time.Time) error {
	return exec(tx, `UPDATE oauth_clients SET used_at = ? WHERE id = (SELECT client_id FROM oauth_grants WHERE id = ?) AND used_at <= ?`,
		millis(now), grantID, millis(now.Add(-useResolution)))
}

func applyRefreshed(tx *eventlog.Tx, id string, e *oauthv1.TokenRefreshed, now time.Time) error {
	if err := applyUse(tx, id, now); err != nil {
		return err
	}
	err := exec(tx, `UPDATE oauth_refresh_tokens SET rotated_at = ? WHERE hash = ?`, millis(now), e.GetRefreshTokenHash())
	if err != nil {
		return err
	}
	if err := insertRefresh(tx, id, e.GetSuccessor()); err != nil {
		return err
	}
	return insertAccess(tx, id, e.GetAccessToken())
}

// applyRevoked ends a grant. Its tokens stay until they expire: a token is worth what its grant is.
func applyRevoked(tx *eventlog.Tx, id string) error {
	if err := forgetConsentsOf(tx, id); err != nil {
		return err
	}
	return exec(tx, `UPDATE oauth_grants SET revoked = 1 WHERE id = ?`, id)
}

func insertRefresh(tx *eventlog.Tx, grantID string, t *oauthv1.RefreshToken) error {
	if isPruning(t.GetHash()) {
		for _, from := range [][]byte{{}, t.GetHash()[:placeTime]} { // those of the oldest grant, and of this one
			if err := prune(tx, "oauth_refresh_tokens", from); err != nil {
				return err
			}
		}
	}
	return exec(tx, `INSERT INTO oauth_refresh_tokens (hash, grant_id, expires_at, rotated_at) VALUES (?, ?, ?, 0)`,
		t.GetHash(), grantID, millis(t.GetExpireTime().AsTime()))
}

func insertAccess(tx *eventlog.Tx, grantID string, t *oauthv1.AccessToken) error {
	if isPruning(t.GetHash()) {
		if err := prune(tx, "oauth_access_tokens", []byte{}); err != nil {
			return err
		}
	}
	return exec(tx, `INSERT INTO oauth_access_tokens (hash, grant_id, scopes, expires_at) VALUES (?, ?, ?, ?)`,
		t.GetHash(), grantID, list(t.GetScopes()), millis(t.GetExpireTime().AsTime()))
}

const (
	pruneEvery = 16 // tokens
	pruneBatch = 2 * pruneEvery
)

// isPruning says whether tokens that have expired are forgotten as this one comes: by its hash, so that it is now and then
// and the same in a rebuild.
func isPruning(hash []byte) bool {
	return len(hash) > placeLength && hash[len(hash)-1]%pruneEvery == 0
}

// prune forgets the expired among the first tokens from a place on, if the very first is. In the order of places, what
// comes first expires first, but for a few.
func prune(tx *eventlog.Tx, table string, from []byte) error {
	var expires int64
	err := tx.QueryRow(`SELECT expires_at FROM `+table+` WHERE hash >= ? ORDER BY hash LIMIT 1`, from).Scan(&expires)
	if errors.Is(err, sql.ErrNoRows) || err == nil && expires > millis(tx.Now()) {
		return nil
	}
	if err != nil {
		return err
	}
	return exec(tx, `DELETE FROM `+table+` WHERE hash IN (SELECT hash FROM `+table+` WHERE hash >= ? ORDER BY hash LIMIT ?)
		AND expires_at <= ?`, from, pruneBatch, millis(tx.Now()))
}

func exec(tx *eventlog.Tx, query string, args ...any) error {
	_, err := tx.Exec(query, args...)
	return err
}

// key is how a hash is written in the tables.
func key(hash []byte) string { return hex.EncodeToString(hash) }

func list(items []string) string { return strings.Join(items, " ") }

// millis is how a time is written in the tables; 0 is the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
