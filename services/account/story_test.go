package account

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

func TestSetup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stale := s.setupLink()
	link := s.setupLink()
	if !strings.HasPrefix(link, s.url+"/setup?token=") {
		t.Fatalf("got the link %q", link)
	}
	v := s.visitor()
	v.get(stale).want(t, http.StatusGone, "This set-up link no longer works", "paputd account add --email")
	v.get(link).want(t, http.StatusOK, "Set up Paput", "This server has no account yet", "Create the account")

	res := v.post("/setup", v.fill(link, "email", " Ada@Example.com ", "password", goodPassword, "password_again", goodPassword))
	res.wantRedirect(t, "/login")
	v.get("/login").want(t, http.StatusOK, "You are signed in", "Ada@Example.com", "Next: connect a client",
		"claude mcp add --transport http paput "+s.url, "npx mcp-remote "+s.url, "paput login "+s.url)

	other := s.visitor()
	other.get(link).want(t, http.StatusGone, "This set-up link no longer works")
	other.get("/setup").want(t, http.StatusGone, "This set-up link no longer works")
	s.japaneseVisitor().get(link).want(t, http.StatusGone, "この初期設定リンクは使えません", "paputd account add --email")
	if again := s.setupLink(); again != "" {
		t.Errorf("got the link %q for a server with an account, want none", again)
	}
	if got, want := s.events(), []string{"created", "activated", "signed_in"}; !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
	other.signIn("ada@example.COM", goodPassword).wantRedirect(t, "/away")
}

func TestSetupGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.visitor()
	form := v.fill(s.setupLink()+"&next=%2Fconsent%3Ftx%3D1", "email", "ada@example.com", "password", goodPassword)
	v.post("/setup", form).wantRedirect(t, "/consent?tx=1")
}

func TestSetupTakesUpAnInvitedAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	invitation := s.invite("ada@example.com")
	v := s.visitor()
	v.post("/setup", v.fill(s.setupLink(), "email", "ADA@example.com", "password", goodPassword)).wantRedirect(t, "/login")
	if got := v.signedIn(); got != "ada@example.com" {
		t.Errorf("signed in is %q", got)
	}
	v.get(invitation).want(t, http.StatusGone)
}

func TestSetupOnceByMany(t *testing.T) {
	t.Parallel()
	s := newSite(t, withHashing(Hashing{MemoryKiB: 8, Passes: 1, Lanes: 1, Wait: time.Minute}))
	link := s.setupLink()
	var sends []func() int
	for i := range 20 {
		v := s.visitor()
		form := v.fill(link, "email", string(rune('a'+i))+"@example.com", "password", goodPassword)
		sends = append(sends, func() int { return v.post("/setup", form).status })
	}
	statuses := s.together(sends)
	if statuses[0] != http.StatusSeeOther || statuses[1] != http.StatusGone || statuses[19] != http.StatusGone {
		t.Errorf("got statuses %v, want one 303 and 410 for the rest", statuses)
	}
	if got, want := s.events(), []string{"created", "activated", "signed_in"}; !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

// together sends forms that each hash one password, and lets nothing be committed until the last has been hashed: whatever
// they checked before, they all found the same. It returns the statuses in order.
func (s *site) together(sends []func() int) []int {
	s.t.Helper()
	holding, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.log.Do(s.t.Context(), func(*eventlog.Tx) error {
			close(holding)
			<-release
			return nil
		})
		if err != nil {
			s.t.Error(err)
		}
	})
	<-holding
	before := s.service.hasher.runs.Load()
	statuses := make([]int, len(sends))
	for i, send := range sends {
		wg.Go(func() { statuses[i] = send() })
	}
	for s.service.hasher.runs.Load() < before+int64(len(sends)) && s.t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	slices.Sort(statuses)
	return statuses
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	replaced := s.invite("Bob@example.com")
	link := s.invite("bob@example.com")
	v := s.visitor()
	v.get(replaced).want(t, http.StatusGone, "This invitation no longer works", "paputd account add --email name@example.com")
	v.get(link).want(t, http.StatusOK, "Welcome to Paput", `value="Bob@example.com"`)
	s.japaneseVisitor().get(link).want(t, http.StatusOK, "Paput へようこそ", `<html lang="ja">`)
	v.signIn("bob@example.com", goodPassword).want(t, http.StatusUnprocessableEntity)

	form := v.fill(link, "password", goodPassword, "password_again", goodPassword)
	v.post("/invite", form).wantRedirect(t, "/login")
	if got := v.signedIn(); got != "Bob@example.com" {
		t.Errorf("signed in is %q", got)
	}
	v.get(link).want(t, http.StatusGone)
	v.post("/invite", form).want(t, http.StatusGone, "This invitation no longer works", "Go to the sign-in page")
	s.japaneseVisitor().get(link).want(t, http.StatusGone, "この招待リンクは使えません")
	want := []string{"created", "invited", "invited", "sign_in_failed", "activated", "signed_in"}
	if got := s.events(); !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

func TestInvitationExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := s.invite("bob@example.com")
	v := s.visitor()
	form := v.fill(link, "password", goodPassword)
	s.clock.add(7*24*time.Hour - time.Second)
	v.get(link).want(t, http.StatusOK)
	s.clock.add(time.Second)
	v.get(link).want(t, http.StatusGone, "it is more than 7 days old")
	v.post("/invite", form).want(t, http.StatusGone)
	v.get("/invite").want(t, http.StatusGone)
}

