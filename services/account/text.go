package account

// texts is everything the pages say, in one language. A test sees to it that none is missing.
type texts struct {
	Lang string

	ErrorPrefix string // before the title of a page with errors
	ErrorTitle  string // above the list of errors

	Email         string
	Password      string
	PasswordHint  string
	PasswordAgain string

	SignInTitle string
	SignIn      string
	SignOut     string

	SignedInAs string // before the e-mail address
	AgainTitle string
	AgainIntro string
	OtherTitle string
	OtherIntro string
	UseOther   string
	Stay       string

	SetupTitle  string
	SetupIntro  string
	SetupButton string

	InviteTitle  string
	InviteIntro  string
	InviteButton string

	HomeTitle       string
	HomeIntro       string
	ConnectTitle    string
	ConnectIntro    string
	ConnectURL      string
	ConnectProgram  string
	ConnectTerminal string

	WrongPassword  string
	EmailInvalid   string
	PasswordText   string
	PasswordShort  string
	PasswordLong   string
	PasswordEmail  string
	PasswordCommon string
	PasswordDiffer string

	SetupGoneTitle  string
	SetupGone       string
	SetupGoneHow    string
	SetupDone       string
	InviteGoneTitle string
	InviteGone      string
	InviteGoneHow   string

	FormTitle     string
	Form          string
	FormHow       string
	WaitTitle     string
	Wait          string // with the number of seconds
	WaitWhy       string
	BusyTitle     string
	Busy          string
	TooLargeTitle string
	TooLarge      string
	MethodTitle   string
	Method        string
	FailedTitle   string
	Failed        string
	ToSignIn      string
	Reference     string // before an id
}

func english() texts {
	return texts{ //nolint:gosec // it speaks of passwords and holds none
		Lang: "en",

		ErrorPrefix: "Error: ",
		ErrorTitle:  "Something needs correcting",

		Email:         "E-mail address",
		Password:      "Password",
		PasswordHint:  "8 to 200 characters. Several words that have nothing to do with each other make a good one.",
		PasswordAgain: "The same password again",

		SignInTitle: "Sign in to Paput",
		SignIn:      "Sign in",
		SignOut:     "Sign out",

		SignedInAs: "Signed in as: ",
		AgainTitle: "Please sign in again",
		AgainIntro: "An app asks for a fresh sign-in. Enter your password once more to go on.",
		OtherTitle: "Sign in with another account",
		OtherIntro: "When you sign in, this browser changes to that account.",
		UseOther:   "Use another account",
		Stay:       "Stay with this account",

		SetupTitle:  "Set up Paput",
		SetupIntro:  "This server has no account yet. Make the first one: you will use it to sign in and to decide which assistants may read and write your memos.",
		SetupButton: "Create the account",

		InviteTitle:  "Welcome to Paput",
		InviteIntro:  "You have been invited to this server. Choose a password, and you are in.",
		InviteButton: "Set the password and sign in",

		HomeTitle:       "You are signed in",
		HomeIntro:       "Your account:",
		ConnectTitle:    "Next: connect a client",
		ConnectIntro:    "Give your assistant the address of this server. It opens this browser, where you choose what it may do.",
		ConnectURL:      "Others that take a URL",
		ConnectProgram:  "Assistants that start a program",
		ConnectTerminal: "Your terminal",

		WrongPassword:  "The e-mail address or the password is wrong.",
		EmailInvalid:   "Enter an e-mail address like name@example.com, at most 254 characters.",
		PasswordText:   "The password has characters that cannot be read. Type it again.",
		PasswordShort:  "The password is too short. Use at least 8 characters.",
		PasswordLong:   "The password is too long. Use at most 200 characters.",
		PasswordEmail:  "The password is your e-mail address. Choose something else.",
		PasswordCommon: "This is one of the passwords that are guessed first. Choose another.",
		PasswordDiffer: "The two passwords are not the same. Type both again.",

		SetupGoneTitle:  "This set-up link no longer works",
		SetupGone:       "It has been used, or the server has been started again since and has printed another one.",
		SetupGoneHow:    "If this server has no account yet, start it again and open the link that it prints. To add another account, whoever runs the server enters this command and passes on the link that it prints:",
		SetupDone:       "If you have an account, sign in.",
		InviteGoneTitle: "This invitation no longer works",
		InviteGone:      "It has been used, it is more than 7 days old, or a later invitation has replaced it.",
		InviteGoneHow:   "For a new one, ask whoever runs the server to enter this command, with your e-mail address, and to pass on the link that it prints:",

		FormTitle:     "Please send the form again",
		Form:          "It could not be made sure that the form was sent from a page of this server, so nothing has been done.",
		FormHow:       "Open the page again and repeat what you did. Your browser has to accept cookies from this site.",
		WaitTitle:     "Too many attempts",
		Wait:          "Please wait %d seconds and try again.",
		WaitWhy:       "There have been too many sign-ins with a wrong e-mail address or password. Your account is not locked, and a browser in which you have signed in before is not affected by others who guess.",
		BusyTitle:     "The server is busy",
		Busy:          "Many people are signing in just now. Please wait a few seconds and try again.",
		TooLargeTitle: "The form is too large",
		TooLarge:      "What you have sent is larger than any form here needs. Nothing has been done.",
		MethodTitle:   "This address takes no such request",
		Method:        "A page here is opened with GET and a form sent with POST. Signing out is a form.",
		FailedTitle:   "Something went wrong",
		Failed:        "The server could not do that. Please try again; if it happens again, tell whoever runs the server.",
		ToSignIn:      "Go to the sign-in page",
		Reference:     "Reference: ",
	}
}

