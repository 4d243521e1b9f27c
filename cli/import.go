package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (a *app) importCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE|FOLDER",
		Short: "Bring in what paput export took out, or a folder of Markdown files",
		Long: `Bring in what "paput export" took out, or Markdown files: one, or all in a folder
and below it, with or without front matter. Files in hidden folders, such as
.git and .obsidian, are passed over, and links are not followed.

What you have already is left alone, so that an import which was interrupted is
simply run again. Nothing is overwritten: a memo, note or candidate that you
have with other content is refused and named, unless --keep-both imports it
beside yours. Nothing becomes public, unless --publish says so.

An archive keeps its ids, times and history. A file is titled by its front
matter, its first heading or its name; of the front matter the fields id,
title, summary, types, categories (or tags), projects, created and updated
count.

It takes the scope paput.account, which "paput login" asks for only when told
to, and whose box in the browser you tick yourself; with --publish also
paput.publish. An archive is imported only when all of
it is whole. When a part was refused, the rest is imported, and paput exits
with 7.`,
		Example: `  paput login --scope paput.account
  paput import --dry-run paput.zip
  paput import paput.zip
  paput import ~/Notes`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importFrom(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().BoolVar(&o.keepBoth, "keep-both", false, "import what you have with other content beside it, under another id")
	cmd.Flags().BoolVar(&o.publish, "publish", false, "make public here what was public where an archive comes from")
	return cmd
}

type importOptions struct{ dryRun, keepBoth, publish bool }

func (a *app) importFrom(ctx context.Context, path string, o importOptions) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		files, err := a.folder(path)
		if err != nil {
			return err
		}
		return a.send(ctx, files, o)
	}
	f, err := os.Open(path) //nolint:gosec // the person names the file
	if err != nil {
		return err
	}
	defer f.Close()
	switch packed, err := isZIP(f); {
	case err != nil:
		return err
	case packed:
		return a.importArchive(ctx, f, o)
	case isMarkdown(path):
		r, err := a.fileRecord(os.DirFS(filepath.Dir(path)), filepath.Base(path))
		return a.send(ctx, func(yield func(found) bool) { yield(found{path, r, err}) }, o)
	}
	return problemf(errRefused, "%s is neither an archive of paput export, nor a Markdown file, nor a folder of them", path)
}

// isZIP says whether a file begins as ZIP files do.
func isZIP(f *os.File) (bool, error) {
	var head [4]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.HasPrefix(head[:n], []byte("PK")), nil
}

// importArchive sends the records of an archive, when all of it is whole.
func (a *app) importArchive(ctx context.Context, f *os.File, o importOptions) error {
	z, err := openArchive(f)
	if err != nil {
		return err
	}
	bar := a.progress("checked")
	err = z.verify(func(n int64) error {
		bar.show(n)
		return ctx.Err()
	})
	bar.done()
	if err != nil {
		return err
	}
	return a.send(ctx, z.found(), o)
}

// found yields all records of the archive.
func (a *archive) found() iter.Seq[found] {
	return func(yield func(found) bool) {
		for _, file := range recordFiles() {
			line := 0
			for r, err := range a.records(file) {
				line++
				if !yield(found{fmt.Sprintf("%s:%d", file.name, line), r, err}) {
					return
				}
			}
		}
	}
}
