package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/proto"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/rpc"
)

type callers func(token string) rpc.Caller

func (c callers) Authenticate(_ context.Context, token string) (rpc.Caller, error) {
	return c(token), nil
}

// own is a client of the RPCs of the caller.
func (s *site) own(caller rpc.Caller) (accountv1connect.AccountServiceClient, context.Context) {
	server := rpc.NewServer(rpc.Config{Auth: callers(func(string) rpc.Caller { return caller }), Log: s.service.logger, Codes: []rpc.Codes{Codes}})
	accountv1connect.RegisterAccountServiceHandler(server, s.service)
	ctx, call := connect.NewClientContext(s.t.Context())
	call.RequestHeader().Set("Authorization", "Bearer x")
	return accountv1connect.NewAccountServiceClient(connect.NewClient(connectinprocess.New(server))), ctx
}

// other is another service, as an account that is erased sees it.
type other struct {
	steps  []string
	refuse error // of Begin
	fail   int   // how often Finish fails
}

func (o *other) erasure() Erasure {
	return Erasure{
		Begin: func(*eventlog.Tx, string) error { o.steps = append(o.steps, "begin"); return o.refuse },
		Begun: func(id string) { o.steps = append(o.steps, "begun "+id) },
		Finish: func(context.Context, string) error {
			o.steps = append(o.steps, "finish")
			if o.fail--; o.fail >= 0 {
				return errors.New("not now")
			}
			return nil
		},
	}
}

func TestEraseAccount(t *testing.T) {
	t.Parallel()
	o := &other{fail: 1}
	s := newSite(t, func(c *Config) { c.Erasures = []Erasure{{}, o.erasure()} })
	ada, bob := s.addAccount("Ada@example.com"), s.addAccount("bob@example.com")
	here, there, bobs := s.visitor(), s.visitor(), s.visitor()
	for v, email := range map[*visitor]string{here: "ada@example.com", there: "ada@example.com", bobs: "bob@example.com"} {
		v.signIn(email, goodPassword)
	}
	gone := s.visitor() // whose session has run out
	gone.signIn("ada@example.com", goodPassword)
	gone.post("/logout", gone.fill("/login"))

	client, ctx := s.own(rpc.Caller{AccountID: ada.GetId(), Scopes: []string{"paput.account", "paput.read"}})
	for email, code := range map[string]connect.Code{"": connect.CodeInvalidArgument, "bob@example.com": connect.CodeInvalidArgument, "ada@example.com.": connect.CodeInvalidArgument} {
		if _, err := client.EraseAccount(ctx, &accountv1.EraseAccountRequest{Email: email}); connect.CodeOf(err) != code {
			t.Errorf("confirmed by %q: got %v, want %v", email, err, code)
		}
	}
	modest, ctx2 := s.own(rpc.Caller{AccountID: ada.GetId(), Scopes: []string{"paput.publish", "paput.audit"}})
	if _, err := modest.EraseAccount(ctx2, &accountv1.EraseAccountRequest{Email: "ada@example.com"}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("without the scope: got %v, want permission_denied", err)
	}
	service, ctx3 := s.own(rpc.Caller{AccountID: ada.GetId(), IsService: true, Scopes: []string{"paput.account"}})
	if _, err := service.EraseAccount(ctx3, &accountv1.EraseAccountRequest{Email: "ada@example.com"}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a service: got %v, want permission_denied", err)
	}
	before := len(s.events())
	o.refuse = errors.New("no")
	if _, err := client.EraseAccount(ctx, &accountv1.EraseAccountRequest{Email: "ada@example.com"}); err == nil || len(s.events()) != before {
		t.Errorf("another service refuses: got %v and %v", err, s.events()[before:])
	}
	o.refuse, o.steps = nil, nil

	if _, err := client.EraseAccount(ctx, &accountv1.EraseAccountRequest{Email: " ADA@example.com"[1:]}); err != nil {
		t.Fatal(err)
	}
	if got := s.events()[before:]; !slices.Equal(got, []string{"signed_out", "signed_out", "erased"}) {
		t.Errorf("the events are %v", got)
	}
	if !slices.Equal(o.steps, []string{"begin", "begun " + ada.GetId()}) {
		t.Errorf("the other service was asked for %v", o.steps)
	}
	if here.signedIn() != "" {
		t.Error("a session goes on")
	}
	if bobs.signedIn() == "" {
		t.Error("bob is signed out")
	}
	if _, err := client.GetAccount(ctx, &accountv1.GetAccountRequest{}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("GetAccount: got %v, want not_found", err)
	}
	if _, err := client.EraseAccount(ctx, &accountv1.EraseAccountRequest{Email: "ada@example.com"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("erased twice: got %v, want not_found", err)
	}
	there.signIn("ada@example.com", goodPassword)
	if there.signedIn() != "" {
		t.Error("the erased account signs in")
	}
	// The address is free, for another account.
	if again := s.addAccount("ada@example.com"); again.GetId() == ada.GetId() {
		t.Error("the account is the same")
	}

	for _, want := range []bool{false, true, true} {
		if err := s.service.FinishErasures(t.Context()); (err == nil) != want {
			t.Errorf("FinishErasures: got %v, want success: %v", err, want)
		}
	}
	if got := s.events()[len(s.events())-1]; got != "content_removed" {
		t.Errorf("the last event is %s", got)
	}
	if n := strings.Count(strings.Join(s.events(), " "), "content_removed"); n != 1 {
		t.Errorf("it is said %d times that the content is removed", n)
	}
	for r, err := range s.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		after := proto.Clone(r.Event)
		eventlog.Redact(after)
		whose := r.Stream == "account/"+ada.GetId()
		if e, ok := r.Event.(*accountv1.SessionEvent); ok {
			whose = e.GetSignedIn().GetAccountId() == ada.GetId()
		}
		if whose && !proto.Equal(after, r.Event) {
			t.Errorf("%s says %v", r.Stream, r.Event)
		}
	}
	live := s.dump()
	if strings.Contains(live, ada.GetId()) || !strings.Contains(live, bob.GetId()) {
		t.Errorf("the tables are\n%s", live)
	}
	if err := s.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rebuilt := s.dump(); rebuilt != live {
		t.Errorf("live:\n%s\nrebuilt:\n%s", live, rebuilt)
	}
}

