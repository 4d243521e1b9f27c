package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

//go:embed memo.html
var memoFiles embed.FS

// PublicMemos reads what anyone may read; a client of the memo service does.
type PublicMemos interface {
	GetPublicMemo(ctx context.Context, req *memov1.GetPublicMemoRequest) (*memov1.GetPublicMemoResponse, error)
}

// memoPages serves public memos to whoever has their addresses: at /m/{id} as a page, or as Markdown to clients whose Accept
// asks for it, and at /m/{id}.md as Markdown to all. A memo that is not public is as one that never was.
//
// Nothing is kept here, and caches have to ask each time, so a memo is gone the moment it is private. For the same reason
// search engines, which keep copies, are asked not to list it.
type memoPages struct {
	memos    PublicMemos
	markdown markdown
	template *template.Template
	log      *slog.Logger
}

func newMemoPages(memos PublicMemos, log *slog.Logger) *memoPages {
	return &memoPages{memos, newMarkdown(), template.Must(template.ParseFS(memoFiles, "memo.html")), log}
}

// memoPage is what the template shows; without a memo, that there is none.
type memoPage struct {
	T        memoTexts
	Lang     string // of the page as a whole
	Memo     *memov1.Memo
	Body     template.HTML
	Types    []string
	Created  time.Time
	Updated  time.Time
	Markdown string // the address of the memo as Markdown
}

// Changed says whether the memo changed on a later day than it was written.
func (p memoPage) Changed() bool {
	return p.Updated.Format(time.DateOnly) > p.Created.Format(time.DateOnly)
}

func (p *memoPages) serve(w http.ResponseWriter, r *http.Request) {
	id, named := strings.CutSuffix(r.PathValue("id"), ".md")
	asMarkdown := named || prefersMarkdown(strings.Join(r.Header.Values("Accept"), ","))
	p.guard(w.Header())
	res, err := p.memos.GetPublicMemo(r.Context(), &memov1.GetPublicMemoRequest{Id: id})
	if err != nil {
		p.refuse(w, r, err, asMarkdown)
		return
	}
	kind, page := "text/markdown", markdownOf(res.GetMemo())
	if !asMarkdown {
		kind = "text/html"
		if page, err = p.page(r, res.GetMemo()); err != nil {
			p.refuse(w, r, err, asMarkdown)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", kind+"; charset=utf-8")
	sum := sha256.Sum256(page)
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
}

// guard sets the headers of every answer. The policy lets a page load our stylesheet and nothing else.
func (p *memoPages) guard(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, noarchive")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept, Accept-Language")
}

// refuse answers for a memo that cannot be shown. A malformed id is one that no memo has.
func (p *memoPages) refuse(w http.ResponseWriter, r *http.Request, err error, asMarkdown bool) {
	switch code := connect.CodeOf(err); {
	case r.Context().Err() != nil:
		return
	case code != connect.CodeNotFound && code != connect.CodeInvalidArgument:
		p.log.WarnContext(r.Context(), "public memo not served", "error", err)
		w.Header().Set("Retry-After", "5")
		plain(w, http.StatusServiceUnavailable, "Paput cannot answer right now. Try again in a moment.\n")
		return
	}
	texts := memoTextsFor(r)
	if asMarkdown {
		plain(w, http.StatusNotFound, texts.Absent+"\n")
		return
	}
	var page bytes.Buffer
	if err := p.template.Execute(&page, memoPage{T: texts, Lang: texts.Lang}); err != nil {
		panic("web: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(page.Bytes())
}

func (p *memoPages) page(r *http.Request, memo *memov1.Memo) ([]byte, error) {
	body, err := p.markdown.html(memo.GetBody())
	if err != nil {
		return nil, err
	}
	v := memoPage{
		T: memoTextsFor(r), Lang: languageOf(memo.GetTitle() + "\n" + memo.GetSummary() + "\n" + memo.GetBody()), Memo: memo, Body: body,
		Created: memo.GetCreateTime().AsTime(), Updated: memo.GetUpdateTime().AsTime(), Markdown: "/m/" + memo.GetId() + ".md",
	}
	for _, kind := range memo.GetMemoTypes() {
		v.Types = append(v.Types, v.T.typeName(kind))
	}
	var page bytes.Buffer
	if err := p.template.Execute(&page, v); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}

// markdownOf is a memo as a Markdown file.
func markdownOf(memo *memov1.Memo) []byte {
	text := "# " + memo.GetTitle() + "\n"
	if s := memo.GetSummary(); s != "" {
		text += "\n> " + s + "\n"
	}
	if body := strings.TrimSpace(memo.GetBody()); body != "" {
		text += "\n" + body + "\n"
	}
	return []byte(text)
}
