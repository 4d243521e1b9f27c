package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// filled starts a server and fills it a little.
func filled(t *testing.T, data string) (server *running, token string) {
	t.Helper()
	server = start(t, data, false)
	aiko := newVisitor(server)
	if err := aiko.SetUp(t.Context(), server.console); err != nil {
		t.Fatal(err)
	}
	return server, logIn(t, aiko, "paput.read", "paput.write")
}

// run gives a command to paputd.
func run(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var b strings.Builder
	cmd := command(t.Output())
	cmd.SetArgs(args)
	cmd.SetOut(&b)
	cmd.SetErr(&b)
	err = cmd.ExecuteContext(t.Context())
	return b.String(), err
}

// TestBackUpAndRestore backs up a server that is written to, restores that elsewhere, and looks for every write that was
// answered before, and for all of the log up to where the backup stands.
func TestBackUpAndRestore(t *testing.T) {
	t.Parallel()
	data, place := t.TempDir(), t.TempDir()
	server, token := filled(t, data)
	memos := server.memosAs(server.as(t, token))
	var (
		writing sync.WaitGroup
		stop    atomic.Bool
		mu      sync.Mutex
		done    []string // titles
	)
	for i := range 8 {
		writing.Go(func() {
			for n := 0; !stop.Load(); n++ {
				title := fmt.Sprintf("書く%d-%d", i, n)
				if _, err := memos.CreateMemos(t.Context(), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{Title: title, Body: "本文"}}}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				done = append(done, title)
				mu.Unlock()
			}
		})
	}
	answered := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, done...)
	}
	for len(answered()) < 100 {
		if t.Failed() {
			t.FailNow()
		}
	}
	before := answered()
	backup := filepath.Join(place, "backup")
	out, err := run(t, "backup", backup, "--data", data)
	if err != nil {
		t.Fatal(err)
	}
	stop.Store(true)
	writing.Wait()

	files, err := os.ReadDir(backup)
	if err != nil || len(files) != 4 {
		t.Fatalf("the backup has %v, %v", files, err)
	}
	for _, name := range []string{"", "paput.db", "server.key", "auditor.nk", manifestFile} {
		info, err := os.Stat(filepath.Join(backup, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q has mode %v", name, info.Mode())
		}
	}
	var m manifest
	if text, err := os.ReadFile(filepath.Join(backup, manifestFile)); err != nil || json.Unmarshal(text, &m) != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, fmt.Sprintf("position %d ", m.Position)) || m.Ordinals["MEMO"] == 0 || m.Ordinals["AUTH"] == 0 {
		t.Errorf("it says %q, and the manifest %+v", out, m)
	}

	elsewhere := filepath.Join(place, "data")
	out, err = run(t, "restore", backup, "--data", elsewhere)
	if err != nil || !strings.Contains(out, fmt.Sprintf("position %d.", m.Position)) {
		t.Fatalf("got %q, %v", out, err)
	}
	restored := start(t, elsewhere, false, func(c *config) { c.publicURL = server.url }) // where the tokens are good for
	again := restored.memosAs(restored.as(t, token))
	for _, title := range before {
		res, err := again.SearchMemos(t.Context(), &memov1.SearchMemosRequest{Query: `"` + title + `"`, PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.GetEntries()) != 1 {
			t.Errorf("%s was answered and is not there", title)
		}
	}
	records := func(r *running) (lines []string) {
		for record, err := range r.app.events.After(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if record.Position > m.Position {
				break
			}
			data, err := proto.MarshalOptions{Deterministic: true}.Marshal(record.Event)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%d %s %d %v %x", record.Position, record.Stream, record.Version, record.Time, data))
		}
		return lines
	}
	if diff := cmp.Diff(records(restored), records(server)); diff != "" {
		t.Errorf("the restored log (-) and the live one (+):\n%s", diff)
	}
	live := titles(t, restored)
	if err := restored.app.events.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(live, titles(t, restored)); diff != "" {
		t.Errorf("restored (-) and rebuilt (+):\n%s", diff)
	}
	restored.awaitReady(t) // so the streams are filled again, as far as the log goes
}

