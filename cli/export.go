package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// stallTime is how long a stream may be silent before it is taken for dead.
const stallTime = time.Minute

func (a *app) exportCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "export FILE|-",
		Short: "Take out everything that the server keeps for you, in one file",
		Long: `Take out everything that the server keeps for you, in one ZIP file: memos with
their history, those in the trash too, notes, candidates, reviewed sessions and
the capture policy. The same account gives the same file. In it, every memo is
also a Markdown file that reads well by itself.

An export that was interrupted goes on where it was when the same command is run
again within a day; until then FILE.part has what came so far. Both files can be
read by you alone. "-" writes to standard output.

It takes the scope paput.account, which "paput login" asks for only when told
to, and whose box in the browser you tick yourself. "paput import" reads the
file.`,
		Example: `  paput login --scope paput.account
  paput export paput.zip
  paput export - | ssh backup 'cat > paput.zip'`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.export(cmd.Context(), args[0], force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite FILE if there is one")
	return cmd
}

func (a *app) export(ctx context.Context, path string, force bool) error {
	if _, err := os.Lstat(path); path != "-" && !force && !errors.Is(err, os.ErrNotExist) {
		if err != nil {
			return err
		}
		return usagef("%s exists already; choose another name, or overwrite it with --force", path)
	}
	memos, session, err := a.memos()
	if err != nil {
		return err
	}
	s, err := a.exportSpool(path, session.server)
	if err != nil {
		return err
	}
	kept := true
	defer func() {
		_ = s.close()
		if !kept || s.records == 0 || path == "-" {
			_ = os.Remove(s.file.Name())
		}
	}()
	if s.records > 0 {
		a.note("Going on behind the %s of the export that was interrupted.", counted(s.records, "record", "records"))
	}
	if err := a.receive(ctx, memos, session.server, s); err != nil {
		return err
	}
	if path == "-" {
		_, err = writeArchive(a.Out, s.all())
		return err
	}
	if err := a.exportFile(path, s); err != nil {
		return err
	}
	kept = false
	return nil
}

// exportSpool opens the file beside path that keeps what comes, or one that is gone afterwards when the archive goes to
// standard output.
func (a *app) exportSpool(path, server string) (*spool, error) {
	if path != "-" {
		return openSpool(path+".part", server, a.Now())
	}
	f, err := os.CreateTemp("", "paput-export-*") // CreateTemp makes it 0600
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return openSpool(f.Name(), server, a.Now())
}

// receive keeps what the server gives, and asks for the rest whenever the line is cut.
func (a *app) receive(ctx context.Context, memos memov1connect.MemoServiceClient, server string, s *spool) error {
	bar := a.progress("received")
	defer bar.done()
	resumed := s.records > 0
	err := a.persist(ctx, server, func(ctx context.Context) (bool, error) {
		before := s.records
		err := receiveOnce(ctx, memos, s, bar)
		if resumed && s.records == before && connect.CodeOf(err) == connect.CodeInvalidArgument {
			// It is of another account, or of a server that was set up anew.
			resumed = false
			a.note("paput: what was there cannot be gone on from; beginning again")
			if err := s.forget(); err != nil {
				return false, err
			}
			err = receiveOnce(ctx, memos, s, bar)
		}
		return s.records > before, err
	})
	if flushed := s.w.Flush(); err == nil && flushed != nil {
		return flushed
	}
	return fromRPC(server, err)
}

// receiveOnce keeps what one stream gives.
func receiveOnce(ctx context.Context, memos memov1connect.MemoServiceClient, s *spool, bar *progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(stallTime, cancel)
	defer stalled.Stop()
	stream, err := memos.ExportAccount(ctx, &memov1.ExportAccountRequest{Cursor: s.cursor})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		stalled.Reset(stallTime)
		if err := s.add(res); err != nil {
			return fmt.Errorf("keep what was received: %w", err)
		}
		bar.show(s.records)
	}
}

// exportFile makes the archive beside path and puts it there when it is whole and safe from a power cut.
func (a *app) exportFile(path string, s *spool) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".paput-export-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	m, err := writeArchive(f, s.all())
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the write has failed already, and that is what the person hears
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			File     string         `json:"file"`
			Files    []manifestFile `json:"files"`
			Markdown int64          `json:"markdown_files"`
		}{path, m.Files, m.Markdown.Files})
	}
	_, err = fmt.Fprintf(a.Out, "%s has %s, and %s as Markdown.\n", path, m.summary(), counted(m.Markdown.Files, "memo", "memos"))
	return err
}

// summary counts the records for a person.
func (m manifest) summary() string {
	var all []string
	for i, name := range [][2]string{
		{"revision of a memo", "revisions of memos"}, {"note", "notes"}, {"candidate", "candidates"}, {"reviewed session", "reviewed sessions"}, {"policy", "policies"},
	} {
		all = append(all, counted(m.Files[i].Records, name[0], name[1]))
	}
	return strings.Join(all, ", ")
}
