package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLanguagesAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sent []string
		want string
	}{
		"what a browser sends": {[]string{"ja,en-US;q=0.9,en;q=0.8"}, "ja,en-US;q=0.9,en;q=0.8"},
		"a flood":              {[]string{"ja," + strings.Repeat("zh,fr,de,it,", 10_000)}, ""},
		"in many lines":        {strings.Split(strings.Repeat("ja de\n", 1000), "\n"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := "nothing"
			h := New(Config{MCP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Accept-Language") }), Mount: func(*http.ServeMux) {}})
			r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
			r.Header["Accept-Language"] = test.sent
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != test.want || r.Header.Get("Accept-Language") != test.sent[0] {
				t.Errorf("got %.40q, want %q", got, test.want)
			}
		})
	}
}
