package sqlite_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
)

// inFiles lists the files below dir that have the text.
func inFiles(tb testing.TB, dir, text string) (names []string) {
	tb.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name())) //nolint:gosec // the test's own
		if err != nil {
			tb.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			names = append(names, f.Name())
		}
	}
	return names
}

// TestRedactedBytesAreGone looks into the files, while the log runs and after it was closed.
func TestRedactedBytesAreGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	l, err := eventlog.Open(t.Context(), b, eventlogtest.Counters())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(t.Context()) }()
	// Sizes of all kinds, so that events share pages, fill them and overflow them.
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	for i := range 400 {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			e := eventlogtest.Added(int64(i) + 100)
			e.GetAdded().Note = fmt.Sprintf("秘密%d", i%2) + string(bytes.Repeat([]byte("x"), 1<<random.IntN(15))) + fmt.Sprintf("最後%d", i%2)
			return tx.Append(fmt.Sprintf("counter/%d", i%20), e)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := inFiles(t, dir, "秘密1"); len(got) == 0 {
		t.Fatal("the files do not have what is to be redacted")
	}
	for i := 1; i < 20; i += 2 {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Redact(fmt.Sprintf("counter/%d", i)) }); err != nil {
			t.Fatal(err)
		}
	}
	gone := func() []string { return append(inFiles(t, dir, "秘密1"), inFiles(t, dir, "最後1")...) }
	for deadline := time.Now().Add(30 * time.Second); len(gone()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v still have it", gone())
		}
	}
	if len(inFiles(t, dir, "秘密0")) == 0 || len(inFiles(t, dir, "最後0")) == 0 {
		t.Error("what was not redacted is gone too")
	}
	var verdict string
	if err := l.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := gone(); len(got) > 0 {
		t.Errorf("closed: %v have it", got)
	}
}
