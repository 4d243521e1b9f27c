package mcp

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
	"github.com/paput/paput/services/rpc"
)

// worth answers for each token with its name as the scope.
type worth struct {
	oauthv1connect.OAuthServiceClient
}

func (worth) GetToken(ctx context.Context, _ *oauthv1.GetTokenRequest) (*oauthv1.GetTokenResponse, error) {
	info, _ := connect.CallInfoForClientContext(ctx)
	caller := rpc.Caller{Scopes: []string{strings.TrimPrefix(info.RequestHeader().Get("Authorization"), "Bearer ")}}
	return &oauthv1.GetTokenResponse{AccountId: "acct_1", AllowedScopes: caller.Allowed(), Resource: "http://localhost:8080"}, nil
}

// TestScopeBeyondTheChallenge calls a tool that demands a scope that no client is told to ask for when it logs in: its token
// grows into it only by the 403 of the call.
func TestScopeBeyondTheChallenge(t *testing.T) {
	t.Parallel()
	do := method(t, func(_ *descriptorpb.MethodDescriptorProto, about *toolv1.Method, _, _ *descriptorpb.FieldDescriptorProto, _ *toolv1.Field) {
		about.Scope = "paput.publish"
	})
	log := slog.New(slog.DiscardHandler)
	s, err := New(Config{
		Services: []protoreflect.ServiceDescriptor{do.Parent().(protoreflect.ServiceDescriptor)},
		Client:   connect.NewClient(connectinprocess.New(rpc.NewServer(rpc.Config{Log: log}))), Now: time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler(HTTPConfig{PublicURL: "http://localhost:8080", Tokens: worth{}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(scope, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:8080/mcp", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if scope != "" {
			r.Header.Set("Authorization", "Bearer "+scope)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"do","arguments":{"f":"x"}}}`
	if res := send("", call); !strings.HasSuffix(res.Header().Get("WWW-Authenticate"), `, scope="paput.read paput.write"`) {
		t.Errorf("without a token: got %s", res.Header().Get("WWW-Authenticate"))
	}
	for scope, want := range map[string]int{"paput.read": 403, "paput.write": 403, "paput.account": 403, "paput.publish": 200} {
		res := send(scope, call)
		if challenged := strings.HasSuffix(res.Header().Get("WWW-Authenticate"), `, scope="paput.publish"`); res.Code != want || challenged != (want == 403) {
			t.Errorf("%s: got %d %s, want %d", scope, res.Code, res.Header().Get("WWW-Authenticate"), want)
		}
		list := send(scope, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body.String()
		if !strings.Contains(list, `"securitySchemes":[{"type":"oauth2","scopes":["paput.publish"]}]`) {
			t.Errorf("%s: got the list %s", scope, list)
		}
	}
}
