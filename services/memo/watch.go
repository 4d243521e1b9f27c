package memo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// heartbeat is how often a stream of WatchMemos says that it is alive, as the proto file states it.
const heartbeat = 30 * time.Second

// How many changes are read at a time, and how large their texts may be together, in bytes: more is not in memory, however
// slowly they are received.
const (
	changesAtOnce = 100
	changedBytes  = 256 << 10
)

// bookmark is where somebody is in the changes of an account: at the one that the log has at a position.
type bookmark struct {
	position int64
	// mark tells the event there from another that has its position in another log, such as one that went on from a backup;
	// empty at position 0, where there is none.
	mark string
}

// bookmarkAt is the bookmark of a memo's event.
func bookmarkAt(position int64, id string, revision int64, at time.Time) bookmark {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", stream(id), revision, at.UnixMilli()))
	return bookmark{position, hex.EncodeToString(sum[:6])}
}

func (p bookmark) String() string {
	return strings.TrimSuffix(strconv.FormatInt(p.position, 10)+"-"+p.mark, "-")
}

// parseBookmark gives the beginning for an empty text.
func parseBookmark(s string) (p bookmark, err error) {
	if s == "" {
		return bookmark{}, nil
	}
	position, mark, _ := strings.Cut(s, "-")
	p.position, err = strconv.ParseInt(position, 10, 64)
	p.mark = mark
	if err != nil || p.position < 0 || (p.position == 0) != (mark == "") || p.String() != s {
		return bookmark{}, invalid("after is not a position that was given out; leave it out to begin with all memos there are")
	}
	return p, nil
}

// verify says whether the log has the event that the bookmark names.
func (s *Service) verify(ctx context.Context, p bookmark) error {
	if p.position == 0 {
		return nil
	}
	r, ok, err := s.log.At(ctx, p.position)
	if err != nil {
		return err
	}
	id, isMemo := strings.CutPrefix(r.Stream, kindName+"/")
	if !ok || !isMemo || bookmarkAt(r.Position, id, r.Version, r.Time) != p {
		return &fault{ErrPosition, "this server does not have the position that after names, as after it was restored from a backup; forget what you have stored and begin again without a position"}
	}
	return nil
}

// WatchMemos tells the changes to the caller's memos.
func (s *Service) WatchMemos(ctx context.Context, req *memov1.WatchMemosRequest, stream memov1connect.MemoServiceWatchMemosServerStream) error {
	caller := rpc.CallerFrom(ctx)
	if req.GetNewOnly() && req.GetAfter() != "" {
		return invalid("new_only begins with the next change; leave it out to go on after a position")
	}
	at, err := parseBookmark(req.GetAfter())
	if err != nil {
		return err
	}
	if err := s.verify(ctx, at); err != nil {
		return err
	}
	changed, leave, err := s.watchers.enter(caller.AccountID)
	if err != nil {
		return err
	}
	defer leave()
	if req.GetNewOnly() {
		if at, err = s.lastBookmark(ctx, caller.AccountID); err != nil {
			return err
		}
	}
	w := watch{service: s, accountID: caller.AccountID, stream: stream, at: at}
	tick := time.NewTicker(s.heartbeat)
	defer tick.Stop()
	for beat := true; ; {
		if err := w.tell(ctx); err != nil {
			return err
		}
		if beat {
			if err := stream.Send(&memov1.WatchMemosResponse{Position: w.at.String()}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			beat = true
		case <-changed:
			beat = false
		}
	}
}

// watch is one stream of WatchMemos on its way.
type watch struct {
	service   *Service
	accountID string
	stream    memov1connect.MemoServiceWatchMemosServerStream
	// at is the bookmark of the last change that was told.
	at bookmark
}

// tell sends the changes that there are.
func (w *watch) tell(ctx context.Context) error {
	for {
		changes, err := w.service.changesAfter(ctx, w.accountID, w.at.position)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return nil
		}
		for _, c := range changes {
			w.at = bookmarkAt(c.position, c.id, c.revision, c.updateTime)
			if err := w.stream.Send(w.service.told(c, w.at)); err != nil {
				return err
			}
		}
	}
}

