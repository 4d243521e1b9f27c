package oauth_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/time/rate"

	"github.com/paput/paput/services/oauth"
)

func benchWorld(b *testing.B) (*world, http.Handler) {
	b.Helper()
	w := newWorld(b, func(c *oauth.Config) {
		c.RegisterRate, c.PageRate, c.Logger = rate.Inf, rate.Inf, slog.New(slog.DiscardHandler)
	})
	return w, w.server.Handler()
}

// cpu reports the processor time of the whole process per operation, test client included.
func cpu(b *testing.B) {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-before)/1e3/float64(b.N), "cpu-µs/op") })
}

func BenchmarkRefresh(b *testing.B) {
	w, h := benchWorld(b)
	a := w.register(nil)
	b.ReportAllocs()
	cpu(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		token := a.login("acct_1").refresh
		for pb.Next() {
			form := a.refreshForm(token, "client_id", a.id)
			r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", formType)
			recorded := httptest.NewRecorder()
			h.ServeHTTP(recorded, r)
			token = reply{recorded.Code, recorded.Header(), recorded.Body.String()}.tokens(b).refresh
		}
	})
}

func BenchmarkRegister(b *testing.B) {
	_, h := benchWorld(b)
	b.ReportAllocs()
	cpu(b)
	b.SetParallelism(32)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, "/register", strings.NewReader(fmt.Sprintf(
				`{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none","client_name":"Bench %d"}`, n.Add(1))))
			r.Header.Set("Content-Type", "application/json")
			recorded := httptest.NewRecorder()
			h.ServeHTTP(recorded, r)
			if recorded.Code != http.StatusCreated {
				b.Error(recorded.Body)
			}
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	w, _ := benchWorld(b)
	token := w.register(nil).login("acct_1").access
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.server.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
