package cli

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestArchivesTakeLittleMemory writes and reads an archive of 16 MiB. It is not parallel, for it looks at what is alive.
func TestArchivesTakeLittleMemory(t *testing.T) {
	const memos, size, most = 800, 20 << 10, 6 << 20
	alive := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := alive()
	look := func(n int) {
		if n%200 != 199 {
			return
		}
		if now := alive(); now > before+most {
			t.Errorf("at record %d: %d MiB are alive more than before, at most %d", n, (now-before)>>20, most>>20)
		}
	}
	var records iter.Seq2[*memov1.ArchiveRecord, error] = func(yield func(*memov1.ArchiveRecord, error) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		at := timestamppb.New(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC))
		for n := range memos {
			body := make([]byte, size)
			for i := range body {
				body[i] = 'a' + byte(random.IntN(26))
			}
			look(n)
			if !yield(&memov1.ArchiveRecord{Record: &memov1.ArchiveRecord_Memo{Memo: &memov1.ArchivedMemo{
				Id: fmt.Sprintf("memo_%026d", n), Revision: 1, Action: "created", Time: at, CreateTime: at, ClientId: "c", Title: fmt.Sprint("Memo ", n), Body: string(body),
			}}}, nil) {
				return
			}
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := writeArchive(f, records); err != nil {
		t.Fatal(err)
	}
	a, err := openArchive(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.verify(func(n int64) error { look(int(n)); return nil }); err != nil {
		t.Fatal(err)
	}
	n := 0
	for f := range a.found() {
		if f.err != nil {
			t.Fatal(f.err)
		}
		look(n)
		n++
	}
	if n != memos {
		t.Errorf("got %d records, want %d", n, memos)
	}
}
