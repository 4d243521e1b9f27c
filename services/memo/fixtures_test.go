package memo

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// TestFixturesStillFold reads events as they were once written. A fixture is never changed: it stands for every log there
// is. testdata/events/X.binpb is an event of the case X, X.json the memo that it makes of the one in created.binpb.
func TestFixturesStillFold(t *testing.T) {
	t.Parallel()
	cases := (&memov1.MemoEvent{}).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range cases.Len() {
		name := string(cases.Get(i).Name())
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := []eventlog.Record{fixture(t, "created", 1)}
			if name != "created" {
				records = append(records, fixture(t, name, 2))
			}
			s := fold("memo_01", records)
			if s.accountID != "acct_01" {
				t.Errorf("got account %q, want acct_01", s.accountID)
			}
			data, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			want := &memov1.Memo{}
			if err := protojson.Unmarshal(data, want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, s.proto(), protocmp.Transform()); diff != "" {
				t.Errorf("the memo after %s (-want +got):\n%s", name, diff)
			}
			if e := records[len(records)-1].Event.(*memov1.MemoEvent); e.GetCreated() != nil && e.GetCreated().GetDigest() != s.digest("memo_01") ||
				e.GetUpdated() != nil && e.GetUpdated().GetDigest() != s.digest("memo_01") {
				t.Errorf("the digest in the event is not the memo's, %s", s.digest("memo_01"))
			}
		})
	}
}

func fixture(t *testing.T, name string, version int64) eventlog.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "events", name+".binpb"))
	if err != nil {
		t.Fatalf("every case has a fixture; write one with -write-fixtures: %v", err)
	}
	e := &memov1.MemoEvent{}
	if err := proto.Unmarshal(data, e); err != nil {
		t.Fatal(err)
	}
	if which := e.ProtoReflect().WhichOneof(e.ProtoReflect().Descriptor().Oneofs().ByName("event")); which == nil || string(which.Name()) != name {
		t.Fatalf("the fixture of %s is of the case %v", name, which)
	}
	return eventlog.Record{Version: version, Time: time.UnixMilli(1_700_000_000_000 + version).UTC(), Event: e}
}

// TestNoteFixturesStillFold does the same for notes. testdata/note_events/X.txt is the note that created.binpb and X.binpb
// make.
func TestNoteFixturesStillFold(t *testing.T) {
	t.Parallel()
	cases := (&memov1.NoteEvent{}).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range cases.Len() {
		name := string(cases.Get(i).Name())
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := []eventlog.Record{noteFixture(t, "created", 1)}
			if name != "created" {
				records = append(records, noteFixture(t, name, 2))
			}
			got := noteText(foldNote("note_01", records))
			want, err := os.ReadFile(filepath.Join("testdata", "note_events", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the note after %s: got\n%s\nwant\n%s", name, got, want)
			}
		})
	}
}

func noteText(s noteState) string {
	return fmt.Sprintf("%s %s revision %d deleted %v\n%q %q\n%s\n%d %d\n", s.id, s.accountID, s.revision, s.deleted, s.title, s.memoIDs, s.digest(s.id),
		s.createTime.UnixMilli(), s.updateTime.UnixMilli())
}

func noteFixture(t *testing.T, name string, version int64) eventlog.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "note_events", name+".binpb"))
	if err != nil {
		t.Fatalf("every case has a fixture; write one with -write-fixtures: %v", err)
	}
	e := &memov1.NoteEvent{}
	if err := proto.Unmarshal(data, e); err != nil {
		t.Fatal(err)
	}
	if which, _ := eventlog.Case(e); which != name {
		t.Fatalf("the fixture of %s is of the case %s", name, which)
	}
	return eventlog.Record{Version: version, Time: time.UnixMilli(1_700_000_000_000 + version).UTC(), Event: e}
}

