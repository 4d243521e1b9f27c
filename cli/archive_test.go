package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// ExportAccount gives the archive, with the number of each record for a cursor, and breaks off where the test wants it.
func (s *server) ExportAccount(_ context.Context, req *memov1.ExportAccountRequest, stream memov1connect.MemoServiceExportAccountServerStream) error {
	s.mu.Lock()
	s.exports = append(s.exports, req.GetCursor())
	archive := s.archive
	cut := len(archive) + 1
	if len(s.cuts) > 0 {
		cut, s.cuts = s.cuts[0], s.cuts[1:]
	}
	s.mu.Unlock()
	from := 0
	if req.GetCursor() != "" {
		n, err := strconv.Atoi(req.GetCursor())
		if err != nil || n > len(archive) {
			return connect.NewError(connect.CodeInvalidArgument, "the cursor is not one that this account's export gave out")
		}
		from = n
	}
	for i, r := range archive[from:] {
		if i == cut {
			panic(http.ErrAbortHandler)
		}
		if err := stream.Send(&memov1.ExportAccountResponse{Record: r, Cursor: strconv.Itoa(from + i + 1)}); err != nil {
			return err
		}
	}
	if cut == -1 || cut == len(archive)-from {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// ImportAccount refuses what is called bad and says that it knows what is called known.
func (s *server) ImportAccount(_ context.Context, req *memov1.ImportAccountRequest) (*memov1.ImportAccountResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imported = append(s.imported, req)
	res := &memov1.ImportAccountResponse{}
	for i, r := range req.GetRecords() {
		result := &memov1.ImportResult{Index: int32(i), Imported: true}
		switch title := r.GetMemo().GetTitle() + r.GetDocument().GetTitle(); {
		case strings.HasPrefix(title, "bad"):
			result.Imported, result.Error = false, &toolv1.ItemError{Code: "invalid_argument", Message: "it is bad"}
		case strings.HasPrefix(title, "known"):
			result.Imported = false
		}
		res.Results = append(res.Results, result)
	}
	return res, nil
}

func archivedMemo(n, revision int, title string) *memov1.ArchiveRecord {
	at := timestamppb.New(time.Date(2025, 5, 1, 0, n, revision, 0, time.UTC))
	action := "updated"
	if revision == 1 {
		action = "created"
	}
	return &memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Memo{Memo: &memov1.ArchivedMemo{
		Id: fmt.Sprintf("memo_%026d", n), Revision: int32(revision), Action: action, Time: at, CreateTime: at, ClientId: "dcr_1", Title: title, Body: "本文",
	}}}
}

// exporting is a person whose account has some memos, one of them with a history.
func exporting(t *testing.T) (*person, *server, string) {
	p, s := loggedIn(t)
	s.archive = []*memov1.ArchiveRecord{
		archivedMemo(1, 1, "一"), archivedMemo(1, 2, "known 一"), archivedMemo(2, 1, "Same"), archivedMemo(3, 1, "same"), archivedMemo(4, 1, "a/b: c?"),
	}
	p.pace = func(time.Duration) time.Duration { return 0 }
	return p, s, filepath.Join(t.TempDir(), "all.zip")
}

func TestExportSurvivesCutLines(t *testing.T) {
	t.Parallel()
	p, s, whole := exporting(t)
	p.ok("export", whole)
	for _, cuts := range [][]int{{0}, {1}, {2, 1}, {5}, {0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}} {
		s.now(func() { s.exports, s.cuts = nil, cuts })
		path := filepath.Join(t.TempDir(), "all.zip")
		o := p.run("export", path)
		if o.code != 0 || strings.Count(o.err, "trying again") != len(cuts) {
			t.Fatalf("cut after %v: %d %s%s", cuts, o.code, o.out, o.err)
		}
		sameFile(t, whole, path)
		if len(s.exports) != len(cuts)+1 {
			t.Errorf("cut after %v: got the cursors %q", cuts, s.exports)
		}
	}
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	first, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Errorf("%s and %s differ", a, b)
	}
}

