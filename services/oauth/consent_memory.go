package oauth

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// A person who allowed an app something is not asked again when it wants no more than that, for a while. What counts is
// their last answer to a question that they saw: a later one takes its place, and a no takes it away. So does the end of
// any grant that the app has of them. Something may have been stolen; and if the app gave it back, the person has logged
// out or disconnected it, and an app that could come back without a word would make nothing of that.
//
// The answer is about one app, as it described itself, one host that the code goes to and one resource. It is never
// remembered for a redirect URI that any program on the person's computer could be behind (RFC 8252, section 8.6).
const consentSchema = `
CREATE TABLE oauth_consents (
	account_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	redirect_host TEXT NOT NULL,
	resource TEXT NOT NULL,
	client_digest TEXT NOT NULL,
	scopes TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	PRIMARY KEY (account_id, client_id, redirect_host, resource)
) WITHOUT ROWID;
CREATE INDEX oauth_consents_by_client ON oauth_consents (client_id);
CREATE INDEX oauth_consents_by_expiry ON oauth_consents (expires_at);
`

// consentMemory is how long an answer is remembered. Being remembered does not prolong it.
const consentMemory = 90 * 24 * time.Hour

// errForgotten says that no answer is remembered that would do for a request.
var errForgotten = errors.New("no consent is remembered")

// recall answers a request as the person answered one like it before, and returns the code. When it has to be asked, why
// says what a client that wanted no page is told. A client learns that a sign-in is too old only if it was allowed what it
// wants: others could find out with a series of requests when the person signed in.
func (s *Server) recall(ctx context.Context, t transaction, p Person) (code string, why *refusal, err error) {
	if t.Ask {
		return "", errInteraction, nil
	}
	// Most are not remembered, and need not wait for a transaction to find out.
	committed := func(query string, args ...any) row { return s.log.DB().QueryRowContext(ctx, query, args...) }
	err = checkRemembered(committed, t, p.AccountID, s.now())
	if err == nil && p.AuthTime.Before(t.FreshSince) {
		return "", errLoginRequired, nil
	}
	if err == nil {
		code, err = s.allow(ctx, t, p, t.Scopes, func(tx *eventlog.Tx) error {
			decided := func(query string, args ...any) row { return tx.QueryRow(query, args...) }
			return checkRemembered(decided, t, p.AccountID, tx.Now())
		})
	}
	if errors.Is(err, errForgotten) {
		return "", errInteraction, nil
	}
	return code, nil, err
}

// checkRemembered returns errForgotten unless the account has allowed the client of a request what it asks for.
func checkRemembered(find finder, t transaction, accountID string, now time.Time) error {
	host, ok := rememberedHost(t.RedirectURI)
	if !ok {
		return errForgotten
	}
	var digest, scopes string
	err := find(`SELECT client_digest, scopes FROM oauth_consents
		WHERE account_id = ? AND client_id = ? AND redirect_host = ? AND resource = ? AND expires_at > ?`,
		accountID, t.ClientID, host, t.Resource, millis(now)).Scan(&digest, &scopes)
	if errors.Is(err, sql.ErrNoRows) {
		return errForgotten
	}
	if err != nil {
		return fmt.Errorf("find a remembered consent: %w", err)
	}
	if !covers(strings.Fields(scopes), t.Scopes) || digest != key(t.ClientDigest) {
		return errForgotten
	}
	return nil
}

// covers says whether everything that is asked for was allowed, or is implied by what was.
func covers(allowed, asked []string) bool {
	c := rpc.Caller{Scopes: allowed}
	return !slices.ContainsFunc(asked, func(scope string) bool { return !c.Has(scope) })
}

// rememberedHost returns the host by which a redirect URI is remembered; ok is false for one that never is: it leads to
// the person's own computer, or is not https.
func rememberedHost(redirectURI string) (host string, ok bool) {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "https" || u.Host == "" || isLoopback(u.Hostname()) {
		return "", false
	}
	return strings.ToLower(u.Host), true
}

// isSameAddress says whether a client's hint is the e-mail address of the person.
func isSameAddress(hint, email string) bool { return strings.EqualFold(strings.TrimSpace(hint), email) }

// digest is what a person is shown of an app with a metadata document, and the redirect URIs that they trust it for.
func (c *client) digest() []byte {
	b, err := json.Marshal([]any{c.name, c.redirectURIs})
	if err != nil {
		panic("oauth: " + err.Error()) // strings are always JSON
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// rememberConsent keeps a person's answer in place of the one before, and drops those that are over.
func rememberConsent(tx *eventlog.Tx, c *oauthv1.ConsentGranted, now time.Time) error {
	host, ok := rememberedHost(c.GetRedirectUri())
	if !ok || c.GetRemembered() {
		return nil
	}
	if err := exec(tx, `DELETE FROM oauth_consents WHERE expires_at <= ?`, millis(now)); err != nil {
		return err
	}
	return exec(tx, `INSERT OR REPLACE INTO oauth_consents
		(account_id, client_id, redirect_host, resource, client_digest, scopes, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		c.GetAccountId(), c.GetClientId(), host, c.GetResource(), key(c.GetClientDigest()), list(c.GetScopes()),
		millis(now.Add(consentMemory)))
}

// forgetConsents drops all that an account has allowed a client.
func forgetConsents(tx *eventlog.Tx, accountID, clientID string) error {
	return exec(tx, `DELETE FROM oauth_consents WHERE account_id = ? AND client_id = ?`, accountID, clientID)
}

// forgetConsentsOf drops all that the account of a grant has allowed its client.
func forgetConsentsOf(tx *eventlog.Tx, grantID string) error {
	return exec(tx, `DELETE FROM oauth_consents
		WHERE (account_id, client_id) IN (SELECT account_id, client_id FROM oauth_grants WHERE id = ?)`, grantID)
}

// forgetClient drops all that anyone has allowed a client.
func forgetClient(tx *eventlog.Tx, clientID string) error {
	return exec(tx, `DELETE FROM oauth_consents WHERE client_id = ?`, clientID)
}
