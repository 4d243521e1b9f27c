package cli

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// writeArchive writes an archive of records, which are gone through twice and are in the order in which a server gives
// them. The same records give the same bytes. What it keeps in memory is a memo at a time, and the names of files.
func writeArchive(w io.Writer, records iter.Seq2[*memov1.ArchiveRecord, error]) (manifest, error) {
	a := &archiveWriter{zip: zip.NewWriter(w), manifest: manifest{Format: archiveFormat, Version: archiveVersion}}
	if err := a.records(records); err != nil {
		return a.manifest, err
	}
	if err := a.markdown(records); err != nil {
		return a.manifest, err
	}
	data, err := json.MarshalIndent(a.manifest, "", "  ")
	if err != nil {
		return a.manifest, fmt.Errorf("write the manifest: %w", err)
	}
	f, err := a.create(manifestName, time.Time{})
	if err != nil {
		return a.manifest, err
	}
	if _, err := f.Write(append(data, '\n')); err != nil {
		return a.manifest, err
	}
	return a.manifest, a.zip.Close()
}

type archiveWriter struct {
	zip      *zip.Writer
	manifest manifest
}

// create begins a file. Its time is that of what is in it, so that an archive does not depend on when it was made; the files
// of records have the first that there is in an archive of this kind.
func (a *archiveWriter) create(name string, at time.Time) (io.Writer, error) {
	if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(first) || at.Year() > 2100 {
		at = first
	}
	return a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at.UTC()})
}

func (a *archiveWriter) records(records iter.Seq2[*memov1.ArchiveRecord, error]) error {
	files := recordFiles()
	var out *recordWriter
	next := func() (err error) {
		if out != nil {
			a.manifest.Files = append(a.manifest.Files, out.done())
		}
		if len(a.manifest.Files) < len(files) {
			out, err = a.recordFile(files[len(a.manifest.Files)])
		}
		return err
	}
	if err := next(); err != nil {
		return err
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		kind, body := recordKind(r)
		for out.kind != kind {
			if len(a.manifest.Files)+1 >= len(files) {
				return fmt.Errorf("the server gave a record %q that is unknown or not in its place; update paput", kind)
			}
			if err := next(); err != nil {
				return err
			}
		}
		line, err := recordLine(body)
		if err != nil {
			return err
		}
		if err := out.line(line); err != nil {
			return err
		}
	}
	for len(a.manifest.Files) < len(files) {
		if err := next(); err != nil {
			return err
		}
	}
	return nil
}

// recordWriter writes one file of records.
type recordWriter struct {
	recordFile
	manifestFile
	w   io.Writer
	sum hash.Hash
}

func (a *archiveWriter) recordFile(f recordFile) (*recordWriter, error) {
	w, err := a.create(f.name, time.Time{})
	return &recordWriter{recordFile: f, manifestFile: manifestFile{Name: f.name}, w: w, sum: sha256.New()}, err
}

func (r *recordWriter) line(line []byte) error {
	r.Records++
	r.Bytes += int64(len(line))
	r.sum.Write(line)
	_, err := r.w.Write(line)
	return err
}

func (r *recordWriter) done() manifestFile {
	r.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	return r.manifestFile
}

// markdown writes the memos outside the trash, as they are, for people and other programs.
func (a *archiveWriter) markdown(records iter.Seq2[*memov1.ArchiveRecord, error]) error {
	var (
		names fileNames
		last  *memov1.ArchivedMemo
	)
	all := sha256.New()
	write := func() error {
		if last == nil || last.GetAction() == "deleted" {
			return nil
		}
		name := markdownDir + names.name(last.GetTitle())
		f, err := a.create(name, last.GetTime().AsTime())
		if err != nil {
			return err
		}
		text := archivedDocument(last).String()
		if _, err := io.WriteString(f, text); err != nil {
			return err
		}
		a.manifest.Markdown.Files++
		fmt.Fprint(all, digestLine(sha256.Sum256([]byte(text)), name))
		return nil
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if r.GetMemo() == nil || r.GetMemo().GetId() != last.GetId() {
			if err := write(); err != nil {
				return err
			}
		}
		if last = r.GetMemo(); last == nil {
			break // memos come first
		}
	}
	if err := write(); err != nil {
		return err
	}
	a.manifest.Markdown.SHA256 = hex.EncodeToString(all.Sum(nil))
	return nil
}

func digestLine(sum [sha256.Size]byte, name string) string {
	return hex.EncodeToString(sum[:]) + "  " + name + "\n"
}

// archivedDocument is a memo as a text that reads well by itself.
func archivedDocument(m *memov1.ArchivedMemo) document {
	return document{
		id: m.GetId(), created: rfc3339(m.GetCreateTime()), updated: rfc3339(m.GetTime()),
		title: m.GetTitle(), summary: m.GetSummary(), body: m.GetBody(),
		types: m.GetMemoTypes(), categories: m.GetCategories(), projects: m.GetProjects(),
	}
}

func rfc3339(t *timestamppb.Timestamp) string { return t.AsTime().Format(time.RFC3339Nano) }
