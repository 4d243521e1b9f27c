package cli_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// server is a Paput server as small as it can be and stricter than a real one: a refresh token that is presented twice
// ends the session at once.
type server struct {
	memov1connect.UnimplementedMemoServiceHandler // what no command asks for
	*httptest.Server
	// What it tells of itself; tests change it before they begin.
	issuer, resource string
	methods          []string
	sendsIss         string // what iss says; "-" sends none
	ttl              int    // of access tokens, in seconds
	deny             bool   // the person says no
	unticks          string // the scope that the person does not allow
	noDevices        bool
	polls            []string // what the next polls of a device are told; after them come the tokens
	codesFor         int      // how long a device's codes are good, in seconds

	mu            sync.Mutex
	clients       map[string]url.Values // registered redirect URIs
	codes         map[string]url.Values // code → authorization request
	access        map[string]bool
	refresh       map[string]bool // true until used
	authorized    []url.Values    // every authorization request
	scopes        []string        // what the person allowed last
	devices       []url.Values    // every device authorization request
	polled        int
	grantTypes    map[string][]string // that clients registered
	erased        bool
	registrations int
	refreshes     int
	revocations   int
	calls         int
	memos         []*memov1.Memo
	pass          connect.Code // what the next memo RPC fails with
	loses         int          // how many refreshes go unanswered, as when the line is cut
	archive       []*memov1.ArchiveRecord
	cuts          []int // after how many records the next exports break off; -1 before the first
	exports       []string
	imported      []*memov1.ImportAccountRequest
	losesAnswers  int                                    // how many memo RPCs are carried out and go unanswered
	keys          map[string]string                      // idempotency keys of memo RPCs, by procedure
	kept          map[string]*memov1.CreateMemosResponse // answers by idempotency key
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{
		methods: []string{"S256"}, ttl: 3600, codesFor: 600, grantTypes: map[string][]string{},
		clients: map[string]url.Values{}, codes: map[string]url.Values{},
		access: map[string]bool{}, refresh: map[string]bool{}, keys: map[string]string{}, kept: map[string]*memov1.CreateMemosResponse{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-protected-resource", s.resourceMetadata)
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.metadata)
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /device_authorization", s.authorizeDevice)
	mux.HandleFunc("POST /revoke", s.revoke)
	rpc := connect.NewServer(s.authenticate)
	memov1connect.RegisterMemoServiceHandler(rpc, s)
	accountv1connect.RegisterAccountServiceHandler(rpc, s)
	oauthv1connect.RegisterOAuthServiceHandler(rpc, s)
	connecthttp.Mount(mux, rpc)
	s.Server = httptest.NewServer(s.losing(mux))
	t.Cleanup(s.Close)
	s.issuer, s.resource, s.sendsIss = s.URL, s.URL, s.URL
	return s
}

// losing cuts the line when a memo RPC was carried out, and before its answer, as often as it is told to.
func (s *server) losing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		cut := s.losesAnswers > 0 && strings.HasPrefix(r.URL.Path, "/"+memov1connect.MemoServiceName+"/")
		if cut {
			s.losesAnswers--
		}
		s.mu.Unlock()
		if !cut {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]string{"error": code, "error_description": "because of " + code})
}

func (s *server) resourceMetadata(w http.ResponseWriter, _ *http.Request) {
	answer(w, 200, map[string]any{
		"resource": s.resource, "authorization_servers": []string{s.URL},
		"scopes_supported": []string{"paput.read", "paput.write"},
	})
}

func (s *server) metadata(w http.ResponseWriter, _ *http.Request) {
	device := s.URL + "/device_authorization"
	if s.noDevices {
		device = ""
	}
	answer(w, 200, map[string]any{
		"device_authorization_endpoint":                  device,
		"issuer":                                         s.issuer,
		"authorization_endpoint":                         s.URL + "/authorize",
		"token_endpoint":                                 s.URL + "/token",
		"registration_endpoint":                          s.URL + "/register",
		"revocation_endpoint":                            s.URL + "/revoke",
		"code_challenge_methods_supported":               s.methods,
		"authorization_response_iss_parameter_supported": true,
	})
}

