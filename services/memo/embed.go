package memo

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	// maxEmbedded is how many bytes of a memo are embedded: its title, its summary, and the beginning of its body.
	maxEmbedded = 4000
	// leastEmbedded is how far a text that the embedder does not take is cut before it is given up.
	leastEmbedded = 400
	// A call of the embedder has so many texts at most, and in all so many bytes.
	maxEmbedBatch = 16
	maxEmbedBytes = 24 << 10
	// maxLooked is how many memos are looked at in one query for one that needs a vector.
	maxLooked = 200

	embedTime = 2 * time.Minute  // for a call with many texts, on a small machine
	probeTime = 15 * time.Second // for one with a single word
	// After trouble, so long passes until the next attempt, each time twice as long, whatever longer time the embedder asks for
	// not counted.
	firstPause = time.Second
	maxPause   = 5 * time.Minute
)

// embedded is the part of a memo that is embedded.
func (c content) embedded() string {
	var b strings.Builder
	for _, s := range []string{c.title, c.summary, c.body} {
		if s = strings.TrimSpace(s); s != "" {
			b.WriteString(s[:characterStart(s, max(0, maxEmbedded-b.Len()))])
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// textDigest says which text a vector is of.
func textDigest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:16]
}

// unembedded is a memo that has no vector of its text.
type unembedded struct {
	id, accountID string
	digest        []byte
	text          string // what to send, which may be less than the digest is of
}

// embedder gives every memo outside the trash a vector, first those that change, then all others, the newest first. The
// memos come from the event log, so that one that is written while the embedder is away is not forgotten.
type embedder struct {
	*Service
	ordinal int64    // of the last event that was looked at
	changed []string // memos, from events up to ordinal
	below   int64    // memos with a lower n may have no vector from before
	isAway  bool
	pause   time.Duration
}

// embed keeps the vectors up to date until ctx is done.
func (s *Service) embed(ctx context.Context) {
	e := &embedder{Service: s, ordinal: s.log.Ordinal("MEMO"), pause: firstPause}
	for ctx.Err() == nil {
		if err := e.begin(ctx); err == nil {
			break
		} else if ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "memos not embedded", "error", err)
			e.wait(ctx, maxPause)
		}
	}
	for ctx.Err() == nil {
		batch, err := e.next(ctx)
		if err == nil {
			err = e.embed(ctx, batch)
		}
		if err != nil && ctx.Err() == nil {
			for _, l := range batch {
				e.changed = append(e.changed, l.id)
			}
			s.logger.ErrorContext(ctx, "memos not embedded", "error", err)
			e.wait(ctx, maxPause)
		}
	}
}

// begin finds out what there is, and deletes the vectors of memos that are gone or in the trash: there are some when an
// earlier version of the program has changed memos meanwhile.
func (e *embedder) begin(ctx context.Context) error {
	var orphans []string
	err := e.snapshot(ctx, func(q querier) error {
		var length sql.NullInt64
		if err := q.QueryRow("SELECT length(vector) FROM memo_vectors WHERE model = ? ORDER BY seq DESC LIMIT 1", e.meaning.Model).Scan(&length); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if length.Valid {
			if err := e.meaning.fits(int(length.Int64)); err != nil {
				return err
			}
		}
		if err := q.QueryRow("SELECT coalesce(max(n), 0) + 1 FROM memos").Scan(&e.below); err != nil {
			return err
		}
		var err error
		orphans, err = scanAll(q, scanID, "SELECT id FROM memo_vectors WHERE id NOT IN (SELECT id FROM memos WHERE delete_time IS NULL)")
		return err
	})
	if err != nil || len(orphans) == 0 {
		return err
	}
	return e.log.Do(ctx, func(tx *eventlog.Tx) error {
		_, err := tx.Keep("DELETE FROM memo_vectors WHERE id IN (SELECT value FROM json_each(?))", jsonArray(orphans))
		return err
	})
}

