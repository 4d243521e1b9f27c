package oauth

import (
	"time"

	"github.com/paput/paput/services/eventlog"
)

// NewRefreshToken makes a token as the server does, and what is stored of it.
func NewRefreshToken(now time.Time) (token string, hash []byte) {
	token = newToken(refreshPrefix, now)
	return token, hashToken(token)
}

// IsUserCodeTaken says whether a device has the user code, as the server sees it when it draws another.
func IsUserCodeTaken(tx *eventlog.Tx, userCode string) (bool, error) {
	return isOpen(tx, hashSecret(userCode))
}
