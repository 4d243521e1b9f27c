package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) captureCommand() *cobra.Command {
	return group("capture", "Review what assistants propose to keep",
		`Review what assistants propose to keep. A proposal is a memo that waits: approve
it and it is one, discard it and the same is not proposed again. The policy tells
assistants what you want kept and what not.`,
		a.captureListCommand(), a.captureShowCommand(), a.captureAddCommand(), a.captureApproveCommand(),
		a.captureDiscardCommand(), a.capturePolicyCommand(), a.captureApprovalCommand(), a.captureSessionsCommand())
}

// sources are what the server knows as such.
func sources() []string { return []string{"claude", "codex", "claude-ai", "chatgpt", "other"} }

func sourceFlag(cmd *cobra.Command, source *string, value, usage string) {
	cmd.Flags().StringVar(source, "source", value, usage+" `SOURCE`: "+strings.Join(sources(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("source", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { // as in completeTypes
		return sources(), cobra.ShellCompDirectiveNoFileComp
	})
}

func (a *app) captureListCommand() *cobra.Command {
	var req memov1.ListCandidatesRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List proposals that wait, or those decided on",
		Example: `  paput capture list
  paput capture list --status discarded --limit 100
  paput capture list --json | jq -r '.candidates[].id'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.PageSize < 1 {
				return usagef("--limit counts from 1")
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.ListCandidates(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			t := table{head: []string{"ID", "ADDED", "SOURCE", "TITLE"}, below: []string{}}
			for _, c := range res.GetCandidates() {
				t.add(c.GetId(), a.date(c.GetAddTime()), c.GetSource(), c.GetTitle())
				under := c.GetSummary()
				switch {
				case c.GetDiscardReason() != "":
					under = "discarded: " + c.GetDiscardReason()
				case c.GetSavedMemoId() != "":
					under = "saved as " + c.GetSavedMemoId()
				case under == "" && len(c.GetSimilarMemos()) > 0:
					under = "like " + c.GetSimilarMemos()[0].GetId() + " " + c.GetSimilarMemos()[0].GetTitle()
				}
				t.below = append(t.below, under)
			}
			return a.printPage(t, "No proposal.", res.GetNextPageToken())
		},
	}
	cmd.Flags().StringVar(&req.Status, "status", "pending", "those of this `STATUS`: pending, saved or discarded")
	sourceFlag(cmd, &req.Source, "", "only those of this")
	pages(cmd, &req.PageSize, &req.PageToken, "proposals")
	return cmd
}

func (a *app) captureShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID…",
		Short:   "Print proposals as Markdown",
		Example: `  paput capture show cand_01k8z6v2m3n4p5q6r7s8t9v0w1`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.ListCandidates(cmd.Context(), &memov1.ListCandidatesRequest{Ids: ids})
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				err = a.printProto(res)
			} else {
				var texts []string
				for _, c := range res.GetCandidates() {
					texts = append(texts, a.candidateMarkdown(c))
				}
				_, err = io.WriteString(a.Out, strings.Join(texts, "\n---\n\n"))
			}
			if err != nil {
				return err
			}
			if ids := res.GetMissingIds(); len(ids) > 0 {
				return problemf(errNotFound, "there is no proposal %s; find ids with: paput capture list", strings.Join(ids, ", "))
			}
			return nil
		},
	}
}

// candidateMarkdown is a proposal as the memo that it may become, with what speaks for and against it.
func (a *app) candidateMarkdown(c *memov1.Candidate) string {
	about := []string{"`" + clean(c.GetId()) + "`", clean(c.GetStatus()), "from " + clean(c.GetSource()), a.moment(c.GetAddTime())}
	for _, list := range [][]string{c.GetMemoTypes(), c.GetCategories(), c.GetProjects()} {
		if len(list) > 0 {
			about = append(about, clean(strings.Join(list, ", ")))
		}
	}
	if c.Confidence != nil {
		about = append(about, fmt.Sprintf("confidence %.2g", c.GetConfidence()))
	}
	if c.GetSavedMemoId() != "" {
		about = append(about, "saved as "+clean(c.GetSavedMemoId()))
	}
	if c.GetDiscardReason() != "" {
		about = append(about, "discarded: "+clean(c.GetDiscardReason()))
	}
	text := "# " + clean(c.GetTitle()) + "\n\n" + strings.Join(about, " · ") + "\n"
	for _, m := range c.GetSimilarMemos() {
		text += fmt.Sprintf("\nNearly the same, %.0f %%: `%s` %s\n", 100*m.GetScore(), clean(m.GetId()), clean(m.GetTitle()))
	}
	if s := clean(c.GetSummary()); s != "" {
		text += "\n> " + s + "\n"
	}
	if body := strings.TrimSpace(cleanText(c.GetBody())); body != "" {
		text += "\n" + body + "\n"
	}
	return text
}

func (a *app) captureAddCommand() *cobra.Command {
	var (
		f               memoFields
		source, session string
	)
	cmd := &cobra.Command{
		Use:   "add [TEXT|-]",
		Short: "Propose a memo",
		Long: `Propose a memo, as "paput memo add" writes one, for you to approve later. What a
proposal or a memo says already is refused. Prints the id of the proposal.`,
		Example: `  paput capture add --title "Retries need jitter" "Or they come all at once."
  paput capture add --source codex --session 4f1c9 --file proposal.md`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			text, isGiven, err := a.text(f.file, arg)
			if err != nil {
				return err
			}
			draft := &memov1.MemoDraft{
				Title: f.title, Body: text, Summary: f.summary,
				MemoTypes: given(f.types), Categories: given(f.categories), Projects: given(f.projects),
			}
			switch {
			case f.title == "" && isGiven:
				if err := a.completeDraft(draft); err != nil {
					return err
				}
			case f.title == "":
				return usageOf(cmd, usagef("a proposal needs a title: give --title"))
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.AddCandidates(cmd.Context(), &memov1.AddCandidatesRequest{
				Source: source, SessionId: session,
				Candidates: []*memov1.CandidateDraft{{
					Title: draft.GetTitle(), Body: draft.GetBody(), Summary: draft.GetSummary(),
					MemoTypes: draft.GetMemoTypes(), Categories: draft.GetCategories(), Projects: draft.GetProjects(),
				}},
			})
			if err != nil {
				return fromRPC(s.server, err)
			}
			for _, r := range res.GetResults() {
				for _, m := range r.GetSimilarMemos() {
					a.note("Nearly the same, %.0f %%: %s %s", 100*m.GetScore(), clean(m.GetId()), clean(m.GetTitle()))
				}
			}
			return printResults(a, res, res.GetResults(), (*memov1.AddCandidateResult).GetId)
		},
	}
	f.flags(cmd, "")
	sourceFlag(cmd, &source, "other", "where it comes from, a")
	cmd.Flags().StringVar(&session, "session", "", "the `SESSION` that it was found in, which counts as reviewed afterwards")
	return cmd
}

func (a *app) captureApproveCommand() *cobra.Command {
	var (
		f    memoFields
		etag string
	)
	cmd := &cobra.Command{
		Use:   "approve ID…",
		Short: "Make memos of proposals",
		Long: `Make memos of proposals, all at once, and print the ids of the memos. With one
proposal the flags change it first; an empty value such as --category ""
removes.`,
		Example: `  paput capture approve cand_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput capture approve cand_01k8z6v2m3n4p5q6r7s8t9v0w1 --title "Jitter" -c 運用`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			text, isGiven, err := a.text(f.file, nil)
			if err != nil {
				return err
			}
			mask := f.update(cmd).GetUpdateMask().GetPaths()
			if isGiven {
				mask = append(mask, "body")
			}
			if (len(mask) > 0 || etag != "") && len(ids) > 1 {
				return usagef("the flags are for one proposal; approve the others by themselves")
			}
			req := &memov1.SaveCandidatesRequest{ByPerson: true}
			for _, id := range ids {
				req.Candidates = append(req.Candidates, &memov1.CandidateEdit{Id: id})
			}
			if len(mask) > 0 {
				req.Candidates[0] = &memov1.CandidateEdit{
					Id: ids[0], Title: f.title, Summary: f.summary, Body: text,
					MemoTypes: given(f.types), Categories: given(f.categories), Projects: given(f.projects),
					UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
				}
			}
			req.Candidates[0].Etag = etag
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.SaveCandidates(cmd.Context(), req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			return printResults(a, res, res.GetResults(), (*memov1.SaveCandidateResult).GetMemoId)
		},
	}
	f.flags(cmd, "; \"\" removes all")
	cmd.Flags().StringVar(&etag, "etag", "", "the `ETAG` last seen: refuse when the proposal has changed since")
	return cmd
}

func (a *app) captureDiscardCommand() *cobra.Command {
	var req memov1.DiscardCandidatesRequest
	cmd := &cobra.Command{
		Use:   "discard ID…",
		Short: "Turn proposals down",
		Long: `Turn proposals down. They are kept, so that the same is not proposed again; from
the reason assistants learn what not to propose.`,
		Example: `  paput capture discard cand_01k8z6v2m3n4p5q6r7s8t9v0w1 --reason "one day only"`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			req.Ids = ids
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.DiscardCandidates(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			return printResults(a, res, res.GetResults(), func(r *memov1.CandidateResult) string { return r.GetId() + " discarded" })
		},
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, in a `LINE`; the same for all of them")
	return cmd
}
