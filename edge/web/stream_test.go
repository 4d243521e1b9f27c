package web

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestStreamThatIsNotRead calls a streaming RPC that never stops sending, and reads nothing of it.
func TestStreamThatIsNotRead(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	web := httptest.NewServer(Config{Now: time.Now, Patience: 100 * time.Millisecond}.boundStreams(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			for message := bytes.Repeat([]byte("x"), 64<<10); ; {
				if _, err := w.Write(message); err != nil {
					return
				}
			}
		})))
	t.Cleanup(web.Close)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\nContent-Length: 0\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the server waits for its reader for ever")
	}
}
