package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFreshness(t *testing.T) {
	t.Parallel()
	tests := []struct {
		control []string
		age     string
		want    time.Duration
	}{
		{nil, "", time.Hour},
		{[]string{"public"}, "", time.Hour},
		{[]string{"max-age=600"}, "", 10 * time.Minute},
		{[]string{"public, Max-Age=600"}, "", 10 * time.Minute},
		{[]string{"public", "max-age=600"}, "", 10 * time.Minute},
		{[]string{`max-age="600"`}, "", 10 * time.Minute},
		{[]string{"max-age=600"}, "300", 5 * time.Minute},
		{[]string{"max-age=600"}, "x", 10 * time.Minute},
		{[]string{"max-age=600"}, "99999999999999999999", time.Minute},
		{[]string{"max-age=0"}, "", time.Minute},
		{[]string{"max-age=59"}, "", time.Minute},
		{[]string{"max-age=-1"}, "", time.Minute},
		{[]string{"max-age"}, "", time.Minute},
		{[]string{"max-age=600, max-age=700"}, "", time.Minute},
		{[]string{"no-store"}, "", time.Minute},
		{[]string{"max-age=600, no-cache"}, "", time.Minute},
		{[]string{"max-age=86401"}, "", 24 * time.Hour},
		{[]string{"max-age=99999999999999999999"}, "", 24 * time.Hour},
	}
	for _, tt := range tests {
		h := http.Header{"Cache-Control": tt.control}
		h.Set("Age", tt.age)
		if got := freshness(h); got != tt.want {
			t.Errorf("%q, age %q: got %s, want %s", tt.control, tt.age, got, tt.want)
		}
	}
}

// web stands for every site: it serves a document at each address once it is released, and counts.
type web struct {
	released         chan struct{}
	hits, busy, most atomic.Int64
	flaw             string
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.hits.Add(1)
	w.most.Store(max(w.most.Load(), w.busy.Add(1)))
	defer w.busy.Add(-1)
	select {
	case <-w.released:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	body := fmt.Sprintf(`{"client_id":%q,"client_name":"App","redirect_uris":["http://localhost/cb"]%s}`, r.URL, w.flaw)
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=600"}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}, nil
}

// askAll asks for documents at once, each from an address of its own, and returns how many errors of each kind came.
func askAll(ctx context.Context, d *documents, ids []string) (wait func() map[error]int) {
	var all sync.WaitGroup
	got := make(chan error, len(ids))
	for i, id := range ids {
		all.Go(func() {
			_, err := d.find(ctx, id, fmt.Sprint(i))
			got <- err
		})
	}
	return func() map[error]int {
		all.Wait()
		close(got)
		counts := map[error]int{}
		for err := range got {
			counts[err]++
		}
		return counts
	}
}

func documentIDs(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("https://app.example/%d", i))
	}
	return ids
}

func TestOneFetchForAllWhoAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &web{released: make(chan struct{})}
		d := newDocuments(w, time.Now, noScheme)
		ctx, hangUp := context.WithCancel(t.Context())
		wait := askAll(ctx, d, strings.Fields(strings.Repeat(documentID+" ", 50)))
		synctest.Wait()
		hangUp() // which ends nobody's fetch
		close(w.released)
		if got := wait(); got[nil] != 50 || w.hits.Load() != 1 {
			t.Errorf("got %v with %d fetches, want 50 answers with one", got, w.hits.Load())
		}
		if _, err := d.find(t.Context(), documentID, "later"); err != nil || w.hits.Load() != 1 {
			t.Errorf("later: got %v with %d fetches", err, w.hits.Load())
		}
		time.Sleep(10 * time.Minute)
		if _, err := d.find(t.Context(), documentID, "later"); err != nil || w.hits.Load() != 2 {
			t.Errorf("after max-age: got %v with %d fetches, want another", err, w.hits.Load())
		}
	})
}

func TestFetchSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &web{released: make(chan struct{})}
		d := newDocuments(w, time.Now, noScheme)
		wait := askAll(t.Context(), d, documentIDs(20))
		synctest.Wait()
		if w.hits.Load() != fetchSlots {
			t.Errorf("got %d fetches at once, want %d", w.hits.Load(), fetchSlots)
		}
		close(w.released)
		if got := wait(); got[nil] != 20 || w.most.Load() > fetchSlots {
			t.Errorf("got %v and at most %d at once, want 20 answers, %d at once", got, w.most.Load(), fetchSlots)
		}
	})
}

func TestSlowDocument(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &web{released: make(chan struct{})}
		d := newDocuments(w, time.Now, noScheme)
		began := time.Now()
		got := askAll(t.Context(), d, documentIDs(fetchSlots))()
		tooLong := 0
		for err, n := range got {
			if errors.Is(err, context.DeadlineExceeded) && errors.Is(err, errUnreachable) {
				tooLong += n
			}
		}
		if tooLong != fetchSlots || time.Since(began) != fetchTimeout {
			t.Errorf("got %v after %s, want 8 that took too long, after %s", got, time.Since(began), fetchTimeout)
		}
		close(w.released)
		if got := askAll(t.Context(), d, documentIDs(10))(); got[nil] != 10 {
			t.Errorf("afterwards: got %v, want 10 answers", got)
		}
	})
}

func TestNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &web{released: make(chan struct{})}
		d := newDocuments(w, time.Now, noScheme)
		for range fetchSlots {
			d.slots <- struct{}{}
		}
		if _, err := d.find(t.Context(), documentID, "a"); !errors.Is(err, errBusy) || w.hits.Load() != 0 {
			t.Errorf("got %v with %d fetches, want %v with none", err, w.hits.Load(), errBusy)
		}
	})
}

// When others keep the server busy, that is what is said, and a client that was known before goes on.
func TestNoSlotForAClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Server{documents: newDocuments(&web{}, time.Now, noScheme)}
		for range fetchSlots {
			s.documents.slots <- struct{}{}
		}
		if _, err := s.findDocument(t.Context(), documentID); !errors.Is(err, errBusy) {
			t.Errorf("got %v, want %v", err, errBusy)
		}
		known := &client{id: documentID}
		s.documents.remember(known, 0)
		if _, err := s.findDocument(t.Context(), documentID); !errors.Is(err, errBusy) {
			t.Errorf("where a log-in begins: got %v, want %v", err, errBusy)
		}
		ctx := context.WithValue(t.Context(), exchangeKey{}, &exchange{authenticating: true})
		if c, err := s.findDocument(ctx, documentID); err != nil || c != known {
			t.Errorf("got %v, %v, want the client as it was", c, err)
		}
	})
}

