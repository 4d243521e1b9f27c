package cli

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/text/language"
)

// callbackPath is where the browser comes back to.
const callbackPath = "/callback"

// callback waits on the loopback interface for the browser to bring the answer of an authorization server.
type callback struct {
	listener net.Listener
	// accept checks the answer. After errNotOurs it goes on waiting: any page in the browser can send something here.
	accept func(url.Values) error
	// finish makes use of a good answer; only then is the person told that it worked.
	finish func(url.Values) error
}

// serve waits for one answer, shows the person what came of it and returns that.
func (c *callback) serve(ctx context.Context) error {
	answered := make(chan error, 1)
	turn := make(chan struct{}, 1) // one answer is dealt with
	turn <- struct{}{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, func(w http.ResponseWriter, r *http.Request) {
		err := c.accept(r.URL.Query())
		if errors.Is(err, errNotOurs) {
			writePage(w, r, http.StatusBadRequest, err)
			return
		}
		select {
		case <-turn:
		default:
			writePage(w, r, http.StatusBadRequest, errNotOurs)
			return
		}
		if err == nil {
			err = c.finish(r.URL.Query())
		}
		if err != nil {
			writePage(w, r, http.StatusBadRequest, err)
		} else {
			writePage(w, r, http.StatusOK, nil)
		}
		answered <- err
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(c.listener) }()

	var err error
	select {
	case err = <-answered:
	case err = <-stopped:
		return err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	// The page must arrive; a browser that keeps its connection open must not hold the program up.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // whatever is still open is of no use to anyone
	}
	if ended := <-stopped; err == nil && !errors.Is(ended, http.ErrServerClosed) {
		err = ended
	}
	return err
}

// style makes the page look like the server's. The page's policy allows it by its hash, so that nothing else can be styled.
const style = `body{max-width:36rem;margin:15vh auto;padding:0 1rem;font:1rem/1.6 system-ui,"Hiragino Sans","Noto Sans JP","Yu Gothic UI",sans-serif}h1{font-size:1.5rem;line-height:1.3}`

// policy lets the page show its own style and nothing else.
func policy() string {
	hash := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
}

// page is what the browser shows at the end.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="{{.Lang}}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{{.Title}} – Paput</title>
<style>` + style + `</style>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
`))

type pageText struct{ Lang, Title, Text string }

// writePage tells the person how the log-in ended, in Japanese or English. Nothing that came with the request is shown.
func writePage(w http.ResponseWriter, r *http.Request, status int, err error) {
	text := pageText{"en", "You are logged in", "You can close this window and go back to the terminal."}
	if err != nil {
		text = pageText{"en", "The log-in did not work", "Go back to the terminal: it says what happened."}
	}
	if prefersJapanese(r.Header.Get("Accept-Language")) {
		text = pageText{"ja", "サインインしました", "このウィンドウを閉じて、ターミナルにお戻りください。"}
		if err != nil {
			text = pageText{"ja", "サインインできませんでした", "ターミナルに戻り、表示されている内容をご確認ください。"}
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy())
	h.Set("Referrer-Policy", "no-referrer") // the address has the code in it
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	_ = page.Execute(w, text) // a browser that has gone has no one to tell
}

func prefersJapanese(accept string) bool {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return false
	}
	_, index, confidence := language.NewMatcher([]language.Tag{language.English, language.Japanese}).Match(tags...)
	return index == 1 && confidence != language.No
}
