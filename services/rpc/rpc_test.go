package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/rpc"
)

// tokens is an Authenticator that knows a few tokens by heart.
type tokens map[string]rpc.Caller

func (t tokens) Authenticate(_ context.Context, token string) (rpc.Caller, error) {
	if token == "broken" {
		return rpc.Caller{}, errors.New("database is locked: secret dsn")
	}
	c, ok := t[token]
	if !ok {
		return rpc.Caller{}, rpc.ErrUnauthenticated
	}
	return c, nil
}

// memos answers with whatever the test wants.
type memos struct {
	memov1connect.UnimplementedMemoServiceHandler
	search func(ctx context.Context) error
}

func (m memos) SearchMemos(ctx context.Context, _ *memov1.SearchMemosRequest) (*memov1.SearchMemosResponse, error) {
	return &memov1.SearchMemosResponse{}, m.search(ctx)
}

func (m memos) UpdateMemo(context.Context, *memov1.UpdateMemoRequest) (*memov1.UpdateMemoResponse, error) {
	return &memov1.UpdateMemoResponse{}, nil
}

var errGone = errors.New("memo_x not found; search first")

func call(t *testing.T, authorization []string, handler func(context.Context) error, do func(context.Context, memov1connect.MemoServiceClient) error) (logs string, err error) {
	t.Helper()
	var written bytes.Buffer
	server := rpc.NewServer(rpc.Config{
		Auth: tokens{
			"reader": {AccountID: "acct_1", Scopes: []string{"paput.read"}},
			"writer": {AccountID: "acct_1", Scopes: []string{"paput.write"}},
			"nobody": {ClientID: "client_1", Scopes: []string{"paput.write"}},
		},
		Log: slog.New(slog.NewTextHandler(&written, nil)),
		Codes: []rpc.Codes{func(err error) (connect.Code, bool) {
			return connect.CodeNotFound, errors.Is(err, errGone)
		}},
	})
	memov1connect.RegisterMemoServiceHandler(server, memos{search: handler})
	ctx, info := connect.NewClientContext(t.Context())
	if authorization != nil {
		info.RequestHeader().SetValues("Authorization", authorization)
	}
	err = do(ctx, memov1connect.NewMemoServiceClient(connect.NewClient(connectinprocess.New(server), rpc.Refusals)))
	return written.String(), err
}

func search(ctx context.Context, c memov1connect.MemoServiceClient) error {
	_, err := c.SearchMemos(ctx, &memov1.SearchMemosRequest{})
	return err
}