func (s *server) register(w http.ResponseWriter, r *http.Request) {
	var doc struct {
		ClientName      string   `json:"client_name"`
		ApplicationType string   `json:"application_type"`
		Method          string   `json:"token_endpoint_auth_method"`
		Redirects       []string `json:"redirect_uris"`
		GrantTypes      []string `json:"grant_types"`
		Scope           string   `json:"scope"`
	}
	if json.NewDecoder(r.Body).Decode(&doc) != nil || doc.ClientName != "paput" || doc.ApplicationType != "native" || doc.Method != "none" {
		refuse(w, 400, "invalid_client_metadata")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registrations++
	id := fmt.Sprintf("dcr_%d", s.registrations)
	s.clients[id] = url.Values{"redirect_uris": doc.Redirects, "scope": {doc.Scope}}
	s.grantTypes[id] = doc.GrantTypes
	answer(w, 201, map[string]any{"client_id": id, "redirect_uris": doc.Redirects})
}

func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authorized = append(s.authorized, q)
	s.allow(q)
	back, _ := url.Parse(q.Get("redirect_uri"))
	if s.clients[q.Get("client_id")] == nil || back == nil || back.Hostname() != "127.0.0.1" || back.Path != "/callback" ||
		q.Get("code_challenge_method") != "S256" || q.Get("resource") != s.resource {
		http.Error(w, "the person would see an error page", http.StatusBadRequest)
		return
	}
	out := url.Values{"state": q["state"]}
	if s.sendsIss != "-" {
		out.Set("iss", s.sendsIss)
	}
	if s.deny {
		out.Set("error", "access_denied")
	} else {
		code := "paput_ac_" + rand.Text()
		s.codes[code] = q
		out.Set("code", code)
	}
	back.RawQuery = out.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// allow takes the scopes that a client asks for, except those that it did not register and those that the person unticks.
func (s *server) allow(asked url.Values) {
	registered := strings.Fields(s.clients[asked.Get("client_id")].Get("scope"))
	s.scopes = nil
	for _, scope := range strings.Fields(asked.Get("scope")) {
		if slices.Contains(registered, scope) && scope != s.unticks {
			s.scopes = append(s.scopes, scope)
		}
	}
}

func (s *server) authorizeDevice(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	defer s.mu.Unlock()
	client := r.PostForm.Get("client_id")
	switch {
	case s.clients[client] == nil:
		refuse(w, 401, "invalid_client")
		return
	case !slices.Contains(s.grantTypes[client], deviceGrant) || r.PostForm.Get("resource") != s.resource:
		refuse(w, 400, "unauthorized_client")
		return
	}
	s.devices = append(s.devices, r.PostForm)
	s.allow(r.PostForm)
	answer(w, 200, map[string]any{
		"device_code": "paput_dc_1", "user_code": "WDJB-MJHT", "verification_uri": s.URL + "/device", "expires_in": s.codesFor, "interval": 3,
	})
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	f := r.PostForm
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[f.Get("client_id")] == nil {
		refuse(w, 401, "invalid_client")
		return
	}
	switch f.Get("grant_type") {
	case "authorization_code":
		q := s.codes[f.Get("code")]
		delete(s.codes, f.Get("code"))
		sum := sha256.Sum256([]byte(f.Get("code_verifier")))
		if q == nil || base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") ||
			q.Get("redirect_uri") != f.Get("redirect_uri") || q.Get("resource") != f.Get("resource") {
			refuse(w, 400, "invalid_grant")
			return
		}
	case deviceGrant:
		s.polled++
		if len(s.polls) > 0 {
			said := s.polls[0]
			if s.polls = s.polls[1:]; said == "unavailable" {
				refuse(w, 503, "server_error")
			} else {
				refuse(w, 400, said)
			}
			return
		}
		if f.Get("device_code") != "paput_dc_1" || f.Get("resource") != s.resource {
			refuse(w, 400, "invalid_grant")
			return
		}
	case "refresh_token":
		s.refreshes++
		if s.loses > 0 {
			s.loses--
			panic(http.ErrAbortHandler)
		}
		unused, known := s.refresh[f.Get("refresh_token")]
		if !unused {
			if known { // reuse
				clear(s.refresh)
				clear(s.access)
			}
			refuse(w, 400, "invalid_grant")
			return
		}
		s.refresh[f.Get("refresh_token")] = false
	}
	at, rt := "paput_at_"+rand.Text(), "paput_rt_"+rand.Text()
	s.access[at], s.refresh[rt] = true, true
	answer(w, 200, map[string]any{
		"access_token": at, "token_type": "Bearer", "expires_in": s.ttl, "refresh_token": rt, "scope": strings.Join(s.scopes, " "),
	})
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[r.PostForm.Get("client_id")] == nil {
		refuse(w, 401, "invalid_client")
		return
	}
	if _, known := s.refresh[r.PostForm.Get("token")]; known {
		s.revocations++
		delete(s.refresh, r.PostForm.Get("token"))
	}
}

// now changes the server while it runs.
func (s *server) now(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// expireAccess makes all access tokens worthless although their time has not come.
func (s *server) expireAccess() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

func (s *server) authenticate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		info, _ := connect.CallInfoForServerContext(ctx)
		token, _ := strings.CutPrefix(info.RequestHeader().Get("Authorization"), "Bearer ")
		s.mu.Lock()
		good, fail := s.access[token], s.pass
		s.calls++
		if good {
			s.pass = 0
		}
		s.mu.Unlock()
		if !good {
			return connect.NewError(connect.CodeUnauthenticated, "the access token is unknown, expired or revoked")
		}
		if fail != 0 {
			return connect.NewError(fail, "as the test wants it")
		}
		return next(ctx, spec, noting{stream, s, spec.Procedure})
	}
}