// TestWriteNoteFixtures writes fixtures that do not exist; it never replaces one.
func TestWriteNoteFixtures(t *testing.T) {
	if !*writeFixtures {
		t.Skip("only with -write-fixtures")
	}
	known := knownMemos{"memo_01": false, "memo_02": false, "memo_03": false}
	first := noteContent{"認証の読み方", []string{"memo_02", "memo_01"}}
	created, _ := createNote("note_01", first, known)
	updated, _, err := updateNote(noteState{id: "note_01", revision: 1, noteContent: first}, noteChange{
		fields: []string{fieldTitle, fieldAddMemoIDs}, noteContent: noteContent{title: "Reading on auth"}, add: []string{"memo_03"},
	}, known)
	if err != nil {
		t.Fatal(err)
	}
	deleted := &memov1.NoteEvent{Event: &memov1.NoteEvent_Deleted{Deleted: &memov1.NoteDeleted{}}}
	imported := &memov1.NoteEvent{Event: &memov1.NoteEvent_Imported{Imported: &memov1.NoteImported{
		Title: first.title, MemoIds: first.memoIDs, Digest: first.digest("note_01"),
		CreateTime: &timestamppb.Timestamp{Seconds: 1_500_000_000}, UpdateTime: &timestamppb.Timestamp{Seconds: 1_600_000_000, Nanos: 5_000_000},
	}}}
	for name, e := range map[string]*memov1.NoteEvent{"created": created, "updated": updated, "deleted": deleted, "imported": imported} {
		e.AccountId, e.ClientId, e.GrantId = "acct_01", "client_01", "grant_01"
		path := filepath.Join("testdata", "note_events", name)
		if _, err := os.Stat(path + ".binpb"); err == nil {
			continue
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		records := []eventlog.Record{{Version: 1, Time: time.UnixMilli(1_700_000_000_001).UTC(), Event: created}}
		if name != "created" {
			records = append(records, eventlog.Record{Version: 2, Time: time.UnixMilli(1_700_000_000_002).UTC(), Event: e})
		}
		if err := os.WriteFile(path+".binpb", data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".txt", []byte(noteText(foldNote("note_01", records))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var writeFixtures = flag.Bool("write-fixtures", false, "write the fixtures of cases that have none")

// TestWriteFixtures writes fixtures that do not exist; it never replaces one.
func TestWriteFixtures(t *testing.T) {
	if !*writeFixtures {
		t.Skip("only with -write-fixtures")
	}
	first := content{
		title: "認証基盤の移行", body: "# 決定\n\nOIDC に移る。\n", summary: "OIDC に移る", types: []string{"decision", "operation"},
		categories: []string{"認証", "Go"}, projects: []string{"paput"},
	}
	second := content{title: "検証環境の移行", body: first.body, summary: first.summary, types: []string{"knowledge"}, categories: nil, projects: []string{"paput", "他"}}
	updated, err := update(state{id: "memo_01", revision: 1, content: first}, change{fields: fieldNames(), content: second}, false)
	if err != nil {
		t.Fatal(err)
	}
	published, err := publish(state{})
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]*memov1.MemoEvent{
		"created":     create("memo_01", first, &timestamppb.Timestamp{Seconds: 1_600_000_000, Nanos: 123_000_000}),
		"updated":     updated,
		"deleted":     remove(state{}),
		"restored":    restore(state{inTrash: true}),
		"published":   published,
		"unpublished": unpublish(state{isPublic: true}),
		"imported": imported(updated, &memov1.ArchivedMemo{
			Time: &timestamppb.Timestamp{Seconds: 1_650_000_000, Nanos: 7_000_000}, ClientId: "client_of_old", GrantId: "grant_of_old",
		}, false),
		"purged": purge(state{inTrash: true}, time.Time{}.Add(trashTime)),
	}
	for name, e := range events {
		e.AccountId, e.ClientId, e.GrantId = "acct_01", "client_01", "grant_01"
		path := filepath.Join("testdata", "events", name)
		if _, err := os.Stat(path + ".binpb"); err == nil {
			continue
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		records := []eventlog.Record{{Version: 1, Time: time.UnixMilli(1_700_000_000_001).UTC(), Event: events["created"]}}
		if name != "created" {
			records = append(records, eventlog.Record{Version: 2, Time: time.UnixMilli(1_700_000_000_002).UTC(), Event: e})
		}
		want, err := protojson.MarshalOptions{Multiline: true}.Marshal(fold("memo_01", records).proto())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".binpb", data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".json", append(want, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
