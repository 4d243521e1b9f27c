package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestConnectionsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	var logs lockedBuffer
	log := connectionLog(slog.New(slog.NewTextHandler(&logs, nil)))
	for range 1000 {
		log.Print("http2: server connection error")
	}
	if n := strings.Count(logs.String(), "\n"); n < 20 || n > 25 || !strings.Contains(logs.String(), `level=WARN msg="http2: server connection error"`) {
		t.Errorf("got %d lines, want 20: %s", n, logs.String())
	}
}
