package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// spoolAge is how old what an interrupted export left may be for another to go on behind it: it shows the account as it was
// when the first began.
const spoolAge = 24 * time.Hour

// spool is a file of what an export has received, from which the archive is then made. It survives the end of the program, so
// that an export can go on.
type spool struct {
	file    *os.File
	w       *bufio.Writer
	begins  int64  // where the first record is
	cursor  string // of the last whole record
	records int64
}

// openSpool opens a file for an export from a server, and finds where it ended if one was interrupted there lately. It refuses
// a file that no export made.
func openSpool(path, server string, now time.Time) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // beside the file that the person names
	if err != nil {
		return nil, err
	}
	s := &spool{file: f, w: bufio.NewWriterSize(f, 256<<10)}
	if err := s.recover(server, now); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

const spoolMark = "paput export 1 from "

func (s *spool) recover(server string, now time.Time) error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	head := spoolMark + server + "\n"
	if info.Size() == 0 {
		return s.restart(head)
	}
	mark := make([]byte, len(head))
	n, err := io.ReadFull(s.file, mark)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", s.file.Name(), err)
	}
	if string(mark[:min(n, len(spoolMark))]) != spoolMark[:min(n, len(spoolMark))] {
		return problemf(errUsage, "%s is in the way: an export keeps there what it has received so far; move it away", s.file.Name())
	}
	if string(mark[:n]) != head || now.Sub(info.ModTime()) > spoolAge {
		return s.restart(head)
	}
	s.begins = int64(len(head))
	end := s.begins
	for item, err := range s.items() {
		if err != nil {
			break // the program was killed while it wrote this one
		}
		s.cursor, end = item.res.GetCursor(), item.end
		s.records++
	}
	return s.seek(end)
}

// restart makes the spool an empty one.
func (s *spool) restart(head string) error {
	s.begins, s.cursor, s.records = int64(len(head)), "", 0
	if err := s.seek(0); err != nil {
		return err
	}
	_, err := s.file.WriteString(head)
	return err
}

// forget makes the spool an empty one of the same server.
func (s *spool) forget() error {
	s.cursor, s.records = "", 0
	return s.seek(s.begins)
}

// seek cuts the file and goes on writing there.
func (s *spool) seek(end int64) error {
	s.w.Reset(s.file)
	if err := s.file.Truncate(end); err != nil {
		return err
	}
	_, err := s.file.Seek(end, io.SeekStart)
	return err
}

// add keeps a record. It is safe from the end of the program after flush.
func (s *spool) add(res *memov1.ExportAccountResponse) error {
	if _, err := protodelim.MarshalTo(s.w, res); err != nil {
		return err
	}
	s.cursor = res.GetCursor()
	s.records++
	return nil
}

// all yields what is kept.
func (s *spool) all() iter.Seq2[*memov1.ArchiveRecord, error] {
	return func(yield func(*memov1.ArchiveRecord, error) bool) {
		if err := s.w.Flush(); err != nil {
			yield(nil, err)
			return
		}
		for item, err := range s.items() {
			if !yield(item.res.GetRecord(), err) {
				return
			}
		}
	}
}

// spooled is a record in a spool and where it ends.
type spooled struct {
	res *memov1.ExportAccountResponse
	end int64
}

func (s *spool) items() iter.Seq2[spooled, error] {
	return func(yield func(spooled, error) bool) {
		in := &offsetReader{r: bufio.NewReaderSize(io.NewSectionReader(s.file, s.begins, 1<<62), 256<<10), n: s.begins}
		for {
			res := &memov1.ExportAccountResponse{}
			err := protodelim.UnmarshalOptions{MaxSize: maxLine}.UnmarshalFrom(in, res)
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if !yield(spooled{res, in.n}, err) || err != nil {
				return
			}
		}
	}
}

// offsetReader knows where it is.
type offsetReader struct {
	r *bufio.Reader
	n int64
}

func (o *offsetReader) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	o.n += int64(n)
	return n, err
}

func (o *offsetReader) ReadByte() (byte, error) {
	b, err := o.r.ReadByte()
	if err == nil {
		o.n++
	}
	return b, err
}

func (s *spool) close() error { return s.file.Close() }
