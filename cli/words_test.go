package cli

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestCounted(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 notes", 1: "1 note", 2: "2 notes"} {
		if got := counted(n, "note", "notes"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	m := manifest{Files: []manifestFile{{Records: 1}, {Records: 1}, {Records: 2}, {Records: 0}, {Records: 1}}}
	if got, want := m.summary(), "1 revision of a memo, 1 note, 2 candidates, 0 reviewed sessions, 1 policy"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"With include_deleted, which looks in the trash too, the same search finds 1 memo.", "With --deleted, which looks in the trash too, the same search finds 1 memo."},
		{"Without memo_types the same search finds 3 memos.", "Without --type the same search finds 3 memos."},
		{"created_after is after created_before", "--since is after --until"},
		{"No memo has “page_size” or “new_only”: try without.", "No memo has “page_size” or “new_only”: try without."},
		{`memo_types names "session_id"`, `--type names "session_id"`},
		{"my_memo_types and redirect_uri stay", "my_memo_types and redirect_uri stay"},
	} {
		if got := inFlags(tt.text); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestFlagsExist wants each flag that a field is called after on some command.
func TestFlagsExist(t *testing.T) {
	t.Parallel()
	var known []string
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).rootCommand())
	for field, flag := range flagsOf() {
		if !slices.Contains(known, flag) {
			t.Errorf("%s is called %s, which no command has", field, flag)
		}
	}
}