func update(ctx context.Context, c memov1connect.MemoServiceClient) error {
	_, err := c.UpdateMemo(ctx, &memov1.UpdateMemoRequest{Id: "memo_x"})
	return err
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	fine := func(context.Context) error { return nil }
	for _, test := range []struct {
		name          string
		authorization []string
		do            func(context.Context, memov1connect.MemoServiceClient) error
		want          connect.Code
	}{
		{name: "a reader reads", authorization: []string{"Bearer reader"}, do: search},
		{name: "the scheme's case does not matter", authorization: []string{"bearer reader"}, do: search},
		{name: "a writer reads, because writing implies it", authorization: []string{"Bearer writer"}, do: search},
		{name: "a writer writes", authorization: []string{"Bearer writer"}, do: update},
		{name: "a reader does not write", authorization: []string{"Bearer reader"}, do: update, want: connect.CodePermissionDenied},
		{name: "a service without an account does not read", authorization: []string{"Bearer nobody"}, do: search, want: connect.CodePermissionDenied},
		{name: "nor write", authorization: []string{"Bearer nobody"}, do: update, want: connect.CodePermissionDenied},
		{name: "no token", do: search, want: connect.CodeUnauthenticated},
		{name: "an unknown token", authorization: []string{"Bearer other"}, do: search, want: connect.CodeUnauthenticated},
		{name: "another scheme", authorization: []string{"Basic reader"}, do: search, want: connect.CodeUnauthenticated},
		{name: "two tokens", authorization: []string{"Bearer reader", "Bearer writer"}, do: search, want: connect.CodeUnauthenticated},
		{name: "an empty token", authorization: []string{"Bearer "}, do: search, want: connect.CodeUnauthenticated},
		{name: "the tokens cannot be looked up", authorization: []string{"Bearer broken"}, do: search, want: connect.CodeInternal},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := call(t, test.authorization, fine, test.do)
			if err == nil && test.want != 0 || err != nil && connect.CodeOf(err) != test.want {
				t.Errorf("got %v, want code %v", err, test.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		handler  func(context.Context) error
		wantCode connect.Code
		wantText string
		wantLog  string
	}{
		{
			name:     "a domain error keeps its text",
			handler:  func(context.Context) error { return errGone },
			wantCode: connect.CodeNotFound, wantText: "memo_x not found; search first",
		},
		{
			name:     "an unknown error leaves without its text and is logged",
			handler:  func(context.Context) error { return errors.New("disk I/O error: /secret/path") },
			wantCode: connect.CodeInternal, wantText: "internal error", wantLog: "/secret/path",
		},
		{
			name:     "a panic leaves without its text and is logged",
			handler:  func(context.Context) error { panic("secret dsn") },
			wantCode: connect.CodeInternal, wantText: "internal error", wantLog: "secret dsn",
		},
		{
			name:     "a cancelled call is no fault of the server",
			handler:  func(context.Context) error { return context.Canceled },
			wantCode: connect.CodeCanceled, wantText: "the call was cancelled",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs, err := call(t, []string{"Bearer reader"}, test.handler, search)
			var e *connect.Error
			if !errors.As(err, &e) || e.Code() != test.wantCode || e.Message() != test.wantText {
				t.Errorf("got %v, want %v: %s", err, test.wantCode, test.wantText)
			}
			if !strings.Contains(logs, test.wantLog) || test.wantLog == "" && logs != "" {
				t.Errorf("got log %q, want it to contain %q", logs, test.wantLog)
			}
		})
	}
}

func TestCallerReachesTheHandler(t *testing.T) {
	t.Parallel()
	var got rpc.Caller
	_, err := call(t, []string{"Bearer reader"}, func(ctx context.Context) error {
		got = rpc.CallerFrom(ctx)
		return nil
	}, search)
	if err != nil || got.AccountID != "acct_1" {
		t.Errorf("got caller %+v, error %v, want account acct_1", got, err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		msg  *memov1.UpdateMemoRequest
		want string
	}{
		{name: "fine", msg: &memov1.UpdateMemoRequest{Id: "memo_x", Title: strings.Repeat("認", 200)}},
		{name: "missing", msg: &memov1.UpdateMemoRequest{}, want: "id is required"},
		{name: "too long, counted in characters", msg: &memov1.UpdateMemoRequest{Id: "memo_x", Title: strings.Repeat("認", 201)}, want: "title is 201 characters, at most 200"},
		{name: "outside the list", msg: &memov1.UpdateMemoRequest{Id: "memo_x", MemoTypes: []string{"decision", "idea"}}, want: `memo_types[1] is "idea", must be one of knowledge, decision, operation, principle`},
		{name: "too many", msg: &memov1.UpdateMemoRequest{Id: "memo_x", Categories: make([]string, 21)}, want: "categories has 21 items, at most 20"},
		{name: "not UTF-8", msg: &memov1.UpdateMemoRequest{Id: "memo_x", Title: "\xff"}, want: "title is not valid UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := rpc.Validate(test.msg); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if err := rpc.Validate(&memov1.SearchMemosRequest{PageSize: 101}); err == nil || err.Error() != "page_size is 101, at most 100" {
		t.Errorf("got %v, want a refusal of page_size", err)
	}
	if err := rpc.Validate(&memov1.SearchMemosRequest{PageSize: -1}); err == nil || err.Error() != "page_size is -1, at least 0" {
		t.Errorf("got %v, want a refusal of page_size", err)
	}
	for n, want := range map[float64]string{-0.5: "confidence is -0.5, at least 0", 1.01: "confidence is 1.01, at most 1", math.NaN(): "confidence is NaN, at least 0"} {
		if err := rpc.Validate(&memov1.CandidateDraft{Title: "x", Confidence: &n}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, n := range []float64{0, 0.5, 1} {
		if err := rpc.Validate(&memov1.CandidateDraft{Title: "x", Confidence: &n}); err != nil {
			t.Errorf("a confidence of %v: got %v, want nil", n, err)
		}
	}
	if err := rpc.Validate(&memov1.DeleteMemosRequest{Ids: []string{"memo_x", ""}}); err == nil || err.Error() != "ids[1] is empty" {
		t.Errorf("got %v, want a refusal of ids[1]", err)
	}
	if err := rpc.Validate(&memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{}}}); err != nil {
		t.Errorf("got %v, want nil: items that stand alone are left to the service", err)
	}
}
