package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

func (a *app) memoRmCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm ID…",
		Short: "Move memos to the trash",
		Long: `Move memos to the trash, from where "paput memo restore" brings them back
for 30 days. On a terminal paput shows the titles and asks first.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if a.Interactive && !yes && !a.json {
				agreed, err := a.confirmRemoval(cmd.Context(), ids)
				if err != nil || !agreed {
					return err
				}
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.DeleteMemos(cmd.Context(), &memov1.DeleteMemosRequest{Ids: ids})
			if err != nil {
				return fromRPC(s.server, err)
			}
			return printResults(a, res, res.GetResults(), done("moved to the trash"))
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) memoRestoreCommand() *cobra.Command {
	var revision int32
	cmd := &cobra.Command{
		Use:   "restore ID…",
		Short: "Bring memos back from the trash, or one as it was earlier",
		Example: `  paput memo search --deleted
  paput memo restore memo_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput memo history memo_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput memo restore memo_01k8z6v2m3n4p5q6r7s8t9v0w1 --revision 2`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if cmd.Flags().Changed("revision") && (revision < 1 || len(ids) > 1) {
				return usagef("--revision counts from 1, and is of one memo")
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			if revision > 0 {
				res, err := memos.UpdateMemo(cmd.Context(), &memov1.UpdateMemoRequest{Id: ids[0], FromRevision: revision})
				if err != nil {
					return fromRPC(s.server, err)
				}
				if a.json {
					return a.printProto(res)
				}
				_, err = fmt.Fprintf(a.Out, "%s is as it was at revision %d\n", clean(res.GetMemo().GetId()), revision)
				return err
			}
			res, err := memos.RestoreMemos(cmd.Context(), &memov1.RestoreMemosRequest{Ids: ids})
			if err != nil {
				return fromRPC(s.server, err)
			}
			return printResults(a, res, res.GetResults(), done("restored"))
		},
	}
	cmd.Flags().Int32Var(&revision, "revision", 0, "bring one memo back as it was at this revision: a `NUMBER` from 1")
	return cmd
}

// confirmRemoval shows what would go and asks whether it may.
func (a *app) confirmRemoval(ctx context.Context, ids []string) (bool, error) {
	memos, s, err := a.memos()
	if err != nil {
		return false, err
	}
	res, err := memos.SearchMemos(ctx, &memov1.SearchMemosRequest{Ids: ids})
	if err != nil {
		return false, fromRPC(s.server, err)
	}
	if len(res.GetMemos()) == 0 {
		return false, missing(res.GetMissingIds())
	}
	for _, m := range res.GetMemos() {
		a.note("%s  %s", clean(m.GetId()), fit(clean(m.GetTitle()), max(a.Width, 80)-34))
	}
	return a.ask(ctx, "Move to the trash?")
}

// ask asks the person a question that only y answers with yes.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	answer, err := a.line(ctx, question+" [y/N] ")
	switch {
	case err != nil:
		return false, err
	case strings.EqualFold(answer, "y"), strings.EqualFold(answer, "yes"):
		return true, nil
	}
	a.note("Nothing was removed.")
	return false, nil
}

// line is the line that the person types after a prompt, trimmed; empty when there is none.
func (a *app) line(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(a.Err, prompt)
	answer := make(chan string, 1)
	go func() { // a read from a terminal cannot be cancelled
		line, _ := bufio.NewReader(a.In).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line := <-answer:
		return line, nil
	}
}

// itemResult tells what became of one id.
type itemResult interface {
	GetId() string
	GetError() *toolv1.ItemError
}

// done is the line of an id with which it was done.
func done(what string) func(*memov1.MemoResult) string {
	return func(r *memov1.MemoResult) string { return r.GetId() + " " + what }
}

// printResults prints a line for each id that was not refused, unless line is nil, and fails with the first that was.
func printResults[R itemResult](a *app, res proto.Message, results []R, line func(R) string) error {
	if a.json {
		if err := a.printProto(res); err != nil {
			return err
		}
	}
	var first error
	for _, r := range results {
		if e := r.GetError(); e != nil {
			text := clean(e.GetMessage())
			if id := clean(r.GetId()); !strings.Contains(text, id) {
				text = id + ": " + text
			}
			err := fromItem(e.GetCode(), text)
			if first == nil {
				first = err
			} else if !a.json {
				a.note("paput: %s", err)
			}
			continue
		}
		if a.json || line == nil {
			continue
		}
		if _, err := fmt.Fprintln(a.Out, clean(line(r))); err != nil {
			return err
		}
	}
	return first
}