func TestExportGoesOnInAnotherRun(t *testing.T) {
	t.Parallel()
	p, s, whole := exporting(t)
	p.ok("export", whole)
	again := func(t *testing.T, spoil func(part string)) outcome {
		path := filepath.Join(t.TempDir(), "all.zip")
		s.now(func() { s.cuts = []int{2, 0, 0, 0, 0, 0, 0} })
		p.fails(6, "check that the server is running", "export", path)
		if info, err := os.Stat(path + ".part"); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("what came so far: got %v, %v", info, err)
		}
		spoil(path + ".part")
		s.now(func() { s.exports, s.cuts = nil, nil })
		o := p.run("export", path)
		if o.code != 0 {
			t.Fatal(o.err)
		}
		sameFile(t, whole, path)
		if _, err := os.Lstat(path + ".part"); !os.IsNotExist(err) {
			t.Errorf("what came so far is still there: %v", err)
		}
		return o
	}
	o := again(t, func(string) {})
	if has(t, o.err, "Going on behind the 2 records"); !slices.Equal(s.exports, []string{"2"}) {
		t.Errorf("got the cursors %q, want 2", s.exports)
	}
	again(t, func(part string) { // killed in the midst of writing
		data, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(part, data[:len(data)-3], 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if !slices.Equal(s.exports, []string{"1"}) {
		t.Errorf("got the cursors %q, want 1", s.exports)
	}
	again(t, func(part string) { // too long ago
		if err := os.Chtimes(part, p.now.Add(-48*time.Hour), p.now.Add(-48*time.Hour)); err != nil {
			t.Fatal(err)
		}
	})
	if !slices.Equal(s.exports, []string{""}) {
		t.Errorf("got the cursors %q, want none", s.exports)
	}
	// The server knows no such place any more: it was set up anew.
	path := filepath.Join(t.TempDir(), "all.zip")
	s.now(func() { s.cuts = []int{2, 0, 0, 0, 0, 0, 0} })
	p.fails(6, "", "export", path)
	s.now(func() { s.exports, s.cuts, s.archive = nil, nil, s.archive[:1] })
	if o := p.run("export", path); o.code != 0 || !strings.Contains(o.err, "beginning again") || !slices.Equal(s.exports, []string{"2", ""}) {
		t.Errorf("got %d %q and the cursors %q", o.code, o.err, s.exports)
	}
	p.ok("export", "--force", whole)
	sameFile(t, whole, path)
}

func TestExportRefusals(t *testing.T) {
	t.Parallel()
	p, s, path := exporting(t)
	if err := os.WriteFile(path+".part", []byte("a film"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fails(2, "all.zip.part is in the way", "export", path)
	if data, err := os.ReadFile(path + ".part"); err != nil || string(data) != "a film" {
		t.Errorf("the file in the way: got %q, %v", data, err)
	}
	if err := os.Remove(path + ".part"); err != nil {
		t.Fatal(err)
	}
	p.ok("export", path)
	p.fails(2, "exists already", "export", path)
	p.fails(1, "no such file or directory", "export", filepath.Join(filepath.Dir(path), "nowhere", "all.zip"))
	s.pass = connect.CodePermissionDenied
	p.fails(7, "as the test wants it", "export", filepath.Join(t.TempDir(), "x.zip"))
	s.expireAccess()
	p.fails(3, "the session at", "export", filepath.Join(t.TempDir(), "y.zip"))
}

func TestImportArchive(t *testing.T) {
	t.Parallel()
	p, s, path := exporting(t)
	s.archive = append(s.archive, archivedMemo(5, 1, "bad"), archivedMemo(5, 2, "bad too"), archivedMemo(6, 1, "known"))
	p.ok("export", path)
	o := p.run("import", path)
	want := "\tIMPORTED\tUNCHANGED\tREFUSED\nmemos\t4\t1\t1\n"
	if o.code != 7 || o.out != want || o.err != "memos.jsonl:6: it is bad\npaput: 1 was refused\n" {
		t.Errorf("got %d %q %q, want 7 %q", o.code, o.out, o.err, want)
	}
	if len(s.imported) != 1 || len(s.imported[0].GetRecords()) != len(s.archive) || s.imported[0].GetPublish() || s.imported[0].GetKeepBoth() || s.imported[0].GetValidateOnly() {
		t.Errorf("got the requests %v", s.imported)
	}
	s.imported = nil
	p.run("import", "--dry-run", "--publish", "--keep-both", path)
	if r := s.imported[0]; !r.GetPublish() || !r.GetKeepBoth() || !r.GetValidateOnly() {
		t.Errorf("got the request %v", r)
	}

	// A long history is sent in one request, if it fits.
	s.archive, s.imported = nil, nil
	for n := range 90 {
		s.archive = append(s.archive, archivedMemo(n, 1, "x"))
	}
	for revision := range 300 {
		s.archive = append(s.archive, archivedMemo(90, revision+1, fmt.Sprint(revision)))
	}
	s.archive = append(s.archive, archivedMemo(91, 1, "x"))
	s.cuts = nil
	p.ok("export", "--force", path)
	s.pass = connect.CodeUnavailable // one answer is lost
	out := result[struct {
		Memos struct{ Imported, Unchanged, Refused int }
	}](p, "import", path)
	var sizes []int
	for _, r := range s.imported {
		sizes = append(sizes, len(r.GetRecords()))
	}
	if out.Memos.Imported != 92 || !slices.Equal(sizes, []int{390, 1}) {
		t.Errorf("got %+v in requests of %v records", out, sizes)
	}
}

func TestImportFolder(t *testing.T) {
	t.Parallel()
	p, s := loggedIn(t)
	dir := t.TempDir()
	files := map[string]string{
		"a.md":                 "---\r\ntitle: 'A: a'\r\nid: memo_01kd0000000000000000000000\r\ncreated: 2024-05-01\r\nupdated: 2024-05-02T03:04:05Z\r\ntypes: [decision]\r\nprojects: x\r\n---\r\nText\r\n",
		"b/obsidian.md":        "\ufeff---\ntags:\n  - 運用\n  - ops\naliases: [\"x\"]\nauthor:\n  title: Dr.\ncreated: 2024-05-01 10:00\nid: 20240501\n---\n# Heading\n\nText\n",
		"b/c/d/ファイル.markdown":  "no heading",
		"b/.git/x.md":          "hidden",
		".obsidian/x.md":       "hidden",
		".hidden.md":           "hidden",
		"notes.txt":            "not Markdown",
		"bad/bad.md":           "the server refuses it",
		"bad/sjis.md":          "ok\n\x82\xa0",
		"bad/utf16.md":         "\xff\xfea\x00",
		"bad/time.md":          "---\ncreated: yesterday\n---\n",
		"bad/quote.md":         "---\ntitle: \"open\n---\n",
		"bad/huge.md":          strings.Repeat("x", 4<<20+1),
		"known.md":             "x",
		"empty.md":             "",
		"front matter only.md": "---\ntitle: T\n---\n",
	}
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret.md")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link.md": secret, "up": filepath.Dir(secret), "loop": dir} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	o := p.run("import", dir)
	if o.code != 7 || !strings.Contains(o.out, "memos\t5\t1\t7\n") {
		t.Errorf("got %d %q %q", o.code, o.out, o.err)
	}
	for file, want := range map[string]string{
		"bad/bad.md":   "it is bad",
		"bad/sjis.md":  "line 2 is not UTF-8, perhaps Shift_JIS",
		"bad/utf16.md": "it is UTF-16",
		"bad/time.md":  `created: "yesterday" in the front matter is not a time`,
		"bad/quote.md": "line 2 of the front matter",
		"bad/huge.md":  "it is larger than 4 MiB",
		"link.md":      "it is a link, which is not followed",
	} {
		has(t, o.err, filepath.Join(dir, filepath.FromSlash(file))+": "+want)
	}
	got := map[string]*memov1.ArchivedDocument{}
	for _, r := range s.imported[0].GetRecords() {
		got[r.GetDocument().GetTitle()] = r.GetDocument()
	}
	if d := got["A: a"]; d.GetId() != "memo_01kd0000000000000000000000" || d.GetBody() != "Text" || !slices.Equal(d.GetMemoTypes(), []string{"decision"}) ||
		!slices.Equal(d.GetProjects(), []string{"x"}) || d.GetCreateTime().AsTime() != time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC) || d.GetUpdateTime().GetSeconds() != 1714619045 {
		t.Errorf("with all fields: got %v", d)
	}
	if d := got["Heading"]; d.GetId() != "" || d.GetBody() != "Text" || !slices.Equal(d.GetCategories(), []string{"運用", "ops"}) {
		t.Errorf("of Obsidian: got %v", d)
	}
	for _, title := range []string{"ファイル", "known", "empty", "T"} {
		if got[title] == nil {
			t.Errorf("there is no %q in %v", title, got)
		}
	}
	for _, r := range s.imported[0].GetRecords() {
		if body := r.GetDocument().GetBody(); strings.Contains(body, "secret") || strings.Contains(body, "hidden") {
			t.Errorf("got %v", r)
		}
	}
	if out := result[struct {
		Memos struct{ Imported, Unchanged, Refused int }
	}](p, "import", filepath.Join(dir, "a.md")); out.Memos.Imported != 1 {
		t.Errorf("one file: got %+v", out)
	}
	p.fails(7, "neither an archive", "import", filepath.Join(dir, "notes.txt"))
	p.fails(1, "no such file", "import", filepath.Join(dir, "nowhere"))
}
