package memo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Embedder gives texts their places in a space where those that mean alike are near each other, whatever words they use and
// in whatever language. It may be called from any goroutine.
type Embedder interface {
	// Embed gives a vector for each text, in order, all of the same length. Its error has nothing of the texts in it. An
	// error with a method RetryAfter says how long it is of no use to ask again.
	Embed(ctx context.Context, texts []string) ([][]float32, error)
}

// Meaning says how searches find by meaning besides words.
type Meaning struct {
	Embedder Embedder
	// Model names the space of the vectors. Vectors of another name are of no use and are made anew.
	Model string
	// Patience is how long a search waits for the vector of its query, 0 for half a second.
	Patience time.Duration
}

const (
	usualPatience = 500 * time.Millisecond
	// maxFailures in a row open the circuit: searches then do without the embedder for trialEvery, and one of them tries
	// again.
	maxFailures = 3
	trialEvery  = 30 * time.Second
)

// meaning is what the service knows of meaning.
type meaning struct {
	Meaning
	vectors *vectors
	circuit circuit

	mu sync.Mutex
	// dimensions is the length of the model's vectors, 0 until one is known. Guarded by mu.
	dimensions int
}

func newMeaning(m *Meaning, now func() time.Time) *meaning {
	if m == nil {
		return nil
	}
	out := &meaning{Meaning: *m, circuit: circuit{now: now}}
	if out.Patience == 0 {
		out.Patience = usualPatience
	}
	out.vectors = newVectors(out.Model, out.Patience)
	return out
}

// embed asks the embedder and checks that the answer can be compared with what is kept.
func (m *meaning) embed(ctx context.Context, texts []string) ([]vector, error) {
	given, err := m.Embedder.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	if len(given) != len(texts) {
		return nil, fmt.Errorf("there are %d vectors for %d texts", len(given), len(texts))
	}
	out := make([]vector, len(given))
	for i, v := range given {
		if err := m.fits(len(v)); err != nil {
			return nil, err
		}
		if out[i] = quantised(v); out[i] == nil {
			return nil, errors.New("a vector has no direction")
		}
	}
	return out, nil
}

// fits learns the length of the model's vectors and refuses another.
func (m *meaning) fits(dimensions int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dimensions == 0 {
		m.dimensions = dimensions
	}
	if m.dimensions != dimensions {
		return fmt.Errorf("a vector has %d numbers and those of the model %q that are kept have %d: another model needs another name", dimensions, m.Model, m.dimensions)
	}
	return nil
}

// query gives the vector of a query, nil when the embedder does not give one soon.
func (m *meaning) query(ctx context.Context, text string) vector {
	if !m.circuit.closed() {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, m.Patience)
	defer cancel()
	given, err := m.embed(waiting, []string{text})
	if ctx.Err() != nil { // the caller hung up, which says nothing of the embedder
		m.circuit.release()
		return nil
	}
	m.circuit.note(err)
	if err != nil {
		return nil
	}
	return given[0]
}

// retryAfter is how long an error wants the embedder to be left alone.
func retryAfter(err error) time.Duration {
	var e interface{ RetryAfter() time.Duration }
	if errors.As(err, &e) {
		return e.RetryAfter()
	}
	return 0
}

// circuit keeps searches from waiting for an embedder that does not answer.
type circuit struct {
	now func() time.Time

	mu       sync.Mutex
	failures int       // in a row; guarded by mu
	until    time.Time // nobody asks before; guarded by mu
}

// closed says whether to ask. When the circuit is open and the time has come, it says so to one caller.
func (c *circuit) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Before(c.until) {
		return false
	}
	if c.failures >= maxFailures {
		c.until = now.Add(trialEvery)
	}
	return true
}

// release lets the next caller try when one has given up.
func (c *circuit) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures >= maxFailures {
		c.until = time.Time{}
	}
}

// note takes down how it went.
func (c *circuit) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.failures, c.until = 0, time.Time{}
		return
	}
	c.failures++
	wait := retryAfter(err)
	if c.failures >= maxFailures {
		wait = max(wait, trialEvery)
	}
	if until := c.now().Add(wait); until.After(c.until) {
		c.until = until
	}
}

// open keeps searches from asking for now.
func (c *circuit) open(err error) {
	c.mu.Lock()
	c.failures = max(c.failures, maxFailures)
	c.mu.Unlock()
	c.note(err)
}
