package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) memoAddCommand() *cobra.Command {
	var f memoFields
	var created string
	cmd := &cobra.Command{
		Use:   "add [TEXT|-]",
		Short: "Write a memo",
		Long: `Write a memo. The text is Markdown, given as an argument, with --file, or on
standard input with "-". With neither text nor title your editor opens ($VISUAL
or $EDITOR).

A text that begins with front matter, as the editor shows it, or with a
"# heading" needs no --title. Prints the id of the memo.`,
		Example: `  paput memo add --title "Why we chose SQLite" "One file, one writer, one fsync."
  paput memo add -t 障害対応の手順 --type operation -c 運用 --file runbook.md
  git log -1 --format=%B | paput memo add --title "Release notes" -
  paput memo add`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			at, err := a.parseTime("created", created)
			if err != nil {
				return err
			}
			text, isGiven, err := a.text(f.file, arg)
			if err != nil {
				return err
			}
			draft := &memov1.MemoDraft{
				Title: f.title, Body: text, Summary: f.summary, CreateTime: at,
				MemoTypes: given(f.types), Categories: given(f.categories), Projects: given(f.projects),
			}
			switch {
			case f.title == "" && isGiven:
				if err := a.completeDraft(draft); err != nil {
					return err
				}
			case f.title == "" && a.Interactive:
				return a.addInEditor(cmd.Context(), draft)
			case f.title == "":
				return usageOf(cmd, usagef("a memo needs a title: give --title"))
			}
			return a.add(cmd.Context(), draft)
		},
	}
	f.flags(cmd, "")
	cmd.Flags().StringVar(&created, "created", "", "when the work happened, if not now: a `TIME` such as 2026-01-31")
	return cmd
}

// completeDraft takes what the command line does not say from the front matter or the first heading of the text.
func (a *app) completeDraft(d *memov1.MemoDraft) error {
	doc, err := parseDocument(d.GetBody())
	if err != nil {
		return err
	}
	if doc.created != "" && d.GetCreateTime() == nil {
		at, ok := a.readTime(doc.created)
		if !ok {
			return usagef("created: %q is not a time; write 2026-01-31", doc.created)
		}
		d.CreateTime = timestamppb.New(at)
	}
	if doc.title == "" {
		doc.title, doc.body = firstHeading(doc.body)
	}
	if doc.title == "" {
		return usagef("a memo needs a title: give --title, or begin the text with a \"# heading\"")
	}
	d.Title, d.Body = doc.title, doc.body
	if d.GetSummary() == "" {
		d.Summary = doc.summary
	}
	for _, list := range []struct {
		have *[]string
		more []string
	}{{&d.MemoTypes, doc.types}, {&d.Categories, doc.categories}, {&d.Projects, doc.projects}} {
		if len(*list.have) == 0 {
			*list.have = list.more
		}
	}
	return nil
}

func (a *app) add(ctx context.Context, draft *memov1.MemoDraft) error {
	memos, s, err := a.memos()
	if err != nil {
		return err
	}
	res, err := memos.CreateMemos(ctx, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draft}})
	if err != nil {
		return fromRPC(s.server, err)
	}
	if len(res.GetResults()) != 1 {
		return fmt.Errorf("%s answered with %s for one memo", s.server, counted(len(res.GetResults()), "result", "results"))
	}
	result := res.GetResults()[0]
	if e := result.GetError(); e != nil {
		return fromItem(e.GetCode(), e.GetMessage())
	}
	if a.json {
		return a.printProto(res)
	}
	_, err = fmt.Fprintln(a.Out, clean(result.GetMemo().GetId()))
	return err
}

// addInEditor lets the person write the memo in the editor. The text stays in its file until the server has it.
func (a *app) addInEditor(ctx context.Context, draft *memov1.MemoDraft) error {
	start := document{
		summary: draft.GetSummary(), types: draft.GetMemoTypes(),
		categories: draft.GetCategories(), projects: draft.GetProjects(),
	}
	return a.editDocument(ctx, "new-memo", start.String(), func(doc document) error {
		return a.add(ctx, &memov1.MemoDraft{
			Title: doc.title, Body: doc.body, Summary: doc.summary, CreateTime: draft.GetCreateTime(),
			MemoTypes: doc.types, Categories: doc.categories, Projects: doc.projects,
		})
	})
}
