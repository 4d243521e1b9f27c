package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

// The fields of the forms about devices that the consent form has not.
const (
	fieldUserCode = "user_code" // RFC 8628, section 3.3.1
	fieldDevice   = "device"
)

// devicePath is the page about a device, with what the person typed of its code, if anything.
func devicePath(typed string) string {
	if typed == "" || len(typed) > maxTyped {
		return pathDevice
	}
	return pathDevice + "?" + url.Values{fieldUserCode: {typed}}.Encode()
}

// askedDevice is a device's request in front of the person who is to answer it.
type askedDevice struct {
	device
	userCode string // in normal form
	person   Person
	token    string // that the form must carry
}

// deviceToken is the value that the form about a device must carry: it fits one request for one sign-in, and whoever has it
// knew the user code. No transaction's id is "device", so it is no consent form's.
func (k keys) deviceToken(grantID, userCode, sessionID string) string {
	return base64.RawURLEncoding.EncodeToString(mac(k.csrf, "device|"+grantID+"|"+userCode+"|"+sessionID))
}

// askDevice asks a person for the code on their device, and then whether the device may have access. They see the code
// also when the address had it, for they are to compare it (RFC 8628, sections 3.3.1 and 5.4).
func (s *Server) askDevice(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxQuery || len(query[fieldUserCode]) > 1 {
		return errMalformed
	}
	typed := query.Get(fieldUserCode)
	person, signedIn := s.signedIn(r)
	if !signedIn {
		seeOther(w, signInPath(devicePath(typed)))
		return nil
	}
	if !query.Has(fieldUserCode) {
		return s.showDeviceCode(w, r, person, "", false)
	}
	userCode, ok := parseUserCode(typed)
	if !ok {
		return s.showDeviceCode(w, r, person, typed, true)
	}
	// A look-up counts whether it finds something or not, before it does: nothing is to be gained by asking many at once.
	now, asker := s.now(), exchangeFrom(r.Context()).asker
	if wait := max(s.guesses.reserve(person.AccountID, now), s.guessesFrom.reserve(asker, now)); wait > 0 {
		retryAfter(w, wait)
		return errTooManyGuesses
	}
	d, err := s.findDevice(r.Context(), byUserCode, hashSecret(userCode))
	if errors.Is(err, errAbsent) || err == nil && d.unanswerable(now) != nil {
		return s.showDeviceCode(w, r, person, typed, true)
	}
	if err != nil {
		return err
	}
	a := askedDevice{d, userCode, person, s.ring().inUse().deviceToken(d.grantID, userCode, person.SessionID)}
	return s.showDevice(w, r, http.StatusOK, a, proposed(d.requested, false), false)
}

// answerDevice takes the person's answer. It counts when it comes from the page that asked, from the person who was asked,
// in time, and is the first.
func (s *Server) answerDevice(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.URL.RawQuery != "" || r.ParseForm() != nil {
		return errMalformed
	}
	form := r.PostForm
	a := askedDevice{userCode: form.Get(fieldUserCode), token: form.Get(fieldToken)}
	var signedIn bool
	if a.person, signedIn = s.signedIn(r); !signedIn {
		seeOther(w, signInPath(devicePath(a.userCode)))
		return nil
	}
	// Before anything is looked up: this form is no place to guess codes at.
	grantID := form.Get(fieldDevice)
	made := func(k keys) bool {
		want := k.deviceToken(grantID, a.userCode, a.person.SessionID)
		return subtle.ConstantTimeCompare([]byte(a.token), []byte(want)) == 1
	}
	if !s.sameOrigin(r) || !slices.ContainsFunc(s.ring().honoured(s.now()), made) {
		return errForged
	}
	var err error
	if a.device, err = s.findDevice(r.Context(), byGrant, grantID); errors.Is(err, errAbsent) {
		return errTransaction
	} else if err != nil {
		return err
	}
	switch form.Get(fieldDecision) {
	case decisionApprove:
		return s.approveDevice(w, r, a, form[fieldScope])
	case decisionDeny:
		return s.denyDevice(w, r, a)
	default:
		return errMalformed
	}
}

// approveDevice lets the device have the scopes that the person ticked. It is never remembered: another device would have
// to be trusted for this one's sake.
func (s *Server) approveDevice(w http.ResponseWriter, r *http.Request, a askedDevice, ticked []string) error {
	for _, scope := range ticked {
		if !slices.Contains(a.requested, scope) {
			return errMalformed
		}
	}
	if err := a.unanswerable(s.now()); err != nil {
		return err
	}
	if len(ticked) == 0 {
		return s.showDevice(w, r, http.StatusBadRequest, a, nil, true)
	}
	scopes := slices.DeleteFunc(slices.Clone(a.requested), func(scope string) bool { return !slices.Contains(ticked, scope) })
	err := s.answerOnce(r, a, consentGranted(&oauthv1.ConsentGranted{
		AccountId:       a.person.AccountID,
		ClientId:        a.clientID,
		Resource:        a.resource,
		RequestedScopes: a.requested,
		Scopes:          scopes,
	}))
	if err != nil {
		return err
	}
	s.logger.InfoContext(r.Context(), "consent granted", "grant_id", a.grantID, "client_id", a.clientID, "account_id", a.person.AccountID)
	return s.showDeviceEnd(w, r, true)
}

