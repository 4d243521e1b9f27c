package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

// The fields of the consent form.
const (
	fieldTransaction = "tx"
	fieldToken       = "csrf"
	fieldScope       = "scope"
	fieldDecision    = "decision"
	decisionApprove  = "approve"
	decisionDeny     = "deny"
)

func consentPath(sealed string) string { return pathConsent + "?" + fieldTransaction + "=" + sealed }

// signInPath is where the person signs in and comes back from. It takes more parameters: fresh, the Unix milliseconds
// since when they must have signed in, and other, for a sign-in with another account.
func signInPath(next string) string { return "/login?next=" + url.QueryEscape(next) }

// otherAccount is the parameter for a sign-in with another account.
const otherAccount = "&other=1"

func seeOther(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// asked is an authorization request in front of the person who is to answer it.
type asked struct {
	transaction
	sealed string
	client *client
	person Person
	token  string // that the form must carry
}

// asking serves a page that asks a person something, and takes the answer.
func (s *Server) asking(ask, answer func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var handle func(http.ResponseWriter, *http.Request) error
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			handle = ask
		case http.MethodPost:
			handle = answer
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			s.problem(w, r, http.StatusMethodNotAllowed, errMalformed)
			return
		}
		if err := handle(w, r); err != nil {
			var known *refusal
			if !errors.As(err, &known) {
				_ = s.internal(r.Context(), err)
				known = exchangeFrom(r.Context()).refusal
			}
			s.problem(w, r, known.pageStatus(), known)
		}
	}
}

// ask shows the consent page.
func (s *Server) ask(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query) != 1 || len(query[fieldTransaction]) != 1 {
		return errTransaction
	}
	a, ok, err := s.read(w, r, query.Get(fieldTransaction))
	if err != nil || !ok {
		return err
	}
	if r.Method == http.MethodGet {
		code, why, err := s.recall(r.Context(), a.transaction, a.person)
		if err != nil {
			return err
		}
		if why == nil {
			s.finish(w, a.transaction, s.codeURL(a.answerTo(), code))
			return nil
		}
	}
	return s.showConsent(w, r, http.StatusOK, a, proposed(a.Scopes, a.client.preregistered), false)
}

// read opens a sealed transaction and finds out who is to answer it. ok is false when the browser was sent to sign in.
func (s *Server) read(w http.ResponseWriter, r *http.Request, sealed string) (a asked, ok bool, err error) {
	t, by, known := s.ring().open(sealed, s.now())
	if !known || !s.now().Before(t.Expires) {
		return a, false, errTransaction
	}
	cookie, bound := t.boundTo(r, s.secure)
	if !bound {
		return a, false, errTransaction
	}
	person, signedIn := s.signedIn(r)
	if !signedIn {
		seeOther(w, signInPath(consentPath(sealed)))
		return a, false, nil
	}
	if person.AuthTime.Before(t.FreshSince) {
		// The way back leads here, where the time is compared again: the sign-in can be put off, not passed by.
		seeOther(w, signInPath(consentPath(sealed))+"&fresh="+strconv.FormatInt(t.FreshSince.UnixMilli(), 10))
		return a, false, nil
	}
	c, err := s.findAsking(r.Context(), t)
	if errors.Is(err, errAbsent) {
		return a, false, errUnknownClient
	}
	return asked{t, sealed, c, person, by.formToken(t, cookie, person.SessionID)}, true, err
}

// findAsking returns the client of a transaction, with all that a page shows of it. One with a metadata document is as it
// was when it asked.
func (s *Server) findAsking(ctx context.Context, t transaction) (*client, error) {
	if !isDocumentID(t.ClientID) {
		return s.findClient(ctx, t.ClientID)
	}
	host, _ := documentFault(t.ClientID) // it had none
	return &client{id: t.ClientID, name: t.ClientName, host: host}, nil
}

// answer takes the person's answer. It counts when it comes from the page that asked, in the browser that began, from the
// person who was asked, and is the first.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.URL.RawQuery != "" || r.ParseForm() != nil {
		return errMalformed
	}
	form := r.PostForm
	a, ok, err := s.read(w, r, form.Get(fieldTransaction))
	if err != nil || !ok {
		return err
	}
	if !s.sameOrigin(r) || subtle.ConstantTimeCompare([]byte(form.Get(fieldToken)), []byte(a.token)) != 1 {
		return errForged
	}
	switch form.Get(fieldDecision) {
	case decisionApprove:
		return s.approve(w, r, a, form[fieldScope])
	case decisionDeny:
		return s.deny(w, r, a)
	default:
		return errMalformed
	}
}

