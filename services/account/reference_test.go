package account

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paput/paput/services/eventlog"
)

// Every error page has a reference, and the log has it too. Neither has anything that was sent.
func TestReferences(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	s := newSite(t, logTo(&logged), withLimits(Limits{Email: Rate{Every: time.Minute, Burst: 1}}))
	s.addAccount("ada@example.com")
	v := s.visitor()
	form := v.fill("/login", "email", "ada@example.com", "password", "secret-in-the-form")
	v.post("/login", form).want(t, http.StatusUnprocessableEntity)
	large := url.Values{"csrf": form["csrf"], "email": {strings.Repeat("a", 65<<10)}}
	for _, tc := range []struct {
		name   string
		act    func(v *visitor) answer
		status int
		retry  string
		reason string
	}{
		{"a wrong method", func(v *visitor) answer { return v.get("/logout") }, 405, "", "method not allowed"},
		{"a forged form", func(v *visitor) answer { return v.post("/login", form, "Sec-Fetch-Site", "cross-site") }, 403, "", "the form is not one of ours"},
		{"a large form", func(v *visitor) answer { return v.post("/login", large) }, 413, "", "the form is too large"},
		{"no set-up link", func(v *visitor) answer { return v.get("/setup?token=token-in-the-address") }, 410, "", "the link does not work any more"},
		{"no invitation", func(v *visitor) answer { return v.get("/invite?token=token-in-the-address") }, 410, "", "the link does not work any more"},
		{"too many attempts", func(v *visitor) answer { return v.post("/login", form) }, 429, "60", "too many attempts: try again in 60 seconds"},
	} {
		for _, language := range []string{"", "ja"} {
			v.language = language
			r := tc.act(v)
			r.want(t, tc.status)
			reference := r.reference(language)
			if reference == "" || !strings.Contains(logged.String(), "request_id="+reference+" ") {
				t.Errorf("%s: the log does not know the reference %q: %s\n%s", tc.name, reference, logged.String(), r.body)
			}
			if line := logged.lineWith("request_id=" + reference); !strings.Contains(line, "level=INFO") || !strings.Contains(line, fmt.Sprintf("reason=%q", tc.reason)) {
				t.Errorf("%s: logged %s", tc.name, line)
			}
			if got := r.header.Get("Retry-After"); got != tc.retry {
				t.Errorf("%s: got Retry-After %q, want %q", tc.name, got, tc.retry)
			}
		}
	}
	for _, secret := range []string{"ada@", "secret-in-the-form", "token-in-the-address", form.Get("csrf")} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log has %q: %s", secret, logged.String())
		}
	}
}

// An address that is refused all the time does not fill the log.
func TestReportsAreLimited(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	s := newSite(t, logTo(&logged))
	v := s.visitor()
	for range 50 {
		if r := v.get("/logout"); r.reference("") == "" {
			t.Fatalf("got no reference: %s", r.body)
		}
	}
	if got := strings.Count(logged.String(), "page refused"); got != 20 {
		t.Errorf("got %d lines, want 20", got)
	}
	s.clock.add(10 * time.Second)
	v.get("/logout")
	if got := strings.Count(logged.String(), "page refused"); got != 21 {
		t.Errorf("after a while: got %d lines, want 21", got)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	s := newSite(t, logTo(&logged))
	for language, text := range map[string]string{"": "Something went wrong", "ja": "問題が発生しました"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?next=/away", nil)
		r.Header.Set("Accept-Language", language)
		w := httptest.NewRecorder()
		s.service.methods(func(http.ResponseWriter, *http.Request) error { panic("the cause of it") }, nil)(w, r)
		got := answer{w.Code, w.Header(), w.Body.String()}
		got.want(t, http.StatusInternalServerError, text)
		if strings.Contains(got.body, "cause of it") || strings.Contains(got.body, "goroutine") {
			t.Errorf("the page tells internals: %s", got.body)
		}
		line := logged.lineWith("request_id=" + got.reference(language))
		if !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "panic: the cause of it") || !strings.Contains(line, "reference_test.go") {
			t.Errorf("logged %s", line)
		}
	}
}

// What passes by itself says when to come back.
func TestPassingTrouble(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	s := newSite(t, logTo(&logged))
	for _, tc := range []struct {
		err    error
		status int
		retry  string
		level  string
	}{
		{fmt.Errorf("append: %w", eventlog.ErrClosed), 503, "5", "level=ERROR"},
		{fmt.Errorf("append: %w", eventlog.ErrUnknownOutcome), 503, "5", "level=ERROR"},
		{fmt.Errorf("query: %w", context.DeadlineExceeded), 503, "5", "level=ERROR"},
		{ErrBusy, 503, "5", "level=INFO"},
		{waitError{time.Second}, 429, "1", "level=INFO"},
		{fmt.Errorf("disk I/O error"), 500, "", "level=ERROR"},
	} {
		w := httptest.NewRecorder()
		s.service.methods(func(http.ResponseWriter, *http.Request) error { return tc.err }, nil)(w,
			httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", nil))
		got := answer{w.Code, w.Header(), w.Body.String()}
		got.want(t, tc.status)
		if got.header.Get("Retry-After") != tc.retry || strings.Contains(got.body, "append") || strings.Contains(got.body, "disk") {
			t.Errorf("%v: got Retry-After %q: %s", tc.err, got.header.Get("Retry-After"), got.body)
		}
		if line := logged.lineWith("request_id=" + got.reference("")); !strings.Contains(line, tc.level) {
			t.Errorf("%v: logged %s", tc.err, line)
		}
	}
}
