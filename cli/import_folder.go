package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// found is a record to import and where it comes from; err is why there is none.
type found struct {
	where  string
	record *memov1.ArchiveRecord
	err    error
}

// memoID is what the front matter of an exported memo has for an id; that of other programs' means something else.
var memoID = regexp.MustCompile(`^memo_[0-9a-z]{1,40}$`)

// folder yields the Markdown files of a folder and those below it, by name. Hidden files and folders, such as .git and
// .obsidian, are passed over, and so are links: they could lead out of the folder.
func (a *app) folder(dir string) (iter.Seq[found], error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return func(yield func(found) bool) {
		defer root.Close()
		err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
			hidden := name != "." && strings.HasPrefix(entry.Name(), ".")
			switch {
			case err != nil:
			case hidden && entry.IsDir():
				return fs.SkipDir
			case hidden || entry.IsDir() || !isMarkdown(name):
				return nil
			case entry.Type()&fs.ModeSymlink != 0:
				err = errors.New("it is a link, which is not followed")
			case !entry.Type().IsRegular():
				err = errors.New("it is no regular file")
			}
			f := found{where: filepath.Join(dir, filepath.FromSlash(name)), err: err}
			if err == nil {
				f.record, f.err = a.fileRecord(root.FS(), name)
			}
			if !yield(f) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(found{where: dir, err: err})
		}
	}, nil
}

func isMarkdown(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown":
		return true
	}
	return false
}

// fileRecord makes a record of a Markdown file.
func (a *app) fileRecord(files fs.FS, name string) (*memov1.ArchiveRecord, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxInput:
		return nil, fmt.Errorf("it is larger than %d MiB", maxInput>>20)
	}
	text, err := readText(data)
	if err != nil {
		return nil, err
	}
	d, err := a.archivedText(text, strings.TrimSuffix(path.Base(name), path.Ext(name)), info.ModTime())
	if err != nil {
		return nil, err
	}
	return &memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Document{Document: d}}, nil
}

// readText refuses what is not UTF-8, with the likely reason.
func readText(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "", errors.New("it is UTF-16; save it as UTF-8")
	case !utf8.Valid(data):
		line := bytes.Count(data[:firstInvalid(data)], []byte("\n")) + 1
		return "", fmt.Errorf("line %d is not UTF-8, perhaps Shift_JIS or EUC-JP; save it as UTF-8, such as with: iconv -f SHIFT_JIS -t UTF-8", line)
	}
	return string(data), nil
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// archivedText is what a text says, which is titled by its front matter, its first heading or else its file's name, and was
// written when its front matter says or else when the file was.
func (a *app) archivedText(text, fileName string, modified time.Time) (*memov1.ArchivedDocument, error) {
	doc, err := parseForeign(text)
	if err != nil {
		return nil, err
	}
	if doc.title == "" {
		doc.title, doc.body = firstHeading(doc.body)
	}
	if doc.title == "" {
		doc.title = norm.NFC.String(fileName)
	}
	d := &memov1.ArchivedDocument{
		Title: doc.title, Body: doc.body, Summary: doc.summary, MemoTypes: doc.types, Categories: doc.categories, Projects: doc.projects,
	}
	if memoID.MatchString(doc.id) {
		d.Id = doc.id
	}
	for _, field := range []struct {
		name, value string
		at          **timestamppb.Timestamp
	}{{"created", doc.created, &d.CreateTime}, {"updated", doc.updated, &d.UpdateTime}} {
		if field.value == "" {
			continue
		}
		at, ok := a.readTime(field.value)
		if !ok {
			return nil, usagef("%s: %q in the front matter is not a time; write 2026-01-31 or 2026-01-31T15:04:00Z", field.name, field.value)
		}
		*field.at = timestamppb.New(at)
	}
	if d.CreateTime == nil && d.UpdateTime == nil && modified.Before(a.Now()) {
		d.CreateTime = timestamppb.New(modified)
	}
	return d, nil
}
