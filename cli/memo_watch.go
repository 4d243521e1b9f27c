package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// silence is how long a connection may be silent: the server says that it is alive every 30 seconds.
const silence = 75 * time.Second

// How long to wait before connecting again: twice as long each time.
const soonestWatch, latestWatch = 500 * time.Millisecond, 15 * time.Second

func (a *app) memoWatchCommand() *cobra.Command {
	var (
		req    memov1.WatchMemosRequest
		follow bool
	)
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print all memos and every change to them as it comes",
		Long: `Print all memos, the one that was changed last at the end, and then every change
as it comes, until Ctrl-C. Should the connection be lost, paput says so on
standard error and goes on where it was as soon as it is back.

With --json each change is one line: a "position", and either "memo", the memo as
it is, or "purged_id", the id of one that is gone for good. To go on later, give
the last position to --after: nothing is missed, and what changed several times
meanwhile comes once.`,
		Example: `  paput memo watch
  paput memo watch --new
  paput memo watch --json --follow=false > memos.jsonl
  paput memo watch --json --after "$(tail -1 memos.jsonl | jq -r .position)"`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.NewOnly && req.After != "" {
				return usagef("--new begins with the next change, and --after at a position: give one of them")
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			w := memoWatch{app: a, memos: memos, server: s.server, from: &req, follow: follow}
			err = w.run(cmd.Context())
			if follow && errors.Is(err, context.Canceled) {
				return nil // Ctrl-C is how one stops listening
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&req.After, "after", "", "go on after this `POSITION`, as --json prints it")
	fl.BoolVar(&req.NewOnly, "new", false, "leave out what there is already")
	fl.BoolVar(&follow, "follow", true, "wait for more; --follow=false exits at the end of what there is")
	return cmd
}

// memoWatch prints changes, over as many connections as it takes.
type memoWatch struct {
	*app
	memos  memov1connect.MemoServiceClient
	server string
	// from is where to begin, and after a message where to go on.
	from   *memov1.WatchMemosRequest
	follow bool
}

// errUnread says that nobody reads what is printed any more.
var errUnread = errors.New("nobody reads the changes")

func (w *memoWatch) run(ctx context.Context) error {
	wait, lost := soonestWatch, false
	for {
		heard, err := w.once(ctx, lost)
		switch {
		case errors.Is(err, errUnread):
			return nil
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case heard:
			wait, lost = soonestWatch, false
		}
		// A token that ends is replaced: only when the next is refused as well, the session is over.
		passing := connect.CodeOf(err) == connect.CodeUnauthenticated && heard
		if !passing && !errors.Is(fromRPC(w.server, err), errUnreachable) {
			return fromRPC(w.server, err)
		}
		if !passing {
			if !lost {
				w.note("paput: the connection to %s is lost; trying again until it is back", w.server)
			}
			lost = true
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(w.pace(wait)):
			}
			wait = min(2*wait, latestWatch)
		}
	}
}

// once prints what comes over one connection. Heard says whether anything came. It returns nil at the end of what there is,
// without follow.
func (w *memoWatch) once(ctx context.Context, lost bool) (heard bool, err error) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	dead := time.AfterFunc(silence, leave)
	defer dead.Stop()
	stream, err := w.memos.WatchMemos(ctx, w.from)
	if err != nil {
		return false, err
	}
	for {
		m, err := stream.Receive()
		if !dead.Reset(silence) || errors.Is(err, io.EOF) {
			err = connect.NewError(connect.CodeUnavailable, "the connection went dead")
		}
		if err != nil {
			return heard, err
		}
		if !heard && lost {
			w.note("paput: connected to %s again", w.server)
		}
		heard = true
		if m.GetChange() != nil {
			if err := w.print(m); err != nil {
				return heard, err
			}
		}
		w.from = &memov1.WatchMemosRequest{After: m.GetPosition()}
		switch {
		case m.GetChange() != nil:
		case !w.follow:
			return heard, nil
		case w.OutIsGone != nil && w.OutIsGone():
			return heard, errUnread
		}
	}
}

func (w *memoWatch) print(m *memov1.WatchMemosResponse) error {
	if w.json {
		return w.printProto(m)
	}
	memo, what := m.GetMemo(), "changed"
	switch {
	case memo == nil:
		memo, what = &memov1.Memo{Id: m.GetPurgedId()}, "gone for good"
	case memo.GetDeleteTime() != nil:
		what = "in the trash"
	case memo.GetRevision() == 1:
		what = "new"
	}
	cells := []string{memo.GetId(), w.moment(memo.GetUpdateTime()), what, memo.GetTitle()}
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	line := strings.Join(cells, "\t")
	if w.Width > 0 {
		line = fit(strings.TrimSpace(fmt.Sprintf("%s  %-16s  %-13s  %s", cells[0], cells[1], cells[2], cells[3])), w.Width)
	}
	_, err := fmt.Fprintln(w.Out, line)
	return err
}
