package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/paput/paput/services/eventlog"
)

const (
	maxQuery = 8 << 10  // bytes of an authorization request
	maxBody  = 64 << 10 // bytes of a form
)

// exchange is what is found out while one request is answered. It travels in the context, because op has no other way to
// hand an error through without rendering it.
type exchange struct {
	refusal   *refusal
	requestID string // that the log knows a failure by
	asker     string // the address that the request is counted against
	cause     string // what the log says besides the refusal
	// authenticating says that the client shows a token or code that it got before: it was known then, and the outage of
	// another site is no reason to end its log-in.
	authenticating bool
}

type exchangeKey struct{}

func exchangeFrom(ctx context.Context) *exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e
	}
	return &exchange{}
}

// refusing tells op to stop, and this package why.
func refusing(ctx context.Context, err error) error {
	known := errServer
	_ = errors.As(err, &known)
	exchangeFrom(ctx).refusal = known
	e := oidc.ErrInvalidRequest().WithDescription("%s", known.text)
	setText(&e.ErrorType, known.code)
	return op.NewStatusError(e, known.status())
}

// setText sets a string of a type that has no name outside its package.
func setText[T ~string](to *T, text string) { *to = T(text) }

// internal logs an error that is our fault and tells op to stop. The client learns a reference and nothing else.
func (s *Server) internal(ctx context.Context, err error) error {
	e := exchangeFrom(ctx)
	e.requestID = s.newID("req")
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		// Whoever asked has hung up, which is no failure of ours, and which strangers can do as often as they like.
		s.report(ctx, "oauth request abandoned", "request_id", e.requestID, "error", err)
		return refusing(ctx, errBusy)
	}
	s.logger.ErrorContext(ctx, "oauth request failed", "request_id", e.requestID, "error", err)
	if errors.Is(err, eventlog.ErrClosed) || errors.Is(err, eventlog.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) {
		return refusing(ctx, errBusy)
	}
	return refusing(ctx, errServer)
}

// failing tells op to stop because of a refusal, or of an error that is our fault.
func (s *Server) failing(ctx context.Context, err error) error {
	if known := (*refusal)(nil); errors.As(err, &known) {
		return refusing(ctx, known)
	}
	return s.internal(ctx, err)
}

// catcher holds back the errors that op writes.
type catcher struct {
	http.ResponseWriter
	status int // of the error; 0 when there is none
	body   bytes.Buffer
}

// WriteHeader lets a success through and holds an error back.
func (c *catcher) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		c.status = status
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write lets a success through and holds an error back.
func (c *catcher) Write(p []byte) (int, error) {
	if c.status != 0 {
		return c.body.Write(p)
	}
	return c.ResponseWriter.Write(p)
}

// caught returns what the error is: the refusal that this package gave op, or else op's own in its words, which say what
// is missing or malformed in the request.
func (c *catcher) caught(e *exchange) *refusal {
	if e.refusal != nil {
		return e.refusal
	}
	var said struct {
		Code string `json:"error"`
		Text string `json:"error_description"`
	}
	if err := json.Unmarshal(c.body.Bytes(), &said); err != nil || said.Code == "" || c.status >= http.StatusInternalServerError {
		return errServer
	}
	return &refusal{said.Code, permitted(said.Text)}
}

// permitted drops the characters that error_description may not have (RFC 6749, section 5.2).
func permitted(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text)
}

// protect answers a panic as any other failure of ours.
func (s *Server) protect(next http.HandlerFunc, fail func(http.ResponseWriter, *http.Request, *refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, &exchange{asker: address(r)}))
		defer func() {
			if p := recover(); p != nil {
				_ = s.internal(r.Context(), fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
				fail(w, r, exchangeFrom(r.Context()).refusal)
			}
		}()
		next(w, r)
	}
}

// form serves the endpoints that programs post forms to: token, revocation and device authorization. Parameters come in
// the body, each at most once, and credentials nowhere else (OAuth 2.1, sections 2.4.1 and 3.2).
func (s *Server) form(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		writeRefusal(w, http.StatusMethodNotAllowed, &refusal{"invalid_request", "this endpoint needs POST"})
		return
	}
	if err := readForm(w, r); err != nil {
		s.refuse(w, r, err)
		return
	}
	held := &catcher{ResponseWriter: w}
	s.protocol.ServeHTTP(held, r)
	if held.status != 0 {
		s.refuse(w, r, s.counted(w, r, held.caught(exchangeFrom(r.Context()))))
	}
}

