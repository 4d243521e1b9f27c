package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) noteEditCommand() *cobra.Command {
	var req memov1.UpdateNoteRequest
	cmd := &cobra.Command{
		Use:   "edit ID [MEMO-ID…]",
		Short: "Change a note's title, its memos or their order",
		Long: `Change a note. With ids of memos the note has those, in that order, and no
others; --add puts memos at the end and --remove takes memos out. What is not
named stays as it is. A memo that does not exist is left out, and paput says so
and exits with 4.`,
		Example: `  paput note edit note_01k8z6v2m3n4p5q6r7s8t9v0w1 --title "Logging in"
  paput note edit note_01k8z6v2m3n4p5q6r7s8t9v0w1 --add memo_01k9…
  paput note edit note_01k8z6v2m3n4p5q6r7s8t9v0w1 memo_02… memo_01… memo_03…`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			req.Id, req.MemoIds = arg[0], arg[1:]
			req.AddMemoIds, req.RemoveMemoIds = given(req.AddMemoIds), given(req.RemoveMemoIds)
			fields := map[string]string{"title": "title", "add": "add_memo_ids", "remove": "remove_memo_ids"}
			req.UpdateMask = &fieldmaskpb.FieldMask{}
			for _, flag := range changed(cmd) {
				if field := fields[flag]; field != "" {
					req.UpdateMask.Paths = append(req.UpdateMask.Paths, field)
				}
			}
			if len(req.MemoIds) > 0 {
				req.UpdateMask.Paths = append(req.UpdateMask.Paths, "memo_ids")
			}
			switch {
			case len(req.UpdateMask.Paths) == 0:
				return usageOf(cmd, usagef("say what to change, with a flag or the ids of the memos"))
			case len(req.MemoIds) > 0 && len(req.AddMemoIds)+len(req.RemoveMemoIds) > 0:
				return usageOf(cmd, usagef("give all memos of the note, or --add and --remove, not both"))
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.UpdateNote(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if !a.json {
				if _, err := fmt.Fprintf(a.Out, "%s has %s and is at revision %d\n", clean(res.GetNote().GetId()), counted(res.GetNote().GetMemoCount(), "memo", "memos"), res.GetNote().GetRevision()); err != nil {
					return err
				}
			}
			return printResults(a, res, res.GetResults(), nil)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&req.Title, "title", "t", "", "the new `TITLE`, on one line")
	fl.StringArrayVar(&req.AddMemoIds, "add", nil, "put this `MEMO-ID` at the end; can be repeated")
	fl.StringArrayVar(&req.RemoveMemoIds, "remove", nil, "take this `MEMO-ID` out; can be repeated")
	fl.StringVar(&req.Etag, "etag", "", "the `ETAG` last seen: refuse when the note has changed since")
	return cmd
}

func (a *app) noteRmCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm ID",
		Short: "Delete a note for good; its memos stay",
		Long: `Delete a note for good. Its memos stay. On a terminal paput shows the title and
asks first.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			if a.Interactive && !yes && !a.json {
				res, err := memos.GetNote(cmd.Context(), &memov1.GetNoteRequest{Id: arg[0], PageSize: 1})
				if err != nil {
					return fromRPC(s.server, err)
				}
				a.note("%s  %s, of %s", clean(arg[0]), fit(clean(res.GetNote().GetTitle()), max(a.Width, 80)-50), counted(res.GetNote().GetMemoCount(), "memo", "memos"))
				agreed, err := a.ask(cmd.Context(), "Delete the note for good?")
				if err != nil || !agreed {
					return err
				}
			}
			res, err := memos.DeleteNote(cmd.Context(), &memov1.DeleteNoteRequest{Id: arg[0]})
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			_, err = fmt.Fprintln(a.Out, clean(arg[0])+" deleted; its memos stay")
			return err
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