// next gives some memos to embed. When there are none, it waits for the log to move on, and gives none.
func (e *embedder) next(ctx context.Context) ([]unembedded, error) {
	position := e.log.Last()
	if len(e.changed) == 0 {
		if err := e.follow(ctx); err != nil {
			return nil, err
		}
	}
	if n := min(len(e.changed), maxEmbedBatch); n > 0 {
		batch, err := e.lacking(ctx, "m.id IN (SELECT value FROM json_each(?))", jsonArray(e.changed[:n]))
		if err == nil {
			e.changed = e.changed[n:]
		}
		return batch, err
	}
	if e.below > 0 {
		return e.backlog(ctx)
	}
	if err := e.log.Wait(ctx, position); errors.Is(err, eventlog.ErrClosed) {
		<-ctx.Done()
	}
	return nil, nil
}

// follow reads what has happened since e.ordinal, or a part of it.
func (e *embedder) follow(ctx context.Context) error {
	const most = 500
	for o, err := range e.log.Outgoing(ctx, "MEMO", e.ordinal) {
		if err != nil {
			return err
		}
		e.ordinal = o.Ordinal
		id, isMemo := strings.CutPrefix(o.Stream, kindName+"/")
		if event, ok := o.Event.(*memov1.MemoEvent); ok && isMemo && (event.GetCreated() != nil || event.GetUpdated() != nil || event.GetRestored() != nil) {
			e.changed = append(e.changed, id)
		}
		if len(e.changed) == most {
			break
		}
	}
	e.changed = unique(e.changed)
	return nil
}

// backlog gives the next memos that lack a vector since before the program started; none when the ones it looked at have one.
func (e *embedder) backlog(ctx context.Context) ([]unembedded, error) {
	var lowest int64
	err := e.snapshot(ctx, func(q querier) error {
		return q.QueryRow("SELECT coalesce(min(n), 0) FROM (SELECT n FROM memos WHERE n < ? ORDER BY n DESC LIMIT ?)", e.below, maxLooked).Scan(&lowest)
	})
	if err != nil {
		return nil, err
	}
	batch, err := e.lacking(ctx, "m.n >= ? AND m.n < ?", lowest, e.below)
	if err == nil {
		e.below = lowest
	}
	return batch, err
}

// lacking gives those of the memos that have no vector of their text.
func (e *embedder) lacking(ctx context.Context, condition string, args ...any) (out []unembedded, err error) {
	err = e.snapshot(ctx, func(q querier) error {
		rows, err := scanAll(q, func(from interface{ Scan(...any) error }) (lack unembedded, err error) {
			var (
				c      content
				digest []byte
			)
			err = from.Scan(&lack.id, &lack.accountID, &c.title, &c.summary, &c.body, &digest)
			lack.text = c.embedded()
			if lack.digest = textDigest(lack.text); string(digest) == string(lack.digest) {
				lack.text = ""
			}
			return lack, err
		}, `SELECT m.id, a.account_id, m.title, m.summary, m.body, v.digest FROM memos m JOIN memo_accounts a ON a.account = m.account
			LEFT JOIN memo_vectors v ON v.id = m.id AND v.model = ? WHERE m.delete_time IS NULL AND a.erased = 0 AND `+condition+" ORDER BY m.n DESC", append([]any{e.meaning.Model}, args...)...)
		for _, r := range rows {
			if r.text != "" {
				out = append(out, r)
			}
		}
		return err
	})
	return out, err
}

// embed gives the memos vectors, and returns when all have one, or are given up, or ctx is done.
func (e *embedder) embed(ctx context.Context, lack []unembedded) error {
	for len(lack) > 0 && ctx.Err() == nil {
		n := batchOf(lack)
		switch err := e.try(ctx, lack[:n]); {
		case err == nil:
			lack = lack[n:]
		case ctx.Err() != nil, errors.Is(err, errKeep):
			return err
		case e.works(ctx, err):
			for _, one := range lack[:n] {
				if err := e.embedOne(ctx, one); err != nil {
					return err
				}
			}
			lack = lack[n:]
		default:
			e.rest(ctx, err)
		}
	}
	return nil
}

