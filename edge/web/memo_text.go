package web

import "net/http"

// memoTexts are the words around a public memo, in one language.
type memoTexts struct {
	Lang                                             string
	Written, Changed, Kept, Markdown, NoMemo, Absent string
	Knowledge, Decision, Operation, Principle        string
}

func memoTextsFor(r *http.Request) memoTexts {
	if readsJapanese(r) {
		return memoTexts{
			Lang: "ja", Written: "作成", Changed: "更新", Kept: "このメモは、書いた人が Paput で公開しています。", Markdown: "Markdown で読む",
			NoMemo: "メモがありません", Absent: "このアドレスに公開中のメモはありません。もともと無いか、非公開に戻されました。",
			Knowledge: "知識", Decision: "決定", Operation: "運用", Principle: "原則",
		}
	}
	return memoTexts{
		Lang: "en", Written: "Written", Changed: "Updated", Kept: "Its author made this memo public with Paput.", Markdown: "Read as Markdown",
		NoMemo: "No memo here", Absent: "There is no public memo at this address. There never was one, or it is private again.",
		Knowledge: "Knowledge", Decision: "Decision", Operation: "Operation", Principle: "Principle",
	}
}

// typeName is what a memo's type is called.
func (t memoTexts) typeName(kind string) string {
	switch kind {
	case "knowledge":
		return t.Knowledge
	case "decision":
		return t.Decision
	case "operation":
		return t.Operation
	case "principle":
		return t.Principle
	}
	return kind
}
