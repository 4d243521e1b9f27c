package oauth

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"golang.org/x/text/language"
)

//go:embed pages/*.html
var pageFiles embed.FS

func parsePages() (*template.Template, error) { return template.ParseFS(pageFiles, "pages/*.html") }

// inJapanese says whether the browser would rather have Japanese than English.
func inJapanese(r *http.Request) bool {
	matcher := language.NewMatcher([]language.Tag{language.English, language.Japanese})
	_, index := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return index == 1
}

// consentView is what the consent page shows.
type consentView struct {
	AppName       string // of the app's own choosing; empty when it gave none
	Verified      string // host whose document describes the app; empty when it registered itself
	Email         string
	Resource      string
	Service       string // that the access is for, when it is not this server: its host
	Host          string // where the answer goes
	Loopback      bool
	Scheme        string // of the app that the answer goes to, in place of a host; empty for https and http
	Preregistered bool   // by the administrator
	Scopes        []scopeView
	Missing       bool // no scope was ticked
	Sealed        string
	Token         string
	// OtherAccount is where the person signs in as somebody else and comes back.
	OtherAccount string
}

// scopeView is one box to tick.
type scopeView struct {
	Name, Text string
	Ticked     bool
}

func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, status int, a asked, ticked []string, missing bool) error {
	japanese := inJapanese(r)
	view := consentView{
		AppName:       a.client.name,
		Verified:      a.client.host,
		Email:         a.person.Email,
		Resource:      a.Resource,
		Scopes:        scopeViews(a.Scopes, ticked, japanese),
		Missing:       missing,
		Sealed:        a.sealed,
		Token:         a.token,
		OtherAccount:  signInPath(consentPath(a.sealed)) + otherAccount,
		Scheme:        privateScheme(a.RedirectURI),
		Preregistered: a.client.preregistered,
	}
	view.Host, view.Loopback = redirectHost(a.RedirectURI)
	view.Service = s.foreignHost(a.Resource)
	return s.show(w, status, "consent", japanese, view)
}

// scopeViews are the boxes for the scopes that were asked for.
func scopeViews(asked, ticked []string, japanese bool) (views []scopeView) {
	for _, scope := range Scopes() {
		if !slices.Contains(asked, scope.Name) {
			continue
		}
		text := scope.English
		if japanese {
			text = scope.Japanese
		}
		views = append(views, scopeView{scope.Name, text, slices.Contains(ticked, scope.Name)})
	}
	return views
}

// problemView is what the page for an error shows.
type problemView struct {
	Title, Text string
	Reference   string
}

// problem tells a person what went wrong. The error code is in a header, for programs and for us.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, known *refusal) {
	japanese := inJapanese(r)
	e := exchangeFrom(r.Context())
	reference := e.requestID
	if reference == "" {
		reference = s.newID("req")
		line := []any{"request_id", reference, "error", known.code, "reason", known.text}
		if e.cause != "" {
			line = append(line, "cause", e.cause)
		}
		s.report(r.Context(), "authorization refused", line...)
	}
	retryLater(w, status)
	w.Header().Set("X-Error", known.code)
	view := problemText(known, japanese)
	view.Reference = reference
	if err := s.show(w, status, "problem", japanese, view); err != nil {
		s.logger.ErrorContext(r.Context(), "page not shown", "request_id", reference, "error", err)
		http.Error(w, "Something went wrong. Reference: "+reference, http.StatusInternalServerError)
	}
}

