package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed landing.en.html landing.ja.html
var landingFiles embed.FS

// landing tells a person what this address is and how to connect a client to it.
func (c Config) landing(w http.ResponseWriter, r *http.Request) {
	name := "landing.en.html"
	if readsJapanese(r) {
		name = "landing.ja.html"
	}
	t, err := template.ParseFS(landingFiles, name)
	if err != nil {
		panic("web: " + err.Error())
	}
	var page bytes.Buffer
	if err := t.Execute(&page, c.PublicURL); err != nil {
		panic("web: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Accept, Accept-Language, Authorization")
	_, _ = w.Write(page.Bytes())
}
