package cli

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// someRecords are a record of each kind.
func someRecords() []*memov1.ArchiveRecord {
	at := timestamppb.New(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC))
	return []*memov1.ArchiveRecord{
		{Record: &memov1.ArchiveRecord_Memo{Memo: &memov1.ArchivedMemo{Id: "memo_1", Revision: 1, Action: "created", Time: at, CreateTime: at, ClientId: "c", Title: "題", Body: "<&>\u2028"}}},
		{Record: &memov1.ArchiveRecord_Note{Note: &memov1.ArchivedNote{Id: "note_1", Title: "x", MemoIds: []string{"memo_1"}, CreateTime: at, UpdateTime: at}}},
		{Record: &memov1.ArchiveRecord_Candidate{Candidate: &memov1.ArchivedCandidate{Id: "cand_1", Status: "pending", Source: "codex", Title: "x", CreateTime: at, AddTime: at, UpdateTime: at}}},
		{Record: &memov1.ArchiveRecord_Session{Session: &memov1.ArchivedSession{Source: "codex", SessionId: "s", ProcessTime: at}}},
		{Record: &memov1.ArchiveRecord_Policy{Policy: &memov1.ArchivedPolicy{Text: "x", UpdateTime: at}}},
	}
}

func sequence(records []*memov1.ArchiveRecord) iter.Seq2[*memov1.ArchiveRecord, error] {
	return func(yield func(*memov1.ArchiveRecord, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func archiveOf(tb testing.TB, records []*memov1.ArchiveRecord) []byte {
	tb.Helper()
	var b bytes.Buffer
	if _, err := writeArchive(&b, sequence(records)); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// packed is a file of a ZIP file.
type packed struct {
	header zip.FileHeader
	data   []byte
}

// repack makes an archive with other files.
func repack(tb testing.TB, change func(files []packed) []packed) []byte {
	tb.Helper()
	data := archiveOf(tb, someRecords())
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatal(err)
	}
	var files []packed
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			tb.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, packed{zip.FileHeader{Name: f.Name, Method: zip.Deflate}, data})
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range change(files) {
		out, err := w.CreateHeader(&f.header)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := out.Write(f.data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// with changes one file; the manifest then tells of what it has become.
func with(name string, change func(data []byte) []byte) func([]packed) []packed {
	return func(files []packed) []packed {
		for i, f := range files {
			if f.header.Name == name {
				files[i].data = change(f.data)
			}
		}
		return honest(files)
	}
}

// honest makes the manifest tell of the files.
func honest(files []packed) []packed {
	for i, f := range files {
		if f.header.Name != manifestName {
			continue
		}
		var m manifest
		if json.Unmarshal(f.data, &m) != nil {
			return files
		}
		for n := range m.Files {
			for _, g := range files {
				if g.header.Name == m.Files[n].Name {
					sum := sha256.Sum256(g.data)
					m.Files[n] = manifestFile{g.header.Name, int64(bytes.Count(g.data, []byte("\n"))), int64(len(g.data)), hex.EncodeToString(sum[:])}
				}
			}
		}
		files[i].data, _ = json.Marshal(m)
	}
	return files
}

func plus(name string, mode fs.FileMode, data string) func([]packed) []packed {
	return func(files []packed) []packed {
		f := packed{zip.FileHeader{Name: name, Method: zip.Deflate}, []byte(data)}
		if mode != 0 {
			f.header.SetMode(mode)
		}
		return append(files, f)
	}
}

func inManifest(old, changed string) func([]packed) []packed {
	return func(files []packed) []packed {
		for i, f := range files {
			if f.header.Name == manifestName {
				files[i].data = bytes.Replace(f.data, []byte(old), []byte(changed), 1)
			}
		}
		return files
	}
}

// check reads an archive as an import does before it sends anything.
func check(tb testing.TB, data []byte) error {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "x.zip")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	a, err := openArchive(f)
	if err != nil {
		return err
	}
	return a.verify(func(int64) error { return nil })
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	replaced := func(text string) func([]byte) []byte { return func([]byte) []byte { return []byte(text) } }
	line := func(text string) func([]packed) []packed { return with("memos.jsonl", replaced(text)) }
	same := func(files []packed) []packed { return files }
	tests := []struct {
		name   string
		change func([]packed) []packed
		bytes  func([]byte) []byte
		want   string // nothing when it is good
	}{
		{"packed anew", same, nil, ""},
		{"zip slip", plus("../evil.md", 0, "x"), nil, `it has "../evil.md", which no export has`},
		{"zip slip among the memos", plus("memos/../../evil.md", 0, "x"), nil, "which no export has"},
		{"an absolute path", plus("/etc/passwd", 0, "x"), nil, `it has "/etc/passwd"`},
		{"a drive", plus(`C:\evil.md`, 0, "x"), nil, "which no export has"},
		{"a path with backslashes", plus(`memos\..\evil.md`, 0, "x"), nil, "which no export has"},
		{"a name that is not UTF-8", plus("memos/\xff.md", 0, "x"), nil, "which no export has"},
		{"a directory below the memos", plus("memos/a/b.md", 0, "x"), nil, "which no export has"},
		{"a directory", plus("memos/", fs.ModeDir|0o755, ""), nil, `it has "memos/"`},
		{"a program", plus("install.exe", 0, "x"), nil, `it has "install.exe"`},
		{"a link", plus("memos/link.md", fs.ModeSymlink|0o777, "/etc/passwd"), nil, `"memos/link.md" is a link or something else`},
		{"a device", plus("memos/dev.md", fs.ModeDevice|0o777, ""), nil, "is a link or something else"},
		{"a name twice", plus("memos.jsonl", 0, "x"), nil, `"memos.jsonl" is in it twice`},
		{"another Markdown file", plus("memos/more.md", 0, "x"), nil, "it has 2 files in memos/ and not 1"},
		{"a changed Markdown file", with("memos/題.md", replaced("x")), nil, "a file in memos/ was changed; to import what it says, unpack"},
		{"a huge Markdown file", with("memos/題.md", replaced(strings.Repeat("x", maxLine+1))), nil, `"memos/題.md" is larger than 4 MiB`},
		{"a bomb of Markdown", with("memos/題.md", replaced(strings.Repeat("x", maxLine))), nil, "would unpack to 4 MiB, more than its records can fill"},
		{"a bomb of records", line(strings.Repeat(strings.Repeat(" ", 1<<20)+"\n", 65)), nil, "would unpack to 65 MiB, more than 200 times its size"},
		{"no manifest", func(files []packed) []packed { return files[:len(files)-1] }, nil, "manifest.json is missing"},
		{"no notes", func(files []packed) []packed { return append(files[:1:1], files[2:]...) }, nil, "notes.jsonl is missing"},
		{"a manifest that is none", with(manifestName, replaced("{")), nil, "does not say"},
		{"a manifest of something else", inManifest("paput-archive", "other"), nil, `does not say "paput-archive"`},
		{"a manifest of the future", inManifest(`"version": 1`, `"version": 7`), nil, "the archive is of version 7, and this paput reads version 1: update paput"},
		{"a manifest of before", inManifest(`"version": 1`, `"version": 0`), nil, "does not say"},
		{"a manifest with more to say", inManifest(`"version": 1`, `"version": 1, "exec": "x"`), nil, `unknown field "exec"`},
		{"a manifest with something behind it", with(manifestName, func(b []byte) []byte { return append(b, "{}"...) }), nil, "does not say"},
		{"a huge manifest", with(manifestName, replaced(strings.Repeat(" ", maxManifest+1))), nil, "manifest.json is larger than 64 KiB"},
		{"a deep manifest", with(manifestName, replaced(strings.Repeat("[", 60_000))), nil, "does not say"},
		{"a manifest of other files", inManifest("notes.jsonl", "x.jsonl"), nil, `lists "x.jsonl", not "notes.jsonl"`},
		{"a wrong digest", inManifest(`"sha256": "`, `"sha256": "0`), nil, "memos.jsonl has another digest"},
		{"a wrong size", inManifest(`"bytes": `, `"bytes": 1`), nil, "and its manifest says"},
		{"a wrong number", inManifest(`"records": 1`, `"records": 2`), nil, "and its manifest says 2 in"},
		{"a wrong digest of the Markdown", func(files []packed) []packed {
			m := files[len(files)-1].data
			i := bytes.LastIndex(m, []byte(`"sha256": "`))
			m[i+len(`"sha256": "`)] ^= 1
			return files
		}, nil, "a file in memos/ was changed"},
		{"an empty line", line("\n"), nil, "memos.jsonl line 1 is empty"},
		{"a line that is too long", line(`{"body":"` + strings.Repeat("0123456789abcdef", maxLine/16) + `"}`), nil, "memos.jsonl line 1 is longer than 4 MiB"},
		{"a line that is not UTF-8", line("{\"id\":\"\xff\"}\n"), nil, "memos.jsonl line 1 is not valid UTF-8"},
		{"half a surrogate", line(`{"id":"\ud800"}` + "\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"no JSON", line("id: memo_1\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"two objects on a line", line("{}{}\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"an unknown field", line(`{"colour":"red"}` + "\n"), nil, `memos.jsonl line 1: it is not a memo: unknown field "colour"`},
		{"a field twice", line(`{"id":"a","id":"b"}` + "\n"), nil, `duplicate field "id"`},
		{"a number for a text", line(`{"id":7}` + "\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"a number out of range", line(`{"revision":99999999999}` + "\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"a time that is none", line(`{"time":"yesterday"}` + "\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"deep nesting", line(`{"categories":` + strings.Repeat("[", 100_000) + "\n"), nil, "memos.jsonl line 1: it is not a memo"},
		{"notes among memos", with("memos.jsonl", replaced(`{"id":"note_1","memo_ids":["memo_1"]}`+"\n")), nil, `unknown field "memo_ids"`},
		{"nothing", same, func([]byte) []byte { return nil }, "it is no ZIP file, or not all of it is there"},
		{"text", same, func([]byte) []byte { return []byte("hello") }, "it is no ZIP file"},
		{"cut off", same, func(b []byte) []byte { return b[:len(b)*2/3] }, "it is no ZIP file, or not all of it is there"},
		{"a bit that fell over", same, func(b []byte) []byte { b[60] ^= 0x10; return b }, "memos.jsonl"},
		{"a size that lies", same, func(b []byte) []byte { // in the directory of memos.jsonl, behind its checksum and its packed size
			i := bytes.Index(b, []byte("PK\x01\x02"))
			b[i+24]++
			return b
		}, "memos.jsonl"},
		{"encryption", same, func(b []byte) []byte {
			i := bytes.Index(b, []byte("PK\x01\x02"))
			b[i+10] = 99 // AES
			return b
		}, "memos.jsonl: it is packed or encrypted in a way that no export is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := repack(t, tt.change)
			if tt.bytes != nil {
				data = tt.bytes(data)
			}
			err := check(t, data)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v, want it read", err)
				}
				return
			}
			if err == nil || ExitCode(err) != 7 || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 300 {
				t.Errorf("got %v (%d), want %q", err, ExitCode(err), tt.want)
			}
		})
	}
}

// TestArchiveIsGolden holds the format to what docs/export.md says, byte for byte.
func TestArchiveIsGolden(t *testing.T) {
	t.Parallel()
	data := archiveOf(t, someRecords())
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "== %s %s\n%s", f.Name, f.Modified.UTC().Format(time.DateOnly), text)
	}
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile("testdata/archive.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/archive.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("the archive has changed, which its version does not say; got\n%s\nwant\n%s", got, want)
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	var names fileNames
	for _, test := range []struct{ title, want string }{
		{"認証基盤の移行", "認証基盤の移行.md"},
		{"か\u3099", "が.md"}, // composed
		{"が", "が (2).md"},
		{"README", "README.md"},
		{"readme", "readme (2).md"},
		{"Readme (2)", "Readme (2) (2).md"},
		{"readMe", "readMe (3).md"},
		{`a/b\c:d*e?f"g<h>i|j`, "a-b-c-d-e-f-g-h-i-j.md"},
		{"../../etc/passwd", "-..-etc-passwd.md"},
		{"...", "memo.md"},
		{"ends with a dot. ", "ends with a dot.md"},
		{"CON", "_CON.md"},
		{"com1.txt", "_com1.txt.md"},
		{"COM10", "COM10.md"},
		{"tab\tand\u3000wide  space", "tab and wide space.md"},
		{"zero\u200bwidth \u202eturned", "zerowidth turned.md"},
		{strings.Repeat("長", 100), strings.Repeat("長", 40) + ".md"},
		{strings.Repeat("長", 101), strings.Repeat("長", 40) + " (2).md"},
		{"👩‍👩‍👧", "👩‍👩‍👧.md"},
	} {
		if got := names.name(test.title); got != test.want {
			t.Errorf("%q: got %q, want %q", test.title, got, test.want)
		}
	}
}

// FuzzArchive reads what nobody wrote. It may be refused, with a reason that fits on a line.
func FuzzArchive(f *testing.F) {
	f.Add(archiveOf(f, someRecords()))
	f.Add(archiveOf(f, nil))
	f.Add(repack(f, plus("../evil.md", 0, "x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := check(t, data); err != nil && (ExitCode(err) != 7 || len(err.Error()) > 1000) {
			t.Errorf("got %v (%d)", err, ExitCode(err))
		}
	})
}

// FuzzMemosComeBackFromMarkdown reads the Markdown that an export writes.
func FuzzMemosComeBackFromMarkdown(f *testing.F) {
	f.Add("題", "# Not the title\n\n---\ntext", "A: b", "- x")
	f.Fuzz(func(t *testing.T, title, body, category, summary string) {
		for _, s := range []*string{&title, &summary, &category} {
			*s = clean(strings.ToValidUTF8(*s, ""))
		}
		body = strings.ToValidUTF8(body, "")
		if title == "" || category == "" {
			return
		}
		at := timestamppb.New(time.Date(2025, 5, 1, 0, 0, 0, 7_000_000, time.UTC))
		text := archivedDocument(&memov1.ArchivedMemo{Id: "memo_1", Title: title, Body: body, Summary: summary, Categories: []string{category}, CreateTime: at, Time: at}).String()
		a := &app{Streams: Streams{Now: time.Now}}
		d, err := a.archivedText(text, "file", time.Now())
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		same := strings.Join(strings.Fields(d.GetBody()), " ") == strings.Join(strings.Fields(body), " ")
		if d.GetId() != "memo_1" || d.GetTitle() != title || d.GetSummary() != summary || d.GetCategories()[0] != category || !same ||
			!d.GetCreateTime().AsTime().Equal(at.AsTime()) || !d.GetUpdateTime().AsTime().Equal(at.AsTime()) {
			t.Errorf("got %v from\n%s", d, text)
		}
	})
}
