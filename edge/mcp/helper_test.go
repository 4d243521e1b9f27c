package mcp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/paput/paput/edge/mcp"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/rpc"
)

// tokens are the access tokens that exist, by what they are called in tests.
const (
	aliceToken  = "paput_at_alice"
	bobToken    = "paput_at_bob"
	readerToken = "paput_at_reader"
	otherToken  = "paput_at_other_resource"
	// serviceToken speaks for no account.
	serviceToken = "paput_at_service"
	brokenToken  = "paput_at_broken"
	// captureToken may propose memos and read none.
	captureToken = "paput_at_capture"
	// oddToken would be Alice's, were it a token by its syntax.
	oddToken = "paput_at_odd token"
)

// far is the other side of the RPC boundary: canned memos, and behaviour chosen by the arguments.
type far struct {
	memov1connect.UnimplementedMemoServiceHandler
	oauthv1connect.UnimplementedOAuthServiceHandler
	grants map[string]rpc.Caller
	// updated receives each UpdateMemo.
	updated chan *memov1.UpdateMemoRequest
	// saved receives each SaveCandidates.
	saved chan *memov1.SaveCandidatesRequest
	// changed has ids of memos that change; nil for none ever.
	changed chan string
	// down makes WatchMemos fail at once, and dead say nothing at all.
	down, dead atomic.Bool
	// revoked, when closed, makes every token unknown.
	revoked chan struct{}
}

func grants() map[string]rpc.Caller {
	const resource = "http://localhost:8080"
	return map[string]rpc.Caller{
		aliceToken:   {AccountID: "acct_alice", Scopes: []string{"paput.read", "paput.write"}, Resource: resource},
		oddToken:     {AccountID: "acct_alice", Scopes: []string{"paput.read"}, Resource: resource},
		bobToken:     {AccountID: "acct_bob", Scopes: []string{"paput.write"}, Resource: resource + "/mcp"},
		readerToken:  {AccountID: "acct_reader", Scopes: []string{"paput.read"}, Resource: resource + "/"},
		captureToken: {AccountID: "acct_capture", Scopes: []string{"paput.capture"}, Resource: resource},
		serviceToken: {ClientID: "client_service", Scopes: []string{"paput.read"}, Resource: resource},
		otherToken:   {AccountID: "acct_other", Scopes: []string{"paput.write"}, Resource: "https://elsewhere.example"},
	}
}

// Authenticate implements rpc.Authenticator.
func (f *far) Authenticate(_ context.Context, token string) (rpc.Caller, error) {
	select {
	case <-f.revoked:
		return rpc.Caller{}, rpc.ErrUnauthenticated
	default:
	}
	if token == brokenToken {
		return rpc.Caller{}, errors.New("disk on fire")
	}
	c, ok := f.grants[token]
	if !ok {
		return c, rpc.ErrUnauthenticated
	}
	return c, nil
}

func (f *far) GetToken(ctx context.Context, _ *oauthv1.GetTokenRequest) (*oauthv1.GetTokenResponse, error) {
	c := rpc.CallerFrom(ctx)
	return &oauthv1.GetTokenResponse{AccountId: c.AccountID, ClientId: c.ClientID, Scopes: c.Scopes, AllowedScopes: c.Allowed(), Resource: c.Resource}, nil
}

// CreateMemos refuses each memo without a title.
func (f *far) CreateMemos(_ context.Context, r *memov1.CreateMemosRequest) (*memov1.CreateMemosResponse, error) {
	res := &memov1.CreateMemosResponse{}
	for i, d := range r.GetMemos() {
		result := &memov1.CreateMemoResult{Index: int32(i)}
		if err := rpc.Validate(d); err != nil {
			result.Error = &toolv1.ItemError{Code: "invalid_argument", Message: err.Error()}
		} else {
			result.Memo = entry(d.GetTitle())
		}
		res.Results = append(res.Results, result)
	}
	return res, nil
}

func entry(title string) *memov1.MemoEntry {
	return &memov1.MemoEntry{
		Id: "memo_01k", Title: title, MemoTypes: []string{"decision"}, Revision: 1, Etag: "e1",
		CreateTime: timestamppb.New(time.Unix(1_700_000_000, 5_000)), UpdateTime: timestamppb.New(time.Unix(1_700_000_000, 0)),
	}
}

