package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

// Strangers must not be able to empty the memory, for everyone's calls are answered from it.
func TestStrangersForgetNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	tokens := a.login("acct_1")
	grant, alive := w.caller(tokens.access)
	if !alive {
		t.Fatal("the access token does not work")
	}
	// Without this server's doing, so that the memory alone still knows it.
	err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		return tx.Append("grant/"+grant.GrantID, &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_Revoked{Revoked: &oauthv1.GrantRevoked{}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"client_999", a.id} {
		w.manage(http.MethodDelete, id, "Authorization", "Bearer nonsense").wantError(t, 401, "invalid_token", "the registration access token does not fit: register again")
	}
	if !w.alive(tokens.access) {
		t.Error("a stranger's attempt to end a registration has emptied the memory")
	}
}

// Guesses at registration tokens cost no transaction.
func TestStrangersKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	now := &clock{now: startOfTime}
	log, stop := stoppableLog(t, now)
	w := newWorld(t, func(c *oauth.Config) { c.Log, c.Now = log, now.Now })
	a := w.register(nil)
	stop()
	for _, id := range []string{"client_999", a.id} {
		w.manage(http.MethodDelete, id, "Authorization", "Bearer nonsense").wantError(t, 401, "invalid_token", "the registration access token does not fit: register again")
	}
}

func TestMemoryOfClientsIsShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.register(nil)
	b := w.newBrowser("acct_1")
	b.begin(a.query())
	// Removed without this server's doing, as after a time-out.
	err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		return tx.Append("client/"+a.id, &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_Removed{Removed: &oauthv1.ClientRemoved{}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.advance(10 * time.Second)
	b.get("/authorize?"+a.query().Encode()).wantPage(t, 400, "invalid_client", "This app is not known here")
}

// Whoever hangs up does not fill the log.
func TestHangingUpIsNoError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	confidential := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	form := url.Values{"client_id": {confidential.id}, "client_secret": {"x"}, "token": {"x"}}.Encode()
	for _, r := range []*http.Request{
		w.request(http.MethodPost, "/revoke", form, "Content-Type", formType),
		w.request(http.MethodPost, "/introspect", form, "Content-Type", formType),
		w.request(http.MethodPost, "/token", form+"&grant_type=refresh_token", "Content-Type", formType),
		w.request(http.MethodGet, "/authorize?"+confidential.query().Encode(), ""),
		w.request(http.MethodGet, "/register/"+confidential.id, "", "Authorization", "Bearer x"),
	} {
		recorded := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(recorded, r.WithContext(ctx))
	}
	if strings.Contains(w.logged.String(), "level=ERROR") {
		t.Errorf("the log has errors of requests that nobody waits for: %s", w.logged)
	}
}
