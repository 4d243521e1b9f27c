package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) memoHistoryCommand() *cobra.Command {
	var req memov1.ListMemoRevisionsRequest
	cmd := &cobra.Command{
		Use:   "history ID",
		Short: "List the revisions of a memo, or print one",
		Example: `  paput memo history memo_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput memo history memo_01k8z6v2m3n4p5q6r7s8t9v0w1 --revision 2`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			if cmd.Flags().Changed("revision") && req.Revision < 1 {
				return usagef("--revision counts from 1")
			}
			if req.PageSize < 1 {
				return usagef("--limit counts from 1")
			}
			req.Id = arg[0]
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.ListMemoRevisions(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			switch {
			case a.json:
				return a.printProto(res)
			case req.Revision == 0:
				return a.printRevisions(res)
			case len(res.GetRevisions()) == 0:
				return problemf(errNotFound, "%s has no revision %d", req.Id, req.Revision)
			}
			return a.printMemos([]*memov1.Memo{res.GetRevisions()[0].GetMemo()})
		},
	}
	fl := cmd.Flags()
	fl.Int32Var(&req.Revision, "revision", 0, "print this revision whole: a `NUMBER` from 1")
	fl.Int32VarP(&req.PageSize, "limit", "n", 20, "show this `NUMBER` of revisions at most, 1 to 100")
	fl.StringVar(&req.PageToken, "page", "", "the `TOKEN` of the next page, as the page before ended with")
	return cmd
}

func (a *app) printRevisions(res *memov1.ListMemoRevisionsResponse) error {
	t := table{head: []string{"REVISION", "TIME", "ACTION", "BY", "CHANGED"}}
	for _, r := range res.GetRevisions() {
		t.add(fmt.Sprint(r.GetRevision()), a.moment(r.GetTime()), r.GetAction(), fit(clean(cmp.Or(r.GetClientName(), r.GetClientId())), 32),
			strings.Join(r.GetChangedFields(), ", "))
	}
	if err := t.write(a.Out, a.Width); err != nil {
		return err
	}
	if next := res.GetNextPageToken(); next != "" {
		a.note("There are more: add --page %s", clean(next))
	}
	return nil
}
