package memo

import (
	"context"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/rpc"
)

// ListCategories lists the categories that memos outside the trash are in.
func (s *Service) ListCategories(ctx context.Context, req *memov1.ListCategoriesRequest) (*memov1.ListCategoriesResponse, error) {
	caller := rpc.CallerFrom(ctx)
	list := listOf(caller.AccountID, &memov1.ListCategoriesRequest{})
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	size := maxPageSize
	if req.GetPageSize() > 0 {
		size = pageSize(req.GetPageSize())
	}
	var c clause
	c.and("account = (SELECT account FROM memo_accounts WHERE account_id = ?)", caller.AccountID)
	c.and("memo_count > 0")
	if after != nil {
		c.and("(-memo_count, name) > (-?, ?)", after.N, after.ID)
	}
	res := &memov1.ListCategoriesResponse{}
	return res, s.alone(ctx, func(q querier) error {
		rows, err := scanAll(q, scanCategory, "SELECT name, memo_count FROM memo_categories WHERE "+c.sql.String()+" ORDER BY memo_count DESC, name LIMIT ?", append(c.args, size+1)...)
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			last := rows[size-1]
			res.NextPageToken = cursor{For: list, N: int64(last.GetMemoCount()), ID: last.GetName()}.token()
		}
		res.Categories = rows
		return nil
	})
}

func scanCategory(from interface{ Scan(...any) error }) (*memov1.Category, error) {
	c := &memov1.Category{}
	return c, from.Scan(&c.Name, &c.MemoCount)
}
