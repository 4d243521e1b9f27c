package eventlogtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

// crashVariable tells a test binary that it is the child which is to be killed, and where its database is.
const crashVariable = "EVENTLOGTEST_CRASH"

// RunDurable checks what a backend must do that keeps its data. Calls of open with the same dir give the same database.
func RunDurable(t *testing.T, open func(tb testing.TB, dir string) eventlog.Backend) {
	if dir := os.Getenv(crashVariable); dir != "" {
		writeUntilKilled(t, open(t, dir))
		return
	}
	cases := []struct {
		name string
		test func(t *testing.T, open func() eventlog.Backend)
	}{
		{"everything is there after reopening", testReopen},
		{"a changed projection is made anew", testChangedProjection},
		{"an interrupted rebuild goes on", testInterruptedRebuild},
		{"a projection that was away catches up", testCatchUp},
		{"a poison event is named", testPoison},
		{"a cache outlives a rebuild", testCache},
		{"what is redacted is gone after reopening", testRedactionReopened},
		{"a projection takes part in a scrub", testProjectionScrubs},
		{"a redaction amid a scrub is scrubbed too", testRedactionAmidScrub},
		{"mistakes of the configuration are found", testConfig},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.test(t, func() eventlog.Backend { return open(t, dir) })
		})
	}
	t.Run("what was acknowledged survives a kill", func(t *testing.T) {
		t.Parallel()
		testCrash(t, open)
	})
}

// session opens a log, calls fn with it running, and closes it.
func session(tb testing.TB, b eventlog.Backend, c eventlog.Config, fn func(l *eventlog.Log)) {
	tb.Helper()
	l, err := eventlog.Open(tb.Context(), b, c)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	fn(l)
	cancel()
	if err := <-done; err != nil {
		tb.Fatalf("Run: %v", err)
	}
	if err := l.Close(); err != nil {
		tb.Fatalf("Close: %v", err)
	}
}

func testReopen(t *testing.T, open func() eventlog.Backend) {
	session(t, open(), Counters(), func(l *eventlog.Log) {
		add(t, l, "counter/a", Opened("steps"), Added(1))
	})
	session(t, open(), Counters(), func(l *eventlog.Log) {
		check(t, l, 2, "counter/a 1 2", "steps=counter/a 0 0")
		add(t, l, "counter/a", Added(2))
		if r := all(t, l)[2]; r.Version != 3 || l.Ordinal("AUTH") != 3 {
			t.Errorf("the version is %d and the ordinal %d, want 3 and 3", r.Version, l.Ordinal("AUTH"))
		}
		check(t, l, 3, "counter/a 3 3", "steps=counter/a 0 0")
	})
}

func testChangedProjection(t *testing.T, open func() eventlog.Backend) {
	session(t, open(), Counters(), func(l *eventlog.Log) {
		add(t, l, "counter/a", Opened("steps"), Added(1))
	})
	c := Counters()
	p := &c.Projections[0]
	p.Version = 2
	p.Tables = p.Tables[:1]
	p.Schema = `CREATE TABLE counters (stream TEXT NOT NULL PRIMARY KEY, total INTEGER NOT NULL)`
	p.Apply = func(tx *eventlog.Tx, r eventlog.Record) error {
		_, err := tx.Exec(`INSERT INTO counters (stream, total) VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET total = total + excluded.total`,
			r.Stream, 100*r.Event.(*eventlogtestv1.CounterEvent).GetAdded().GetAmount())
		return err
	}
	session(t, open(), c, func(l *eventlog.Log) {
		add(t, l, "counter/a", Added(2))
		var total int64
		if err := l.DB().QueryRowContext(t.Context(), `SELECT total FROM counters`).Scan(&total); err != nil || total != 300 {
			t.Errorf("the total is %d, %v, want 300", total, err)
		}
		if err := l.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM counter_names`).Scan(&total); err == nil {
			t.Error("the table that the projection no longer has is still there")
		}
	})
	session(t, open(), Counters(), func(l *eventlog.Log) {
		check(t, l, 3, "counter/a 3 3", "steps=counter/a 0 0")
	})
}

// another is a projection besides the one of Counters, that counts all events and calls before first.
func another(before func(r eventlog.Record) error) eventlog.Projection {
	return eventlog.Projection{
		Name:    "sizes",
		Kinds:   []string{"counter"},
		Schema:  `CREATE TABLE sizes (position INTEGER NOT NULL PRIMARY KEY)`,
		Tables:  []string{"sizes"},
		Version: 1,
		Apply: func(tx *eventlog.Tx, r eventlog.Record) error {
			if err := before(r); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO sizes (position) VALUES (?)`, r.Position)
			return err
		},
	}
}

