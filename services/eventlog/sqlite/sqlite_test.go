package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"
)

func open(tb testing.TB, dir string) eventlog.Backend {
	tb.Helper()
	b, err := sqlite.Open(tb.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestFile(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(tb testing.TB) eventlog.Backend { return open(tb, tb.TempDir()) })
}

func TestDurable(t *testing.T) {
	t.Parallel()
	eventlogtest.RunDurable(t, open)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(tb testing.TB) eventlog.Backend {
		b, err := sqlite.Memory(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		return b
	})
}
