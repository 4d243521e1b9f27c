package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// Anyone may ask whether the server is ready, and fills no log with it.
func TestAskingFillsNoLog(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	c := Config{
		Ready: func(*http.Request) error { return errors.New("the disk is full") },
		Now:   func() time.Time { return now },
		Log:   slog.New(slog.NewTextHandler(&logs, nil)),
	}
	ready := c.ready(rate.NewLimiter(reportRate, reportBurst))
	ask := func(ctx context.Context) {
		t.Helper()
		recorded := httptest.NewRecorder()
		ready(recorded, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
		if recorded.Code != http.StatusServiceUnavailable || strings.Contains(recorded.Body.String(), "disk") {
			t.Errorf("got %d %s", recorded.Code, recorded.Body)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ask(gone)
	if logs.Len() > 0 {
		t.Errorf("of one who has hung up: %s", &logs)
	}
	for range 1000 {
		ask(t.Context())
	}
	if n := strings.Count(logs.String(), `msg="not ready" error="the disk is full"`); n != reportBurst {
		t.Errorf("got %d lines, want %d", n, reportBurst)
	}
	now = now.Add(10 * time.Second)
	ask(t.Context())
	if n := strings.Count(logs.String(), "\n"); n != reportBurst+1 {
		t.Errorf("10 seconds later: got %d lines, want one more", n)
	}
}