// denyDevice lets the device learn that the person said no.
func (s *Server) denyDevice(w http.ResponseWriter, r *http.Request, a askedDevice) error {
	err := s.answerOnce(r, a, consentDenied(&oauthv1.ConsentDenied{
		AccountId:       a.person.AccountID,
		ClientId:        a.clientID,
		Resource:        a.resource,
		RequestedScopes: a.requested,
	}))
	if err != nil {
		return err
	}
	s.logger.InfoContext(r.Context(), "consent denied", "client_id", a.clientID, "account_id", a.person.AccountID)
	return s.showDeviceEnd(w, r, false)
}

// answerOnce records the answer to a device's request, unless it has one or has expired.
func (s *Server) answerOnce(r *http.Request, a askedDevice, answer *oauthv1.GrantEvent) error {
	return s.do(r.Context(), func(tx *eventlog.Tx) error {
		d, err := loadDevice(finding(tx), byGrant, a.grantID)
		if errors.Is(err, errAbsent) {
			return errTransaction // it was forgotten
		}
		if err != nil {
			return err
		}
		if err := d.unanswerable(tx.Now()); err != nil {
			return err
		}
		if err := s.stillThere(tx, a.person.AccountID); err != nil {
			return err
		}
		return tx.Append(kindGrant+"/"+a.grantID, answer)
	})
}

// deviceCodeView is what the page shows that asks for the code.
type deviceCodeView struct {
	Email string
	Typed string
	Wrong bool
	// OtherAccount is where the person signs in as somebody else and comes back.
	OtherAccount string
}

// showDeviceCode asks for the code on the device. A code that is wrong, expired or used is all one: nobody learns which
// codes there are.
func (s *Server) showDeviceCode(w http.ResponseWriter, r *http.Request, person Person, typed string, wrong bool) error {
	status := http.StatusOK
	if wrong {
		status = http.StatusBadRequest
		w.Header().Set("X-Error", errUserCode.code)
	}
	if len(typed) > maxTyped {
		typed = ""
	}
	return s.show(w, status, "devicecode", inJapanese(r), deviceCodeView{
		Email: person.Email, Typed: typed, Wrong: wrong, OtherAccount: signInPath(devicePath(typed)) + otherAccount,
	})
}

// deviceView is what the page shows that asks whether a device may have access.
type deviceView struct {
	AppName       string // of the app's own choosing; empty when it gave none
	Verified      string // host whose document describes the app; empty when it registered itself
	Preregistered bool   // by the administrator, and not without a secret
	UserCode      string
	Email         string
	Resource      string
	Service       string // that the access is for, when it is not this server: its host
	Scopes        []scopeView
	Missing       bool // no scope was ticked
	Code          string
	Device        string
	Token         string
	// OtherAccount is where the person signs in as somebody else and comes back.
	OtherAccount string
}

// showDevice asks whether the device may have access. The app may be one whose site is away: it was there when the device
// asked.
func (s *Server) showDevice(w http.ResponseWriter, r *http.Request, status int, a askedDevice, ticked []string, missing bool) error {
	exchangeFrom(r.Context()).authenticating = true
	c, err := s.findClient(r.Context(), a.clientID)
	if errors.Is(err, errAbsent) {
		return errUnknownClient
	}
	if err != nil {
		return err
	}
	japanese := inJapanese(r)
	return s.show(w, status, "device", japanese, deviceView{
		AppName:  c.name,
		Verified: c.host,
		// Whoever knows the id of an app without a secret can say that theirs is a device of it, and so of every app with a
		// document. A code would go to an address of the app's own; here the tokens go to whoever asked.
		Preregistered: c.preregistered && c.authMethod != string(oidc.AuthMethodNone),
		UserCode:      showUserCode(a.userCode),
		Email:         a.person.Email,
		Resource:      a.resource,
		Service:       s.foreignHost(a.resource),
		Scopes:        scopeViews(a.requested, ticked, japanese),
		Missing:       missing,
		Code:          a.userCode,
		Device:        a.grantID,
		Token:         a.token,

		OtherAccount: signInPath(devicePath(showUserCode(a.userCode))) + otherAccount,
	})
}

// showDeviceEnd tells the person to go back to the device.
func (s *Server) showDeviceEnd(w http.ResponseWriter, r *http.Request, allowed bool) error {
	return s.show(w, http.StatusOK, "deviceend", inJapanese(r), struct{ Allowed bool }{allowed})
}
