package oauth_test

import (
	"net/http"
	"testing"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

// TestEndAccount ends what one account has and nothing of another's. Who was about to say yes for it comes too late.
func TestEndAccount(t *testing.T) {
	t.Parallel()
	gone := map[string]bool{}
	w := newWorld(t, func(c *oauth.Config) {
		c.HasAccount = func(_ eventlog.Querier, id string) (bool, error) { return !gone[id], nil }
	})
	a := w.register(nil)
	hers, his := a.login("acct_ada"), a.login("acct_bob")
	ada := w.newBrowser("acct_ada")
	code := a.code(ada)
	page := ada.begin(a.query())
	device := w.registerDevice()
	asked := device.ask()
	job := w.preregister(&oauthv1.Client{
		Name: "Job", AuthMethod: "client_secret_basic", GrantTypes: []string{"client_credentials"}, Scopes: []string{"paput.read"}, AccountIds: []string{"acct_ada"},
	})
	servant := job.token(map[string][]string{"grant_type": {"client_credentials"}}).tokens(t)
	for _, token := range []string{hers.access, his.access, servant.access} {
		if !w.alive(token) {
			t.Fatal("a token is not good beforehand")
		}
	}

	gone["acct_ada"] = true
	if err := w.log.Do(t.Context(), func(tx *eventlog.Tx) error { return w.server.EndAccount(tx, "acct_ada") }); err != nil {
		t.Fatal(err)
	}
	w.server.ForgetAccount("acct_ada")
	if w.alive(hers.access) || w.alive(servant.access) || !w.alive(his.access) {
		t.Errorf("alive are hers: %v, the service's: %v, his: %v, want his alone", w.alive(hers.access), w.alive(servant.access), w.alive(his.access))
	}
	for name, r := range map[string]reply{
		"her refresh token": a.token(a.refreshForm(hers.refresh)),
		"her code":          a.token(a.redeemForm(code)),
		"the service":       job.token(map[string][]string{"grant_type": {"client_credentials"}}),
	} {
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s, want 400", name, r.status, r.body)
		}
	}
	if r := a.token(a.refreshForm(his.refresh)); r.status != http.StatusOK {
		t.Errorf("his refresh token: got %d %s", r.status, r.body)
	}
	events := len(w.events())
	if r := ada.post("/consent", ada.consentForm(page, "approve")); r.status == http.StatusSeeOther {
		t.Errorf("a late yes: got %d %s", r.status, r.location(t))
	}
	if r := ada.answer(asked, "approve"); r.status == http.StatusOK {
		t.Errorf("a late yes to a device: got %d %s", r.status, r.body)
	}
	if got := w.events()[events:]; len(got) > 0 {
		t.Errorf("late answers left %v", got)
	}
	for _, reason := range w.revocations() {
		if reason != oauthv1.RevokeReason_REVOKE_REASON_ACCOUNT_ERASED {
			t.Errorf("a grant ended because of %v", reason)
		}
	}
}