// A slot that becomes free too late is not used, and the site not blamed.
func TestSlotTooLate(t *testing.T) {
	t.Parallel()
	w := &web{}
	d := newDocuments(w, time.Now, noScheme)
	ended, end := context.WithCancel(t.Context())
	end()
	for range 50 { // which of the two is noticed first is left to chance
		if _, err := d.fetch(ended, documentID, "app.example"); !errors.Is(err, errBusy) || w.hits.Load() != 0 {
			t.Fatalf("got %v with %d fetches, want %v with none", err, w.hits.Load(), errBusy)
		}
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	t.Parallel()
	w := &web{released: make(chan struct{}), flaw: `,"client_secret":"x"`}
	close(w.released)
	d := newDocuments(w, time.Now, noScheme)
	for i := range int64(2) {
		if _, err := d.find(t.Context(), documentID, "a"); err == nil || w.hits.Load() != i+1 {
			t.Errorf("got %v with %d fetches, want an error with %d", err, w.hits.Load(), i+1)
		}
	}
	w.flaw = ""
	if _, err := d.find(t.Context(), documentID, "a"); err != nil {
		t.Errorf("the corrected document: got %v", err)
	}
}

func TestFetchesAreLimitedByAsker(t *testing.T) {
	t.Parallel()
	w := &web{released: make(chan struct{})}
	close(w.released)
	now := start
	d := newDocuments(w, func() time.Time { return now }, noScheme)
	for i, id := range documentIDs(fetchBurst + 1) {
		_, err := d.find(t.Context(), id, "a")
		if want := i >= fetchBurst; errors.Is(err, errTooManyDocuments) != want {
			t.Errorf("document %d: got %v, too many: %v", i, err, want)
		}
	}
	if w.hits.Load() != fetchBurst {
		t.Errorf("got %d fetches, want %d", w.hits.Load(), fetchBurst)
	}
	if _, err := d.find(t.Context(), documentIDs(1)[0], "a"); err != nil {
		t.Errorf("what is remembered: got %v", err)
	}
	if _, err := d.find(t.Context(), documentID, "b"); err != nil {
		t.Errorf("another asker: got %v", err)
	}
	now = now.Add(2 * time.Second)
	if _, err := d.find(t.Context(), documentID+"2", "a"); err != nil {
		t.Errorf("2 s later: got %v", err)
	}
}

func TestFetchesAreLimitedByHost(t *testing.T) {
	t.Parallel()
	w := &web{released: make(chan struct{})}
	close(w.released)
	now := start
	d := newDocuments(w, func() time.Time { return now }, noScheme)
	find := func(id, asker string) error {
		_, err := d.find(t.Context(), id, asker)
		return err
	}
	if err := find(documentID, "first"); err != nil {
		t.Fatal(err)
	}
	host := documentID[:strings.LastIndex(documentID, "/")]
	w.flaw = `,"client_secret":"x"` // so that nothing is remembered
	for i := range 2 * siteBurst {
		err := find(fmt.Sprintf("%s/none/%d", host, i), fmt.Sprint(i))
		if want := i >= siteBurst-1; errors.Is(err, errSpareSite) != want {
			t.Fatalf("document %d: got %v, too many: %v", i, err, want)
		}
	}
	if w.hits.Load() != siteBurst {
		t.Errorf("got %d fetches, want %d", w.hits.Load(), siteBurst)
	}
	w.flaw = ""
	if err := find("https://other.example/client", "a"); err != nil {
		t.Errorf("another host: got %v", err)
	}
	now = now.Add(time.Second)
	if err := find(host+"/new", "a"); err != nil {
		t.Errorf("a second later: got %v", err)
	}
	if err := find(host+"/newer", "a"); !errors.Is(err, errSpareSite) {
		t.Errorf("and again: got %v, want %v", err, errSpareSite)
	}

	// What was good before has an allowance of its own, which is no larger.
	now = now.Add(10 * time.Minute)
	for i := range siteBurst {
		if err := find(fmt.Sprintf("%s/more/%d", host, i), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := find(documentID, "a"); err != nil {
		t.Errorf("a document from before: got %v", err)
	}
	now = now.Add(10 * time.Minute)
	w.flaw = `,"client_secret":"x"`
	before := w.hits.Load()
	for i := range 2 * siteBurst {
		_ = find(documentID, fmt.Sprint(i))
	}
	if got := w.hits.Load() - before; got != siteBurst {
		t.Errorf("got %d fetches of a document from before, want %d", got, siteBurst)
	}
}

// TestOneAskerLeavesTheHostToOthers sees to it that an address alone cannot use up what a host may be asked.
func TestOneAskerLeavesTheHostToOthers(t *testing.T) {
	t.Parallel()
	w := &web{released: make(chan struct{}), flaw: `,"client_secret":"x"`}
	close(w.released)
	now := start
	d := newDocuments(w, func() time.Time { return now }, noScheme)
	for i := range 600 {
		_, _ = d.find(t.Context(), fmt.Sprintf("https://app.example/none/%d", i), "stranger")
		now = now.Add(time.Second / 2)
	}
	w.flaw = ""
	if _, err := d.find(t.Context(), "https://app.example/good", "somebody"); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	now := start
	d := newDocuments(nil, func() time.Time { now = now.Add(time.Millisecond); return now }, noScheme)
	d.remember(&client{id: documentID}, time.Hour)
	for _, id := range documentIDs(2 * maxDocuments) {
		d.remember(&client{id: id}, time.Hour)
		if d.recall(documentID) == nil {
			t.Fatal("a document in use was forgotten")
		}
	}
	if n := len(d.byID); n != maxDocuments {
		t.Errorf("got %d documents, want %d", n, maxDocuments)
	}
}
