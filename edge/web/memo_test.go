package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// shelf has public memos by id. An id that it does not have is not found.
type shelf map[string]*memov1.Memo

func (s shelf) GetPublicMemo(_ context.Context, r *memov1.GetPublicMemoRequest) (*memov1.GetPublicMemoResponse, error) {
	switch m := s[r.GetId()]; {
	case r.GetId() == "broken":
		return nil, connect.NewError(connect.CodeInternal, "secret dsn")
	case len(r.GetId()) > 64:
		return nil, connect.NewError(connect.CodeInvalidArgument, "id is too long")
	case m != nil:
		return &memov1.GetPublicMemoResponse{Memo: m}, nil
	}
	return nil, connect.NewError(connect.CodeNotFound, "there is no public memo of this id")
}

func publicMemo(title, body string) *memov1.Memo {
	return &memov1.Memo{
		Id: "memo_1", Title: title, Body: body, Summary: "一行の <要約>", MemoTypes: []string{"decision", "knowledge"},
		CreateTime: timestamppb.New(time.Date(2026, 1, 31, 15, 0, 0, 0, time.UTC)), UpdateTime: timestamppb.New(time.Date(2026, 2, 1, 15, 0, 0, 0, time.UTC)),
	}
}

// reply is an answer as it was read.
type reply struct {
	status int
	header http.Header
	text   string
}

