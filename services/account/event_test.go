package account

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
)

var update = flag.Bool("update", false, "write the fixtures of events that have none")

// history is one event of each case, in an order in which it can happen.
func history() []struct {
	stream string
	event  proto.Message
} {
	hash := strings.Repeat("h", 32)
	account := func(e *accountv1.AccountEvent) proto.Message { return e }
	session := func(e *accountv1.SessionEvent) proto.Message { return e }
	return []struct {
		stream string
		event  proto.Message
	}{
		{"account/acct_1", account(&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Created{
			Created: &accountv1.AccountCreated{Email: "Ada@example.com"}}})},
		{"account/acct_1", account(&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Invited{
			Invited: &accountv1.AccountInvited{TokenHash: []byte(hash), ExpireTime: timestamppb.New(time.Unix(2e9, 0))}}})},
		{"account/acct_1", account(&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Activated{
			Activated: &accountv1.AccountActivated{PasswordHash: "$argon2id$…", Method: accountv1.ActivationMethod_ACTIVATION_METHOD_INVITATION}}})},
		{"account/acct_1", account(&accountv1.AccountEvent{Event: &accountv1.AccountEvent_PasswordRehashed{
			PasswordRehashed: &accountv1.AccountPasswordRehashed{PasswordHash: "$argon2id$…2"}}})},
		{"session/sess_1", session(&accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignedIn{
			SignedIn: &accountv1.SessionSignedIn{AccountId: "acct_1", SecretHash: []byte(hash), BrowserHash: []byte(hash)}}})},
		{"session/sess_1", session(&accountv1.SessionEvent{Event: &accountv1.SessionEvent_Continued{
			Continued: &accountv1.SessionContinued{AccountId: "acct_1"}}})},
		{"session/sess_1", session(&accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignedOut{
			SignedOut: &accountv1.SessionSignedOut{AccountId: "acct_1", Reason: accountv1.SignOutReason_SIGN_OUT_REASON_REQUESTED}}})},
		{"session/sess_2", session(&accountv1.SessionEvent{Event: &accountv1.SessionEvent_SignInFailed{
			SignInFailed: &accountv1.SessionSignInFailed{AccountId: "acct_1"}}})},
		{"account/acct_2", account(&accountv1.AccountEvent{Event: &accountv1.AccountEvent_Erased{
			Erased: &accountv1.AccountErased{Method: accountv1.ErasureMethod_ERASURE_METHOD_OWNER}}})},
		{"account/acct_2", account(&accountv1.AccountEvent{Event: &accountv1.AccountEvent_ContentRemoved{
			ContentRemoved: &accountv1.AccountContentRemoved{}}})},
	}
}

// fixture is an event as it once was written, and the stream it was in.
type fixture struct {
	Stream string
	Event  json.RawMessage
}

// Each event that was ever written must still be read and applied. With -update the test writes the fixtures of cases
// that have none; one that exists is never changed.
func TestFixtures(t *testing.T) {
	t.Parallel()
	kinds := map[string]eventlog.Kind{}
	missing := map[string]bool{}
	for _, k := range Kinds() {
		kinds[k.Name] = k
		cases := k.Event.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
		for i := range cases.Len() {
			missing[k.Name+"."+string(cases.Get(i).Name())] = true
		}
	}
	if *update {
		writeFixtures(t)
	}
	log := eventlogtest.Open(t, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Now: time.Now})
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f fixture
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kind, _, _ := strings.Cut(f.Stream, "/")
		event := kinds[kind].Event.ProtoReflect().New().Interface()
		if err := protojson.Unmarshal(f.Event, event); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name, _ := eventlog.Case(event)
		delete(missing, kind+"."+name)
		if err := log.Do(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(f.Stream, event) }); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for name := range missing {
		t.Errorf("the case %s has no fixture: add it to history and run the test with -update", name)
	}

	records, err := log.Read(t.Context(), "account/acct_1")
	if err != nil {
		t.Fatal(err)
	}
	if a := fold(records); a.email != "Ada@example.com" || a.passwordHash != "$argon2id$…2" || a.invitationHash != nil {
		t.Errorf("the account's fixtures fold to %+v", a)
	}
	if records, err = log.Read(t.Context(), "account/acct_2"); err != nil {
		t.Fatal(err)
	}
	if a := fold(records); !a.erased || !a.removed || a.exists() {
		t.Errorf("the erased account's fixtures fold to %+v", a)
	}
	for stream, account := range map[string]string{"session/sess_1": "acct_1", "session/sess_2": ""} {
		if records, err = log.Read(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		if s := foldSession(records); !s.ended || s.accountID != account {
			t.Errorf("the fixtures of %s fold to %+v", stream, s)
		}
	}
}

