package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) noteCommand() *cobra.Command {
	return group("note", "Gather memos in notes",
		`Gather memos on one subject in notes, in reading order. A note has a title and up
to 500 memos; the memos themselves stay as they are.`,
		a.noteCreateCommand(), a.noteSearchCommand(), a.noteShowCommand(), a.noteEditCommand(), a.noteRmCommand())
}

func (a *app) noteCreateCommand() *cobra.Command {
	var req memov1.CreateNoteRequest
	cmd := &cobra.Command{
		Use:   "create MEMO-ID…",
		Short: "Make a note of memos, in this order",
		Long: `Make a note of memos, in this order. A memo that does not exist is left out, and
paput says so and exits with 4. Prints the id of the note.`,
		Example: `  paput note create --title "How we log in" memo_01k8z6v2… memo_01k9…
  paput note create -t 運用手順 $(paput memo search --category 運用 | cut -f1)`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if strings.TrimSpace(req.Title) == "" {
				return usageOf(cmd, usagef("a note needs a title: give --title"))
			}
			req.MemoIds = ids
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.CreateNote(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if !a.json && res.GetNote() != nil {
				if _, err := fmt.Fprintln(a.Out, clean(res.GetNote().GetId())); err != nil {
					return err
				}
			}
			return printResults(a, res, res.GetResults(), nil)
		},
	}
	cmd.Flags().StringVarP(&req.Title, "title", "t", "", "the `TITLE`, on one line")
	return cmd
}

func (a *app) noteSearchCommand() *cobra.Command {
	var req memov1.SearchNotesRequest
	cmd := &cobra.Command{
		Use:   "search [WORDS…]",
		Short: "Find notes by words of their titles, or list them",
		Long: `Find notes whose titles have all the words, in any language, or list all notes
without words; the last made comes first.`,
		Example: `  paput note search
  paput note search ログイン
  paput note search --json | jq -r '.notes[].id'`,
		RunE: func(cmd *cobra.Command, words []string) error {
			if req.PageSize < 1 {
				return usagef("--limit counts from 1")
			}
			req.Query = strings.Join(words, " ")
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.SearchNotes(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			t := table{head: []string{"ID", "CHANGED", "MEMOS", "TITLE"}}
			for _, n := range res.GetNotes() {
				t.add(n.GetId(), a.date(n.GetUpdateTime()), fmt.Sprint(n.GetMemoCount()), n.GetTitle())
			}
			return a.printPage(t, "No note matches.", res.GetNextPageToken())
		},
	}
	pages(cmd, &req.PageSize, &req.PageToken, "notes")
	return cmd
}

func (a *app) noteShowCommand() *cobra.Command {
	var req memov1.GetNoteRequest
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "List the memos of a note, in order",
		Example: `  paput note show note_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput memo show $(paput note show note_01k8z6v2m3n4p5q6r7s8t9v0w1 | cut -f1)`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			if req.PageSize < 1 {
				return usagef("--limit counts from 1")
			}
			req.Id = arg[0]
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.GetNote(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			if a.Width > 0 && req.PageToken == "" {
				if _, err := fmt.Fprintf(a.Out, "%s\n\n", fit(clean(res.GetNote().GetTitle()), a.Width)); err != nil {
					return err
				}
			}
			t := table{head: []string{"ID", "TITLE"}, below: []string{}}
			for _, m := range res.GetMemos() {
				title := m.GetTitle()
				if m.GetDeleteTime() != nil {
					title = "(in the trash) " + title
				}
				t.add(m.GetId(), title)
				t.below = append(t.below, m.GetSummary())
			}
			return a.printPage(t, "The note has no memos.", res.GetNextPageToken())
		},
	}
	pages(cmd, &req.PageSize, &req.PageToken, "memos")
	return cmd
}

// pages adds the flags of a list that comes in pages.
func pages(cmd *cobra.Command, size *int32, token *string, what string) {
	cmd.Flags().Int32VarP(size, "limit", "n", 20, "show this `NUMBER` of "+what+" at most, 1 to 100")
	cmd.Flags().StringVar(token, "page", "", "the `TOKEN` of the next page, as the page before ended with")
}

// printPage prints one page of a list.
func (a *app) printPage(t table, none, next string) error {
	if len(t.rows) == 0 {
		a.note("%s", none)
		return nil
	}
	if err := t.write(a.Out, a.Width); err != nil {
		return err
	}
	if next != "" {
		a.note("There are more: add --page %s", clean(next))
	}
	return nil
}