// batchOf is how many of the memos go into one call.
func batchOf(lack []unembedded) int {
	bytes := 0
	for i, l := range lack {
		if bytes += len(l.text); i == maxEmbedBatch || i > 0 && bytes > maxEmbedBytes {
			return i
		}
	}
	return len(lack)
}

// embedOne gives one memo a vector, of less of its text if the embedder does not take all of it: models differ in how much they can
// read.
func (e *embedder) embedOne(ctx context.Context, one unembedded) error {
	for ctx.Err() == nil {
		err := e.try(ctx, []unembedded{one})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, errKeep) {
			return err
		}
		if !e.works(ctx, err) {
			e.rest(ctx, err)
			continue
		}
		if len(one.text) <= leastEmbedded {
			e.logger.WarnContext(ctx, "memo not embedded: the embedder works, but does not take this one; it is found by words alone", "memo_id", one.id, "error", err)
			return nil
		}
		one.text = one.text[:characterStart(one.text, len(one.text)/2)]
	}
	return nil
}

// errKeep says that the trouble is our own.
var errKeep = errors.New("the vectors cannot be kept")

// try embeds memos and keeps their vectors.
func (e *embedder) try(ctx context.Context, lack []unembedded) error {
	texts := make([]string, len(lack))
	for i, l := range lack {
		texts[i] = l.text
	}
	calling, cancel := context.WithTimeout(ctx, embedTime)
	defer cancel()
	given, err := e.meaning.embed(calling, texts)
	if err != nil {
		return err
	}
	e.pause = firstPause
	e.meaning.circuit.note(nil)
	if e.isAway {
		e.isAway = false
		e.logger.InfoContext(ctx, "the embedder is back")
	}
	if err := e.keep(ctx, lack, given); err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	return nil
}

// works finds out, after an error, whether the embedder works and the trouble is with the texts.
func (e *embedder) works(ctx context.Context, err error) bool {
	if retryAfter(err) > 0 {
		return false
	}
	calling, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	_, err = e.meaning.embed(calling, []string{"paput"})
	return err == nil
}

// rest waits after trouble, and has searches do without the embedder meanwhile.
func (e *embedder) rest(ctx context.Context, err error) {
	e.meaning.circuit.open(err)
	wait := max(retryAfter(err), e.pause)
	if !e.isAway {
		e.isAway = true
		e.logger.WarnContext(ctx, "the embedder does not work; searches find by words alone, and memos are embedded when it is back", "error", err)
	}
	e.pause = min(2*e.pause, maxPause)
	e.wait(ctx, wait)
}

func (e *embedder) wait(ctx context.Context, d time.Duration) {
	const share = 4                             // of the time is left to chance, so that many servers do not come back at once
	timer := time.NewTimer(d + rand.N(d/share)) //nolint:gosec // not a secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// keep writes the vectors of those memos whose text is still what was embedded.
func (e *embedder) keep(ctx context.Context, lack []unembedded, given []vector) error {
	return e.log.Do(ctx, func(tx *eventlog.Tx) error {
		for i, l := range lack {
			var c content
			err := tx.QueryRow("SELECT title, summary, body FROM memos WHERE id = ? AND delete_time IS NULL", l.id).Scan(&c.title, &c.summary, &c.body)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", l.id, err)
			}
			if string(textDigest(c.embedded())) != string(l.digest) {
				continue
			}
			_, err = tx.Keep("INSERT OR REPLACE INTO memo_vectors (id, account_id, model, digest, vector) VALUES (?, ?, ?, ?, ?)",
				l.id, l.accountID, e.meaning.Model, l.digest, given[i].bytes())
			if err != nil {
				return err
			}
		}
		return nil
	})
}
