package eventlogtest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/paput/paput/services/eventlog"
)

// callers is how many commands the suite has under way at once.
const callers = 64

// Run checks what every backend must do. Each call of open gives an empty database.
func Run(t *testing.T, open func(tb testing.TB) eventlog.Backend) {
	cases := []struct {
		name string
		test func(t *testing.T, l *eventlog.Log)
	}{
		{"records come back in order", testOrder},
		{"a failing command leaves no trace", testAtomicity},
		{"commands that share a commit do not disturb one another", testIsolation},
		{"a projection that fails refuses the command", testProjectionFails},
		{"a unique name is given once", testUnique},
		{"a time and its zone", testTime},
		{"what cannot be appended", testRefusals},
		{"a transaction ends with its command", testTxEnds},
		{"rows left open do no harm", testOpenRows},
		{"whoever leaves the queue has done nothing", testLeaveQueue},
		{"whoever leaves a command under way does not know", testLeaveCommand},
		{"a reader sees no gap", testGapless},
		{"a reader does not block the writer", testReaderAndWriter},
		{"readers cannot write", testReadersReadOnly},
		{"waiting ends with the next record", testWait},
		{"a rebuild gives the same read models", testRebuild},
		{"ordinals have no gap", testOrdinals},
		{"what goes out at once is what is in the log", testOutgoing},
		{"what goes out late is whole", testOutgoingLate},
		{"a large log is streamed", testStreaming},
		{"what is redacted is gone and nothing else", testRedaction},
		{"a failing command redacts nothing", testRedactionUndone},
		{"commands that redact share a commit", testRedactionShared},
		{"a long stream is redacted whole", testLongRedaction},
		{"nothing is redacted outside of a command", testRedactionRefused},
		{"a scrub waits for readers, and others do not", testScrub},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, Start(t, open(t), Counters()))
		})
	}
	t.Run("a stopped log refuses commands", func(t *testing.T) {
		t.Parallel()
		testStopped(t, open(t))
	})
}

// do runs a command that must succeed.
func do(tb testing.TB, l *eventlog.Log, fn func(tx *eventlog.Tx) error) {
	tb.Helper()
	if err := l.Do(tb.Context(), fn); err != nil {
		tb.Fatalf("Do: %v", err)
	}
}

func add(tb testing.TB, l *eventlog.Log, stream string, events ...proto.Message) {
	tb.Helper()
	do(tb, l, func(tx *eventlog.Tx) error { return tx.Append(stream, events...) })
}

// all returns the whole log.
func all(tb testing.TB, l *eventlog.Log) []eventlog.Record {
	tb.Helper()
	var records []eventlog.Record
	for r, err := range l.After(tb.Context(), 0) {
		if err != nil {
			tb.Fatalf("After: %v", err)
		}
		records = append(records, r)
	}
	return records
}

// models returns the read models as text.
func models(tb testing.TB, l *eventlog.Log) []string {
	tb.Helper()
	rows, err := l.DB().QueryContext(tb.Context(), `
		SELECT stream, total, events FROM counters UNION ALL SELECT name || '=' || stream, 0, 0 FROM counter_names ORDER BY 1`)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var (
			stream        string
			total, events int64
		)
		if err := rows.Scan(&stream, &total, &events); err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %d %d", stream, total, events))
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return lines
}

// check compares the read models and the number of records.
func check(tb testing.TB, l *eventlog.Log, records int64, want ...string) {
	tb.Helper()
	if got := l.Last(); got != records {
		tb.Errorf("the log ends at %d, want %d", got, records)
	}
	if got := int64(len(all(tb, l))); got != records {
		tb.Errorf("the log has %d records, want %d", got, records)
	}
	if diff := cmp.Diff(models(tb, l), want); diff != "" {
		tb.Errorf("read models got (-) want (+):\n%s", diff)
	}
}
