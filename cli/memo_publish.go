package cli

import (
	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) memoPublishCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "publish ID…",
		Short: "Make memos public on the web, and print their addresses",
		Long: `Make memos public on the web, and print their addresses: whoever has one can
read the memo. It takes the scope paput.publish, which "paput login" asks for
only when told to.`,
		Example: `  paput login --scope paput.publish
  paput memo publish memo_01k8z6v2m3n4p5q6r7s8t9v0w1`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.PublishMemos(cmd.Context(), &memov1.PublishMemosRequest{Ids: ids})
			if err != nil {
				return fromRPC(s.server, err)
			}
			return printResults(a, res, res.GetResults(), func(r *memov1.PublishMemoResult) string { return r.GetPublicUrl() })
		},
	}
}

func (a *app) memoUnpublishCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unpublish ID…",
		Short: "Make public memos private again, at once",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.UnpublishMemos(cmd.Context(), &memov1.UnpublishMemosRequest{Ids: ids})
			if err != nil {
				return fromRPC(s.server, err)
			}
			return printResults(a, res, res.GetResults(), done("private"))
		},
	}
}
