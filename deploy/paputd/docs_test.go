package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/paput/paput/services/account"
	"github.com/paput/paput/services/oauth"
)

// TestEveryAuditEventIsDocumented holds docs/audit-events.md against what can be published.
func TestEveryAuditEventIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "audit-events.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(paput\\.auth\\.[a-z_.]+)` \\|").FindAllSubmatch(text, -1) {
		documented = append(documented, string(m[1]))
	}
	var published []string
	for _, kind := range slices.Concat(oauth.Kinds(), account.Kinds(), serverKinds()) {
		if kind.Relay != "AUTH" {
			continue
		}
		fields := kind.Event.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
		for i := range fields.Len() {
			published = append(published, kind.Subject+"."+string(fields.Get(i).Name()))
		}
	}
	slices.Sort(documented)
	slices.Sort(published)
	if !slices.Equal(documented, published) {
		t.Errorf("got documented %q, want %q", documented, published)
	}
}