// show writes a page in one of its languages.
func (s *Server) show(w http.ResponseWriter, status int, page string, japanese bool, view any) error {
	name := page + ".en.html"
	if japanese {
		name = page + ".ja.html"
	}
	var body bytes.Buffer
	if err := s.pages.ExecuteTemplate(&body, name, view); err != nil {
		return fmt.Errorf("show %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

// problemText says in plain words what went wrong and what to do.
func problemText(known *refusal, japanese bool) problemView {
	type pair struct{ en, ja problemView }
	var text pair
	switch known {
	case errUnknownClient:
		text = pair{
			problemView{Title: "This app is not known here", Text: "The app that sent you here has no registration on this server, or it has expired. In the app, remove the connection to Paput and connect again."},
			problemView{Title: "このアプリは登録されていません", Text: "接続しようとしたアプリは、このサーバーに登録されていないか、登録の期限が切れています。アプリ側で Paput との接続を削除し、もう一度接続してください。"},
		}
	case errDocument:
		text = pair{
			problemView{Title: "The app's description cannot be used", Text: "The app says who it is in a document on the web. We could not get that document, or it is not as it must be. Nothing was allowed. Try again later, or tell whoever makes the app."},
			problemView{Title: "アプリの情報を確認できません", Text: "アプリの情報を記したウェブ上の文書を取得できないか、その内容に誤りがあります。何も許可されていません。しばらくしてからもう一度試すか、アプリの提供元にお知らせください。"},
		}
	case errTooManyDocuments:
		text = pair{
			problemView{Title: "Too many apps at once", Text: "Too many apps were looked up from your network just now. Nothing was allowed. Wait a minute, then go back to the app and connect again."},
			problemView{Title: "アプリの確認が多すぎます", Text: "お使いのネットワークから、短い時間に多くのアプリの確認が行われました。何も許可されていません。1 分ほど待ってからアプリに戻り、もう一度接続してください。"},
		}
	case errSpareSite:
		text = pair{
			problemView{Title: "The app's site needs a rest", Text: "The app says who it is in a document on the web, and its site was asked for documents too often just now. Nothing was allowed. Wait a minute, then go back to the app and connect again."},
			problemView{Title: "アプリの情報を取得できません", Text: "アプリの情報を公開しているサイトへの問い合わせが短い時間に集中したため、一時的に控えています。何も許可されていません。1 分ほど待ってからアプリに戻り、もう一度接続してください。"},
		}
	case errTooManyVisits:
		text = pair{
			problemView{Title: "Too many requests", Text: "Too many requests came from your network in a short time. Nothing was lost. Wait a minute, then reload this page."},
			problemView{Title: "アクセスが多すぎます", Text: "お使いのネットワークから、短い時間に多くのアクセスがありました。これまでの操作は失われていません。1 分ほど待ってから、このページを再読み込みしてください。"},
		}
	case errTooManyGuesses:
		text = pair{
			problemView{Title: "Too many codes were tried", Text: "Nothing was allowed. Wait a minute, then reload this page. If the code has expired by then, begin again on the device."},
			problemView{Title: "コードの入力が多すぎます", Text: "何も許可されていません。1 分ほど待ってから、このページを再読み込みしてください。その間にコードの期限が切れた場合は、端末でもう一度始めてください。"},
		}
	case errUnknownRedirect:
		text = pair{
			problemView{Title: "The app's return address is not registered", Text: "The app asked us to send you to an address that it has not registered. Nothing was allowed. If you trust the app, remove its connection to Paput and connect again."},
			problemView{Title: "アプリの戻り先が登録されていません", Text: "アプリが、登録されていないアドレスに戻るよう求めました。何も許可されていません。信頼できるアプリであれば、Paput との接続を削除し、もう一度接続してください。"},
		}
	case errTransaction:
		text = pair{
			problemView{Title: "This request cannot be answered", Text: "It has expired, or it was started in another browser. Nothing was allowed. Go back to the app and connect again."},
			problemView{Title: "このリクエストには回答できません", Text: "期限が切れているか、別のブラウザーで開始されたものです。何も許可されていません。アプリに戻り、もう一度接続してください。"},
		}
	case errAnswered:
		text = pair{
			problemView{Title: "You have answered this already", Text: "Each request is answered once. If the app is not connected, go back to it and connect again."},
			problemView{Title: "すでに回答済みです", Text: "1 つのリクエストに回答できるのは 1 回だけです。アプリが接続されていない場合は、アプリに戻ってもう一度接続してください。"},
		}
	case errForged:
		text = pair{
			problemView{Title: "The answer did not come from our page", Text: "To be safe, nothing was allowed. Go back to the app and connect again."},
			problemView{Title: "回答を確認できませんでした", Text: "この回答は Paput の画面から送られたものではないようです。安全のため、何も許可していません。アプリに戻り、もう一度接続してください。"},
		}
	case errServer, errBusy:
		text = pair{
			problemView{Title: "Something went wrong", Text: "It is our fault, not yours. Nothing was allowed. Wait a moment, then go back to the app and connect again."},
			problemView{Title: "エラーが発生しました", Text: "サーバー側の問題です。何も許可されていません。しばらくしてからアプリに戻り、もう一度接続してください。"},
		}
	default:
		text = pair{
			problemView{Title: "This address is not complete", Text: "The app sent you here with a request that we cannot read. Nothing was allowed. Go back to the app and connect again."},
			problemView{Title: "リクエストを読み取れません", Text: "アプリから送られたリクエストの内容に誤りがあります。何も許可されていません。アプリに戻り、もう一度接続してください。"},
		}
	}
	if japanese {
		return text.ja
	}
	return text.en
}
