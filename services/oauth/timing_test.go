package oauth_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/paput/paput/services/oauth"
)

// strangers are the two requests that must not be told apart: by a client that does not exist, and by one that does, with a
// wrong secret.
func strangers(w *world) map[string]func() *http.Request {
	known := w.register(map[string]any{"token_endpoint_auth_method": "client_secret_post"}).id
	request := func(id string) func() *http.Request {
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {id}, "client_secret": {"paput_cs_" + strings.Repeat("A", 43)},
		}.Encode()
		return func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form))
			r.Header.Set("Content-Type", formType)
			return r
		}
	}
	return map[string]func() *http.Request{"unknown client": request("client_9"), "wrong secret": request(known)}
}

// TestUnknownClientIsAsMuchWork compares what the two requests are answered, to the byte, and how much is done for them:
// neither is answered before the store was asked. BenchmarkStrangers measures the time, which no test can. It shows the
// reading of a row; that a client exists is no secret, which the authorization endpoint tells anyone.
func TestUnknownClientIsAsMuchWork(t *testing.T) { //nolint:paralleltest // it counts the allocations of the process
	w := newWorld(t, func(c *oauth.Config) { c.FailureRate = rate.Inf })
	h := w.server.Handler()
	work := map[string]float64{}
	answers := map[string]reply{}
	for name, request := range strangers(w) {
		recorded := httptest.NewRecorder()
		h.ServeHTTP(recorded, request())
		answers[name] = reply{recorded.Code, recorded.Header(), recorded.Body.String()}
		work[name] = testing.AllocsPerRun(200, func() { h.ServeHTTP(httptest.NewRecorder(), request()) })
	}
	unknown, wrong := answers["unknown client"], answers["wrong secret"]
	unknown.wantError(t, 401, "invalid_client", textClient)
	if unknown.status != wrong.status || unknown.body != wrong.body {
		t.Errorf("got %d %s and %d %s, want the same", unknown.status, unknown.body, wrong.status, wrong.body)
	}
	for name := range unknown.header {
		if !slices.Equal(unknown.header[name], wrong.header[name]) {
			t.Errorf("got %s %v and %v, want the same", name, unknown.header[name], wrong.header[name])
		}
	}
	if more := work["wrong secret"] - work["unknown client"]; more < 0 || more > 24 { // the row that there is, or is not
		t.Errorf("got allocations %v, want nearly the same", work)
	}
}

// BenchmarkStrangers reports the median time that each of the two takes, turn by turn.
func BenchmarkStrangers(b *testing.B) {
	w := newWorld(b, func(c *oauth.Config) { c.FailureRate, c.Logger = rate.Inf, slog.New(slog.DiscardHandler) })
	h := w.server.Handler()
	requests := strangers(w)
	times := map[string][]time.Duration{}
	for b.Loop() {
		for name, request := range requests {
			r := request()
			begin := time.Now()
			h.ServeHTTP(httptest.NewRecorder(), r)
			times[name] = append(times[name], time.Since(begin))
		}
	}
	for name, taken := range times {
		slices.Sort(taken)
		b.ReportMetric(float64(taken[len(taken)/2].Nanoseconds())/1e3, strings.ReplaceAll(name, " ", "-")+"-median-µs")
	}
}