// readForm parses the body and makes what op reads of it.
func readForm(w http.ResponseWriter, r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.URL.RawQuery != "":
		return &refusal{"invalid_request", "parameters belong in the body, not in the URL"}
	case err != nil || kind != "application/x-www-form-urlencoded":
		return &refusal{"invalid_request", "the content type must be application/x-www-form-urlencoded"}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return &refusal{"invalid_request", "the form is malformed or larger than 64 KiB"}
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && name != "resource" {
			return errRepeated
		}
	}
	if id, ok := basicAuth(r.Header); ok {
		if r.PostForm.Has("client_secret") || r.PostForm.Has("client_assertion") {
			return &refusal{"invalid_request", "client authentication must not use more than one method"}
		}
		if body := r.PostForm.Get("client_id"); body != "" && body != id {
			return &refusal{"invalid_request", "client_id differs between the header and the body"}
		}
	}
	if err := checkAssertionForm(r.PostForm); err != nil {
		return err
	}
	r.Form = r.PostForm
	if r.URL.Path != pathToken {
		r.Form.Del("grant_type") // op would judge it everywhere
	}
	switch oidc.GrantType(r.Form.Get("grant_type")) {
	case "", oidc.GrantTypeCode, oidc.GrantTypeRefreshToken:
	case oidc.GrantTypeClientCredentials, oidc.GrantTypeTokenExchange, oidc.GrantTypeDeviceCode:
		// op says whether the client may: these are for clients that registered them.
	default:
		return errGrantType
	}
	if r.Form.Get("redirect_uri") == "" {
		r.Form.Set("redirect_uri", unsentRedirect)
	}
	return nil
}

// checkAssertionForm judges the parameters of an assertion (RFC 7521, section 4.2), not the assertion.
func checkAssertionForm(form url.Values) error {
	shown := form.Get("client_assertion") != ""
	switch {
	case !shown && !form.Has("client_assertion") && !form.Has("client_assertion_type"):
		return nil
	case !shown:
		return &refusal{"invalid_request", "client_assertion is missing"}
	case form.Get("client_assertion_type") != oidc.ClientAssertionTypeJWTAssertion:
		return &refusal{"invalid_request", "client_assertion_type must be " + oidc.ClientAssertionTypeJWTAssertion}
	case form.Has("client_secret"):
		return &refusal{"invalid_request", "client authentication must not use more than one method"}
	}
	return nil
}

// basicAuth returns the client id of a Basic header (RFC 6749, section 2.3.1).
func basicAuth(h http.Header) (clientID string, ok bool) {
	id, _, ok := (&http.Request{Header: h}).BasicAuth()
	if !ok {
		return "", false
	}
	id, err := url.QueryUnescape(id)
	return id, err == nil
}

// authorize serves the authorization endpoint. op sees client_id and redirect_uri alone; see VerifyAuthRequest.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		s.problem(w, r, http.StatusMethodNotAllowed, errMalformed)
		return
	}
	if len(r.URL.RawQuery) > maxQuery {
		s.problem(w, r, http.StatusRequestURITooLong, errMalformed)
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case err != nil:
		s.problem(w, r, http.StatusBadRequest, errMalformed)
		return
	case len(query["client_id"]) != 1:
		s.problem(w, r, http.StatusBadRequest, errUnknownClient)
		return
	case len(query["redirect_uri"]) != 1:
		s.problem(w, r, http.StatusBadRequest, errUnknownRedirect)
		return
	}
	r.Form = url.Values{"client_id": query["client_id"], "redirect_uri": query["redirect_uri"]}
	r.PostForm = url.Values{}
	held := &catcher{ResponseWriter: w}
	s.protocol.ServeHTTP(held, r)
	if held.status != 0 {
		known := held.caught(exchangeFrom(r.Context()))
		s.problem(w, r, known.pageStatus(), known)
	}
}
