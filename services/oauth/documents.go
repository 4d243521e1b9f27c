package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	fetchTimeout  = 5 * time.Second // of one document, the wait for a slot included
	fetchSlots    = 8               // documents that are fetched at once
	fetchRate     = rate.Limit(0.5) // documents per second that one address may have fetched in the long run
	fetchBurst    = 30              // and at once
	siteRate      = rate.Limit(1)   // documents per second that one host is asked for in the long run, whoever asks
	siteBurst     = 60              // and at once; an asker alone does not use that up
	maxDocuments  = 1024            // that are remembered
	minRemembered = time.Minute
	maxRemembered = 24 * time.Hour
	// unsaidRemembered is for documents that come without a word about caching.
	unsaidRemembered = time.Hour
)

// errUnreachable says that a site gave no answer, or no answer of its own making.
var errUnreachable = errors.New("the site cannot be reached")

// documents finds clients by their metadata documents (draft-ietf-oauth-client-id-metadata-document). No event tells of a
// fetch: it decides nothing about anyone, and strangers can cause as many as they like. The consent that may follow names
// the client by its address.
//
// Strangers choose what is fetched, so each host is asked so often and no more. Documents that were good before have an
// allowance of their own: whoever uses up that of the others, with addresses where there is nothing, is in the way of apps
// that nobody here has used yet, and of nobody else.
//
// BUG: a host is a name. Who owns a domain can give one machine as many names as they like, and is then limited by the
// allowances of the askers and fetchSlots alone.
type documents struct {
	transport http.RoundTripper
	now       func() time.Time
	limit     *limiter // by asker
	unseen    *limiter // by host, of documents that were never had
	seen      *limiter // by host, of the others
	flights   singleflight.Group
	slots     chan struct{}
	allow     func(scheme string) bool // of redirect URIs

	mu sync.Mutex
	// byID holds the documents that were fetched last, those that may no longer be used without asking too. Guarded by mu.
	byID map[string]*rememberedDocument
}

// rememberedDocument is a client as its document described it. Errors are never remembered (section 4.4 of the draft).
type rememberedDocument struct {
	client *client
	until  time.Time
	used   time.Time
}

func newDocuments(transport http.RoundTripper, now func() time.Time, allow func(scheme string) bool) *documents {
	if transport == nil {
		transport = newEgress(nil)
	}
	return &documents{
		transport: transport,
		now:       now,
		limit:     newLimiter(fetchRate, fetchBurst),
		unseen:    newLimiter(siteRate, siteBurst),
		seen:      newLimiter(siteRate, siteBurst),
		slots:     make(chan struct{}, fetchSlots),
		allow:     allow,
		byID:      make(map[string]*rememberedDocument),
	}
}

