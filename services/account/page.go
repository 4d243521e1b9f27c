package account

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"

	"golang.org/x/text/language"
)

//go:embed pages/*.html
var pageFiles embed.FS

// pages renders the pages in the visitor's language.
type pages struct {
	templates map[string]*template.Template
	matcher   language.Matcher
	// catalog is in the order of the matcher's languages.
	catalog []texts
}

func newPages() pages {
	p := pages{
		templates: map[string]*template.Template{},
		matcher:   language.NewMatcher([]language.Tag{language.English, language.Japanese}),
		catalog:   []texts{english(), japanese()},
	}
	for _, name := range []string{"login", "setup", "invite", "home", "message"} {
		p.templates[name] = template.Must(template.ParseFS(pageFiles, "pages/layout.html", "pages/"+name+".html"))
	}
	return p
}

// texts are in the language that the browser prefers of those there are; in English when it prefers none.
func (p pages) texts(r *http.Request) texts {
	_, i := language.MatchStrings(p.matcher, r.Header.Get("Accept-Language"))
	return p.catalog[i]
}

// page is what a template shows. Each page uses some of it.
type page struct {
	T         texts
	Title     string
	FormToken string
	Next      string
	Token     string
	Email     string
	PublicURL string
	Errors    []fault

	// For a sign-in on top of one; see way.
	SignedInAs, Intro string
	Fresh             string
	Other             bool

	// For messages.
	Paragraphs     []string
	Command        string
	Link, LinkText string
	Reference      string
}

// fault is an error in one field of a form.
type fault struct{ Field, Text string }

// Fault returns what is wrong with a field, "" when nothing is.
func (p page) Fault(field string) string {
	for _, f := range p.Errors {
		if f.Field == field {
			return f.Text
		}
	}
	return ""
}

// show writes a page. Pages are never cached, framed or sent with foreign content. A form may lead, by way of redirects,
// to any client's address, so there is no form-action in the policy: browsers apply it to the redirects as well. The
// referrer policy keeps links with tokens from other sites and lets browsers send Origin with our own forms, which
// "no-referrer" would set to null.
func (p pages) show(w http.ResponseWriter, status int, name string, v page) error {
	var body bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&body, "page", v); err != nil {
		return err
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.T.Lang)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language, Cookie")
}

// seeOther sends the browser on with GET (RFC 9110, section 15.4.4). path is one that localPath has let through.
func seeOther(w http.ResponseWriter, path string) {
	secure(w.Header())
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
