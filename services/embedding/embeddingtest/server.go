// Package embeddingtest is a small server that speaks OpenAI's embeddings API, for tests: what it answers follows from the
// text alone, it knows which of a few words mean the same in two languages, and it fails on demand.
package embeddingtest

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// Dimensions is the length of the server's vectors.
const Dimensions = 256

// Key is what the server wants to be shown.
const Key = "sk-embeddingtest-0123456789"

// meanings are words that mean the same.
func meanings() [][]string {
	return [][]string{
		{"login", "sign-in", "authentication", "ログイン", "認証"},
		{"expire", "lifetime", "期限", "失効"},
		{"car", "automobile", "vehicle", "自動車", "車"},
		{"backup", "snapshot", "バックアップ", "控え"},
		{"database", "sqlite", "データベース"},
		{"slow", "latency", "遅い", "遅延"},
	}
}

// Server is a running server.
type Server struct {
	// URL is the API's address, up to and with /v1.
	URL string

	mu     sync.Mutex
	http   *httptest.Server
	fault  http.HandlerFunc // answers instead; nil when all is well
	refuse func(text string) bool
	texts  []string
	calls  int
	size   int
}

// Start starts a server that ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{size: Dimensions}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL + "/v1"
	tb.Cleanup(s.Stop)
	return s
}

// Stop ends the server: connections are refused.
func (s *Server) Stop() {
	s.mu.Lock()
	h := s.http
	s.http = nil
	s.mu.Unlock()
	if h != nil {
		h.CloseClientConnections()
		h.Close()
	}
}

// Restart starts a stopped server at the address that it had.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/v1")
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	h := httptest.NewUnstartedServer(s)
	_ = h.Listener.Close()
	h.Listener = listener
	h.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.http = h
}

// Fail makes fault answer instead of the server; nil makes all well again.
func (s *Server) Fail(fault http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Refuse makes the server answer 400 to a call with a text for which refuse is true.
func (s *Server) Refuse(refuse func(text string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// Resize changes the length of the vectors, as another model would.
func (s *Server) Resize(dimensions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = dimensions
}

// Calls is how often the server was asked, faults included.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Texts are those that vectors were given for, in order.
func (s *Server) Texts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls++
	fault, refuse, size := s.fault, s.refuse, s.size
	s.mu.Unlock()
	body, _ := io.ReadAll(r.Body) // also, so that a fault that hangs learns that the caller has gone
	if fault != nil {
		fault(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Key {
		http.Error(w, `{"error":{"message":"no such key"}}`, http.StatusUnauthorized)
		return
	}
	var call struct {
		Model string
		Input []string
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/embeddings" || json.Unmarshal(body, &call) != nil || call.Model == "" {
		http.Error(w, `{"error":{"message":"bad request"}}`, http.StatusBadRequest)
		return
	}
	if refuse != nil && slices.ContainsFunc(call.Input, refuse) {
		http.Error(w, `{"error":{"message":"too long"}}`, http.StatusBadRequest)
		return
	}
	type item struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	items := []item{}
	for i, text := range call.Input {
		items = append(items, item{"embedding", i, Vector(call.Model, text, size)})
	}
	slices.Reverse(items) // the index says which is which
	s.mu.Lock()
	s.texts = append(s.texts, call.Input...)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "model": call.Model, "data": items, "usage": map[string]int{"prompt_tokens": 1, "total_tokens": 1}})
}

// Vector is what the server says of a text. Each model has directions of its own.
func Vector(model, text string, dimensions int) []float32 {
	v := make([]float32, dimensions)
	text = strings.ToLower(text)
	for i, group := range meanings() {
		if slices.ContainsFunc(group, func(word string) bool { return strings.Contains(text, word) }) {
			add(v, model+"\x00meaning\x00"+string(rune('a'+i)), 4)
		}
	}
	letters := []rune(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return ' '
	}, text))
	const n = 3
	for i := range max(1, len(letters)-n+1) {
		add(v, model+"\x00"+string(letters[i:min(len(letters), i+n)]), 1/math.Sqrt(float64(len(letters)+1)))
	}
	return v
}

// add adds a direction that follows from the key.
func add(v []float32, key string, weight float64) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	x := h.Sum64()
	for i := range v {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		v[i] += float32(weight * (float64(x>>11)/(1<<52) - 1))
	}
}