// TestEraseByAdmin erases several accounts, which are all without an address then, one of them never taken up.
func TestEraseByAdmin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addAccount("ada@example.com")
	s.invite("bob@example.com")
	s.addAccount("cy@example.com")
	dee := s.addAccount("dee@example.com")
	for _, req := range []*accountv1.AccountAdminServiceEraseAccountRequest{{Email: "ADA@example.com"}, {Email: "bob@example.com"}, {AccountId: dee.GetId()}} {
		res, err := s.service.Admin().EraseAccount(t.Context(), req)
		if err != nil || res.GetAccountId() == "" {
			t.Fatal(res, err)
		}
	}
	if _, err := s.service.Admin().EraseAccount(t.Context(), &accountv1.AccountAdminServiceEraseAccountRequest{Email: "ada@example.com"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("erased twice: got %v, want ErrNotFound", err)
	}
	for _, req := range []*accountv1.AccountAdminServiceEraseAccountRequest{{}, {Email: "cy@example.com", AccountId: "acct_1"}} {
		if _, err := s.service.Admin().EraseAccount(t.Context(), req); !errors.Is(err, ErrWhichAccount) {
			t.Errorf("%v: got %v, want ErrWhichAccount", req, err)
		}
	}
	list, err := s.service.Admin().ListAccounts(t.Context(), &accountv1.ListAccountsRequest{})
	if err != nil || len(list.GetAccounts()) != 1 {
		t.Errorf("the accounts are %v, %v, want one", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.service.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); strings.Count(strings.Join(s.events(), " "), "content_removed") < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the events are %v", s.events())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	live := s.dump()
	if err := s.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rebuilt := s.dump(); rebuilt != live {
		t.Errorf("live:\n%s\nrebuilt:\n%s", live, rebuilt)
	}
}

// TestRedactedEventsApply redacts everything, which nobody does; the log must stay readable.
func TestRedactedEventsApply(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		s.invite(email)
		s.addAccount(email)
		s.visitor().signIn(email, goodPassword)
	}
	var streams []string
	for r, err := range s.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, r.Stream)
	}
	for _, stream := range streams {
		if err := s.log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Redact(stream) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
}
