package oauth

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/paput/paput/services/eventlog"
)

// errAbsent is returned when what was looked for is not there.
var errAbsent = errors.New("not found")

const grantColumns = `g.id, g.client_id, g.redirect_uri, g.resource, g.scopes, g.expires_at, g.revoked`

// grantRow reads grantColumns.
type grantRow struct {
	grant   grant
	scopes  string
	expires int64
}

func (r *grantRow) columns() []any {
	g := &r.grant
	return []any{&g.id, &g.clientID, &g.redirectURI, &g.resource, &r.scopes, &r.expires, &g.revoked}
}

func (r *grantRow) read() grant {
	r.grant.scopes = strings.Fields(r.scopes)
	r.grant.expires = fromMillis(r.expires)
	return r.grant
}

// loadCode finds a code by its hash; errAbsent when there is none.
func loadCode(tx *eventlog.Tx, hash []byte) (code, error) {
	var row grantRow
	var c code
	var challenge string
	var expires int64
	err := tx.QueryRow(`SELECT c.challenge, c.expires_at, c.spent, `+grantColumns+`
		FROM oauth_codes c JOIN oauth_grants g ON g.id = c.grant_id WHERE c.hash = ?`, hash).
		Scan(append([]any{&challenge, &expires, &c.spent}, row.columns()...)...)
	if err != nil {
		return code{}, absent("find the code", err)
	}
	if c.challenge, err = hex.DecodeString(challenge); err != nil {
		return code{}, fmt.Errorf("find the code: %w", err)
	}
	c.grant, c.expires = row.read(), fromMillis(expires)
	return c, nil
}

// loadRefresh finds a refresh token by its hash; errAbsent when there is none.
func loadRefresh(tx *eventlog.Tx, hash []byte) (refreshToken, error) {
	var row grantRow
	var expires, rotated int64
	err := tx.QueryRow(`SELECT t.expires_at, t.rotated_at, `+grantColumns+`
		FROM oauth_refresh_tokens t JOIN oauth_grants g ON g.id = t.grant_id WHERE t.hash = ?`, hash).
		Scan(append([]any{&expires, &rotated}, row.columns()...)...)
	if err != nil {
		return refreshToken{}, absent("find the refresh token", err)
	}
	return refreshToken{grant: row.read(), expires: fromMillis(expires), rotated: fromMillis(rotated)}, nil
}

// loadGrantOf finds the grant that an access or refresh token belongs to; errAbsent when there is none.
func loadGrantOf(tx *eventlog.Tx, hash []byte) (grant, error) {
	var row grantRow
	err := tx.QueryRow(`SELECT `+grantColumns+` FROM oauth_grants g WHERE g.id =
		coalesce((SELECT grant_id FROM oauth_refresh_tokens WHERE hash = ?), (SELECT grant_id FROM oauth_access_tokens WHERE hash = ?))`,
		hash, hash).Scan(row.columns()...)
	if err != nil {
		return grant{}, absent("find the grant of a token", err)
	}
	return row.read(), nil
}

// liveGrants lists the grants that have a value in a column and are neither revoked nor over.
func liveGrants(tx *eventlog.Tx, column, value string) (ids []string, err error) {
	rows, err := tx.Query(`SELECT id FROM oauth_grants
		WHERE `+column+` = ? AND revoked = 0 AND (expires_at = 0 OR expires_at > ?) ORDER BY id`, value, millis(tx.Now())) // #nosec G202 -- column is ours
	if err != nil {
		return nil, fmt.Errorf("find grants by %s: %w", column, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("find grants by %s: %w", column, err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// isAnswered says whether the person has answered a request before.
func isAnswered(tx *eventlog.Tx, transactionID string) (answered bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM oauth_answers WHERE transaction_id = ?)`, transactionID).Scan(&answered)
	return answered, err
}

// absent tells the lack of a row from trouble.
func absent(attempt string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errAbsent
	}
	return fmt.Errorf("%s: %w", attempt, err)
}
