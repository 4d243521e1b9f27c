package mcp_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/edge/mcp"
)

// subscribe opens a stream about resources.
func subscribe(t *testing.T, st *site, token, uris string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":%s},%s}}`, uris, modernMeta)
	res, err := st.try(t.Context(), "POST", "/mcp", body, "Authorization", "Bearer "+token, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res, bufio.NewScanner(res.Body)
}

// data reads the next message of a stream; "" at its end.
func data(events *bufio.Scanner) string {
	for events.Scan() {
		if said, ok := strings.CutPrefix(events.Text(), "data: "); ok {
			return said
		}
	}
	return ""
}

func TestResourceUpdates(t *testing.T) {
	t.Parallel()
	st := startServer(t, func(*mcp.Config) {}, func(c *mcp.HTTPConfig) { c.KeepAlive = time.Second })
	st.changed = make(chan string)
	const meta = `{"_meta":{"io.modelcontextprotocol/subscriptionId":"s"},`
	res, events := subscribe(t, st, aliceToken, `["memo://memo_1","file:///etc/passwd","memo://recent","memo://memo_1","memo://memo_gone"]`) //nolint:bodyclose // by subscribe
	want := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":` + meta + `"notifications":{"resourceSubscriptions":["memo://memo_1","memo://recent","memo://memo_gone"]}}}`
	if got := data(events); res.StatusCode != http.StatusOK || got != want {
		t.Fatalf("got %d %s\nwant %s", res.StatusCode, got, want)
	}
	for _, change := range []struct {
		id   string
		uris []string
	}{
		{"memo_1", []string{"memo://memo_1", "memo://recent"}},
		{"memo_2", []string{"memo://recent"}},
		{"memo_gone", []string{"memo://recent", "memo://memo_gone"}},
	} {
		st.changed <- change.id
		for _, uri := range change.uris {
			want := `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":` + meta + `"uri":"` + uri + `"}}`
			if got := data(events); got != want {
				t.Errorf("%s: got %s\nwant %s", change.id, got, want)
			}
		}
	}
	close(st.changed)
	if got := data(events); got != "" {
		t.Errorf("after the watch: got %s, want the end", got)
	}
}

// TestStreamsLendNothing lets other messages be read into the memory that the one that opened a stream was read into.
func TestStreamsLendNothing(t *testing.T) {
	t.Parallel()
	st := start(t)
	st.changed = make(chan string)
	_, events := subscribe(t, st, aliceToken, `["memo://memo_1"]`) //nolint:bodyclose // by subscribe
	data(events)
	for range 50 {
		st.send(t, "POST", "/", `{"jsonrpc":"2.0","id":"x","method":"ping"}`)
	}
	st.changed <- "memo_1"
	if got := data(events); !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":"s"`) {
		t.Errorf("got %s, want the id of the stream", got)
	}
}

// TestResourceUpdatesEnd stops the server, and with it the watch that a stream tells of: the client is told that this is the
// end, whichever of the two is seen first.
func TestResourceUpdatesEnd(t *testing.T) {
	t.Parallel()
	for range 20 {
		st := start(t)
		st.changed = make(chan string)
		_, events := subscribe(t, st, aliceToken, `["memo://memo_1"]`) //nolint:bodyclose // by subscribe
		data(events)
		st.s.Shutdown()
		close(st.changed)
		const want = `{"jsonrpc":"2.0","id":"s","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"s"}}}`
		if got := data(events); got != want {
			t.Fatalf("got %q, want %s", got, want)
		}
	}
}

func TestResourceUpdatesRefused(t *testing.T) {
	t.Parallel()
	st := start(t)
	st.changed = make(chan string)
	if _, events := subscribe(t, st, captureToken, `["memo://recent"]`); !strings.HasSuffix(data(events), `"notifications":{}}}`) { //nolint:bodyclose // by subscribe
		t.Error("a caller who may not read is told of changes")
	}
	for _, uris := range []string{`"memo://recent"`, `[1]`, `["memo://0"` + manyURIs() + `]`} {
		if res, _ := subscribe(t, st, aliceToken, uris); res.StatusCode != http.StatusBadRequest { //nolint:bodyclose // by subscribe
			t.Errorf("%.40s: got %d, want 400", uris, res.StatusCode)
		}
	}
}

func manyURIs() string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `,"memo://m%d"`, i)
	}
	return b.String()
}
