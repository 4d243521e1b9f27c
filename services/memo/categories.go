package memo

import (
	"context"
	"fmt"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/rpc"
)

// ListCategories lists the categories that memos outside the trash are in.
func (s *Service) ListCategories(ctx context.Context, _ *memov1.ListCategoriesRequest) (*memov1.ListCategoriesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	rows, err := s.log.DB().QueryContext(ctx, `SELECT name, memo_count FROM memo_categories
		WHERE account = (SELECT account FROM memo_accounts WHERE account_id = ? AND erased = 0) AND memo_count > 0
		ORDER BY memo_count DESC, name`, caller.AccountID)
	if err != nil {
		return nil, fmt.Errorf("list categories: %w", err)
	}
	defer rows.Close()
	res := &memov1.ListCategoriesResponse{}
	for rows.Next() {
		c := &memov1.Category{}
		if err := rows.Scan(&c.Name, &c.MemoCount); err != nil {
			return nil, fmt.Errorf("list categories: %w", err)
		}
		res.Categories = append(res.Categories, c)
	}
	return res, rows.Err()
}
