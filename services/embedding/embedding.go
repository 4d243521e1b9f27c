// Package embedding asks a server that speaks OpenAI's embeddings API for vectors: OpenAI itself, Ollama, llama.cpp, vLLM
// and many others.
//
// No error of this package has anything of a text, of an answer or of the key in it.
package embedding

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxDimensions is how many numbers a vector may have.
	MaxDimensions = 8192
	// maxNumber is how many bytes a number of an answer takes, its comma and some white space among them.
	maxNumber = 32
	// maxFrame is how many bytes an answer may have besides its numbers.
	maxFrame       = 64 << 10
	maxHeader      = 64 << 10
	connectTimeout = 10 * time.Second
)

// ErrInsecure refuses plain http to another machine.
var ErrInsecure = errors.New("only https is safe to another machine")

// Config says which server is asked for which vectors.
type Config struct {
	// URL is where the API is, with or without /embeddings at the end: http://localhost:11434/v1.
	URL string
	// Model is the model's name as the server knows it.
	Model string
	// Key is sent as a bearer token; empty sends none.
	Key string
	// Insecure allows plain http to another machine.
	Insecure bool
}

// Client asks one server. Its methods may be called from any goroutine.
type Client struct {
	url, model, key string
	http            *http.Client
}

// New returns a client, or says what is wrong with c.
func New(c Config) (*Client, error) {
	address, err := endpoint(c.URL, c.Insecure)
	if err != nil {
		return nil, err
	}
	if c.Model == "" {
		return nil, errors.New("a model is needed, by the name that the server knows it by")
	}
	if strings.ContainsFunc(c.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the key has a character that no key has, such as a space")
	}
	return &Client{url: address, model: c.Model, key: c.Key, http: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			IdleConnTimeout:        time.Minute,
			MaxIdleConnsPerHost:    8,
			MaxResponseHeaderBytes: maxHeader,
			ForceAttemptHTTP2:      true,
		},
		// Memos and the key go where the operator said, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// endpoint checks an address and completes it. What it says of one repeats nothing of it: there may be a secret inside.
func endpoint(raw string, insecure bool) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" {
		return "", errors.New("give an http or https address, such as http://localhost:11434/v1")
	}
	if u.User != nil {
		return "", errors.New("give the key in a file or in the environment, not in the address")
	}
	if u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()) {
		return "", ErrInsecure
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(u.Path, "/embeddings") {
		u.Path += "/embeddings"
	}
	u.RawPath = ""
	return u.String(), nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Error is an answer of the server that is not what was asked for.
type Error struct {
	// Status is the HTTP status; 200 when the trouble is in what came with it.
	Status int
	text   string
	after  time.Duration
}

func (e *Error) Error() string { return e.text }

// RetryAfter is how long the server wants to be left alone; 0 when it did not say.
func (e *Error) RetryAfter() time.Duration { return e.after }

func badAnswer(format string, args ...any) error {
	return &Error{Status: http.StatusOK, text: "the embeddings server answered with " + fmt.Sprintf(format, args...)}
}

// Embed gives a vector for each text, in order, all of the same length, which is 1 to MaxDimensions. No number is NaN or
// infinite and no vector is zero. The error is an *Error when the server answered. It waits as long as ctx allows.
func (c *Client) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	res, err := c.post(ctx, texts)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, refused(res)
	}
	limit := int64(maxFrame + len(texts)*MaxDimensions*maxNumber)
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of the embeddings server: %w", bare(err))
	}
	if int64(len(data)) > limit {
		return nil, badAnswer("more than %d bytes", limit)
	}
	return vectors(data, len(texts))
}

func (c *Client) post(ctx context.Context, texts []string) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"model": c.model, "input": texts, "encoding_format": "float"})
	if err != nil {
		return nil, errors.New("the texts cannot be written as JSON")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address of the embeddings server cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the embeddings server: %w", bare(err))
	}
	return res, nil
}

// bare drops the address from an error.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func refused(res *http.Response) error {
	hint := ""
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		hint = "; is the key right?"
	case res.StatusCode == http.StatusNotFound:
		hint = "; are the address and the model right?"
	case res.StatusCode >= 300 && res.StatusCode < 400:
		hint = "; a redirect is not followed: give the address that it leads to"
	}
	return &Error{
		Status: res.StatusCode,
		text:   fmt.Sprintf("the embeddings server answered %d%s", res.StatusCode, hint),
		after:  retryAfter(res.Header.Get("Retry-After")),
	}
}

// retryAfter reads the header of RFC 9110, section 10.2.3; 0 when it is missing or makes no sense.
func retryAfter(value string) time.Duration {
	const day = 24 * 60 * 60
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(max(0, min(seconds, day))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, min(time.Until(at), day*time.Second))
}

// vectors reads an answer.
func vectors(data []byte, texts int) ([][]float32, error) {
	var answer struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return nil, badAnswer("something else than a list of vectors")
	}
	if len(answer.Data) != texts {
		return nil, badAnswer("%d vectors for %d texts", len(answer.Data), texts)
	}
	out := make([][]float32, texts)
	for _, d := range answer.Data {
		if d.Index < 0 || d.Index >= texts || out[d.Index] != nil {
			return nil, badAnswer("vectors that do not say which text they are for")
		}
		if err := check(d.Embedding, len(answer.Data[0].Embedding)); err != nil {
			return nil, err
		}
		out[d.Index] = d.Embedding
	}
	return out, nil
}

// check refuses a vector that cannot be compared with others of n numbers.
func check(v []float32, n int) error {
	if n == 0 || n > MaxDimensions {
		return badAnswer("vectors of %d numbers; 1 to %d can be used", n, MaxDimensions)
	}
	if len(v) != n {
		return badAnswer("vectors of %d and of %d numbers", n, len(v))
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return badAnswer("a vector without a direction")
	}
	return nil
}
