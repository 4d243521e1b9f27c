package cli

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// archive is an archive that is read. Nothing of it is ever written to a file system.
type archive struct {
	files    map[string]*zip.File // but for Markdown
	markdown []*zip.File
	manifest manifest
}

// damaged is what is wrong with an archive.
func damaged(format string, v ...any) error {
	return problemf(errRefused, "the archive is not as paput export made it: "+format, v...)
}

// openArchive reads the list of files and the manifest, and refuses what no export has.
func openArchive(f *os.File) (*archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, damaged("it is no ZIP file, or not all of it is there")
	}
	a := &archive{files: map[string]*zip.File{}}
	seen := make(map[string]struct{}, len(z.File))
	for _, file := range z.File {
		if err := a.add(file, seen); err != nil {
			return nil, err
		}
	}
	if err := a.readManifest(); err != nil {
		return nil, err
	}
	return a, a.checkNames()
}

func (a *archive) add(file *zip.File, seen map[string]struct{}) error {
	name := file.Name
	if _, twice := seen[name]; twice {
		return damaged("%q is in it twice", clean(name))
	}
	seen[name] = struct{}{}
	base, isMarkdown := strings.CutPrefix(name, markdownDir)
	isMarkdown = isMarkdown && strings.HasSuffix(base, ".md")
	isOurs := name == manifestName || slices.ContainsFunc(recordFiles(), func(f recordFile) bool { return f.name == name })
	switch {
	case !utf8.ValidString(name) || !fs.ValidPath(name) || strings.Contains(name, `\`) || isMarkdown && strings.Contains(base, "/") || !isMarkdown && !isOurs:
		return damaged("it has %q, which no export has; if you changed it, unpack it and import its folder memos", clean(name))
	case !file.Mode().IsRegular():
		return damaged("%q is a link or something else that is no file", clean(name))
	case file.UncompressedSize64 > maxUnpacked && file.UncompressedSize64/maxRatio > file.CompressedSize64:
		return damaged("%q would unpack to %d MiB, more than %d times its size", clean(name), file.UncompressedSize64>>20, maxRatio)
	case isMarkdown && file.UncompressedSize64 > maxLine:
		return damaged("%q is larger than %d MiB", clean(name), maxLine>>20)
	case isMarkdown:
		a.markdown = append(a.markdown, file)
	default:
		a.files[name] = file
	}
	return nil
}

func (a *archive) readManifest() error {
	file := a.files[manifestName]
	if file == nil {
		return damaged("%s is missing", manifestName)
	}
	r, err := file.Open()
	if err != nil {
		return damaged("%s: %s", manifestName, zipFault(err))
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	switch {
	case err != nil:
		return damaged("%s: %s", manifestName, zipFault(err))
	case len(data) > maxManifest:
		return damaged("%s is larger than %d KiB", manifestName, maxManifest>>10)
	}
	// Only what says which format it is can be expected of every version.
	var which struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &which); err != nil || which.Format != archiveFormat || which.Version < 1 {
		return damaged("%s does not say %q and a version", manifestName, archiveFormat)
	}
	if which.Version > archiveVersion {
		return problemf(errRefused, "the archive is of version %d, and this paput reads version %d: update paput", which.Version, archiveVersion)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&a.manifest); err != nil {
		return damaged("%s: %s", manifestName, clean(strings.TrimPrefix(err.Error(), "json: ")))
	}
	return nil
}

// checkNames refuses an archive whose manifest does not tell of the files that it has.
func (a *archive) checkNames() error {
	want := recordFiles()
	if len(a.manifest.Files) != len(want) {
		return damaged("%s lists %s, not %d", manifestName, counted(len(a.manifest.Files), "file", "files"), len(want))
	}
	for i, f := range want {
		switch file := a.files[f.name]; {
		case a.manifest.Files[i].Name != f.name:
			return damaged("%s lists %q, not %q", manifestName, clean(a.manifest.Files[i].Name), f.name)
		case file == nil:
			return damaged("%s is missing", f.name)
		}
	}
	if n := int64(len(a.markdown)); n != a.manifest.Markdown.Files {
		return damaged("it has %s in %s and not %d; if you changed it, unpack it and import that folder", counted(n, "file", "files"), markdownDir, a.manifest.Markdown.Files)
	}
	// What is in the Markdown files is in the records too, so together they are no larger by much.
	size := uint64(0)
	for _, file := range a.markdown {
		size += file.UncompressedSize64
	}
	if records := a.files[want[0].name].UncompressedSize64; size > 2*records+uint64(len(a.markdown))<<10 {
		return damaged("the files in %s would unpack to %d MiB, more than its records can fill", markdownDir, size>>20)
	}
	return nil
}

// verify reads all of the archive: every record must be one, and everything as long and as the digests say. progress is told
// how many records were read, and ends it with an error.
func (a *archive) verify(progress func(n int64) error) error {
	var n int64
	for i, f := range recordFiles() {
		sum := sha256.New()
		size := &counter{}
		var records int64
		for line, err := range a.lines(f.name, io.MultiWriter(sum, size)) {
			if err != nil {
				return err
			}
			records++
			if _, err := parseRecord(f.kind, line); err != nil {
				return damaged("%s line %d: %s", f.name, records, err)
			}
			n++
			if err := progress(n); err != nil {
				return err
			}
		}
		m := a.manifest.Files[i]
		switch {
		case records != m.Records || size.n != m.Bytes:
			return damaged("%s has %s in %s, and its manifest says %d in %d", f.name, counted(records, "record", "records"), counted(size.n, "byte", "bytes"), m.Records, m.Bytes)
		case hex.EncodeToString(sum.Sum(nil)) != m.SHA256:
			return damaged("%s has another digest than its manifest says", f.name)
		}
	}
	return a.verifyMarkdown()
}

// verifyMarkdown reads the Markdown files. They say nothing that the records do not, but somebody may have changed them, and
// would wonder why nothing comes of that.
func (a *archive) verifyMarkdown() error {
	all := sha256.New()
	for _, file := range a.markdown {
		sum, err := digestOf(file)
		if err != nil {
			return err
		}
		fmt.Fprint(all, digestLine(sum, file.Name))
	}
	if hex.EncodeToString(all.Sum(nil)) != a.manifest.Markdown.SHA256 {
		return damaged("a file in %s was changed; to import what it says, unpack the archive and import that folder", markdownDir)
	}
	return nil
}

func digestOf(file *zip.File) (sum [sha256.Size]byte, err error) {
	r, err := file.Open()
	if err != nil {
		return sum, damaged("%s: %s", clean(file.Name), zipFault(err))
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, maxLine+1))
	switch {
	case err != nil:
		return sum, damaged("%s: %s", clean(file.Name), zipFault(err))
	case n > maxLine:
		return sum, damaged("%q is larger than %d MiB", clean(file.Name), maxLine>>20)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// counter counts the bytes that are written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// records yields the records of a file with the number of each line. An error is the last thing that it yields.
func (a *archive) records(f recordFile) iter.Seq2[*memov1.ArchiveRecord, error] {
	return func(yield func(*memov1.ArchiveRecord, error) bool) {
		for line, err := range a.lines(f.name, io.Discard) {
			var r *memov1.ArchiveRecord
			if err == nil {
				r, err = parseRecord(f.kind, line)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// lines yields the lines of a file and copies what it reads. A line is good until the next.
func (a *archive) lines(name string, copied io.Writer) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r, err := a.files[name].Open()
		if err != nil {
			yield(nil, damaged("%s: %s", name, zipFault(err)))
			return
		}
		defer r.Close()
		lines := bufio.NewScanner(io.TeeReader(r, copied))
		lines.Buffer(make([]byte, 64<<10), maxLine)
		n := 0
		for lines.Scan() {
			n++
			line := lines.Bytes()
			switch {
			case !utf8.Valid(line):
				yield(nil, damaged("%s line %d is not valid UTF-8", name, n))
				return
			case len(bytes.TrimSpace(line)) == 0:
				yield(nil, damaged("%s line %d is empty", name, n))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(nil, damaged("%s line %d is longer than %d MiB", name, n+1, maxLine>>20))
		case err != nil:
			yield(nil, damaged("%s: %s", name, zipFault(err)))
		}
	}
}

// zipFault says what is wrong with a packed file.
func zipFault(err error) string {
	switch {
	case errors.Is(err, zip.ErrChecksum):
		return "its checksum is wrong"
	case errors.Is(err, zip.ErrAlgorithm):
		return "it is packed or encrypted in a way that no export is"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it is shorter or longer than the archive says"
	}
	return "it cannot be unpacked"
}
