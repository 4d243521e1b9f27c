package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) capturePolicyCommand() *cobra.Command {
	var file, etag string
	cmd := &cobra.Command{
		Use:   "policy [TEXT|-]",
		Short: "Print what you want kept and what not, or say so",
		Long: `Print the policy that assistants read before they propose, or replace it with a
text in Markdown: an argument, --file, or standard input with "-". An empty text
removes the policy.`,
		Example: `  paput capture policy
  paput capture policy > policy.md
  paput capture policy --file policy.md`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			text, isGiven, err := a.text(file, arg)
			if err != nil {
				return err
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			if isGiven {
				res, err := memos.UpdateCapturePolicy(cmd.Context(), &memov1.UpdateCapturePolicyRequest{Text: &text, Etag: etag})
				if err != nil {
					return fromRPC(s.server, err)
				}
				if a.json {
					return a.printProto(res)
				}
				_, err = fmt.Fprintf(a.Out, "the policy is at revision %d\n", res.GetPolicy().GetRevision())
				return err
			}
			res, err := memos.GetCapturePolicy(cmd.Context(), &memov1.GetCapturePolicyRequest{})
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			policy := strings.TrimRight(cleanText(res.GetPolicy().GetText()), "\n")
			if policy == "" {
				a.note("There is no policy.")
				return nil
			}
			_, err = io.WriteString(a.Out, policy+"\n")
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "read the text from a `FILE`, - for standard input")
	cmd.Flags().StringVar(&etag, "etag", "", "the `ETAG` last seen: refuse when the policy has changed since")
	return cmd
}

func (a *app) captureSessionsCommand() *cobra.Command {
	var req memov1.ListProcessedSessionsRequest
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the sessions that assistants have reviewed",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.PageSize < 1 {
				return usagef("--limit counts from 1")
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.ListProcessedSessions(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			t := table{head: []string{"REVIEWED", "SOURCE", "SESSION"}}
			for _, p := range res.GetSessions() {
				t.add(a.moment(p.GetProcessTime()), p.GetSource(), p.GetSessionId())
			}
			return a.printPage(t, "No session was reviewed.", res.GetNextPageToken())
		},
	}
	sourceFlag(cmd, &req.Source, "", "only those of this")
	pages(cmd, &req.PageSize, &req.PageToken, "sessions")
	return cmd
}