// noting remembers the idempotency keys of requests.
type noting struct {
	connect.ServerStream
	server    *server
	procedure string
}

func (n noting) Receive(msg any) error {
	err := n.ServerStream.Receive(msg)
	if m, ok := msg.(interface{ GetIdempotencyKey() string }); ok {
		n.server.now(func() { n.server.keys[n.procedure[strings.LastIndex(n.procedure, "/")+1:]] = m.GetIdempotencyKey() })
	}
	return err
}

func (s *server) GetAccount(context.Context, *accountv1.GetAccountRequest) (*accountv1.GetAccountResponse, error) {
	return &accountv1.GetAccountResponse{Account: &accountv1.Account{Id: "acct_1", Email: "hanako@example.com", Active: true}}, nil
}

// EraseAccount wants the scope, and the address.
func (s *server) EraseAccount(_ context.Context, r *accountv1.EraseAccountRequest) (*accountv1.EraseAccountResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.scopes, "paput.account") {
		return nil, connect.NewError(connect.CodePermissionDenied, "this needs the scope paput.account, which the access token does not have")
	}
	if r.GetEmail() != "hanako@example.com" {
		return nil, connect.NewError(connect.CodeInvalidArgument, "email is not the e-mail address of this account: nothing was erased")
	}
	s.erased = true
	clear(s.access)
	clear(s.refresh)
	return &accountv1.EraseAccountResponse{}, nil
}

func (s *server) GetToken(context.Context, *oauthv1.GetTokenRequest) (*oauthv1.GetTokenResponse, error) {
	return &oauthv1.GetTokenResponse{
		AccountId: "acct_1", Scopes: []string{"paput.write", "paput.read"},
		ExpireTime: timestamppb.New(time.Date(2026, 3, 1, 12, 15, 0, 0, time.UTC)),
	}, nil
}

