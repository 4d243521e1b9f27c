package memo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// given folds events that happened a second apart.
func given(events ...*memov1.MemoEvent) state {
	var records []eventlog.Record
	for i, e := range events {
		e.AccountId = "p"
		records = append(records, eventlog.Record{Version: int64(i) + 1, Time: time.Unix(int64(i), 0).UTC(), Event: e})
	}
	return fold("memo_1", records)
}

func created() *memov1.MemoEvent {
	return create("memo_1", content{title: "題", body: "本文", types: []string{"decision"}, categories: []string{"Go"}}, nil)
}

func deleted() *memov1.MemoEvent {
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Deleted{Deleted: &memov1.MemoDeleted{}}}
}

func restored() *memov1.MemoEvent {
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Restored{Restored: &memov1.MemoRestored{}}}
}

func TestDecideUpdate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		given   []*memov1.MemoEvent
		request *memov1.UpdateMemoRequest
		want    *memov1.MemoUpdated // without its digest; nil for no event
		wantErr error
		text    string
	}{
		{
			name: "without a mask, what is not empty", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Title: "新しい題", MemoTypes: []string{"knowledge", "knowledge"}},
			want:    &memov1.MemoUpdated{ChangedFields: []string{"title", "memo_types"}, Title: "新しい題", MemoTypes: []string{"knowledge"}},
		},
		{
			name: "with a mask, also what is empty", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Title: "ignored", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"body", "categories"}}},
			want:    &memov1.MemoUpdated{ChangedFields: []string{"body", "categories"}},
		},
		{
			name: "what is so already", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Title: " 題 ", Body: "本文", Categories: []string{"Go"}},
		},
		{
			name: "one of two is so already", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Title: "題", Summary: "要約"},
			want:    &memov1.MemoUpdated{ChangedFields: []string{"summary"}, Summary: "要約"},
		},
		{
			name: "the current etag", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Title: "x", Etag: etag("memo_1", 1)},
			want:    &memov1.MemoUpdated{ChangedFields: []string{"title"}, Title: "x"},
		},
		{
			name: "a stale etag", given: []*memov1.MemoEvent{created(), deleted(), restored()},
			request: &memov1.UpdateMemoRequest{Title: "x", Etag: etag("memo_1", 1)},
			wantErr: ErrChanged, text: `at revision 3, etag "3-memo_1"`,
		},
		{
			name: "in the trash", given: []*memov1.MemoEvent{created(), deleted()},
			request: &memov1.UpdateMemoRequest{Title: "x", Etag: "stale"},
			wantErr: ErrInTrash, text: "paput_restore_memos",
		},
		{
			name: "out of the trash", given: []*memov1.MemoEvent{created(), deleted(), restored()},
			request: &memov1.UpdateMemoRequest{Title: "x"},
			want:    &memov1.MemoUpdated{ChangedFields: []string{"title"}, Title: "x"},
		},
		{
			name: "every field", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Title: "x", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}},
			want:    &memov1.MemoUpdated{ChangedFields: []string{"title", "body", "memo_types", "categories"}, Title: "x"},
		},
		{
			name: "every field and no title", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}},
			wantErr: ErrInvalid, text: "title is empty",
		},
		{
			name: "an unknown field", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "create_time"}}, Title: "x"},
			wantErr: ErrInvalid, text: `"create_time"`,
		},
		{
			name: "nothing", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Id: "memo_1"},
			wantErr: ErrInvalid, text: "nothing to change; give one of title, body",
		},
		{
			name: "a bad category", given: []*memov1.MemoEvent{created()},
			request: &memov1.UpdateMemoRequest{Categories: []string{"a", " "}},
			wantErr: ErrInvalid, text: "categories[1] is empty",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := given(tt.given...)
			var e *memov1.MemoEvent
			c, err := changeFrom(tt.request)
			if err == nil {
				e, err = update(s, c, false)
			}
			if !errors.Is(err, tt.wantErr) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got error %v, want %v with %q", err, tt.wantErr, tt.text)
			}
			if got := e.GetUpdated().GetDigest(); tt.want != nil && (len(got) != 64 || got == s.digest("memo_1")) {
				t.Errorf("got digest %q, want a different one than before", got)
			}
			if diff := cmp.Diff(tt.want, e.GetUpdated(), protocmp.Transform(), protocmp.IgnoreFields(&memov1.MemoUpdated{}, "digest")); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecideTrash(t *testing.T) {
	t.Parallel()
	alive, inTrash := given(created()), given(created(), deleted())
	if e := remove(alive); e.GetDeleted() == nil {
		t.Errorf("remove a memo: got %v, want deleted", e)
	}
	if e := remove(inTrash); e != nil {
		t.Errorf("remove a memo in the trash: got %v, want nothing", e)
	}
	if e := restore(inTrash); e.GetRestored() == nil {
		t.Errorf("restore a memo: got %v, want restored", e)
	}
	if e := restore(alive); e != nil {
		t.Errorf("restore a memo that is not in the trash: got %v, want nothing", e)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		content
		want string // of the error; empty when the rules accept it
	}{
		{"plain", content{title: "題", body: "a\tb\r\nc\n"}, ""},
		{"an emoji that joiners hold together", content{title: "👩‍💻 ok"}, ""},
		{"no title", content{}, "title is empty"},
		{"a title of spaces", content{title: " 　\t"}, "title is empty"},
		{"a title of nothing to see", content{title: "\u200b\u200d"}, "title is empty"},
		{"a title of two lines", content{title: "a\nb"}, "title must be on one line"},
		{"a Unicode line end", content{title: "a\u2028b"}, "title must be on one line"},
		{"a bell", content{title: "a\ab"}, "title has the control character U+0007"},
		{"a C1 control", content{title: "a\u009bb"}, "U+009B"},
		{"an override", content{title: "abc\u202egpj.exe"}, "title has the control character U+202E"},
		{"an isolate", content{title: "a\u2066b"}, "U+2066"},
		{"a summary of two lines", content{title: "a", summary: "b\nc"}, "summary must be on one line"},
		{"no UTF-8 in a title", content{title: "a\xff"}, "title is not valid UTF-8"},
		{"no UTF-8 in a body", content{title: "a", body: "\xff"}, "body is not valid UTF-8"},
		{"a NUL in a body", content{title: "a", body: "ab\x00"}, "body has the control character U+0000 as its character 3"},
		{"an escape in a body", content{title: "a", body: "\x1b[1m"}, "U+001B"},
		{"an empty category", content{title: "a", categories: []string{""}}, "categories[0] is empty"},
		{"a project of two lines", content{title: "a", projects: []string{"b", "c\nd"}}, "projects[1] must be on one line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := change{fields: fieldNames(), content: tt.content}.checked()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case tt.want == "" && c.body != tt.body:
				t.Errorf("got body %q, want it as it was, %q", c.body, tt.body)
			case tt.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got error %v, want invalid with %q", err, tt.want)
			}
		})
	}
	c, err := change{fields: fieldNames(), content: content{
		title: "　題 ", summary: " s ", types: []string{"decision", "decision"}, categories: []string{" Go ", "ｇｏ", "Rust"}, projects: []string{"A", "a"},
	}}.checked()
	want := content{title: "題", summary: "s", types: []string{"decision"}, categories: []string{"Go", "Rust"}, projects: []string{"A"}}
	if err != nil || len(want.changes(c.content)) > 0 {
		t.Errorf("got %+v, %v, want %+v", c.content, err, want)
	}
}

func TestCheckCreateTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		at   *timestamppb.Timestamp
		want string
	}{
		{"absent", nil, ""},
		{"long ago", timestamppb.New(now.AddDate(-100, 0, 0)), ""},
		{"in a day", timestamppb.New(now.Add(24 * time.Hour)), ""},
		{"in more than a day", timestamppb.New(now.Add(24*time.Hour + time.Second)), "more than a day in the future"},
		{"out of range", &timestamppb.Timestamp{Seconds: 1 << 60}, "years 1 to 9999"},
		{"not normal", &timestamppb.Timestamp{Nanos: -1}, "years 1 to 9999"},
	} {
		if _, err := checkCreateTime(tt.at, now); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.want)
		}
	}
}