// sameOrigin says whether the browser sent the form from one of our own pages, as far as it tells.
func (s *Server) sameOrigin(r *http.Request) bool {
	origin, site := r.Header.Values("Origin"), r.Header.Get("Sec-Fetch-Site")
	if len(origin) > 0 && (len(origin) > 1 || origin[0] != s.issuer) {
		return false
	}
	return site == "" || site == "same-origin"
}

// approve hands the client a code for the scopes that the person ticked.
func (s *Server) approve(w http.ResponseWriter, r *http.Request, a asked, ticked []string) error {
	for _, scope := range ticked {
		if !slices.Contains(a.Scopes, scope) {
			return errMalformed
		}
	}
	if len(ticked) == 0 {
		return s.showConsent(w, r, http.StatusBadRequest, a, nil, true)
	}
	scopes := slices.DeleteFunc(slices.Clone(a.Scopes), func(scope string) bool { return !slices.Contains(ticked, scope) })
	code, err := s.allow(r.Context(), a.transaction, a.person, scopes, nil)
	if err != nil {
		return err
	}
	s.finish(w, a.transaction, s.codeURL(a.answerTo(), code))
	return nil
}

// allow begins a grant and returns its code. It does so if the condition holds in the same transaction; a condition is
// what stands for the answer of a person who was not asked, and is nil for one who was.
func (s *Server) allow(
	ctx context.Context, t transaction, p Person, scopes []string, condition func(tx *eventlog.Tx) error,
) (code string, err error) {
	code = newToken(codePrefix, s.now())
	grantID := s.newID("grant")
	granted := consentGranted(&oauthv1.ConsentGranted{
		TransactionId:         t.ID,
		TransactionExpireTime: timestamppb.New(t.Expires),
		AccountId:             p.AccountID,
		ClientId:              t.ClientID,
		RedirectUri:           t.RedirectURI,
		Resource:              t.Resource,
		RequestedScopes:       t.Scopes,
		Scopes:                scopes,
		Remembered:            condition != nil,
		ClientDigest:          t.ClientDigest,
	})
	err = s.decideOnce(ctx, t, func(tx *eventlog.Tx) error {
		if err := s.stillThere(tx, p.AccountID); err != nil {
			return err
		}
		if condition != nil {
			if err := condition(tx); err != nil {
				return err
			}
		}
		return tx.Append(kindGrant+"/"+grantID, granted, codeIssued(&oauthv1.CodeIssued{
			CodeHash:      hashToken(code),
			CodeChallenge: t.Challenge,
			ExpireTime:    timestamppb.New(tx.Now().Add(s.life.Code)),
		}))
	})
	if err != nil {
		return "", err
	}
	s.logger.InfoContext(ctx, "consent granted", "grant_id", grantID, "client_id", t.ClientID, "account_id", p.AccountID,
		"remembered", condition != nil)
	return code, nil
}

// deny tells the client that the person said no.
func (s *Server) deny(w http.ResponseWriter, r *http.Request, a asked) error {
	denied := consentDenied(&oauthv1.ConsentDenied{
		TransactionId:         a.ID,
		TransactionExpireTime: timestamppb.New(a.Expires),
		AccountId:             a.person.AccountID,
		ClientId:              a.ClientID,
		RedirectUri:           a.RedirectURI,
		Resource:              a.Resource,
		RequestedScopes:       a.Scopes,
	})
	err := s.decideOnce(r.Context(), a.transaction, func(tx *eventlog.Tx) error {
		return tx.Append(kindGrant+"/"+s.newID("grant"), denied)
	})
	if err != nil {
		return err
	}
	s.logger.InfoContext(r.Context(), "consent denied", "client_id", a.ClientID, "account_id", a.person.AccountID)
	s.finish(w, a.transaction, s.errorURL(a.answerTo(), errAccessDenied))
	return nil
}

// decideOnce records the answer to a request, unless it has one.
func (s *Server) decideOnce(ctx context.Context, t transaction, record func(tx *eventlog.Tx) error) error {
	return s.do(ctx, func(tx *eventlog.Tx) error {
		answered, err := isAnswered(tx, t.ID)
		switch {
		case err != nil:
			return err
		case answered, !tx.Now().Before(t.Expires):
			return errAnswered
		}
		return record(tx)
	})
}

// finish sends the browser to the client.
func (s *Server) finish(w http.ResponseWriter, t transaction, to string) {
	http.SetCookie(w, t.cookie("", -time.Second, s.secure))
	seeOther(w, to)
}

func (t transaction) answerTo() answerTo {
	return answerTo{redirectURI: t.RedirectURI, state: string(t.State), hasState: t.HasState}
}
