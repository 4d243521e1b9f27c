package memo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
)

// watching opens a stream of a person's that ends with the test, or before.
func (w *world) watching(tb testing.TB, person string, req *memov1.WatchMemosRequest) (_ memov1connect.MemoServiceWatchMemosClientStream, leave func()) {
	tb.Helper()
	ctx, leave := context.WithTimeout(as(tb, person), time.Minute)
	tb.Cleanup(leave)
	stream, err := w.WatchMemos(ctx, req)
	if err != nil {
		tb.Fatal(err)
	}
	return stream, leave
}

// changesUntilNone receives until there is nothing new at present, and gives the changes in words.
func changesUntilNone(tb testing.TB, stream memov1connect.MemoServiceWatchMemosClientStream) (changes []string, position string) {
	tb.Helper()
	for {
		m, err := stream.Receive()
		if err != nil {
			tb.Fatal(err)
		}
		position = m.GetPosition()
		switch {
		case m.GetChange() == nil:
			return changes, position
		case m.GetMemo() == nil:
			changes = append(changes, m.GetPurgedId()+" purged")
		case m.GetMemo().GetDeleteTime() != nil:
			changes = append(changes, m.GetMemo().GetId()+" in the trash")
		default:
			changes = append(changes, m.GetMemo().GetId()+" "+m.GetMemo().GetTitle())
		}
	}
}

// told gives the changes after a position, and the position after them.
func (w *world) told(tb testing.TB, person, after string) (changes []string, position string) {
	tb.Helper()
	stream, leave := w.watching(tb, person, &memov1.WatchMemosRequest{After: after})
	defer leave()
	return changesUntilNone(tb, stream)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got, at := w.told(t, "alice", ""); got != nil || at != "0" {
		t.Errorf("without a memo: got %q at %s", got, at)
	}
	ids := w.create(t, "alice", draftOf("a", ""), draftOf("b", ""), draftOf("c", ""))
	w.create(t, "bob", draftOf("bob's", ""))
	all, at := w.told(t, "alice", "")
	if want := []string{ids[0] + " a", ids[1] + " b", ids[2] + " c"}; !slices.Equal(all, want) {
		t.Errorf("everything: got %q, want %q", all, want)
	}
	if got, same := w.told(t, "alice", at); got != nil || same != at {
		t.Errorf("nothing new: got %q at %s, want %s", got, same, at)
	}

	if _, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[0], Title: "A"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UpdateMemo(as(t, "alice"), &memov1.UpdateMemoRequest{Id: ids[0], Title: "AA"}); err != nil {
		t.Fatal(err)
	}
	w.trash(t, ids[1])
	changes, at := w.told(t, "alice", at)
	if want := []string{ids[0] + " AA", ids[1] + " in the trash"}; !slices.Equal(changes, want) {
		t.Errorf("each once, as it is: got %q, want %q", changes, want)
	}
	w.purgeAfter(t, trashTime)
	changes, _ = w.told(t, "alice", at)
	if want := []string{ids[1] + " purged"}; !slices.Equal(changes, want) {
		t.Errorf("purged: got %q, want %q", changes, want)
	}
	all, _ = w.told(t, "alice", "")
	if want := []string{ids[2] + " c", ids[0] + " AA", ids[1] + " purged"}; !slices.Equal(all, want) {
		t.Errorf("everything again: got %q, want %q", all, want)
	}
}

// TestWatchLive waits for changes instead of asking for them.
func TestWatchLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.heartbeat = time.Hour
	go w.service.keepFollowing(t.Context())
	w.create(t, "alice", draftOf("old", ""))
	stream, _ := w.watching(t, "alice", &memov1.WatchMemosRequest{NewOnly: true})
	if got, _ := changesUntilNone(t, stream); got != nil {
		t.Errorf("new only: got %q", got)
	}
	w.create(t, "bob", draftOf("bob's", ""))
	w.create(t, "alice", draftOf("new", ""))
	m, err := stream.Receive()
	if err != nil || m.GetMemo().GetTitle() != "new" {
		t.Fatalf("got %v, %v, want the new memo", m, err)
	}
	if got, _ := w.told(t, "alice", m.GetPosition()); got != nil {
		t.Errorf("after it: got %q, want nothing", got)
	}
}

func TestWatchSaysThatItIsAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.heartbeat = time.Millisecond
	w.create(t, "alice", draftOf("a", ""))
	stream, _ := w.watching(t, "alice", &memov1.WatchMemosRequest{NewOnly: true})
	_, first := changesUntilNone(t, stream)
	for range 3 {
		if got, at := changesUntilNone(t, stream); got != nil || at != first {
			t.Errorf("got %q at %s, want nothing at %s", got, at, first)
		}
	}
}

func TestWatchRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, "alice", draftOf("a", ""))
	_, at := w.told(t, "alice", "")
	w.create(t, "alice", draftOf("b", ""))
	place, err := parseBookmark(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		req  *memov1.WatchMemosRequest
		code connect.Code
		text string
	}{
		{"a position to come", &memov1.WatchMemosRequest{After: fmt.Sprintf("%d-%s", place.position+100, place.mark)}, connect.CodeOutOfRange, "begin again without a position"},
		{"a position of another history", &memov1.WatchMemosRequest{After: fmt.Sprintf("%d-%s", place.position+1, place.mark)}, connect.CodeOutOfRange, "begin again without a position"},
		{"no mark", &memov1.WatchMemosRequest{After: fmt.Sprint(place.position)}, connect.CodeInvalidArgument, "not a position that was given out"},
		{"a word", &memov1.WatchMemosRequest{After: "x"}, connect.CodeInvalidArgument, "not a position that was given out"},
		{"a sign", &memov1.WatchMemosRequest{After: "+" + at}, connect.CodeInvalidArgument, "not a position that was given out"},
		{"negative", &memov1.WatchMemosRequest{After: "-" + at}, connect.CodeInvalidArgument, "not a position that was given out"},
		{"too long", &memov1.WatchMemosRequest{After: strings.Repeat("1", 101)}, connect.CodeInvalidArgument, "after is 101 characters, at most 100"},
		{"two beginnings", &memov1.WatchMemosRequest{After: at, NewOnly: true}, connect.CodeInvalidArgument, "new_only"},
	} {
		stream, _ := w.watching(t, "alice", tt.req)
		_, err := stream.Receive()
		t.Run(tt.name, func(t *testing.T) { wantCode(t, err, tt.code, tt.text) })
	}
}

// TestWatchAfterARestore goes on with a position from before the server was restored from a backup and has taken other memos.
func TestWatchAfterARestore(t *testing.T) {
	t.Parallel()
	var positions [2]string
	for i, title := range []string{"lost", "written afterwards"} {
		w := newWorld(t)
		w.create(t, "alice", draftOf("in the backup", ""))
		_, backedUp := w.told(t, "alice", "")
		w.clock.advance(time.Duration(i) * time.Hour)
		w.create(t, "alice", draftOf(title, ""))
		_, positions[i] = w.told(t, "alice", "")
		if i == 0 {
			continue
		}
		if got, _ := w.told(t, "alice", backedUp); len(got) != 1 {
			t.Errorf("a position that the backup has: got %q", got)
		}
		stream, _ := w.watching(t, "alice", &memov1.WatchMemosRequest{After: positions[0]})
		_, err := stream.Receive()
		wantCode(t, err, connect.CodeOutOfRange, "restored from a backup")
	}
}

func TestWatchersAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var leaveFirst func()
	for n := range maxWatchers {
		stream, leave := w.watching(t, "alice", &memov1.WatchMemosRequest{})
		changesUntilNone(t, stream)
		if n == 0 {
			leaveFirst = leave
		}
	}
	stream, _ := w.watching(t, "alice", &memov1.WatchMemosRequest{})
	_, err := stream.Receive()
	wantCode(t, err, connect.CodeResourceExhausted, "32 streams of this account are open")
	w.told(t, "bob", "")
	leaveFirst()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stream, leave := w.watching(t, "alice", &memov1.WatchMemosRequest{})
		if _, err := stream.Receive(); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("after one has left: %v", err)
		}
		leave()
	}
}

// TestChangesAreReadInParts holds what is in memory of large memos to a part of them.
func TestChangesAreReadInParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := strings.Repeat("x", 100<<10)
	w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("a", body)}, 10)...)
	got, err := w.service.changesAfter(t.Context(), "alice", 0)
	if err != nil || len(got) != 3 {
		t.Errorf("got %d memos of 100 kB, %v, want 3", len(got), err)
	}
	if all, _ := w.told(t, "alice", ""); len(all) != 10 {
		t.Errorf("got %d memos, want 10", len(all))
	}
}

// TestWatchSurvivesARestart keeps the log and makes everything else anew.
func TestWatchSurvivesARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("a", ""))
	_, at := w.told(t, "alice", "")
	w.serve(func(prefix string) string { return prefix + "_of_another_run" })
	if err := w.log.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.told(t, "alice", at); got != nil {
		t.Errorf("got %q, want nothing new", got)
	}
	w.trash(t, ids...)
	if got, _ := w.told(t, "alice", at); !slices.Equal(got, []string{ids[0] + " in the trash"}) {
		t.Errorf("got %q, want the deletion", got)
	}
}

// cpuTime is what this process has used so far.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkIdleWatchers writes in one account while a thousand others are watched.
func BenchmarkIdleWatchers(b *testing.B) {
	for _, idle := range []int{0, 1000} {
		b.Run(fmt.Sprint(idle), func(b *testing.B) {
			w := &world{clock: newClock()}
			w.log = eventlogtest.Open(b, eventlog.Config{Kinds: Kinds(), Projections: Projections(), Caches: Caches(), Now: w.clock.now})
			w.serve(newIDs())
			go w.service.keepFollowing(b.Context())
			for n := range idle {
				stream, _ := w.watching(b, fmt.Sprintf("idle%d", n), &memov1.WatchMemosRequest{})
				changesUntilNone(b, stream)
			}
			draft := []*memov1.MemoDraft{draftOf("a", strings.Repeat("認証とトークン ", 60))}
			before := cpuTime(b)
			for b.Loop() {
				w.create(b, "alice", draft...)
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}