// SearchMemos says who asks, waits as long as the query tells it to, and fails as it tells it to.
func (f *far) SearchMemos(ctx context.Context, r *memov1.SearchMemosRequest) (*memov1.SearchMemosResponse, error) {
	if ids := r.GetIds(); len(ids) > 0 && ids[0] != "memo_1" {
		return &memov1.SearchMemosResponse{MissingIds: ids, SearchMode: "filter"}, nil
	}
	what, arg, _ := strings.Cut(r.GetQuery(), ":")
	if len(r.GetIds()) > 0 {
		what = "full"
	}
	switch what {
	case "nothing":
		return &memov1.SearchMemosResponse{SearchMode: "keyword"}, nil
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "fail":
		for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
			if code.String() == arg {
				return nil, connect.NewError(code, "the "+arg+" of the service")
			}
		}
		return nil, errors.New("secret dsn")
	case "panic":
		panic("secret in a panic")
	case "full":
		m := &memov1.Memo{Id: "memo_1", Title: "t", Body: "first \"line\"\n\nthird <b>", DeleteTime: timestamppb.Now()}
		e := entry("全角 title")
		e.Score, e.DeleteTime, e.Snippet, e.Categories, e.Projects = 1e-7, timestamppb.Now(), "s", []string{"a", "b"}, []string{"p"}
		return &memov1.SearchMemosResponse{
			Entries: []*memov1.MemoEntry{e, {}}, Memos: []*memov1.Memo{m}, MissingIds: []string{"memo_x"}, NextPageToken: "n", SearchMode: "filter",
		}, nil
	}
	return &memov1.SearchMemosResponse{Entries: []*memov1.MemoEntry{entry(rpc.CallerFrom(ctx).AccountID + " " + arg)}, SearchMode: "keyword"}, nil
}

func (f *far) UpdateMemo(_ context.Context, r *memov1.UpdateMemoRequest) (*memov1.UpdateMemoResponse, error) {
	if f.updated != nil {
		f.updated <- r
	}
	return &memov1.UpdateMemoResponse{Memo: &memov1.Memo{Id: r.GetId(), Title: r.GetTitle()}}, nil
}

func (f *far) SaveCandidates(_ context.Context, r *memov1.SaveCandidatesRequest) (*memov1.SaveCandidatesResponse, error) {
	if f.saved != nil {
		f.saved <- r
	}
	return &memov1.SaveCandidatesResponse{}, nil
}

// AddCandidates knows every memo already, but one that it finds similar.
func (f *far) AddCandidates(_ context.Context, r *memov1.AddCandidatesRequest) (*memov1.AddCandidatesResponse, error) {
	res := &memov1.AddCandidatesResponse{}
	for i, c := range r.GetCandidates() {
		result := &memov1.AddCandidateResult{Index: int32(i), Id: "cand_1", SimilarMemos: []*memov1.SimilarMemo{{Id: "memo_1", Title: c.GetTitle(), Score: c.GetConfidence()}}}
		if i > 0 {
			result = &memov1.AddCandidateResult{Index: int32(i), DuplicateOf: "memo_x", Error: &toolv1.ItemError{Code: "already_exists", Message: "memo_x says the same"}}
		}
		res.Results = append(res.Results, result)
	}
	return res, nil
}

func (f *far) ListCandidates(context.Context, *memov1.ListCandidatesRequest) (*memov1.ListCandidatesResponse, error) {
	sure := 0.5
	return &memov1.ListCandidatesResponse{Candidates: []*memov1.Candidate{{
		Id: "cand_1", Status: "pending", Title: "題", Body: "本文", Confidence: &sure, SimilarMemos: []*memov1.SimilarMemo{{Id: "memo_1"}}, AddTime: timestamppb.Now(), Fingerprint: "f",
	}, {}}}, nil
}

func (f *far) DeleteMemos(_ context.Context, r *memov1.DeleteMemosRequest) (*memov1.DeleteMemosResponse, error) {
	res := &memov1.DeleteMemosResponse{}
	for i, id := range r.GetIds() {
		result := &memov1.MemoResult{Index: int32(i), Id: id}
		if id == "memo_x" {
			result.Error = &toolv1.ItemError{Code: "not_found", Message: "memo_x not found; search first"}
		}
		res.Results = append(res.Results, result)
	}
	return res, nil
}

