package oauth_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

func TestClientNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	self := w.register(map[string]any{"client_name": "Claude Code"})
	poser := w.register(map[string]any{"client_name": "claude.ai"})
	nameless := w.register(map[string]any{"client_name": ""})
	gone := w.register(map[string]any{"client_name": "Codex"})
	if r := w.manage(http.MethodDelete, gone.id, gone.bearer()...); r.status != http.StatusNoContent {
		t.Fatalf("got %d", r.status)
	}
	reports, former := w.preregister(&oauthv1.Client{Name: "Reports"}), w.preregister(&oauthv1.Client{Name: "Backups"})
	if _, err := w.admin().RemoveClient(t.Context(), &oauthv1.RemoveClientRequest{ClientId: former.id}); err != nil {
		t.Fatal(err)
	}
	const document = "https://claude.ai/oauth/claude-code-client-metadata"
	want := map[string]string{
		self.id:     "unverified: Claude Code",
		poser.id:    "unverified: claude.ai",
		nameless.id: "unverified: an app without a name",
		gone.id:     "unverified, no longer registered: Codex",
		reports.id:  "Reports",
		former.id:   "no longer registered: Backups",
		document:    "claude.ai",
	}
	ids := []string{"", "client_none", "https://claude.ai", "https://user@claude.ai/x", "grant/../x"}
	for id := range want {
		ids = append(ids, id)
	}
	got, err := w.server.ClientNames(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
