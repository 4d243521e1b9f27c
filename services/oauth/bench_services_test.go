package oauth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// formRequest is a request of a client that authenticates with its secret in the header.
func (a *app) formRequest(to string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", formType)
	r.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret))
	return r
}

func BenchmarkClientCredentials(b *testing.B) {
	w, h := benchWorld(b)
	a := w.enroll()
	benchHandler(b, h, func() *http.Request { return a.formRequest("/token", serviceForm()) })
}

// BenchmarkIntrospect is to be read beside BenchmarkEcho, which does the least that an endpoint can: it says what was sent.
func BenchmarkIntrospect(b *testing.B) {
	w, h := benchWorld(b)
	server, form := introspecting(w)
	benchHandler(b, h, func() *http.Request { return server.formRequest("/introspect", form) })
}

func BenchmarkEcho(b *testing.B) {
	a, form := echoing()
	benchHandler(b, http.HandlerFunc(echo), func() *http.Request { return a.formRequest("/introspect", form) })
}

// BenchmarkIntrospectHTTP is the same over HTTP, with 64 callers, to be read beside BenchmarkEchoHTTP.
func BenchmarkIntrospectHTTP(b *testing.B) {
	w, h := benchWorld(b)
	server, form := introspecting(w)
	benchHTTP(b, h, server, form)
}

func BenchmarkEchoHTTP(b *testing.B) {
	a, form := echoing()
	benchHTTP(b, http.HandlerFunc(echo), a, form)
}

func introspecting(w *world) (*app, url.Values) {
	server, a := resourceServer(w, notesResource)
	return server, url.Values{"token": {a.login("acct_1", "resource", notesResource).access}}
}

func echoing() (*app, url.Values) {
	const token = "paput_at_" + "0123456789012345678901234567890123456789012345678901234"
	return &app{id: "client_service_1", secret: reportsSecret}, url.Values{"token": {token}}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"said": string(body)})
}

func benchHandler(b *testing.B, h http.Handler, request func() *http.Request) {
	b.Helper()
	measure(b, func(int) {
		recorded := httptest.NewRecorder()
		if h.ServeHTTP(recorded, request()); recorded.Code != http.StatusOK {
			b.Error(recorded.Code, recorded.Body)
		}
	})
}

func benchHTTP(b *testing.B, h http.Handler, a *app, form url.Values) {
	b.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	measure(b, func(int) {
		r := a.formRequest(server.URL+"/introspect", form)
		r.RequestURI = ""
		res, err := client.Do(r)
		if err != nil {
			b.Error(err)
			return
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			b.Error(res.StatusCode, err)
		}
		_ = res.Body.Close()
	})
}