func (s *Service) told(r row, at bookmark) *memov1.WatchMemosResponse {
	if r.purged {
		return &memov1.WatchMemosResponse{Position: at.String(), Change: &memov1.WatchMemosResponse_PurgedId{PurgedId: r.id}}
	}
	return &memov1.WatchMemosResponse{Position: at.String(), Change: &memov1.WatchMemosResponse_Memo{Memo: s.addressed(r.state)}}
}

// selectPurged has the columns of selectRow.
const selectPurged = "SELECT 0, id, account, revision, 0, time, NULL, 0, '', '', '', '', '', '', position FROM memo_purged"

// changesAfter gives the account's memos whose last change is after a position, in the order of these changes, as many as
// are read at a time. Of a purged one there is only its id.
func (s *Service) changesAfter(ctx context.Context, accountID string, position int64) (changes []row, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		account, err := accountNumber(q, accountID)
		if err != nil {
			return err
		}
		const after = " WHERE account = ?1 AND position > ?2"
		rows, err := q.Query(selectRow+after+" UNION ALL "+selectPurged+after+" ORDER BY position LIMIT ?3", account, position, changesAtOnce)
		if err != nil {
			return fmt.Errorf("read changes: %w", err)
		}
		defer rows.Close()
		for size := 0; size < changedBytes && rows.Next(); {
			r, err := scanRow(rows)
			if err != nil {
				return fmt.Errorf("read changes: %w", err)
			}
			r.purged = r.n == 0
			size += len(r.body)
			changes = append(changes, r)
		}
		return rows.Err()
	})
	return changes, err
}

// lastBookmark is the bookmark of the account's last change.
func (s *Service) lastBookmark(ctx context.Context, accountID string) (at bookmark, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		account, err := accountNumber(q, accountID)
		if err != nil {
			return err
		}
		for _, query := range []string{
			"SELECT position, id, revision, update_time FROM memos WHERE account = ? ORDER BY position DESC LIMIT 1",
			"SELECT position, id, revision, time FROM memo_purged WHERE account = ? ORDER BY position DESC LIMIT 1",
		} {
			rows, err := q.Query(query, account)
			if err != nil {
				return fmt.Errorf("find the last change: %w", err)
			}
			defer rows.Close()
			if rows.Next() {
				var position, revision, ms int64
				var id string
				if err := rows.Scan(&position, &id, &revision, &ms); err != nil {
					return fmt.Errorf("find the last change: %w", err)
				}
				if position > at.position {
					at = bookmarkAt(position, id, revision, fromMillis(ms))
				}
			}
			if err := rows.Err(); err != nil {
				return fmt.Errorf("find the last change: %w", err)
			}
		}
		return nil
	})
	return at, err
}

// keepFollowing follows until ctx is done or the log stops. Trouble is logged and does not end it.
func (s *Service) keepFollowing(ctx context.Context) {
	position := s.begun
	for {
		var err error
		position, err = s.follow(ctx, position)
		if ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed) {
			return
		}
		s.logger.ErrorContext(ctx, "changes not followed", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// follow wakes those who watch an account whenever its memos have changed after a position. It returns how far it came.
func (s *Service) follow(ctx context.Context, position int64) (int64, error) {
	for {
		if err := s.log.Wait(ctx, position); err != nil {
			return position, err
		}
		// In this order: whoever enters after there was nobody reads what was there before.
		last := s.log.Last()
		if !s.watchers.any() {
			position = last
			continue
		}
		for r, err := range s.log.After(ctx, position) {
			if err != nil {
				return position, err
			}
			position = r.Position
			if e, ok := r.Event.(*memov1.MemoEvent); ok {
				s.watchers.wake(e.GetAccountId())
			}
		}
		select {
		case <-ctx.Done():
			return position, ctx.Err()
		case <-time.After(followPause):
		}
	}
}
