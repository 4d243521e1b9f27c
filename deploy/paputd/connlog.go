package main

import (
	stdlog "log"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// connectionLog is what net/http reports the trouble of connections to. Strangers can cause as much of it as they like, so
// that of a flood one line in ten seconds remains.
func connectionLog(log *slog.Logger) *stdlog.Logger {
	return stdlog.New(sparingLog{log, rate.NewLimiter(rate.Every(10*time.Second), 20)}, "", 0)
}

// sparingLog writes lines to a log, as many as its limiter lets pass.
type sparingLog struct {
	log   *slog.Logger
	limit *rate.Limiter
}

// Write implements io.Writer.
func (s sparingLog) Write(line []byte) (int, error) {
	if s.limit.Allow() {
		s.log.Warn(strings.TrimSuffix(string(line), "\n"))
	}
	return len(line), nil
}
