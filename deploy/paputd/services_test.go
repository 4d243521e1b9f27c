package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
)

const searchService = "https://search.example.com"

// service registers a client through the administration and returns its configuration for golang.org/x/oauth2.
func (r *running) service(t *testing.T, c *oauthv1.Client) *clientcredentials.Config {
	t.Helper()
	c.AuthMethod = "client_secret_basic"
	// By default it tries another style after any error, and reports what comes of that.
	config := &clientcredentials.Config{TokenURL: r.url + "/token", AuthStyle: oauth2.AuthStyleInHeader}
	err := administer(t.Context(), r.app.cfg, r.app.log, func(ctx context.Context, server *connect.Client) error {
		res, err := oauthv1connect.NewOAuthAdminServiceClient(server).CreateClient(ctx, &oauthv1.CreateClientRequest{Client: c})
		config.ClientID, config.ClientSecret = res.GetClient().GetId(), res.GetClientSecret()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// with is the configuration with parameters of the token request.
func with(c *clientcredentials.Config, params url.Values) *clientcredentials.Config {
	changed := *c
	changed.EndpointParams = params
	return &changed
}

func tokenOf(t *testing.T, c *clientcredentials.Config) string {
	t.Helper()
	token, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// memosAs calls the memo RPCs with what signs the requests.
func (r *running) memosAs(client *http.Client, options ...connecthttp.Option) memov1connect.MemoServiceClient {
	return memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(client, r.url, options...)))
}

// TestServiceActsForAPerson is an internal service that writes for one of the accounts that it may act for. Whoever looks at
// the memo afterwards sees that it was the service.
func TestServiceActsForAPerson(t *testing.T) {
	t.Parallel()
	server := startWithAccounts(t)
	var aiko string
	var all []string
	for _, a := range server.accounts(t) {
		all = append(all, a.GetId())
		if a.GetEmail() == "aiko@example.com" {
			aiko = a.GetId()
		}
	}
	reports := server.service(t, &oauthv1.Client{Name: "Reports", GrantTypes: []string{"client_credentials"}, Scopes: []string{"paput.write"}, AccountIds: all})
	if _, err := reports.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "name one with the parameter account") {
		t.Errorf("without an account: got %v", err)
	}
	acting := with(reports, url.Values{"account": {aiko}})
	memos := server.memosAs(acting.Client(t.Context()))
	created, err := memos.CreateMemos(t.Context(), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{Title: "Sales of May"}}})
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetResults()[0].GetMemo().GetId()
	history, err := memos.ListMemoRevisions(t.Context(), &memov1.ListMemoRevisionsRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if got := history.GetRevisions(); len(got) != 1 || got[0].GetClientId() != reports.ClientID || got[0].GetClientName() != "Reports" {
		t.Errorf("got revisions %v, want one by %s, Reports", got, reports.ClientID)
	}
	if got := callTool(t, server.url, logIn(t, newVisitor(server), "paput.read"), "paput_search_memo", `{"query":"Sales"}`); !strings.Contains(toJSON(t, got), id) {
		t.Errorf("the person does not find it: %v", got)
	}
	if got := callTool(t, server.url, tokenOf(t, acting), "paput_search_memo", `{"query":"Sales"}`); !strings.Contains(toJSON(t, got), id) {
		t.Errorf("the service does not find it through the MCP endpoint: %v", got)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTokensThatAreNotForThisServer tries the doors of this server with tokens that open none of them, over every protocol.
func TestTokensThatAreNotForThisServer(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), false)
	search := server.service(t, &oauthv1.Client{Name: "Search", Resource: searchService})
	job := server.service(t, &oauthv1.Client{Name: "Job", GrantTypes: []string{"client_credentials"}, Scopes: []string{"paput.write"}})
	none, foreign := tokenOf(t, job), tokenOf(t, with(job, url.Values{"resource": {searchService + "/"}}))

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	for _, tt := range []struct {
		name    string
		base    http.RoundTripper
		options []connecthttp.Option
	}{
		{name: "Connect", base: http.DefaultTransport},
		{name: "gRPC", base: &http.Transport{Protocols: protocols}, options: []connecthttp.Option{connecthttp.WithGRPC()}},
	} {
		for token, want := range map[string]connect.Code{none: connect.CodePermissionDenied, foreign: connect.CodeUnauthenticated, "x": connect.CodeUnauthenticated} {
			client := &http.Client{Transport: &oauth2.Transport{Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}), Base: tt.base}}
			_, err := server.memosAs(client, tt.options...).SearchMemos(t.Context(), &memov1.SearchMemosRequest{})
			if connect.CodeOf(err) != want || want == connect.CodePermissionDenied && !strings.Contains(err.Error(), "this token speaks for no account") {
				t.Errorf("%s: got %v, want %s", tt.name, err, want)
			}
		}
	}
	if got := server.pinged(t, "/mcp", none); got.status != http.StatusOK {
		t.Errorf("ping without an account: got %d %s", got.status, got.body)
	}
	for _, endpoint := range []string{"/", "/mcp"} {
		got := server.pinged(t, endpoint, foreign)
		if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: got %d %v", endpoint, got.status, got.header)
		}
	}
	for token, want := range map[string]bool{none: false, foreign: true} {
		request := http.Request{Header: http.Header{}}
		request.SetBasicAuth(search.ClientID, search.ClientSecret)
		got := server.ask(t, "127.0.0.1", http.MethodPost, "/introspect", url.Values{"token": {token}}.Encode(),
			"Content-Type", asForm, "Authorization", request.Header.Get("Authorization"))
		if got.status != http.StatusOK || strings.Contains(got.body, `"active":true`) != want || !want && strings.TrimSpace(got.body) != `{"active":false}` {
			t.Errorf("introspection: got %d %s, want active %t", got.status, got.body, want)
		}
	}
}

func (r *running) accounts(t *testing.T) (accounts []*accountv1.Account) {
	t.Helper()
	err := administer(t.Context(), r.app.cfg, r.app.log, func(ctx context.Context, server *connect.Client) error {
		res, err := accountv1connect.NewAccountAdminServiceClient(server).ListAccounts(ctx, &accountv1.ListAccountsRequest{})
		accounts = res.GetAccounts()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}
