package oauth

import (
	"context"
	"fmt"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	sweepEvery = 10 * time.Minute
	sweepBatch = 50 // clients in one transaction, so that others get their turn
)

// Run forgets clients that nobody uses, from time to time, until ctx is done. Trouble is logged and does not end it.
func (s *Server) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "expired clients not swept", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep ends the registrations that have expired, a batch at a time, until none is left or ctx is done.
func (s *Server) Sweep(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var swept int
		err := s.endClients(ctx, func(tx *eventlog.Tx) ([]string, error) {
			ids, err := s.endExpired(tx)
			swept = len(ids)
			return ids, err
		})
		if err != nil {
			return fmt.Errorf("end expired clients: %w", err)
		}
		if swept > 0 {
			s.logger.InfoContext(ctx, "clients expired", "count", swept)
		}
		if swept < sweepBatch {
			return nil
		}
	}
}

// endExpired ends a batch of those that have expired.
func (s *Server) endExpired(tx *eventlog.Tx) (ids []string, err error) {
	expired, err := expiredClients(tx, tx.Now().Add(-s.life.Unused), tx.Now().Add(-s.life.Idle))
	if err != nil {
		return nil, err
	}
	for _, c := range expired {
		if err := endClient(tx, c.id, clientExpired(c.reason), oauthv1.RevokeReason_REVOKE_REASON_CLIENT_EXPIRED); err != nil {
			return nil, err
		}
		ids = append(ids, c.id)
	}
	return ids, nil
}

// expiredClient is a client that is to end, and why.
type expiredClient struct {
	id     string
	reason oauthv1.ClientExpiry
}

// expiredClients lists at most a batch of the clients that were registered by one time and never used, or not since the
// other. When a client was last used is known to useResolution, to its favour here.
func expiredClients(tx *eventlog.Tx, registered, used time.Time) (expired []expiredClient, err error) {
	rows, err := tx.Query(`SELECT id, used_at FROM oauth_clients WHERE used_at = 0 AND registered_at <= ? AND preregistered = 0
		UNION ALL SELECT id, used_at FROM oauth_clients WHERE used_at > 0 AND used_at <= ? AND preregistered = 0 LIMIT ?`,
		millis(registered), millis(used.Add(-useResolution)), sweepBatch)
	if err != nil {
		return nil, fmt.Errorf("find expired clients: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var usedAt int64
		c := expiredClient{reason: oauthv1.ClientExpiry_CLIENT_EXPIRY_UNUSED}
		if err := rows.Scan(&c.id, &usedAt); err != nil {
			return nil, fmt.Errorf("find expired clients: %w", err)
		}
		if usedAt > 0 {
			c.reason = oauthv1.ClientExpiry_CLIENT_EXPIRY_IDLE
		}
		expired = append(expired, c)
	}
	return expired, rows.Err()
}
