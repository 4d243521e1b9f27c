package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paput/paput/services/rpc"
)

// A service that acts for no account may look at the tools and is told why none of them works.
func TestTokenWithoutAccount(t *testing.T) {
	t.Parallel()
	st := start(t)
	const token = "paput_at_service"
	st.grants[token] = rpc.Caller{ClientID: "client_service", Scopes: []string{"paput.write"}, Resource: "http://localhost:8080"}
	authorization := []string{"Authorization", "Bearer " + token}
	if r := st.send(t, http.MethodPost, "/", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, authorization...); r.status != http.StatusOK || !strings.Contains(r.body, "paput_search_memo") {
		t.Errorf("tools/list: got %d", r.status)
	}
	body, headers := modernCall("paput_search_memo", `{"query":"x"}`)
	for name, r := range map[string]reply{
		"handshake era": st.send(t, http.MethodPost, "/", call("paput_search_memo", `{"query":"x"}`), authorization...),
		"modern era":    st.send(t, http.MethodPost, "/", body, append(headers, authorization...)...),
	} {
		if r.status != http.StatusOK || !strings.Contains(r.body, `"isError":true`) || !strings.Contains(r.body, "this token speaks for no account") {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
	if st.log.Len() != 0 {
		t.Errorf("got %s in the log", st.log)
	}
}