func writeFixtures(t *testing.T) {
	t.Helper()
	for i, h := range history() {
		kind, _, _ := strings.Cut(h.stream, "/")
		name, _ := eventlog.Case(h.event)
		file := fmt.Sprintf("testdata/events/%02d_%s_%s.json", i+1, kind, name)
		if _, err := os.Stat(file); err == nil {
			continue
		}
		event, err := protojson.Marshal(h.event)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.MarshalIndent(fixture{h.stream, event}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What leaves the server by way of the relay tells neither who a person is nor anything that a secret can be checked against.
func TestEventsHideWhatIsPersonal(t *testing.T) {
	t.Parallel()
	open := []protoreflect.FullName{ // texts that may be published
		"paput.account.v1.SessionSignedIn.account_id",
		"paput.account.v1.SessionSignInFailed.account_id",
		"paput.account.v1.SessionContinued.account_id",
		"paput.account.v1.SessionSignedOut.account_id",
	}
	for _, k := range Kinds() {
		cases := k.Event.ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
		for i := range cases.Len() {
			fields := cases.Get(i).Message().Fields()
			for j := range fields.Len() {
				f := fields.Get(j)
				text := f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind
				hidden := f.Options().(*descriptorpb.FieldOptions).GetDebugRedact()
				if text && !hidden && !slices.Contains(open, f.FullName()) {
					t.Errorf("%s is published", f.FullName())
				}
			}
		}
	}
}

func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := s.setupLink()
	v := s.visitor()
	v.post("/setup", v.fill(link, "email", "ada@example.com", "password", goodPassword)).wantRedirect(t, "/login")
	invitation := s.invite("bob@example.com")
	v.signIn("ada@example.com", "a wrong password")
	secrets := []string{
		goodPassword, "a wrong password", strings.Split(link, "token=")[1], strings.Split(invitation, "token=")[1],
		v.cookie("paput_session"), v.cookie("paput_browser"), v.cookie("paput_form"),
	}
	for r, err := range s.log.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		data, err := proto.Marshal(r.Event)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if secret == "" || strings.Contains(string(data), secret) {
				t.Errorf("%s holds the secret %q", r.Stream, secret)
			}
		}
	}
}

func TestRebuiltEqualsLive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.visitor()
	v.post("/setup", v.fill(s.setupLink(), "email", "ada@example.com", "password", goodPassword)).wantRedirect(t, "/login")
	s.invite("bob@example.com")
	s.invite("Bob@example.com")
	s.addAccount("cy@example.com")
	v.post("/logout", v.fill("/login")).wantRedirect(t, "/login")
	for range 3 {
		o := s.visitor()
		o.signIn("ada@example.com", goodPassword)
		s.clock.add(6 * 24 * time.Hour)
		o.signedIn()
		o.signIn("cy@example.com", "wrong password")
	}
	live := s.dump()
	if err := s.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rebuilt := s.dump(); rebuilt != live {
		t.Errorf("live:\n%s\nrebuilt:\n%s", live, rebuilt)
	}
	if !strings.Contains(live, "acct_") || !strings.Contains(live, "sess_") {
		t.Errorf("the tables are empty:\n%s", live)
	}
}

func (s *site) dump() string {
	s.t.Helper()
	var b strings.Builder
	for _, table := range Projections()[0].Tables {
		fmt.Fprintln(&b, table)
		s.dumpTable(&b, table)
	}
	return b.String()
}

func (s *site) dumpTable(b *strings.Builder, table string) {
	s.t.Helper()
	rows, err := s.log.DB().Query(`SELECT * FROM ` + table + ` ORDER BY 1, 2`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			s.t.Fatal(err)
		}
		for _, v := range values {
			value := *v.(*any)
			if raw, ok := value.([]byte); ok {
				value = hex.EncodeToString(raw)
			}
			fmt.Fprintf(b, " %v", value)
		}
		fmt.Fprintln(b)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
}