func japanese() texts {
	return texts{ //nolint:gosec // it speaks of passwords and holds none
		Lang: "ja",

		ErrorPrefix: "エラー：",
		ErrorTitle:  "入力内容をご確認ください",

		Email:         "メールアドレス",
		Password:      "パスワード",
		PasswordHint:  "8～200 文字。互いに関係のない言葉をいくつか並べると、よいパスワードになります。",
		PasswordAgain: "パスワード（確認のためもう一度）",

		SignInTitle: "Paput にサインイン",
		SignIn:      "サインイン",
		SignOut:     "サインアウト",

		SignedInAs: "サインイン中：",
		AgainTitle: "もう一度サインインしてください",
		AgainIntro: "アプリが再度のサインインを求めています。続けるには、もう一度パスワードを入力してください。",
		OtherTitle: "別のアカウントでサインイン",
		OtherIntro: "サインインすると、このブラウザーはそのアカウントに切り替わります。",
		UseOther:   "別のアカウントを使う",
		Stay:       "このアカウントのまま続ける",

		SetupTitle:  "Paput の初期設定",
		SetupIntro:  "このサーバーにはまだアカウントがありません。最初のアカウントを作成してください。サインインするときと、どのアシスタントにメモの読み書きを許可するかを決めるときに使います。",
		SetupButton: "アカウントを作成",

		InviteTitle:  "Paput へようこそ",
		InviteIntro:  "このサーバーに招待されています。パスワードを決めると、すぐに使い始められます。",
		InviteButton: "パスワードを設定してサインイン",

		HomeTitle:       "サインインしています",
		HomeIntro:       "アカウント：",
		ConnectTitle:    "次に、クライアントを接続します",
		ConnectIntro:    "お使いのアシスタントに、このサーバーのアドレスを登録してください。ブラウザーが開くので、許可する内容を選べます。",
		ConnectURL:      "URL を登録するアシスタント",
		ConnectProgram:  "プログラムを起動して接続するアシスタント",
		ConnectTerminal: "ターミナル",

		WrongPassword:  "メールアドレスまたはパスワードが違います。",
		EmailInvalid:   "メールアドレスを name@example.com のような形で、254 文字以内で入力してください。",
		PasswordText:   "パスワードに読み取れない文字があります。もう一度入力してください。",
		PasswordShort:  "パスワードが短すぎます。8 文字以上にしてください。",
		PasswordLong:   "パスワードが長すぎます。200 文字以内にしてください。",
		PasswordEmail:  "パスワードがメールアドレスと同じです。別のものにしてください。",
		PasswordCommon: "とても推測されやすいパスワードです。別のものにしてください。",
		PasswordDiffer: "二つのパスワードが一致しません。両方とももう一度入力してください。",

		SetupGoneTitle:  "この初期設定リンクは使えません",
		SetupGone:       "すでに使われたか、その後サーバーが再起動されて別のリンクが表示されています。",
		SetupGoneHow:    "まだアカウントがない場合は、サーバーを起動し直し、表示されたリンクを開いてください。アカウントを追加する場合は、サーバーの管理者が次のコマンドを実行し、表示されたリンクを本人に渡してください。",
		SetupDone:       "アカウントをお持ちの場合は、サインインしてください。",
		InviteGoneTitle: "この招待リンクは使えません",
		InviteGone:      "すでに使われたか、発行から 7 日を過ぎたか、新しい招待に置き換えられています。",
		InviteGoneHow:   "新しい招待が必要な場合は、サーバーの管理者に、あなたのメールアドレスで次のコマンドを実行し、表示されたリンクを渡すよう依頼してください。",

		FormTitle:     "もう一度送信してください",
		Form:          "このサーバーのページから送信されたことを確認できなかったため、何も実行していません。",
		FormHow:       "ページを開き直して、もう一度操作してください。このサイトの Cookie を許可しておく必要があります。",
		WaitTitle:     "試行回数が多すぎます",
		Wait:          "%d 秒待ってから、もう一度お試しください。",
		WaitWhy:       "誤ったメールアドレスまたはパスワードによるサインインが続きました。アカウントはロックされていません。以前にサインインしたことのあるブラウザーは、ほかの人による試行の影響を受けません。",
		BusyTitle:     "サーバーが混み合っています",
		Busy:          "現在、サインインが集中しています。数秒待ってから、もう一度お試しください。",
		TooLargeTitle: "送信内容が大きすぎます",
		TooLarge:      "このページで必要な大きさを超えています。何も実行していません。",
		MethodTitle:   "この方法ではアクセスできません",
		Method:        "ページは GET で開き、フォームは POST で送信します。サインアウトはフォームから行います。",
		FailedTitle:   "問題が発生しました",
		Failed:        "サーバーで処理できませんでした。もう一度お試しください。繰り返し起きる場合は、サーバーの管理者にお知らせください。",
		ToSignIn:      "サインインページへ",
		Reference:     "参照番号：",
	}
}
