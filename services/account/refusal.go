package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/paput/paput/services/eventlog"
)

// errMethod, errForm and errTooLarge are returned for requests that were not looked into.
var (
	errMethod   = errors.New("method not allowed")
	errForm     = errors.New("the form is not one of ours")
	errTooLarge = errors.New("the form is too large")
)

const addCommand = "paputd account add --email name@example.com"

// reports is how many lines of the log one address may cause by being refused: as many as a person reads out references
// from pages. What is more is for debugging only.
func reports() Rate { return Rate{Every: 10 * time.Second, Burst: 20} }

// retryLater is how many seconds people are asked to wait when the server cannot take what they sent just now.
const retryLater = 5

// refuse tells a person in plain words why a request was not carried out, with a reference that the log has as well.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	t := s.pages.texts(r)
	status, wait, v := describe(err, r.URL.Path, t)
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(wait))
	}
	v.T, v.Link, v.LinkText = t, s.publicURL+homePath, t.ToSignIn
	v.Reference = s.newID("req")
	s.report(r, status, v.Reference, err)
	if err := s.pages.show(w, status, "message", v); err != nil {
		s.logger.ErrorContext(r.Context(), "page not shown", "request_id", v.Reference, "path", r.URL.Path, "error", err)
		http.Error(w, "Something went wrong. Reference: "+v.Reference, http.StatusInternalServerError)
	}
}

// report tells the log why a request was not carried out: as an error when that is our fault.
func (s *Service) report(r *http.Request, status int, reference string, err error) {
	if status >= http.StatusInternalServerError && !errors.Is(err, ErrBusy) {
		s.logger.ErrorContext(r.Context(), "page failed", "request_id", reference, "path", r.URL.Path, "error", err)
		return
	}
	level := slog.LevelInfo
	if s.reports.take(clientAddress(r.RemoteAddr), s.now()) > 0 {
		level = slog.LevelDebug
	}
	s.logger.Log(r.Context(), level, "page refused", "request_id", reference, "path", r.URL.Path, "status", status, "reason", err)
}

// describe returns the status of an error, the page for it, and how many seconds to wait before trying again; 0 when
// waiting is no help.
func describe(err error, path string, t texts) (status, wait int, v page) {
	if tooMany, ok := errors.AsType[waitError](err); ok {
		wait = tooMany.seconds()
		return http.StatusTooManyRequests, wait, page{Title: t.WaitTitle, Paragraphs: []string{fmt.Sprintf(t.Wait, wait), t.WaitWhy}}
	}
	switch {
	case errors.Is(err, ErrBusy):
		return http.StatusServiceUnavailable, retryLater, page{Title: t.BusyTitle, Paragraphs: []string{t.Busy}}
	case errors.Is(err, errLink) && path == "/setup":
		return http.StatusGone, 0, page{
			Title: t.SetupGoneTitle, Paragraphs: []string{t.SetupGone, t.SetupDone, t.SetupGoneHow}, Command: addCommand,
		}
	case errors.Is(err, errLink):
		return http.StatusGone, 0, page{
			Title: t.InviteGoneTitle, Paragraphs: []string{t.InviteGone, t.SetupDone, t.InviteGoneHow}, Command: addCommand,
		}
	case errors.Is(err, errForm):
		return http.StatusForbidden, 0, page{Title: t.FormTitle, Paragraphs: []string{t.Form, t.FormHow}}
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, 0, page{Title: t.TooLargeTitle, Paragraphs: []string{t.TooLarge}}
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed, 0, page{Title: t.MethodTitle, Paragraphs: []string{t.Method}}
	case errors.Is(err, eventlog.ErrClosed), errors.Is(err, eventlog.ErrUnknownOutcome), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, retryLater, page{Title: t.FailedTitle, Paragraphs: []string{t.Failed}}
	default:
		return http.StatusInternalServerError, 0, page{Title: t.FailedTitle, Paragraphs: []string{t.Failed}}
	}
}
