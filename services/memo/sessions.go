package memo

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

// maxSessionID is how many characters a source's name for a session may have.
const maxSessionID = 200

// checkSessionID trims one name of a session.
func checkSessionID(name, s string) (string, error) {
	s, err := oneLine(name, s)
	if err != nil {
		return "", err
	}
	if !visible(s) {
		return "", invalid("%s is empty; leave it out", name)
	}
	if n := len([]rune(s)); n > maxSessionID {
		return "", invalid("%s is %d characters, at most %d", name, n, maxSessionID)
	}
	return s, nil
}

// MarkProcessedSessions says that sessions were reviewed.
func (s *Service) MarkProcessedSessions(ctx context.Context, req *memov1.MarkProcessedSessionsRequest) (*memov1.MarkProcessedSessionsResponse, error) {
	caller := rpc.CallerFrom(ctx)
	res := &memov1.MarkProcessedSessionsResponse{}
	var ids []string
	for i, id := range req.GetSessionIds() {
		result := &memov1.MarkSessionResult{Index: int32(i)} //nolint:gosec // at most 100
		res.Results = append(res.Results, result)
		id, err := checkSessionID(fmt.Sprintf("session_ids[%d]", i), id)
		if err != nil {
			result.Error = &toolv1.ItemError{Code: connect.CodeInvalidArgument.String(), Message: err.Error()}
			continue
		}
		ids = append(ids, id)
	}
	return once(ctx, s, req, func(tx *eventlog.Tx) (*memov1.MarkProcessedSessionsResponse, error) {
		return res, markProcessed(tx, caller, req.GetSource(), ids)
	})
}

// markProcessed records the sessions that were not reviewed before.
func markProcessed(tx *eventlog.Tx, caller rpc.Caller, source string, ids []string) error {
	known, err := scanAll(tx, scanID, "SELECT session_id FROM capture_sessions WHERE account_id = ? AND source = ? AND session_id IN (SELECT value FROM json_each(?))",
		caller.AccountID, source, jsonArray(ids))
	if err != nil {
		return err
	}
	return recordCapture(tx, caller, processed(source, ids, known))
}

// processed decides which sessions to record as reviewed. It returns nil when all are known to be.
func processed(source string, ids, known []string) *memov1.CaptureEvent {
	rest := slices.DeleteFunc(unique(ids), func(id string) bool { return slices.Contains(known, id) })
	if len(rest) == 0 {
		return nil
	}
	return &memov1.CaptureEvent{Event: &memov1.CaptureEvent_SessionsProcessed{SessionsProcessed: &memov1.SessionsProcessed{Source: source, SessionIds: rest}}}
}

// sessionRow is a reviewed session in the read model.
type sessionRow struct {
	n             int64
	source, id    string
	processMillis int64
}

func scanSession(from interface{ Scan(...any) error }) (r sessionRow, err error) {
	err = from.Scan(&r.n, &r.source, &r.id, &r.processMillis)
	return r, err
}

// ListProcessedSessions lists the sessions that were reviewed.
func (s *Service) ListProcessedSessions(ctx context.Context, req *memov1.ListProcessedSessionsRequest) (*memov1.ListProcessedSessionsResponse, error) {
	caller := rpc.CallerFrom(ctx)
	rest := proto.CloneOf(req)
	rest.PageSize, rest.PageToken = 0, ""
	list := listOf(caller.AccountID, rest)
	after, err := parseCursor(req.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	var c clause
	c.and("account_id = ?", caller.AccountID)
	if req.GetSource() != "" {
		c.and("source = ?", req.GetSource())
	}
	if len(req.GetSessionIds()) > 0 {
		c.and("session_id IN (SELECT value FROM json_each(?))", jsonArray(req.GetSessionIds()))
	}
	if after != nil {
		c.and("n < ?", after.N)
	}
	size := pageSize(req.GetPageSize())
	res := &memov1.ListProcessedSessionsResponse{}
	return res, s.alone(ctx, func(q querier) error {
		rows, err := scanAll(q, scanSession, "SELECT n, source, session_id, process_time FROM capture_sessions WHERE "+c.sql.String()+" ORDER BY n DESC LIMIT ?",
			append(c.args, size+1)...)
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			res.NextPageToken = cursor{For: list, N: rows[size-1].n}.token()
		}
		for _, r := range rows {
			res.Sessions = append(res.Sessions, &memov1.ProcessedSession{
				Source: r.source, SessionId: r.id, ProcessTime: timestamppb.New(fromMillis(r.processMillis)),
			})
		}
		return nil
	})
}
