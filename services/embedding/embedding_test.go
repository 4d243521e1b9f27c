package embedding_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/embedding"
	"github.com/paput/paput/services/embedding/embeddingtest"
)

const (
	secretText = "本文はここだけの話"
	echoed     = `{"error":{"message":"` + secretText + ` with ` + embeddingtest.Key + `"}}`
)

func newClient(tb testing.TB, url string) *embedding.Client {
	tb.Helper()
	c, err := embedding.New(embedding.Config{URL: url, Model: "small", Key: embeddingtest.Key})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestVectorsComeInOrder(t *testing.T) {
	t.Parallel()
	s := embeddingtest.Start(t)
	for _, url := range []string{s.URL, s.URL + "/", s.URL + "/embeddings", s.URL + "/embeddings/"} {
		got, err := newClient(t, url).Embed(t.Context(), []string{"ログイン", "car"})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		for i, text := range []string{"ログイン", "car"} {
			if want := embeddingtest.Vector("small", text, embeddingtest.Dimensions); fmt.Sprint(got[i]) != fmt.Sprint(want) {
				t.Errorf("%s: vector %d is not that of its text", url, i)
			}
		}
	}
	if got, err := newClient(t, s.URL).Embed(t.Context(), nil); got != nil || err != nil {
		t.Errorf("no texts: got %v, %v", got, err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give embedding.Config
		want string // the error
	}{
		{give: embedding.Config{URL: "https://api.example.com/v1", Model: "m"}},
		{give: embedding.Config{URL: "http://localhost:11434/v1/embeddings", Model: "m"}},
		{give: embedding.Config{URL: "http://127.0.0.2:1/v1", Model: "m"}},
		{give: embedding.Config{URL: "http://[::1]:1/v1", Model: "m"}},
		{give: embedding.Config{URL: "https://api.example.com/openai/embeddings?api-version=1", Model: "m"}},
		{give: embedding.Config{URL: "http://gpu.internal/v1", Model: "m", Insecure: true}},
		{give: embedding.Config{URL: "http://gpu.internal/v1", Model: "m"}, want: "only https is safe to another machine"},
		{give: embedding.Config{URL: "http://localhost.example.com/v1", Model: "m"}, want: "only https is safe to another machine"},
		{give: embedding.Config{URL: "ftp://localhost/v1", Model: "m"}, want: "give an http or https address, such as http://localhost:11434/v1"},
		{give: embedding.Config{URL: "localhost:11434", Model: "m"}, want: "give an http or https address, such as http://localhost:11434/v1"},
		{give: embedding.Config{URL: "https://user:secret@api.example.com", Model: "m"}, want: "give the key in a file or in the environment, not in the address"},
		{give: embedding.Config{URL: "https://api.example.com/v1"}, want: "a model is needed, by the name that the server knows it by"},
		{give: embedding.Config{URL: "https://api.example.com/v1", Model: "m", Key: "a\nb"}, want: "the key has a character that no key has, such as a space"},
	} {
		got := ""
		if _, err := embedding.New(test.give); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got error %q, want %q", test.give.URL, got, test.want)
		}
	}
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(echoed))
	}
}

