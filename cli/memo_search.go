package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) memoSearchCommand() *cobra.Command {
	var (
		req   memov1.SearchMemosRequest
		limit int32
		times [4]string
	)
	cmd := &cobra.Command{
		Use:   "search [WORDS…]",
		Short: "Find memos by words and filters",
		Long: `Find memos by words, in any language, and by filters: best match first, or newest
first without words. Prints a table on a terminal, and otherwise one line per
memo, with tabs between id, date, title and snippet.`,
		Example: `  paput memo search 認証 リフレッシュ
  paput memo search sqlite --type decision --since 2026-01-01
  paput memo search --category 運用 --limit 100
  paput memo search --json fsync | jq -r '.entries[].id'`,
		RunE: func(cmd *cobra.Command, words []string) error {
			names := []string{"since", "until", "changed-since", "changed-until"}
			fields := []**timestamppb.Timestamp{&req.CreatedAfter, &req.CreatedBefore, &req.UpdatedAfter, &req.UpdatedBefore}
			for i, name := range names {
				t, err := a.parseTime(name, times[i])
				if err != nil {
					return err
				}
				*fields[i] = t
			}
			if limit < 1 {
				return usagef("--limit counts from 1")
			}
			req.Query = strings.Join(words, " ")
			req.PageSize = limit
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.SearchMemos(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			return a.printEntries(res)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&req.MemoTypes, "type", nil, "only memos of this `TYPE`; repeated: of any of them")
	fl.StringArrayVarP(&req.Categories, "category", "c", nil, "only memos in this `CATEGORY`; repeated: in all of them")
	fl.StringArrayVarP(&req.Projects, "project", "p", nil, "only memos of this `PROJECT`; repeated: of any of them")
	fl.StringVar(&times[0], "since", "", "only memos written at or after this `TIME`, such as 2026-01-31")
	fl.StringVar(&times[1], "until", "", "only memos written before this `TIME`")
	fl.StringVar(&times[2], "changed-since", "", "only memos changed at or after this `TIME`")
	fl.StringVar(&times[3], "changed-until", "", "only memos changed before this `TIME`")
	fl.BoolVar(&req.IncludeDeleted, "deleted", false, "find memos in the trash as well")
	fl.Int32VarP(&limit, "limit", "n", 20, "show this `NUMBER` of memos at most, 1 to 100")
	fl.StringVar(&req.PageToken, "page", "", "the `TOKEN` of the next page, as the page before ended with")
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes) // fails only for a flag that does not exist
	return cmd
}

func (a *app) printEntries(res *memov1.SearchMemosResponse) error {
	t := table{head: []string{"ID", "DATE", "TITLE"}, below: []string{}}
	for _, e := range res.GetEntries() {
		title := e.GetTitle()
		if e.GetDeleteTime() != nil {
			title = "(in the trash) " + title
		}
		t.add(e.GetId(), a.date(e.GetCreateTime()), title)
		under := e.GetSnippet()
		if under == "" {
			under = e.GetSummary()
		}
		t.below = append(t.below, under)
	}
	if len(t.rows) == 0 {
		a.note("%s", strings.TrimSpace("No memo matches. "+clean(inFlags(res.GetHint()))))
		return nil
	}
	if err := t.write(a.Out, a.Width); err != nil {
		return err
	}
	if next := res.GetNextPageToken(); next != "" {
		a.note("There are more: add --page %s", clean(next))
	}
	return nil
}