func (s *server) find(id string) *memov1.Memo {
	i := slices.IndexFunc(s.memos, func(m *memov1.Memo) bool { return m.Id == id })
	if i < 0 {
		return nil
	}
	return s.memos[i]
}

func (s *server) CreateMemos(_ context.Context, r *memov1.CreateMemosRequest) (*memov1.CreateMemosResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if res := s.kept[r.GetIdempotencyKey()]; res != nil {
		return res, nil
	}
	res := &memov1.CreateMemosResponse{}
	s.kept[r.GetIdempotencyKey()] = res
	for i, d := range r.GetMemos() {
		if len(d.GetTitle()) > 200 {
			res.Results = append(res.Results, &memov1.CreateMemoResult{Index: int32(i),
				Error: &toolv1.ItemError{Code: "invalid_argument", Message: "title is 201 characters, at most 200"}})
			continue
		}
		m := &memov1.Memo{
			Id: fmt.Sprintf("memo_%026d", len(s.memos)+1), Title: d.GetTitle(), Body: d.GetBody(), Summary: d.GetSummary(),
			MemoTypes: d.GetMemoTypes(), Categories: d.GetCategories(), Projects: d.GetProjects(), CreateTime: d.GetCreateTime(),
			Revision: 1, Etag: "etag1",
		}
		if m.CreateTime == nil {
			m.CreateTime = timestamppb.New(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		}
		m.UpdateTime = m.CreateTime
		s.memos = append(s.memos, m)
		res.Results = append(res.Results, &memov1.CreateMemoResult{Index: int32(i), Memo: &memov1.MemoEntry{Id: m.Id, Title: m.Title, Etag: m.Etag}})
	}
	return res, nil
}

func (s *server) SearchMemos(_ context.Context, r *memov1.SearchMemosRequest) (*memov1.SearchMemosResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := &memov1.SearchMemosResponse{SearchMode: "keyword"}
	for _, id := range r.GetIds() {
		if m := s.find(id); m != nil {
			res.Memos = append(res.Memos, m)
		} else {
			res.MissingIds = append(res.MissingIds, id)
		}
	}
	if len(r.GetIds()) > 0 {
		return res, nil
	}
	for _, m := range s.memos {
		if strings.Contains(m.Title+m.Body, r.GetQuery()) && (m.DeleteTime == nil || r.GetIncludeDeleted()) {
			res.Entries = append(res.Entries, &memov1.MemoEntry{Id: m.Id, Title: m.Title, Snippet: m.Body, CreateTime: m.CreateTime, DeleteTime: m.DeleteTime})
		}
	}
	if n := int(r.GetPageSize()); len(res.Entries) > n {
		res.Entries, res.NextPageToken = res.Entries[:n], "page2"
	}
	return res, nil
}

func (s *server) UpdateMemo(_ context.Context, r *memov1.UpdateMemoRequest) (*memov1.UpdateMemoResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(r.GetId())
	if m == nil {
		return nil, connect.NewError(connect.CodeNotFound, "memo "+r.GetId()+" not found; search first")
	}
	if m.IsPublic && !slices.Contains(s.scopes, "paput.publish") {
		return nil, connect.NewError(connect.CodePermissionDenied, "it is public: get the scope paput.publish")
	}
	if r.GetEtag() != "" && r.GetEtag() != m.Etag {
		return nil, connect.NewError(connect.CodeAborted, "the memo has changed since you read it")
	}
	for _, field := range r.GetUpdateMask().GetPaths() {
		from, to := r.ProtoReflect(), m.ProtoReflect()
		f := from.Descriptor().Fields().ByTextName(field)
		to.Clear(to.Descriptor().Fields().ByTextName(field))
		if from.Has(f) {
			to.Set(to.Descriptor().Fields().ByTextName(field), from.Get(f))
		}
	}
	if n := r.GetFromRevision(); n > 0 {
		m.Title = fmt.Sprintf("Title of revision %d", n)
	}
	m.Revision++
	m.Etag = fmt.Sprintf("etag%d", m.Revision)
	m.Summary = strings.TrimSpace(m.Summary)
	return &memov1.UpdateMemoResponse{Memo: m}, nil
}

func (s *server) DeleteMemos(_ context.Context, r *memov1.DeleteMemosRequest) (*memov1.DeleteMemosResponse, error) {
	return &memov1.DeleteMemosResponse{Results: s.each(r.GetIds(), timestamppb.New(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)))}, nil
}

