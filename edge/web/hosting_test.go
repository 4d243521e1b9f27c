package web

import (
	"bytes"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// hosted is what a server at an address answers.
func hosted(t *testing.T, c Config, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	c.MCP, c.Mount, c.Now, c.Log = http.NotFoundHandler(), func(*http.ServeMux) {}, time.Now, slog.New(slog.DiscardHandler)
	w := httptest.NewRecorder()
	New(c).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "http://paput.example.com"+path, nil))
	return w
}

func TestHosting(t *testing.T) {
	t.Parallel()
	c := Config{PublicURL: "https://paput.example.com", OpenAIChallenge: "token-of-openai"}
	for _, test := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/robots.txt", 200, "text/plain; charset=utf-8", robots},
		{"POST", "/robots.txt", 405, "text/plain; charset=utf-8", "Only GET is possible here.\n"},
		{"GET", "/.well-known/openai-apps-challenge", 200, "text/plain; charset=utf-8", "token-of-openai"},
		{"GET", "/icon.svg", 200, "image/svg+xml", ""},
		{"GET", "/icon-192.png", 200, "image/png", ""},
		{"GET", "/apple-touch-icon.png", 200, "image/png", ""},
		{"GET", "/favicon.ico", 200, "image/x-icon", ""},
	} {
		got := hosted(t, c, test.method, test.path)
		if got.Code != test.status || got.Header().Get("Content-Type") != test.kind || test.body != "" && got.Body.String() != test.body {
			t.Errorf("%s %s: got %d %s %.80q", test.method, test.path, got.Code, got.Header(), got.Body)
		}
		if got.Header().Get("Strict-Transport-Security") != "max-age=31536000" {
			t.Errorf("%s: got %v, want HSTS", test.path, got.Header())
		}
	}
	plain := Config{PublicURL: "http://localhost:8080"}
	if got := hosted(t, plain, "GET", "/robots.txt"); got.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS")
	}
	if got := hosted(t, plain, "GET", "/.well-known/openai-apps-challenge"); got.Code != http.StatusNotFound {
		t.Errorf("no challenge: got %d, want 404", got.Code)
	}
}

// TestIcon checks that the drawn icon is the one in the SVG at a few points, and round at its corners.
func TestIcon(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32, 180, 192} {
		picture, err := png.Decode(bytes.NewReader(iconPNG(size)))
		if err != nil || picture.Bounds().Dx() != size || picture.Bounds().Dy() != size {
			t.Fatalf("%d: got %v (%v)", size, picture.Bounds(), err)
		}
		for _, at := range []struct {
			x, y       float64 // of 64
			r, g, b, a uint32
		}{
			{0.2, 0.2, 0, 0, 0, 0}, {8, 32, 0x1f, 0x6f, 0x5c, 0xff}, {21, 20, 0xff, 0xff, 0xff, 0xff}, {40, 19, 0xb9, 0xd8, 0xcf, 0xff}, {46, 14, 0x1f, 0x6f, 0x5c, 0xff},
		} {
			r, g, b, a := picture.At(int(at.x*float64(size)/64), int(at.y*float64(size)/64)).RGBA()
			if r>>8 != at.r || g>>8 != at.g || b>>8 != at.b || a>>8 != at.a {
				t.Errorf("%d at %v, %v: got %x %x %x %x", size, at.x, at.y, r>>8, g>>8, b>>8, a>>8)
			}
		}
	}
	ico := iconICO(iconPNG(32))
	if !bytes.Equal(ico[:6], []byte{0, 0, 1, 0, 1, 0}) || !bytes.HasPrefix(ico[22:], []byte("\x89PNG")) {
		t.Errorf("got % x", ico[:32])
	}
}