// titles lists the memos of the read model.
func titles(t *testing.T, r *running) (rows []string) {
	t.Helper()
	result, err := r.app.events.DB().QueryContext(t.Context(), "SELECT id || ' ' || title || ' ' || revision FROM memos ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	for result.Next() {
		var row string
		if err := result.Scan(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	data, place := t.TempDir(), t.TempDir()
	server, _ := filled(t, data)
	if err := server.stop(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(place, "backup")
	if _, err := run(t, "backup", backup, "--data", data); err != nil { // while it does not run
		t.Fatal(err)
	}
	refused := func(name, text string, args ...string) {
		t.Helper()
		out, err := run(t, args...)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, text)
		}
	}
	refused("a directory that is there", "exists already", "backup", backup, "--data", data)
	refused("nothing to back up", "nothing to back up", "backup", filepath.Join(place, "none"), "--data", t.TempDir())
	refused("no way to the place", "no such file", "backup", filepath.Join(place, "no", "where"), "--data", data)
	if _, err := os.Stat(filepath.Join(place, "none")); err == nil {
		t.Error("a backup that failed left something")
	}
	refused("a directory in use", "not empty", "restore", backup, "--data", data)
	refused("no backup", "there is no manifest.json", "restore", data, "--data", filepath.Join(place, "new"))

	// Each of these is done to a copy of the backup.
	text, err := os.ReadFile(filepath.Join(backup, manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(old, new string) func(dir string) error {
		return func(dir string) error {
			if !strings.Contains(string(text), old) {
				return fmt.Errorf("the manifest has no %s", old)
			}
			return os.WriteFile(filepath.Join(dir, manifestFile), []byte(strings.Replace(string(text), old, new, 1)), 0o600)
		}
	}
	damage := func(name string, change func(data []byte) []byte) func(dir string) error {
		return func(dir string) error {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), change(data), 0o600)
		}
	}
	for name, tc := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"not finished":        {func(dir string) error { return os.Remove(filepath.Join(dir, manifestFile)) }, "not finished"},
		"another format":      {rewrite(`"format": 1`, `"format": 2`), "format 2"},
		"a path":              {rewrite(`"name": "server.key"`, `"name": "../server.key"`), `"../server.key"`},
		"a part twice":        {rewrite(`"name": "server.key"`, `"name": "paput.db"`), `"paput.db"`},
		"a part less":         {rewrite(`"name": "server.key"`, `"name": "auditor.nk"`), `"auditor.nk"`},
		"a huge size":         {rewrite(`"position": `, `"position": 9`), "the log stands at"},
		"no log":              {rewrite(`"name": "paput.db"`, `"name": "paput.db2"`), `"paput.db2"`},
		"no JSON":             {rewrite(`{`, `[`), "is damaged"},
		"a bit of the log":    {damage("paput.db", func(d []byte) []byte { d[len(d)/2] ^= 1; return d }), "paput.db is damaged"},
		"a log that grew":     {damage("paput.db", func(d []byte) []byte { return append(d, 0) }), "is no file of at most"},
		"a log cut short":     {damage("paput.db", func(d []byte) []byte { return d[:len(d)-4096] }), "paput.db is damaged"},
		"another key":         {damage("server.key", func(d []byte) []byte { return []byte(strings.Replace(string(d), "a", "b", 1)) }), "server.key is damaged"},
		"a key that is gone":  {func(dir string) error { return os.Remove(filepath.Join(dir, "server.key")) }, "no such file"},
		"a link for the key":  {link("server.key"), "is no file"},
		"a link for the list": {link(manifestFile), "is no file"},
		"a directory": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "paput.db")), os.Mkdir(filepath.Join(dir, "paput.db"), 0o700))
		}, "is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "b"), os.DirFS(backup)); err != nil {
				t.Fatal(err)
			}
			if err := tc.change(filepath.Join(dir, "b")); err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(dir, "data")
			if out, err := run(t, "restore", filepath.Join(dir, "b"), "--data", to); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, %v, want %q", out, err, tc.want)
			}
			if _, err := os.Stat(to); err == nil {
				t.Error("a restore that failed left something")
			}
		})
	}
}

// link puts a link in a file's place.
func link(name string) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, name)
		if err := os.Rename(path, path+".elsewhere"); err != nil {
			return err
		}
		return os.Symlink(path+".elsewhere", path)
	}
}
