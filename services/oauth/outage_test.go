package oauth_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/oauth"
)

// outage is a way in which the store can fail under a running server.
type outage struct {
	name string
	// begin makes it so; stop ends the log as a shutdown does.
	begin func(s *scene, stop func())
	// writes says that nothing can be recorded.
	writes bool
}

func outages() []outage {
	return []outage{
		{"nothing can be read", func(s *scene, _ func()) {
			if err := s.log.DB().Close(); err != nil {
				s.Fatal(err)
			}
		}, false},
		{"nothing can be written", func(s *scene, _ func()) {
			err := s.log.Do(s.Context(), func(tx *eventlog.Tx) error {
				rows, err := tx.Query(`PRAGMA query_only = ON`)
				if err != nil {
					return err
				}
				return rows.Close()
			})
			if err != nil {
				s.Fatal(err)
			}
		}, true},
		{"the log has stopped", func(_ *scene, stop func()) { stop() }, true},
	}
}

// TestEveryOutage lets the store fail under every request that TestEveryOutcome knows. What can be answered without it is
// answered as ever, and the rest is a failure of ours, never of the client's or its grant's, for which apps would
// throw away what they hold. Nobody is told more than a reference that the log has too.
func TestEveryOutage(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		for _, row := range outcomes() {
			if slices.Contains([]string{"sweep", "access token", "administration"}, row.endpoint) {
				continue // no request to this server
			}
			t.Run(o.name+"/"+row.endpoint+"/"+row.situation, func(t *testing.T) {
				t.Parallel()
				now := &clock{now: startOfTime}
				log, stop := stoppableLog(t, now)
				s := newScene(t, func(c *oauth.Config) { c.Log, c.Now = log, now.Now })
				s.clock = now
				act := row.prepare(s)
				o.begin(s, stop)
				r := act()
				if got := told(r); got == row.answer && (!o.writes || len(row.events) == 0) {
					return
				}
				r.wantTrouble(t, s.logged.String())
			})
		}
	}
}

// stoppableLog returns a running log and what stops it before the end of the test.
func stoppableLog(tb testing.TB, now *clock) (log *eventlog.Log, stop func()) {
	tb.Helper()
	store, err := sqlite.Memory(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	log, err = eventlog.Open(tb.Context(), store, eventlog.Config{Kinds: oauth.Kinds(), Projections: oauth.Projections(), Now: now.Now})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = log.Run(ctx) // fails when its writes do
	}()
	stop = func() { cancel(); <-done }
	tb.Cleanup(func() { stop(); _ = log.Close() })
	return log, stop
}

var troubleText = regexp.MustCompile(`^(something went wrong here|the server cannot take this just now): try again\. Reference: (req_\d+)$`)

var troublePage = regexp.MustCompile(`<code>(req_\d+)</code>`)

// wantTrouble checks that an answer admits a failure of ours, says nothing of its cause, and names a reference that the
// log knows the cause by.
func (r reply) wantTrouble(tb testing.TB, logged string) {
	tb.Helper()
	if r.status != http.StatusInternalServerError && r.status != http.StatusServiceUnavailable {
		tb.Fatalf("got %d to %q: %s", r.status, r.header.Get("Location"), r.body)
	}
	if got := r.header.Get("Retry-After"); (got == "") == (r.status == http.StatusServiceUnavailable) {
		tb.Errorf("got Retry-After %q with %d", got, r.status)
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		tb.Errorf("got Cache-Control %q, want no-store", got)
	}
	if r.header.Get("Location") != "" {
		tb.Errorf("the browser is sent to %s", r.header.Get("Location"))
	}
	var reference string
	if said := troubleText.FindStringSubmatch(r.text("error_description")); r.text("error") == "server_error" && said != nil {
		reference = said[2]
	} else if shown := troublePage.FindStringSubmatch(r.body); r.header.Get("X-Error") == "server_error" && shown != nil {
		reference = shown[1]
	}
	if reference == "" || !strings.Contains(logged, "request_id="+reference) || !strings.Contains(logged, "error=") {
		tb.Errorf("the reference %q is not in the log: %s\n%s", reference, r.body, logged)
	}
	for _, inner := range []string{"sql", "database", "closed", "readonly", "event log", "transaction", "oauth_"} {
		if strings.Contains(strings.ToLower(r.body), inner) {
			tb.Errorf("the answer says %q: %s", inner, r.body)
		}
	}
}