func TestInvitationOnceByMany(t *testing.T) {
	t.Parallel()
	s := newSite(t, withHashing(Hashing{MemoryKiB: 8, Passes: 1, Lanes: 1, Wait: time.Minute}))
	link := s.invite("bob@example.com")
	var sends []func() int
	for range 20 {
		v := s.visitor()
		form := v.fill(link, "password", goodPassword)
		sends = append(sends, func() int { return v.post("/invite", form).status })
	}
	statuses := s.together(sends)
	if statuses[0] != http.StatusSeeOther || statuses[1] != http.StatusGone {
		t.Errorf("got statuses %v, want one 303 and 410 for the rest", statuses)
	}
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.addAccount("ada@example.com")
	v := s.visitor()
	v.get("/login").want(t, http.StatusOK, "Sign in", `autocomplete="username"`, `autocomplete="current-password"`, `<html lang="en">`)
	v.post("/login", v.fill("/login", "email", "ada@example.com", "password", goodPassword)).wantRedirect(t, "/login")
	v.get("/login?next=%2Fconsent%3Ftx%3D7").wantRedirect(t, "/consent?tx=7")

	secret := v.cookie("paput_session")
	session, ok := s.service.SignedIn(requestWith(secret))
	want := Session{ID: session.ID, AccountID: ada.GetId(), Email: "ada@example.com", AuthTime: s.clock.now()}
	if !ok || session != want || !strings.HasPrefix(session.ID, "sess_") {
		t.Errorf("got %+v, %v, want %+v", session, ok, want)
	}

	v.get("/logout").want(t, http.StatusMethodNotAllowed, "Signing out is a form.")
	v.post("/logout", v.fill("/login")).wantRedirect(t, "/login")
	if got := v.signedIn(); got != "" {
		t.Errorf("%q is still signed in", got)
	}
	if v.cookie("paput_session") != "" {
		t.Error("the browser keeps the cookie of an ended session")
	}
	if _, ok := s.service.SignedIn(requestWith(secret)); ok {
		t.Error("the old cookie still opens the session")
	}
	v.post("/logout", v.fill("/login")).wantRedirect(t, "/login")
	if got, want := s.events(), []string{"created", "activated", "signed_in", "signed_out"}; !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

// requestWith is a request of a browser with a session's secret.
func requestWith(secret string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	r.AddCookie(&http.Cookie{Name: "paput_session", Value: secret})
	return r
}

// Session fixation: a secret that was in the browser before the sign-in is worth nothing after it, whoever put it there.
func TestPasswordIsHashedAnewWithStrongerParameters(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	s.service.hasher = newHasher(Hashing{MemoryKiB: 16, Passes: 2, Lanes: 1})
	s.visitor().signIn("ada@example.com", "wrong password").want(t, http.StatusUnprocessableEntity)
	s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	s.visitor().signIn("ada@example.com", goodPassword).wantRedirect(t, "/away")
	want := []string{"created", "activated", "sign_in_failed", "password_rehashed", "signed_in", "signed_in"}
	if got := s.events(); !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
	var hash string
	if err := s.log.DB().QueryRow(`SELECT password_hash FROM account_accounts`).Scan(&hash); err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=16,t=2,p=1$") {
		t.Errorf("got the hash %q, error %v", hash, err)
	}
}

func TestActivationMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.visitor()
	v.post("/setup", v.fill(s.setupLink(), "email", "ada@example.com", "password", goodPassword)).wantRedirect(t, "/login")
	v.post("/invite", v.fill(s.invite("bob@example.com"), "password", goodPassword)).wantRedirect(t, "/login")
	s.addAccount("cy@example.com")
	var got []accountv1.ActivationMethod
	for r, err := range s.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := r.Event.(*accountv1.AccountEvent); ok && e.GetActivated() != nil {
			got = append(got, e.GetActivated().GetMethod())
		}
	}
	want := []accountv1.ActivationMethod{
		accountv1.ActivationMethod_ACTIVATION_METHOD_SETUP_LINK,
		accountv1.ActivationMethod_ACTIVATION_METHOD_INVITATION,
		accountv1.ActivationMethod_ACTIVATION_METHOD_ADMIN,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A password that was replaced while it was being checked signs nobody in.
func TestPasswordReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.addAccount("ada@example.com")
	holding, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.log.Do(t.Context(), func(tx *eventlog.Tx) error {
			close(holding)
			<-release
			return tx.Append("account/"+ada.GetId(), &accountv1.AccountEvent{Event: &accountv1.AccountEvent_PasswordRehashed{
				PasswordRehashed: &accountv1.AccountPasswordRehashed{PasswordHash: "another"},
			}})
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-holding
	v := s.visitor()
	form := v.fill("/login", "email", "ada@example.com", "password", goodPassword)
	before := s.service.hasher.runs.Load()
	wg.Go(func() {
		v.post("/login", form).want(t, http.StatusUnprocessableEntity, "The e-mail address or the password is wrong.")
	})
	for s.service.hasher.runs.Load() == before {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if got := v.signedIn(); got != "" {
		t.Errorf("signed in is %q", got)
	}
}
