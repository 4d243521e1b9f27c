package memo

import (
	"context"
	"fmt"
)

// alone is snapshot for an fn that makes one query. That sees the read model at one moment by itself, and a transaction
// around it would cost half as much again.
func (s *Service) alone(ctx context.Context, fn func(q querier) error) error {
	conn, err := s.log.DB().Conn(ctx)
	if err != nil {
		return fmt.Errorf("read memos: %w", err)
	}
	defer conn.Close()
	return fn(querier{context.WithoutCancel(ctx), conn})
}