func checkSizes(tb testing.TB, l *eventlog.Log, want int64) {
	tb.Helper()
	var got int64
	if err := l.DB().QueryRowContext(tb.Context(), `SELECT count(*) FROM sizes`).Scan(&got); err != nil || got != want {
		tb.Errorf("the projection has seen %d events, %v, want %d", got, err, want)
	}
}

func testInterruptedRebuild(t *testing.T, open func() eventlog.Backend) {
	const n = 1200
	session(t, open(), Counters(), func(l *eventlog.Log) {
		do(t, l, func(tx *eventlog.Tx) error {
			for range n {
				if err := tx.Append("counter/a", Added(1)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	seen := 0
	errStop := errors.New("stop")
	c := Counters()
	c.Projections = append(c.Projections, another(func(eventlog.Record) error {
		if seen++; seen == 700 {
			return errStop
		}
		return nil
	}))
	if _, err := eventlog.Open(t.Context(), open(), c); !errors.Is(err, errStop) {
		t.Fatalf("Open: got %v, want the projection's error", err)
	}
	session(t, open(), c, func(l *eventlog.Log) { checkSizes(t, l, n) })
	if seen >= 700+n {
		t.Errorf("it began again: %d events were seen", seen)
	}
}

func testCatchUp(t *testing.T, open func() eventlog.Backend) {
	seen := 0
	c := Counters()
	c.Projections = append(c.Projections, another(func(eventlog.Record) error {
		seen++
		return nil
	}))
	session(t, open(), c, func(l *eventlog.Log) { add(t, l, "counter/a", Added(1)) })
	session(t, open(), Counters(), func(l *eventlog.Log) { add(t, l, "counter/a", Added(1), Added(1)) })
	session(t, open(), c, func(l *eventlog.Log) {
		checkSizes(t, l, 3)
		add(t, l, "counter/a", Added(1))
		checkSizes(t, l, 4)
		check(t, l, 4, "counter/a 4 4")
	})
	if seen != 4 {
		t.Errorf("it saw %d events, want 4", seen)
	}
}

func testPoison(t *testing.T, open func() eventlog.Backend) {
	session(t, open(), Counters(), func(l *eventlog.Log) {
		add(t, l, "counter/a", Added(1), Added(777))
	})
	poison := func(r eventlog.Record) error {
		if r.Position == 2 {
			panic("cannot")
		}
		return nil
	}
	c := Counters()
	c.Projections = append(c.Projections, another(poison))
	_, err := eventlog.Open(t.Context(), open(), c)
	const want = "projection sizes at position 2 (counter added): "
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "777") {
		t.Errorf("Open: got %v, want it to have %q and no data", err, want)
	}

	// A rebuild that fails leaves the read models as they were.
	healthy := true
	c.Projections[1] = another(func(r eventlog.Record) error {
		if healthy {
			return nil
		}
		return poison(r)
	})
	session(t, open(), c, func(l *eventlog.Log) {
		healthy = false
		if err := l.Rebuild(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Rebuild: got %v, want it to have %q", err, want)
		}
		checkSizes(t, l, 2)
		healthy = true
		add(t, l, "counter/a", Added(1))
		checkSizes(t, l, 3)
		check(t, l, 3, "counter/a 779 3")
	})
}

func testConfig(t *testing.T, open func() eventlog.Backend) {
	tables := []struct {
		name   string
		change func(c *eventlog.Config)
	}{
		{"no clock", func(c *eventlog.Config) { c.Now = nil }},
		{"a kind with a slash", func(c *eventlog.Config) { c.Kinds[0].Name = "a/b" }},
		{"a kind twice", func(c *eventlog.Config) { c.Kinds = append(c.Kinds, c.Kinds[0]) }},
		{"a kind without an event", func(c *eventlog.Config) { c.Kinds[0].Event = nil }},
		{"an event without the oneof", func(c *eventlog.Config) { c.Kinds[0].Event = &eventlogtestv1.Added{} }},
		{"a relay without a subject", func(c *eventlog.Config) { c.Kinds[0].Subject = "" }},
		{"a subject of another relay", func(c *eventlog.Config) { c.Kinds[0].Subject = "paput.memo" }},
		{"a projection of an unknown kind", func(c *eventlog.Config) { c.Projections[0].Kinds = []string{"gauge"} }},
		{"a projection twice", func(c *eventlog.Config) { c.Projections = append(c.Projections, c.Projections[0]) }},
		{"a projection without Apply", func(c *eventlog.Config) { c.Projections[0].Apply = nil }},
		{"a table of the log", func(c *eventlog.Config) { c.Projections[0].Tables = []string{"events"} }},
		{"a table that is none", func(c *eventlog.Config) { c.Projections[0].Tables = []string{"a; DROP TABLE events"} }},
		{"a cache of a projection's name", func(c *eventlog.Config) { c.Caches = []eventlog.Cache{{Name: "counters"}} }},
		{"a cache of a projection's table", func(c *eventlog.Config) { c.Caches = []eventlog.Cache{{Name: "a", Tables: []string{"counters"}}} }},
		{"a schema that is none", func(c *eventlog.Config) { c.Projections[0].Schema = "CREATE TABEL" }},
	}
	for _, tc := range tables {
		c := Counters()
		tc.change(&c)
		if _, err := eventlog.Open(t.Context(), open(), c); err == nil {
			t.Errorf("%s: Open succeeded", tc.name)
		}
	}
	session(t, open(), Counters(), func(l *eventlog.Log) { add(t, l, "counter/a", Added(1)) })
}

// writeUntilKilled appends two events in each command, and says of each command that it is done.
func writeUntilKilled(t *testing.T, b eventlog.Backend) {
	l, err := eventlog.Open(t.Context(), b, Counters())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Run(t.Context()) }()
	for i := range callers {
		go func() {
			for n := 0; ; n++ {
				err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
					return tx.Append(fmt.Sprintf("counter/%d", i), Opened(fmt.Sprintf("%d-%d", i, n)), Added(1))
				})
				if err != nil {
					fmt.Println("failed", err)
					return
				}
				fmt.Printf("done %d-%d\n", i, n)
			}
		}()
	}
	time.Sleep(time.Minute) // the parent does not wait that long
}

func testCrash(t *testing.T, open func(tb testing.TB, dir string) eventlog.Backend) {
	for _, commands := range []int{1, 400} {
		dir := t.TempDir()
		acknowledged := killWriter(t, dir, commands)
		session(t, open(t, dir), Counters(), func(l *eventlog.Log) { checkSurvivors(t, l, acknowledged) })
	}
}

// killWriter runs this test in a child, kills that after some acknowledgements, and returns those.
func killWriter(t *testing.T, dir string, after int) (names []string) {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$") // #nosec G204 G702 -- it is this program
	child.Env = append(os.Environ(), crashVariable+"="+dir)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "done ")
		if !ok {
			t.Errorf("the child says %q", lines.Text())
		}
		names = append(names, name)
		if len(names) == after { // what it said before it died still comes
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait() // it was killed
	if len(names) < after {
		t.Fatalf("the child acknowledged only %d commands", len(names))
	}
	return names
}

// checkSurvivors looks for every acknowledged command, for halves of commands, and for read models that are not of the log.
func checkSurvivors(t *testing.T, l *eventlog.Log, acknowledged []string) {
	t.Helper()
	opened, added := make(map[string]bool), 0
	for _, r := range all(t, l) {
		e := r.Event.(*eventlogtestv1.CounterEvent)
		if e.GetOpened() != nil {
			opened[e.GetOpened().GetName()] = true
		} else {
			added++
		}
	}
	for _, name := range acknowledged {
		if !opened[name] {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	if len(opened) != added {
		t.Errorf("there are halves of commands: %d opened, %d added", len(opened), added)
	}
	live := models(t, l)
	if err := l.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, l, int64(2*added), live...)
}
