package cli

import (
	"fmt"
	"time"
)

// progress tells a person at a terminal how far something is that takes long.
type progress struct {
	app   *app // nil shows nothing
	what  string
	shown time.Time
}

const progressEvery = 200 * time.Millisecond

func (a *app) progress(what string) *progress {
	if !a.Interactive || a.json {
		return &progress{}
	}
	return &progress{app: a, what: what}
}

func (p *progress) show(n int64) {
	if p.app == nil || p.app.Now().Sub(p.shown) < progressEvery {
		return
	}
	p.shown = p.app.Now()
	fmt.Fprintf(p.app.Err, "\r%s %s", counted(n, "record", "records"), p.what)
}

// done wipes what was shown.
func (p *progress) done() {
	if p.app != nil && !p.shown.IsZero() {
		fmt.Fprint(p.app.Err, "\r\x1b[K")
	}
}