// TestBadAnswers gives every kind of answer that cannot be used. No error may repeat what was sent or received.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	s := embeddingtest.Start(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	one := func(v string) string {
		return `{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":` + v + `}]}`
	}
	for _, test := range []struct {
		name  string
		fault http.HandlerFunc
		want  string
		after time.Duration
	}{
		{name: "an error", fault: status(500), want: "the embeddings server answered 500"},
		{name: "too many calls", fault: status(429, "Retry-After", "7"), want: "the embeddings server answered 429", after: 7 * time.Second},
		{name: "too many calls for long", fault: status(429, "Retry-After", "99999999"), want: "the embeddings server answered 429", after: 24 * time.Hour},
		{name: "too many calls for nonsense", fault: status(429, "Retry-After", "-soon"), want: "the embeddings server answered 429"},
		{name: "a wrong key", fault: status(401), want: "the embeddings server answered 401; is the key right?"},
		{name: "an unknown model", fault: status(404), want: "the embeddings server answered 404; are the address and the model right?"},
		{name: "a redirect", fault: status(307, "Location", elsewhere.URL), want: "the embeddings server answered 307; a redirect is not followed: give the address that it leads to"},
		{name: "success of another kind", fault: status(201), want: "the embeddings server answered 201"},
		{name: "a page", fault: answer("<html>" + secretText), want: "the embeddings server answered with something else than a list of vectors"},
		{name: "an error in disguise", fault: answer(echoed), want: "the embeddings server answered with 0 vectors for 2 texts"},
		{name: "nothing", fault: answer(""), want: "the embeddings server answered with something else than a list of vectors"},
		{name: "half of it", fault: answer(`{"data":[{"index":0,"embedding":[1,`), want: "the embeddings server answered with something else than a list of vectors"},
		{name: "one too few", fault: answer(`{"data":[{"index":0,"embedding":[1]}]}`), want: "the embeddings server answered with 1 vectors for 2 texts"},
		{name: "one twice", fault: answer(`{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`), want: "the embeddings server answered with vectors that do not say which text they are for"},
		{name: "one beyond", fault: answer(`{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}`), want: "the embeddings server answered with vectors that do not say which text they are for"},
		{name: "two lengths", fault: answer(one("[1,2,3]")), want: "the embeddings server answered with vectors of 2 and of 3 numbers"},
		{name: "no numbers", fault: answer(`{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}`), want: "the embeddings server answered with vectors of 0 numbers; 1 to 8192 can be used"},
		{name: "too many numbers", fault: answer(`{"data":[{"index":0,"embedding":[` + strings.Repeat("1,", 8192) + `1]},{"index":1,"embedding":[1]}]}`), want: "the embeddings server answered with vectors of 8193 numbers; 1 to 8192 can be used"},
		{name: "no direction", fault: answer(one("[0,0]")), want: "the embeddings server answered with a vector without a direction"},
		{name: "not a number", fault: answer(one("[NaN,1]")), want: "the embeddings server answered with something else than a list of vectors"},
		{name: "null", fault: answer(one("null")), want: "the embeddings server answered with vectors of 2 and of 0 numbers"},
		{name: "an infinite number", fault: answer(one("[1e999,1]")), want: "the embeddings server answered with something else than a list of vectors"},
		{name: "Base64", fault: answer(one(`"AACAPw=="`)), want: "the embeddings server answered with something else than a list of vectors"},
		{name: "too much", fault: answer(`{"data":"` + strings.Repeat("x", 1<<20) + `"}`), want: "the embeddings server answered with more than 589824 bytes"},
		{name: "too much of a header", fault: status(200, "X-Long", strings.Repeat("x", 1<<20)), want: "ask the embeddings server: "},
		{name: "a connection that ends", fault: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "ask the embeddings server: EOF"},
	} {
		s.Fail(test.fault)
		_, err := newClient(t, s.URL).Embed(t.Context(), []string{secretText, "b"})
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.want)
			continue
		}
		if text := err.Error(); strings.Contains(text, secretText) || strings.Contains(text, embeddingtest.Key) || strings.Contains(text, "127.0.0.1") {
			t.Errorf("%s: the error tells too much: %q", test.name, text)
		}
		var e *embedding.Error
		if errors.As(err, &e) && e.RetryAfter() != test.after {
			t.Errorf("%s: got %s to wait, want %s", test.name, e.RetryAfter(), test.after)
		}
	}
	s.Fail(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := newClient(t, s.URL).Embed(ctx, []string{"a"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that hangs: got %v, want that the deadline is exceeded", err)
	}
	s.Fail(nil)
	s.Stop()
	if _, err := newClient(t, s.URL).Embed(t.Context(), []string{"a"}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("no server: got %v, want that the connection is refused", err)
	}
}

// FuzzAnswer feeds answers: whatever comes, vectors are of one length and have a direction, or there is an error.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"data":[{"index":0,"embedding":[1,2]}]}`, `{"data":[{"embedding":[1e38,1e38]}]}`, `{"data":null}`, "[]", `{"data":[{"index":-1,"embedding":[1]}]}`} {
		f.Add(seed)
	}
	s := embeddingtest.Start(f)
	c := newClient(f, s.URL)
	f.Fuzz(func(t *testing.T, body string) {
		s.Fail(answer(body))
		got, err := c.Embed(t.Context(), []string{"a"})
		if err != nil {
			return
		}
		if len(got) != 1 || len(got[0]) == 0 || len(got[0]) > embedding.MaxDimensions {
			t.Errorf("got %v", got)
		}
	})
}
