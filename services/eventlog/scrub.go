package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// scrubDelay is how long after a redaction the files are scrubbed, so that many redactions share the work.
	scrubDelay = time.Second
	// maxScrubDelay is how long it is until the next attempt, after many that readers were in the way of.
	maxScrubDelay = time.Minute
	// maxPutOff is how often scrubDelay passes again while there are more redactions.
	maxPutOff = 60
	// scrubShare is what part of the time commands can have between two steps of a scrub: one in so many is the scrub's.
	scrubShare = 4
)

// ErrReading is returned by Scrub while a query or another process reads the database as it was before a redaction.
var ErrReading = errors.New("somebody still reads what was redacted")

// Scrub removes the bytes of redacted and deleted content from the read models and from the files of the database. While it
// returns an error they may still be there. Commands have their turns while it works, and wait at most a quarter of a second
// for readers.
//
// Nobody has to call it: Run begins to a second after each redaction, and tries again, ever more patiently, when a query that
// began before goes on; after a crash it is done when the program runs again. It is for whoever wants to know.
func (l *Log) Scrub(ctx context.Context) error {
	for at := (scrubbing{}); ; {
		begun := time.Now()
		done, err := l.scrubStep(ctx, &at)
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(scrubShare * time.Since(begun)):
		}
	}
}

// scrubbing is how far a scrub is: first the read models take their steps, then come the pages, then the files.
type scrubbing struct {
	step   int
	models bool // that they are done
	page   int64
	pages  bool
	seen   int64 // redactions when it began
}

// scrubStep does a part of the work of Scrub.
func (l *Log) scrubStep(ctx context.Context, at *scrubbing) (done bool, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	defer func() {
		if err != nil {
			err = fmt.Errorf("scrub the event log: %w", err)
		}
	}()
	if at.step == 0 {
		at.seen = l.redactions
	}
	if !at.models {
		at.models, err = l.scrubModels(ctx, at.step)
		at.step++
		return false, err
	}
	if !at.pages {
		err := l.transact(ctx, func() (err error) {
			at.page, err = l.backend.ScrubPages(ctx, at.page)
			return err
		})
		at.pages = at.page == 0
		return false, err
	}
	clean, err := l.backend.Scrub(ctx)
	if err != nil {
		return false, err
	}
	if !clean {
		return false, ErrReading
	}
	if at.seen != l.redactions { // what was redacted meanwhile may be in a part that is done
		*at = scrubbing{}
		return false, nil
	}
	if l.remnants {
		if err := l.exec(ctx, deleteRemnants); err != nil {
			return false, err
		}
	}
	l.remnants = false
	return true, nil
}

// scrubModels takes one step with each read model that is not done.
func (l *Log) scrubModels(ctx context.Context, step int) (done bool, err error) {
	done = true
	err = l.transact(ctx, func() error {
		for _, p := range l.projections {
			if p.Scrub == nil {
				continue
			}
			tx := &Tx{log: l, ctx: ctx, now: l.timestamp(), applying: p.Name}
			finished, err := p.Scrub(tx, step)
			tx.end()
			if err != nil || tx.broken != nil {
				return errors.Join(err, tx.broken)
			}
			done = done && finished
		}
		return nil
	})
	return done, err
}

// scrubber tells Run when to scrub, and how far it is.
type scrubber struct {
	due   <-chan time.Time // nil when there is nothing to do
	delay time.Duration
	at    scrubbing
	// seen are the redactions when it was planned, and put off how often it was not begun because there were more.
	seen   int64
	putOff int
}

// plan makes sure that a redaction is followed by a scrub.
func (s *scrubber) plan(l *Log) {
	if s.due != nil {
		return
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.remnants {
		s.at, s.delay, s.seen, s.putOff = scrubbing{}, scrubDelay, l.redactions, 0
		s.due = time.After(s.delay)
	}
}

// early says whether redactions are still coming, so that a scrub would have to begin anew, and puts it off, but not for ever.
func (s *scrubber) early(l *Log) bool {
	l.writing.Lock()
	defer l.writing.Unlock()
	if s.at != (scrubbing{}) || s.seen == l.redactions || s.putOff == maxPutOff {
		return false
	}
	s.putOff++
	s.seen = l.redactions
	s.due = time.After(scrubDelay)
	return true
}

// scrub takes a step. When it was in vain, for whatever reason, it plans another attempt: commands will tell of a full disk.
func (s *scrubber) scrub(ctx context.Context, l *Log) {
	if s.early(l) {
		return
	}
	begun := time.Now()
	done, err := l.scrubStep(ctx, &s.at)
	switch {
	case err != nil:
		s.at, s.delay = scrubbing{}, min(2*s.delay, maxScrubDelay)
		s.due = time.After(s.delay)
	case !done:
		s.due = time.After(scrubShare * time.Since(begun))
	default:
		s.due = nil
	}
}
