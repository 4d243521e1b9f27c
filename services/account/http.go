package account

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 64 << 10

// homePath is where a browser goes that has nowhere else to go.
const homePath = "/login"

// Register mounts the pages: /login, /logout, /setup and /invite. They are mounted for all methods, so that a wrong one is
// answered here and not by whatever else the mux holds.
func (s *Service) Register(mux *http.ServeMux) {
	mux.HandleFunc("/login", s.methods(s.showLogin, s.login))
	mux.HandleFunc("/logout", s.methods(nil, s.logout))
	mux.HandleFunc("/setup", s.methods(s.showSetup, s.setup))
	mux.HandleFunc("/invite", s.methods(s.showInvite, s.invite))
}

// handler answers a request, or says why it could not.
type handler func(w http.ResponseWriter, r *http.Request) error

// methods answers GET and HEAD with get, which may be nil, and forms with post.
func (s *Service) methods(get, post handler) http.HandlerFunc {
	allow := "GET, HEAD, POST"
	if get == nil {
		allow = "POST"
	}
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			// Pages are written whole, at the end: there is nothing yet that the answer would follow.
			if p := recover(); p != nil {
				s.refuse(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		var err error
		switch {
		case r.Method == http.MethodPost:
			if err = s.checkForm(w, r); err == nil {
				err = post(w, r)
			}
		case get != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			err = get(w, r)
		default:
			w.Header().Set("Allow", allow)
			err = errMethod
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	}
}

// checkForm parses a form and sees to it that a page of ours sent it.
func (s *Service) checkForm(w http.ResponseWriter, r *http.Request) error {
	if !s.origin.allows(r) {
		return errForm
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return errTooLarge
		}
		return errForm
	}
	if !s.cookies.formTokenMatches(r, r.PostForm.Get("csrf")) {
		return errForm
	}
	return nil
}

// showLogin shows the form, or to whoever is signed in and need not do so again, the way on.
func (s *Service) showLogin(w http.ResponseWriter, r *http.Request) error {
	to := readWay(r.URL.Query())
	session, ok := s.SignedIn(r)
	switch {
	case ok && to.isDone(session) && to.next != "":
		seeOther(w, to.next)
		return nil
	case ok && to.isDone(session):
		v := s.page(w, r)
		v.Title, v.Email, v.PublicURL = v.T.HomeTitle, session.Email, s.publicURL
		return s.pages.show(w, http.StatusOK, "home", v)
	}
	v := s.loginPage(w, r, to)
	v.Email = s.cookies.hint(r)
	switch {
	case to.other && emailKey(v.Email) == emailKey(session.Email):
		v.Email = ""
	case !to.other && v.Email == "":
		v.Email = session.Email
	}
	return s.pages.show(w, http.StatusOK, "login", v)
}

// loginPage begins the page with the sign-in form. Whoever is signed in sees that they are.
func (s *Service) loginPage(w http.ResponseWriter, r *http.Request, to way) page {
	v := s.page(w, r)
	v.Title, v.Next, v.Fresh, v.Other = v.T.SignInTitle, to.next, to.fresh(), to.other
	session, ok := s.SignedIn(r)
	if !ok || to.isDone(session) {
		return v
	}
	v.SignedInAs = session.Email
	v.Title, v.Intro = v.T.AgainTitle, v.T.AgainIntro
	if to.other {
		v.Title, v.Intro = v.T.OtherTitle, v.T.OtherIntro
	}
	return v
}

func (s *Service) login(w http.ResponseWriter, r *http.Request) error {
	email := r.PostForm.Get("email")
	b, err := s.signIn(r.Context(), email, r.PostForm.Get("password"), clientAddress(r.RemoteAddr), s.cookies.browser(r))
	if errors.Is(err, errWrong) {
		v := s.loginPage(w, r, readWay(r.PostForm))
		v.Email, v.Errors = printableText(email), []fault{{"email", v.T.WrongPassword}}
		return s.pages.show(w, http.StatusUnprocessableEntity, "login", v)
	}
	if err != nil {
		return err
	}
	s.goOn(w, r, b)
	return nil
}

// goOn gives the browser its cookies and sends it where it wanted to go.
func (s *Service) goOn(w http.ResponseWriter, r *http.Request, b browser) {
	s.cookies.setBrowser(w, b)
	next := localPath(r.PostForm.Get("next"))
	if next == "" {
		next = homePath
	}
	seeOther(w, next)
}

func (s *Service) logout(w http.ResponseWriter, r *http.Request) error {
	if err := s.signOut(r.Context(), s.cookies.session(r)); err != nil {
		return err
	}
	s.cookies.set(w, sessionCookie, "", 0)
	seeOther(w, homePath)
	return nil
}

func (s *Service) showSetup(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	if err := s.checkSetup(r.Context(), token); err != nil {
		return err
	}
	v := s.page(w, r)
	v.Title, v.Token, v.Next = v.T.SetupTitle, token, localPath(r.URL.Query().Get("next"))
	return s.pages.show(w, http.StatusOK, "setup", v)
}

func (s *Service) setup(w http.ResponseWriter, r *http.Request) error {
	token := r.PostForm.Get("token")
	if err := s.checkSetup(r.Context(), token); err != nil {
		return err
	}
	v := s.page(w, r)
	given := r.PostForm.Get("email")
	email, err := parseEmail(given)
	if err != nil {
		v.Errors = append(v.Errors, fault{"email", v.T.EmailInvalid})
	}
	v.Errors = append(v.Errors, passwordFaults(r, given, v.T)...)
	if len(v.Errors) > 0 {
		v.Title, v.Token, v.Email, v.Next = v.T.SetupTitle, token, printableText(given), localPath(r.PostForm.Get("next"))
		return s.pages.show(w, http.StatusUnprocessableEntity, "setup", v)
	}
	b, err := s.setUp(r.Context(), token, email, r.PostForm.Get("password"), s.cookies.browser(r))
	if err != nil {
		return err
	}
	s.goOn(w, r, b)
	return nil
}

func (s *Service) showInvite(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	a, err := s.invited(r.Context(), token)
	if err != nil {
		return err
	}
	v := s.page(w, r)
	v.Title, v.Token, v.Email, v.Next = v.T.InviteTitle, token, a.email, localPath(r.URL.Query().Get("next"))
	return s.pages.show(w, http.StatusOK, "invite", v)
}

func (s *Service) invite(w http.ResponseWriter, r *http.Request) error {
	token := r.PostForm.Get("token")
	a, err := s.invited(r.Context(), token)
	if err != nil {
		return err
	}
	v := s.page(w, r)
	if v.Errors = passwordFaults(r, a.email, v.T); len(v.Errors) > 0 {
		v.Title, v.Token, v.Email, v.Next = v.T.InviteTitle, token, a.email, localPath(r.PostForm.Get("next"))
		return s.pages.show(w, http.StatusUnprocessableEntity, "invite", v)
	}
	b, err := s.acceptInvitation(r.Context(), token, r.PostForm.Get("password"), s.cookies.browser(r))
	if err != nil {
		return err
	}
	s.goOn(w, r, b)
	return nil
}

// passwordFaults says what is wrong with the new password in a form. The repetition guards against slips of the finger; a
// program that sends the form may leave it out.
func passwordFaults(r *http.Request, email string, t texts) []fault {
	password := r.PostForm.Get("password")
	if err := checkPassword(password, email); err != nil {
		return []fault{{"password", passwordText(err, t)}}
	}
	if again, sent := r.PostForm["password_again"]; sent && again[0] != password {
		return []fault{{"password_again", t.PasswordDiffer}}
	}
	return nil
}

func passwordText(err error, t texts) string {
	switch {
	case errors.Is(err, ErrPasswordShort):
		return t.PasswordShort
	case errors.Is(err, ErrPasswordLong):
		return t.PasswordLong
	case errors.Is(err, ErrPasswordEmail):
		return t.PasswordEmail
	case errors.Is(err, ErrPasswordCommon):
		return t.PasswordCommon
	default:
		return t.PasswordText
	}
}

// page begins a page with a form.
func (s *Service) page(w http.ResponseWriter, r *http.Request) page {
	return page{T: s.pages.texts(r), FormToken: s.cookies.formToken(w, r)}
}

// printableText is what a person entered, fit to be shown again.
func printableText(s string) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) > 4*maxEmail {
		return ""
	}
	return s
}
