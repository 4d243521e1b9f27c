package account

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// way is where a sign-in leads, and what it has to be. It comes with the address of the page and goes with the form.
type way struct {
	// next is the path to go on to; "" when there is none.
	next string
	// since is when the person must have signed in at the earliest; the zero time when that does not matter. Whoever asks
	// for it looks at the session again: this page only knows when to show itself.
	since time.Time
	// other says that it is to be somebody else than whoever is signed in.
	other bool
}

func readWay(from url.Values) way {
	w := way{next: localPath(from.Get("next")), other: from.Get("other") != ""}
	if ms, err := strconv.ParseInt(from.Get("fresh"), 10, 64); err == nil {
		w.since = time.UnixMilli(ms).UTC()
	}
	return w
}

// isDone says whether whoever is signed in may go on as they are.
func (w way) isDone(s Session) bool { return !w.other && !s.AuthTime.Before(w.since) }

// fresh is since as the address has it.
func (w way) fresh() string {
	if w.since.IsZero() {
		return ""
	}
	return strconv.FormatInt(w.since.UnixMilli(), 10)
}

const hintCookie = "paput_hint"

// hintLife is how long the sign-in page comes with an address that was suggested: as long as people take to sign in.
const hintLife = 10 * time.Minute

// Suggest adds to an answer's header what makes the sign-in page of that browser come filled in with an e-mail address,
// for 10 minutes. For what is no address it takes an earlier suggestion away and returns false. It goes by a cookie, which
// unlike an address ends up in nobody's log.
func (s *Service) Suggest(header http.Header, email string) bool {
	email, err := parseEmail(email)
	header.Add("Set-Cookie", s.cookies.make(hintCookie, base64.RawURLEncoding.EncodeToString([]byte(email)), hintLife).String())
	return err == nil
}

// hint returns the address that was suggested, "" when none was.
func (c cookies) hint(r *http.Request) string {
	cookie, err := r.Cookie(c.name(hintCookie))
	if err != nil {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return ""
	}
	email, err := parseEmail(string(b))
	if err != nil {
		return ""
	}
	return email
}
