package account

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
)

func TestAccountDecisions(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)
	created := &accountv1.AccountEvent{Event: &accountv1.AccountEvent_Created{Created: &accountv1.AccountCreated{Email: "a@example.com"}}}
	invited := &accountv1.AccountEvent{Event: &accountv1.AccountEvent_Invited{Invited: &accountv1.AccountInvited{
		TokenHash: []byte("token"), ExpireTime: timestamppb.New(now.Add(time.Hour)),
	}}}
	reinvited := &accountv1.AccountEvent{Event: &accountv1.AccountEvent_Invited{Invited: &accountv1.AccountInvited{
		TokenHash: []byte("later"), ExpireTime: timestamppb.New(now.Add(time.Hour)),
	}}}
	activated := &accountv1.AccountEvent{Event: &accountv1.AccountEvent_Activated{Activated: &accountv1.AccountActivated{PasswordHash: "h"}}}

	accept := func(after time.Duration) func(account) ([]proto.Message, error) {
		return func(a account) ([]proto.Message, error) { return a.accept([]byte("token"), "h", now.Add(after)) }
	}
	activate := func(a account) ([]proto.Message, error) { return a.activate("h", 0) }
	invite := func(a account) ([]proto.Message, error) { return a.invite([]byte("new"), now) }
	create := func(a account) ([]proto.Message, error) { return a.create("a@example.com"), nil }
	rehash := func(a account) ([]proto.Message, error) { return a.rehash("h", "h2"), nil }

	tests := []struct {
		name    string
		given   []*accountv1.AccountEvent
		decide  func(account) ([]proto.Message, error)
		want    []string
		wantErr error
	}{
		{"create", nil, create, []string{"created"}, nil},
		{"create again", []*accountv1.AccountEvent{created}, create, nil, nil},
		{"invite", []*accountv1.AccountEvent{created}, invite, []string{"invited"}, nil},
		{"invite again", []*accountv1.AccountEvent{created, invited}, invite, []string{"invited"}, nil},
		{"invite who is here", []*accountv1.AccountEvent{created, activated}, invite, nil, ErrExists},
		{"activate", []*accountv1.AccountEvent{created}, activate, []string{"activated"}, nil},
		{"activate the invited", []*accountv1.AccountEvent{created, invited}, activate, []string{"activated"}, nil},
		{"activate twice", []*accountv1.AccountEvent{created, activated}, activate, nil, ErrExists},
		{"accept", []*accountv1.AccountEvent{created, invited}, accept(time.Hour - 1), []string{"activated"}, nil},
		{"accept too late", []*accountv1.AccountEvent{created, invited}, accept(time.Hour), nil, errLink},
		{"accept uninvited", []*accountv1.AccountEvent{created}, accept(0), nil, errLink},
		{"accept another invitation", []*accountv1.AccountEvent{created, invited, reinvited}, accept(0), nil, errLink},
		{"accept twice", []*accountv1.AccountEvent{created, invited, activated}, accept(0), nil, errLink},
		{"rehash", []*accountv1.AccountEvent{created, activated}, rehash, []string{"password_rehashed"}, nil},
		{"rehash another password", []*accountv1.AccountEvent{created}, rehash, nil, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var past []eventlog.Record
			for _, e := range tc.given {
				past = append(past, eventlog.Record{Event: e})
			}
			events, err := tc.decide(fold(past))
			if got := cases(events); !slices.Equal(got, tc.want) || !errors.Is(err, tc.wantErr) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tc.want, tc.wantErr)
			}
		})
	}
}

func TestSessionDecisions(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	in := &accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignedIn{SignedIn: &accountv1.SessionSignedIn{AccountId: "acct_1"}}}
	failed := &accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignInFailed{SignInFailed: &accountv1.SessionSignInFailed{AccountId: "acct_1"}}}
	on := &accountv1.SessionEvent{Event: &accountv1.SessionEvent_Continued{Continued: &accountv1.SessionContinued{}}}
	out := &accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignedOut{SignedOut: &accountv1.SessionSignedOut{}}}
	type past []struct {
		after time.Duration
		event *accountv1.SessionEvent
	}
	tests := []struct {
		name        string
		given       past
		after       time.Duration
		wantResume  []string
		wantSignOut []string
	}{
		{"none", nil, 0, nil, nil},
		{"failed", past{{0, failed}}, 2 * time.Hour, nil, nil},
		{"just begun", past{{0, in}}, time.Hour - 1, nil, []string{"signed_out"}},
		{"an hour old", past{{0, in}}, time.Hour, []string{"continued"}, []string{"signed_out"}},
		{"just continued", past{{0, in}, {time.Hour, on}}, 2*time.Hour - 1, nil, []string{"signed_out"}},
		{"ended", past{{0, in}, {time.Hour, out}}, 3 * time.Hour, nil, nil},
		{"almost idle", past{{0, in}}, 14*day - 1, []string{"continued"}, []string{"signed_out"}},
		{"idle", past{{0, in}}, 14 * day, nil, nil},
		{"almost too old", past{{0, in}, {85 * day, on}}, 90*day - 1, []string{"continued"}, []string{"signed_out"}},
		{"too old", past{{0, in}, {85 * day, on}}, 90 * day, nil, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var records []eventlog.Record
			for _, p := range tc.given {
				records = append(records, eventlog.Record{Event: p.event, Time: start.Add(p.after)})
			}
			s := foldSession(records)
			if got := cases(s.resume(start.Add(tc.after))); !slices.Equal(got, tc.wantResume) {
				t.Errorf("resume: got %q, want %q", got, tc.wantResume)
			}
			if got := cases(s.end(0, start.Add(tc.after))); !slices.Equal(got, tc.wantSignOut) {
				t.Errorf("end: got %q, want %q", got, tc.wantSignOut)
			}
		})
	}
}

func cases(events []proto.Message) []string {
	var names []string
	for _, e := range events {
		name, _ := eventlog.Case(e)
		names = append(names, name)
	}
	return names
}
