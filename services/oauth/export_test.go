package oauth

import "time"

// NewRefreshToken makes a token as the server does, and what is stored of it.
func NewRefreshToken(now time.Time) (token string, hash []byte) {
	token = newToken(refreshPrefix, now)
	return token, hashToken(token)
}