// ask sends a request whose headers are given by names and values.
func (s shelf) ask(t *testing.T, method, path string, headers ...string) reply {
	t.Helper()
	handler := New(Config{PublicURL: "https://paput.example.com", MCP: http.NotFoundHandler(), Memos: s, Mount: func(*http.ServeMux) {}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

func TestMemoPage(t *testing.T) {
	t.Parallel()
	s := shelf{"memo_1": publicMemo("認証の <移行>", "## 理由\n\nOIDC に移る。<script>alert(1)</script>\n")}
	res := s.ask(t, http.MethodGet, "/m/memo_1", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language", "ja,en;q=0.5")
	page := res.text
	for _, want := range []string{
		`<html lang="ja">`, "<title>認証の &lt;移行&gt; · Paput</title>", `<h1 dir="auto">認証の &lt;移行&gt;</h1>`, "<h3>理由</h3>", "一行の &lt;要約&gt;", "決定 · 知識 · ",
		`<time datetime="2026-01-31T15:00:00Z">2026-01-31</time>`, `更新 <time datetime="2026-02-01T15:00:00Z">2026-02-01</time>`,
		`<link rel="alternate" type="text/markdown" href="/m/memo_1.md">`, "&lt;script&gt;alert(1)&lt;/script&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	for name, want := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff", "X-Robots-Tag": "noindex, noarchive", "Referrer-Policy": "no-referrer",
		"Cache-Control": "no-cache", "Vary": "Accept, Accept-Language",
	} {
		if got := res.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if len(res.header.Values("Set-Cookie")) != 0 {
		t.Errorf("a reader gets cookies: %v", res.header.Values("Set-Cookie"))
	}

	english := s.ask(t, http.MethodGet, "/m/memo_1").text
	for _, want := range []string{`<html lang="ja">`, `lang="en">Decision · Knowledge · Written`} {
		if !strings.Contains(english, want) {
			t.Errorf("the page in English lacks %s:\n%s", want, english)
		}
	}
	etag := res.header.Get("ETag")
	head := s.ask(t, http.MethodHead, "/m/memo_1", "Accept-Language", "ja")
	if head.status != http.StatusOK || head.text != "" || head.header.Get("ETag") != etag {
		t.Errorf("HEAD: got %d, %v", head.status, head.header)
	}
	same := s.ask(t, http.MethodGet, "/m/memo_1", "If-None-Match", etag, "Accept-Language", "ja")
	if same.status != http.StatusNotModified || same.text != "" {
		t.Errorf("unchanged: got %d, want 304", same.status)
	}
	if other := s.ask(t, http.MethodGet, "/m/memo_1", "If-None-Match", etag, "Accept-Language", "en"); other.status != http.StatusOK {
		t.Errorf("in another language: got %d, want 200", other.status)
	}
	s["memo_1"].Body += "追記"
	if changed := s.ask(t, http.MethodGet, "/m/memo_1", "If-None-Match", etag, "Accept-Language", "ja"); changed.status != http.StatusOK || changed.header.Get("ETag") == etag {
		t.Errorf("changed: got %d, want 200 and another ETag", changed.status)
	}
	delete(s, "memo_1")
	if gone := s.ask(t, http.MethodGet, "/m/memo_1", "If-None-Match", etag); gone.status != http.StatusNotFound {
		t.Errorf("gone: got %d, want 404", gone.status)
	}
}

func TestMemoAsMarkdown(t *testing.T) {
	t.Parallel()
	s := shelf{"memo_1": publicMemo("題", "本文 <script>\n")}
	const want = "# 題\n\n> 一行の <要約>\n\n本文 <script>\n"
	for _, request := range [][]string{
		{"/m/memo_1.md"}, {"/m/memo_1.md", "Accept", "text/html"},
		{"/m/memo_1", "Accept", "text/markdown"}, {"/m/memo_1", "Accept", "text/markdown, text/html, */*"},
		{"/m/memo_1", "Accept", "text/html;q=0.5, text/markdown;q=0.9"}, {"/m/memo_1", "Accept", "text/html;q=0.5", "Accept", "text/markdown"},
	} {
		res := s.ask(t, http.MethodGet, request[0], request[1:]...)
		if got := res.text; got != want || res.header.Get("Content-Type") != "text/markdown; charset=utf-8" || res.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v: got %s %q, want the Markdown", request, res.header.Get("Content-Type"), got)
		}
	}
	for _, accept := range []string{"", "*/*", "text/*", "text/html", "application/json", "text/markdown;q=0", "text/html, text/markdown;q=0.9", "text/markdown;q=0.4, text/*;q=0.5", "text/markdown;q=x", ",;"} {
		res := s.ask(t, http.MethodGet, "/m/memo_1", "Accept", accept)
		if got := res.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("%q: got %s, want the page", accept, got)
		}
	}
}

func TestNoMemo(t *testing.T) {
	t.Parallel()
	s := shelf{}
	answers := map[string]bool{}
	for _, id := range []string{"memo_1", "memo_2", "x", "..%2f..%2fetc", strings.Repeat("x", 65), "%3Cscript%3E", "%ff"} {
		res := s.ask(t, http.MethodGet, "/m/"+id, "Accept", "text/html", "Accept-Language", "ja")
		page := res.text
		answers[page] = true
		if res.status != http.StatusNotFound || !strings.Contains(page, `<html lang="ja">`) || !strings.Contains(page, "公開中のメモはありません") || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %v\n%s", id, res.status, res.header, page)
		}
	}
	if len(answers) != 1 {
		t.Errorf("got %d answers, want one for all", len(answers))
	}
	res := s.ask(t, http.MethodGet, "/m/memo_1.md")
	if got := res.text; res.status != http.StatusNotFound || !strings.HasPrefix(got, "There is no public memo") || !strings.HasPrefix(res.header.Get("Content-Type"), "text/plain") {
		t.Errorf("as Markdown: got %d %q", res.status, got)
	}
	res = s.ask(t, http.MethodGet, "/m/broken")
	if got := res.text; res.status != http.StatusServiceUnavailable || strings.Contains(got, "secret") || res.header.Get("Retry-After") == "" {
		t.Errorf("a service that fails: got %d %q", res.status, got)
	}
	if res := s.ask(t, http.MethodPost, "/m/memo_1"); res.status != http.StatusMethodNotAllowed || res.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %d", res.status)
	}
}

// TestPageIsSafe puts attacks into every part of a memo that its author writes.
func TestPageIsSafe(t *testing.T) {
	t.Parallel()
	pages := newMemoPages(shelf{}, slog.New(slog.DiscardHandler))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/m/memo_1", nil)
	plain, err := pages.page(r, publicMemo("t", ""))
	if err != nil {
		t.Fatal(err)
	}
	tags := len(tag.FindAllString(string(plain), -1))
	for _, attack := range append(attacks(), "abc\u202egnp.exe", "\u2066x", "</title><script>alert(1)</script>", "\" onload=\"alert(1)") {
		m := publicMemo(attack, "")
		m.Summary, m.MemoTypes = attack, []string{attack, "decision"}
		page, err := pages.page(r, m)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(tag.FindAllString(string(page), -1)); got != tags {
			t.Errorf("%q: got %d tags, want %d as without it:\n%s", attack, got, tags, page)
		}
		if !strings.Contains(string(page), `<h1 dir="auto">`) {
			t.Errorf("%q: the title's direction is not its own", attack)
		}
	}
}

func TestLanguageOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"認証トークンを更新する": "ja", "認証基盤移行": "ja", "Why we chose SQLite": "en", "": "", "2026-01-31 → 🚀": "",
		"`redirect_uri` と `redirect_uris` の default_value を確かめる手順": "ja", "The word 移行 means migration, as in 移行計画, and nothing else at all here": "en",
		"인증 토큰을 갱신한다": "ko", "Почему мы выбрали SQLite": "", strings.Repeat("认证令牌更新", 10): "zh", "Größenänderung für Überschriften": "en",
	} {
		if got := languageOf(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestCancelledReader(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pages := newMemoPages(gone{}, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	pages.serve(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/m/memo_1", nil))
	if w.Body.Len() != 0 {
		t.Errorf("got %q for a reader who has gone", w.Body)
	}
}

// gone answers as for a reader who has gone.
type gone struct{}

func (gone) GetPublicMemo(context.Context, *memov1.GetPublicMemoRequest) (*memov1.GetPublicMemoResponse, error) {
	return nil, errors.New("cancelled")
}
