package mcp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/paput/paput/edge/mcp"
)

// BenchmarkCall measures one tools/call, with the look-up of its token and the RPC in this process, beside a handler that
// reads JSON and writes it back. The difference is what the edge costs.
func BenchmarkCall(b *testing.B) {
	s := newServer(b, &far{}, io.Discard)
	h, err := s.Handler(mcp.HTTPConfig{PublicURL: "http://localhost:8080"})
	if err != nil {
		b.Fatal(err)
	}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v any
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	})
	const arguments = `{"query":"redirect uri","page_size":5}`
	modern, headers := modernCall("paput_search_memo", arguments)
	list := `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	b.Run("echo", func(b *testing.B) { serve(b, echo, call("paput_search_memo", arguments)) })
	b.Run("legacy", func(b *testing.B) { serve(b, h, call("paput_search_memo", arguments)) })
	b.Run("modern", func(b *testing.B) { serve(b, h, modern, headers...) })
	b.Run("list", func(b *testing.B) { serve(b, h, list) })
}

func serve(b *testing.B, h http.Handler, body string, headers ...string) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Host = "localhost:8080"
		r.Header.Set("Authorization", "Bearer "+aliceToken)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
