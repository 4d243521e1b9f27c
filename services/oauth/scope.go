package oauth

import (
	"slices"
	"strings"

	"github.com/paput/paput/services/rpc"
)

// Scope is something that an app may be allowed to do.
type Scope struct {
	// Name is what protocols call it.
	Name string
	// English and Japanese say it to the person who is asked.
	English, Japanese string
}

// Scopes lists every scope, the most modest first.
func Scopes() []Scope {
	return []Scope{
		{"paput.read", "Read and search your memos and notes, and see your e-mail address", "メモとノートを読む・検索する、メールアドレスを見る"},
		{"paput.capture", "Suggest memos for you to approve", "メモの候補を提案する（承認するのはあなたです）"},
		{"paput.write", "Create, change and delete your memos and notes, and everything that reading allows", "メモとノートを作成・変更・削除する（読むことも含みます）"},
		{"paput.publish", "Make your memos public on the web, and everything that writing allows", "メモをウェブに公開する（読み書きも含みます）"},
		{
			scopeAccount, "Take out everything you keep here, bring in such an archive, approve suggestions in your place, and erase your account for good",
			"保存している内容をすべて書き出す、書き出した内容を取り込む、あなたに代わって候補を承認する、アカウントを完全に消去する",
		},
		{"paput.audit", "Read the record of sign-ins and of what was allowed to whom", "サインインと許可の記録を読む"},
	}
}

// scopeAccount is for a person's own tools, such as the command line, and no assistant needs it.
const scopeAccount = "paput.account"

// proposed are the scopes whose boxes are ticked before the person has touched any: all that were asked for, without
// scopeAccount unless the administrator registered the app. Whoever may have everything at once is to be chosen, not overlooked.
func proposed(asked []string, preregistered bool) []string {
	if preregistered {
		return asked
	}
	return slices.DeleteFunc(slices.Clone(asked), func(scope string) bool { return scope == scopeAccount })
}

// scopeOfflineAccess asks for refresh tokens (OpenID Connect Core, section 11). Whether a client gets them depends on the
// grant types it registered, so it is accepted and means nothing.
const scopeOfflineAccess = "offline_access"

// defaultScopes are what a client gets to ask for that names none (RFC 6749, section 3.3): what the challenge names.
func defaultScopes() []string { return []string{"paput.read", "paput.write"} }

// scopeNames lists the names of Scopes.
func scopeNames() []string {
	var names []string
	for _, s := range Scopes() {
		names = append(names, s.Name)
	}
	return names
}

// requestedScopes reads the scope parameter of an authorization request by a client that may ask for some scopes and what
// they imply, or for every scope when there are none. Other scopes are ignored; when nothing remains of a list that named
// something, ok is false. The answer is in the order of Scopes.
func requestedScopes(param string, permitted []string) (scopes []string, ok bool) {
	asked := strings.Fields(param)
	named := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return s == scopeOfflineAccess })
	silent := len(named) == 0
	if silent {
		named = defaultScopes()
	}
	registered := rpc.Caller{Scopes: permitted}
	for _, name := range scopeNames() {
		if slices.Contains(named, name) && (len(permitted) == 0 || registered.Has(name)) {
			scopes = append(scopes, name)
		}
	}
	if silent && len(scopes) == 0 {
		return permitted, true // it may have none of the usual ones
	}
	return scopes, len(scopes) > 0
}

// narrowedScopes reads the scope parameter of a refresh request: all that was granted when it names none, otherwise what
// it names, which must have been granted or be implied by what was (RFC 6749, section 6).
func narrowedScopes(granted []string, param string) (scopes []string, ok bool) {
	allowed := rpc.Caller{Scopes: granted}
	for _, s := range strings.Fields(param) {
		switch {
		case s == scopeOfflineAccess || slices.Contains(scopes, s):
			continue
		case !allowed.Has(s):
			return nil, false
		}
		scopes = append(scopes, s)
	}
	if scopes == nil {
		return granted, true
	}
	return scopes, true
}
