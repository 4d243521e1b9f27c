package web

import (
	"net/http"
	"strings"
	"time"
)

// boundStreams lets streaming RPCs outlive the server's bound on writing an answer, and bounds each message instead: a
// caller that does not read may not hold on to a stream for ever. Which calls stream cannot be told from their content
// type, so all are treated so that could.
func (c Config) boundStreams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := r.Header.Get("Content-Type")
		if !strings.HasPrefix(kind, "application/grpc") && !strings.HasPrefix(kind, "application/connect+") {
			next.ServeHTTP(w, r)
			return
		}
		s := &streamWriter{ResponseWriter: w, control: http.NewResponseController(w), now: c.Now, patience: c.Patience}
		s.takeTime()
		// What is left in buffers is sent when this returns.
		defer s.hurry()
		next.ServeHTTP(s, r)
	})
}

// streamWriter bounds how long each write and each flush takes.
type streamWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	now      func() time.Time
	patience time.Duration
}

var _ http.Flusher = (*streamWriter)(nil)

// Write implements http.ResponseWriter.
func (s *streamWriter) Write(p []byte) (int, error) {
	s.hurry()
	defer s.takeTime()
	return s.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (s *streamWriter) Flush() { _ = s.FlushError() }

// FlushError is what http.ResponseController looks for.
func (s *streamWriter) FlushError() error {
	s.hurry()
	defer s.takeTime()
	return s.control.Flush()
}

// Unwrap is what http.ResponseController looks for.
func (s *streamWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *streamWriter) hurry() { _ = s.control.SetWriteDeadline(s.now().Add(s.patience)) }

// takeTime lifts the bound while there is nothing to write.
func (s *streamWriter) takeTime() { _ = s.control.SetWriteDeadline(time.Time{}) }
