package oauth

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	// deviceLife is how long a person has to answer and the device to fetch its tokens. The code that the person types is
	// short, so this is too (RFC 8628, sections 5.1 and 6.1).
	deviceLife = 10 * time.Minute
	// deviceMemory is how much longer a device is told that its code has expired, and not that there is none.
	deviceMemory = time.Hour
)

// devicesSchema holds the requests of devices, each by the grant that it becomes. Answered ones stay until they are
// forgotten with the rest, so that a code is used once.
const devicesSchema = `
CREATE TABLE oauth_devices (
	grant_id TEXT PRIMARY KEY,
	device_code_hash BLOB NOT NULL,
	user_code_hash BLOB NOT NULL,
	client_id TEXT NOT NULL,
	resource TEXT NOT NULL,
	scopes TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	answer INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX oauth_devices_by_code ON oauth_devices (device_code_hash);
CREATE INDEX oauth_devices_by_user_code ON oauth_devices (user_code_hash);
CREATE INDEX oauth_devices_by_expiry ON oauth_devices (expires_at);
`

// deviceAnswer says how far a device's request has come.
type deviceAnswer int

const (
	deviceWaits deviceAnswer = iota
	deviceAllowed
	deviceDenied
	deviceServed // it has its tokens
)

// device is what decisions need to know of a device's request.
type device struct {
	grantID, clientID, resource string
	requested                   []string // scopes
	expires                     time.Time
	answer                      deviceAnswer
	// What the person allowed, and whether that has ended; nothing before the answer.
	granted []string
	revoked bool
}

// deviceKey is a column that a device's request is found by.
type deviceKey string

const (
	byGrant    deviceKey = "d.grant_id"
	byCode     deviceKey = "d.device_code_hash"
	byUserCode deviceKey = "d.user_code_hash"
)

// loadDevice finds a device's request, the last of those that had the same user code; errAbsent when there is none.
func loadDevice(find finder, by deviceKey, value any) (device, error) {
	var d device
	var requested, granted string
	var expires int64
	err := find(`SELECT d.grant_id, d.client_id, d.resource, d.scopes, d.expires_at, d.answer, coalesce(g.scopes, ''), coalesce(g.revoked, 0)
		FROM oauth_devices d LEFT JOIN oauth_grants g ON g.id = d.grant_id
		WHERE `+string(by)+` = ? ORDER BY d.expires_at DESC LIMIT 1`, value).
		Scan(&d.grantID, &d.clientID, &d.resource, &requested, &expires, &d.answer, &granted, &d.revoked)
	if err != nil {
		return device{}, absent("find the device's request", err)
	}
	d.requested, d.granted, d.expires = strings.Fields(requested), strings.Fields(granted), fromMillis(expires)
	return d, nil
}

// unanswerable says why a person cannot answer a device's request; nil when they can.
func (d device) unanswerable(now time.Time) error {
	switch {
	case !now.Before(d.expires):
		return errTransaction
	case d.answer != deviceWaits:
		return errAnswered
	}
	return nil
}

// fetching is a device's wish to exchange its code. Its resource, if any, is canonical.
type fetching struct {
	clientID, resource   string
	codeHash, accessHash []byte
	refreshHash          []byte // nil when the client uses no refresh tokens
}

// fetch decides about a device code (RFC 8628, section 3.5). A code that comes again after its tokens is refused and no
// more: devices ask again and again, and may have asked twice before the answer came.
func fetch(d device, f fetching, now time.Time, l Lifetimes) verdict {
	switch {
	case d.clientID != f.clientID || d.answer == deviceServed || d.revoked:
		return refuse(errDeviceCode)
	case !now.Before(d.expires):
		return refuse(errDeviceExpired)
	case f.resource != "" && f.resource != d.resource:
		return refuse(errTarget)
	case d.answer == deviceWaits:
		return refuse(errPending)
	case d.answer == deviceDenied:
		return refuse(errAccessDenied)
	}
	end := now.Add(l.Grant)
	event := &oauthv1.DeviceCodeRedeemed{
		DeviceCodeHash:  f.codeHash,
		AccessToken:     newAccess(f.accessHash, d.granted, now, end, l),
		GrantExpireTime: timestamppb.New(end),
	}
	if f.refreshHash != nil {
		event.RefreshToken = newRefresh(f.refreshHash, now, end, l)
	}
	return verdict{
		events:      []*oauthv1.GrantEvent{deviceCodeRedeemed(event)},
		scopes:      d.granted,
		expiresIn:   seconds(event.GetAccessToken(), now),
		withRefresh: f.refreshHash != nil,
	}
}

// applyDeviceRequested remembers a request, and forgets those that are over.
func applyDeviceRequested(tx *eventlog.Tx, id string, e *oauthv1.DeviceAuthorizationRequested, now time.Time) error {
	if err := exec(tx, `DELETE FROM oauth_devices WHERE expires_at <= ?`, millis(now.Add(-deviceMemory))); err != nil {
		return err
	}
	return exec(tx, `INSERT INTO oauth_devices (grant_id, device_code_hash, user_code_hash, client_id, resource, scopes, expires_at, answer)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, id, e.GetDeviceCodeHash(), e.GetUserCodeHash(), e.GetClientId(), e.GetResource(),
		list(e.GetRequestedScopes()), millis(e.GetExpireTime().AsTime()), deviceWaits)
}

// applyDeviceAnswer remembers how far the request behind a grant has come, if a device's is.
func applyDeviceAnswer(tx *eventlog.Tx, id string, answer deviceAnswer) error {
	return exec(tx, `UPDATE oauth_devices SET answer = ? WHERE grant_id = ?`, answer, id)
}

func applyDeviceRedeemed(tx *eventlog.Tx, id string, e *oauthv1.DeviceCodeRedeemed, now time.Time) error {
	if err := applyDeviceAnswer(tx, id, deviceServed); err != nil {
		return err
	}
	return applyFirstTokens(tx, id, e.GetAccessToken(), e.GetRefreshToken(), e.GetGrantExpireTime(), now)
}