func (s *server) RestoreMemos(_ context.Context, r *memov1.RestoreMemosRequest) (*memov1.RestoreMemosResponse, error) {
	return &memov1.RestoreMemosResponse{Results: s.each(r.GetIds(), nil)}, nil
}

func (s *server) PublishMemos(_ context.Context, r *memov1.PublishMemosRequest) (*memov1.PublishMemosResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.scopes, "paput.publish") {
		return nil, connect.NewError(connect.CodePermissionDenied, "this needs the scope paput.publish, which the access token does not have")
	}
	res := &memov1.PublishMemosResponse{}
	for i, id := range r.GetIds() {
		result := &memov1.PublishMemoResult{Index: int32(i), Id: id}
		if m := s.find(id); m != nil {
			m.IsPublic, m.PublicUrl = true, s.URL+"/m/"+id
			result.PublicUrl = m.PublicUrl
		} else {
			result.Error = &toolv1.ItemError{Code: "not_found", Message: "memo not found; search first"}
		}
		res.Results = append(res.Results, result)
	}
	return res, nil
}

func (s *server) UnpublishMemos(_ context.Context, r *memov1.UnpublishMemosRequest) (*memov1.UnpublishMemosResponse, error) {
	res := &memov1.UnpublishMemosResponse{Results: s.each(r.GetIds(), nil)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.memos {
		if slices.Contains(r.GetIds(), m.Id) {
			m.IsPublic, m.PublicUrl = false, ""
		}
	}
	return res, nil
}

func (s *server) GetPublicMemo(context.Context, *memov1.GetPublicMemoRequest) (*memov1.GetPublicMemoResponse, error) {
	return nil, connect.NewError(connect.CodeUnimplemented, "no command asks for it")
}

func (s *server) each(ids []string, deleted *timestamppb.Timestamp) (results []*memov1.MemoResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range ids {
		r := &memov1.MemoResult{Index: int32(i), Id: id}
		if m := s.find(id); m != nil {
			m.DeleteTime = deleted
		} else {
			r.Error = &toolv1.ItemError{Code: "not_found", Message: "memo not found; search first"}
		}
		results = append(results, r)
	}
	return results
}

func (s *server) ListMemoRevisions(_ context.Context, r *memov1.ListMemoRevisionsRequest) (*memov1.ListMemoRevisionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(r.GetId())
	if m == nil {
		return nil, connect.NewError(connect.CodeNotFound, "memo "+r.GetId()+" not found; search first")
	}
	res := &memov1.ListMemoRevisionsResponse{}
	for n := m.Revision; n > 0; n-- {
		if r.GetRevision() != 0 && r.GetRevision() != n {
			continue
		}
		action := "updated"
		if n == 1 {
			action = "created"
		}
		res.Revisions = append(res.Revisions, &memov1.MemoRevision{
			Revision: n, Action: action, ChangedFields: []string{"title", "body"}, Time: m.CreateTime, ClientId: "dcr_1", ClientName: "unverified: paput", Memo: m,
		})
	}
	return res, nil
}

func (s *server) ListCategories(context.Context, *memov1.ListCategoriesRequest) (*memov1.ListCategoriesResponse, error) {
	return &memov1.ListCategoriesResponse{Categories: []*memov1.Category{{Name: "運用", MemoCount: 12}, {Name: "Go", MemoCount: 3}}}, nil
}
