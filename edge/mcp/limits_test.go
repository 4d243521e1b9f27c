package mcp_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paput/paput/edge/mcp"
)

// TestCallsPerSecond spends what an account has saved up, in both eras, and waits.
func TestCallsPerSecond(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	st := startServer(t, func(c *mcp.Config) {
		c.Now = func() time.Time { return begin.Add(time.Duration(ahead.Load())) }
	}, func(c *mcp.HTTPConfig) { c.CallsPerSecond = 0.5 })
	modern, headers := modernCall("paput_get_categories", "{}")
	const refused = `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"this account makes more requests than it may, 0.5 a second and 128 at once: wait a little"}}`
	for i := range 5 {
		if res := st.send(t, "POST", "/", modern, headers...); res.status != 200 {
			t.Fatalf("call %d: got %d %s", i, res.status, res.body)
		}
	}
	for _, res := range []reply{st.send(t, "POST", "/mcp", modern, headers...), st.send(t, "POST", "/", call("paput_get_categories", "{}"))} {
		if res.status != 429 || res.body != refused || res.header.Get("Retry-After") != "2" {
			t.Errorf("one too many: got %d %s, Retry-After %s", res.status, res.body, res.header.Get("Retry-After"))
		}
	}
	if res := st.send(t, "POST", "/", ping, "Authorization", "Bearer "+bobToken); res.status != 200 {
		t.Errorf("another account: got %d %s", res.status, res.body)
	}
	ahead.Store(int64(2 * time.Second))
	if res := st.send(t, "POST", "/", ping); res.status != 200 {
		t.Errorf("after that time: got %d %s", res.status, res.body)
	}
	if res := st.send(t, "POST", "/", ping); res.status != 429 {
		t.Errorf("and again: got %d", res.status)
	}
	ahead.Store(int64(time.Hour))
	for i := range 6 {
		if res := st.send(t, "POST", "/", ping); (res.status == 200) != (i < 5) {
			t.Errorf("after an hour, call %d: got %d", i, res.status)
		}
	}
}

// TestCallsAtOnce holds as many calls as an account may have under way.
func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	const most = 128
	st := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body, headers := modernCall("paput_search_memo", `{"query":"wait:1m"}`)
	var busy sync.WaitGroup
	for range most {
		busy.Go(func() {
			for {
				res, err := st.try(ctx, "POST", "/", body, headers...)
				if err != nil {
					return
				}
				res.Body.Close()
				// One of the pings below can take the last place.
				if res.StatusCode != http.StatusTooManyRequests {
					t.Errorf("got %d, want the call to last", res.StatusCode)
					return
				}
			}
		})
	}
	full := reply{status: 200}
	for full.status == 200 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
		full = st.send(t, "POST", "/", ping)
	}
	if full.status != 429 || full.header.Get("Retry-After") != "1" || !strings.Contains(full.body, "128 requests of this account are under way") {
		t.Errorf("one more: got %d %s", full.status, full.body)
	}
	if res := st.send(t, "POST", "/", ping, "Authorization", "Bearer "+bobToken); res.status != 200 {
		t.Errorf("another account: got %d", res.status)
	}
	cancel()
	busy.Wait()
	for st.send(t, "POST", "/", ping).status != 200 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
}