// find returns the client that the document at id describes. It may take fetchTimeout, and asks on behalf of the address
// asker. The error is a *refusal when the trouble is ours or too much was asked, otherwise it says what is wrong with the
// document.
func (d *documents) find(ctx context.Context, id, asker string) (*client, error) {
	host, fault := documentFault(id)
	if fault != "" {
		return nil, errors.New(fault)
	}
	if known := d.recall(id); known != nil {
		return known, nil
	}
	if d.limit.reserve(asker, d.now()) > 0 {
		return nil, errTooManyDocuments
	}
	// Whoever asks while a fetch is under way gets its answer, and it goes on when the first of them hangs up.
	found, err, _ := d.flights.Do(id, func() (any, error) {
		if known := d.recall(id); known != nil {
			return known, nil
		}
		if d.allowance(id).reserve(host, d.now()) > 0 {
			return nil, errSpareSite
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		return d.fetch(ctx, id, host)
	})
	if err != nil {
		return nil, err
	}
	c, ok := found.(*client)
	if !ok {
		return nil, fmt.Errorf("find the client: got a %T", found)
	}
	return c, nil
}

// allowance is the limit that a fetch of the document counts against.
func (d *documents) allowance(id string) *limiter {
	if d.lastKnown(id) != nil {
		return d.seen
	}
	return d.unseen
}

// fetch gets and remembers a document. A redirect is an answer like any other that is not 200: not a document.
func (d *documents) fetch(ctx context.Context, id, host string) (*client, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, errBusy
	}
	if ctx.Err() != nil {
		return nil, errBusy
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "paput")
	res, err := d.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusInternalServerError {
		return nil, fmt.Errorf("%w: the answer has status %d", errUnreachable, res.StatusCode)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", res.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || !isJSON(kind) {
		return nil, errors.New("the answer is not JSON by its content type")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxDocument:
		return nil, errors.New("the document is larger than 5 KiB")
	}
	c, err := parseDocument(id, host, body, d.allow)
	if err != nil {
		return nil, err
	}
	d.remember(c, freshness(res.Header))
	return c, nil
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// freshness is how long an answer may be used without asking again, within our own bounds (RFC 9111, section 4.2). A
// document that wants no cache is kept for a minute all the same, or every log-in would fetch it three times.
func freshness(h http.Header) time.Duration {
	said, maxAge := false, time.Duration(0)
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minRemembered
		case "max-age":
			if said {
				return minRemembered // two answers are none
			}
			said, maxAge = true, wholeSeconds(strings.Trim(value, `"`))
		}
	}
	if !said {
		return unsaidRemembered
	}
	return min(max(maxAge-wholeSeconds(h.Get("Age")), minRemembered), maxRemembered)
}

// wholeSeconds reads a number of seconds; what is none is 0, what is huge a century.
func wholeSeconds(s string) time.Duration {
	const century = 100 * 365 * 24 * 60 * 60
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(n, century)) * time.Second
}

// recall returns the client that is remembered by the id; nil when none is.
func (d *documents) recall(id string) *client {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.byID[id]
	if !ok || !now.Before(known.until) {
		return nil
	}
	known.used = now
	return known.client
}

// lastKnown returns the client as its document described it when it could last be had; nil when it never could.
func (d *documents) lastKnown(id string) *client {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.byID[id]; ok {
		return known.client
	}
	return nil
}

// remember keeps a client for a while. When there is no room, the one goes that was not asked for the longest: strangers
// who have documents of their own do not push out those of many people's apps.
func (d *documents) remember(c *client, fresh time.Duration) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.byID[c.id]; !known && len(d.byID) >= maxDocuments {
		oldest := ""
		for id, r := range d.byID {
			if oldest == "" || r.used.Before(d.byID[oldest].used) {
				oldest = id
			}
		}
		delete(d.byID, oldest)
	}
	d.byID[c.id] = &rememberedDocument{client: c, until: now.Add(fresh), used: now}
}

// findDocument finds a client by its metadata document. What is wrong with one is the cause that the log
// names: whoever named the document learns that it cannot be used.
func (s *Server) findDocument(ctx context.Context, id string) (*client, error) {
	c, err := s.documents.find(ctx, id, exchangeFrom(ctx).asker)
	var known *refusal
	switch {
	case err == nil:
		return c, nil
	case isNoAnswer(err) && exchangeFrom(ctx).authenticating && s.documents.lastKnown(id) != nil:
		return s.documents.lastKnown(id), nil
	case errors.Is(err, errBusy), errors.Is(err, errTooManyDocuments), errors.Is(err, errSpareSite):
		_ = errors.As(err, &known)
		return nil, known
	}
	exchangeFrom(ctx).cause = permitted(id[:min(len(id), maxDocumentURL)]) + ": " + err.Error()
	return nil, errDocument
}

// isNoAnswer says whether the site has said nothing against the document: it was away, or was not asked because of what
// others ask for.
func isNoAnswer(err error) bool {
	return errors.Is(err, errUnreachable) || errors.Is(err, errSpareSite) || errors.Is(err, errBusy) || errors.Is(err, errTooManyDocuments)
}