// WatchMemos tells what f.changed has, and ends when that is closed or has "end".
func (f *far) WatchMemos(ctx context.Context, _ *memov1.WatchMemosRequest, stream memov1connect.MemoServiceWatchMemosServerStream) error {
	if f.down.Load() {
		return connect.NewError(connect.CodeUnavailable, "the server is down")
	}
	if f.dead.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := stream.Send(&memov1.WatchMemosResponse{Position: "0"}); err != nil {
		return err
	}
	for {
		select {
		case id, ok := <-f.changed:
			if !ok || id == "end" {
				return connect.NewError(connect.CodeUnavailable, "the server stops")
			}
			change := &memov1.WatchMemosResponse{Change: &memov1.WatchMemosResponse_Memo{Memo: &memov1.Memo{Id: id}}}
			if id == "memo_gone" {
				change = &memov1.WatchMemosResponse{Change: &memov1.WatchMemosResponse_PurgedId{PurgedId: id}}
			}
			if err := stream.Send(change); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *far) GetNote(_ context.Context, r *memov1.GetNoteRequest) (*memov1.GetNoteResponse, error) {
	return &memov1.GetNoteResponse{Note: &memov1.NoteEntry{Id: r.GetId(), Title: "Empty", CreateTime: timestamppb.Now(), UpdateTime: timestamppb.Now()}}, nil
}

func (f *far) ListCategories(context.Context, *memov1.ListCategoriesRequest) (*memov1.ListCategoriesResponse, error) {
	return &memov1.ListCategoriesResponse{Categories: []*memov1.Category{{Name: "Go", MemoCount: 2}}}, nil
}

// client reaches f in this process.
func (f *far) client(log *slog.Logger) *connect.Client {
	f.grants = grants()
	server := rpc.NewServer(rpc.Config{Auth: f, Log: log})
	memov1connect.RegisterMemoServiceHandler(server, f)
	oauthv1connect.RegisterOAuthServiceHandler(server, f)
	return connect.NewClient(connectinprocess.New(server))
}

func services() []protoreflect.ServiceDescriptor {
	return []protoreflect.ServiceDescriptor{
		memov1.File_paput_memo_v1_memo_service_proto.Services().ByName("MemoService"),
		oauthv1.File_paput_oauth_v1_oauth_service_proto.Services().ByName("OAuthService"),
	}
}

// site is a running endpoint.
type site struct {
	*far
	s   *mcp.Server
	url string
	// client is what requests go through.
	client *http.Client
	log    *bytes.Buffer
}

func newServer(t testing.TB, f *far, log io.Writer, change ...func(*mcp.Config)) *mcp.Server {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(log, nil))
	var n atomic.Int64
	c := mcp.Config{
		Services: services(), Client: f.client(logger), Version: "1.2.3", Now: time.Now, Log: logger,
		NewID: func(prefix string) string { return fmt.Sprintf("%s_%d", prefix, n.Add(1)) },
	}
	for _, f := range change {
		f(&c)
	}
	s, err := mcp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t testing.TB, change ...func(*mcp.HTTPConfig)) *site {
	t.Helper()
	return startServer(t, func(*mcp.Config) {}, change...)
}

// startServer is start for a server that is not as usual.
func startServer(t testing.TB, server func(*mcp.Config), change ...func(*mcp.HTTPConfig)) *site {
	t.Helper()
	st := &site{far: &far{updated: make(chan *memov1.UpdateMemoRequest, 8), saved: make(chan *memov1.SaveCandidatesRequest, 8), revoked: make(chan struct{})}, client: http.DefaultClient, log: &bytes.Buffer{}}
	st.s = newServer(t, st.far, st.log, server)
	c := mcp.HTTPConfig{PublicURL: "http://localhost:8080", KeepAlive: 20 * time.Millisecond}
	for _, f := range change {
		f(&c)
	}
	h, err := st.s.Handler(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	t.Cleanup(st.s.Shutdown)
	st.url = web.URL
	return st
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	// protocol is the major version of HTTP, where a test asks for it.
	protocol int
}

// send sends a request with Alice's token and the headers given in pairs; an empty value takes a header away.
func (st *site) send(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	res, err := st.try(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(said)}
}

func (st *site) try(ctx context.Context, method, path, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, st.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+aliceToken)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		name, value := headers[i], headers[i+1]
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
	return st.client.Do(r)
}

// call is the body of a tools/call of the handshake era.
func call(tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

// modernCall is the body of a tools/call of 2026-07-28, and its headers.
func modernCall(tool, arguments string) (body string, headers []string) {
	body = fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":%s,%s}}`, tool, arguments, modernMeta)
	return body, []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", tool}
}
