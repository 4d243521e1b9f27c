package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// Who makes memos of proposals, in the words of the command line.
const (
	approvedByPerson = "person"
	approvedByAnyone = "anyone"
)

func (a *app) captureApprovalCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approval [person|anyone]",
		Short: "Print who may approve proposals, or decide it",
		Long: `Print who may approve proposals, or decide it: "anyone" who may write memos,
assistants among them, as long as you have not decided; or only you in "person",
with paput capture approve. Deciding takes the scope paput.account, and so does
approving from then on. Assistants may still propose and discard. One that may
write can create memos without proposing them: what an assistant may do, you
choose when you connect it.`,
		Example: `  paput login --scope paput.account   # once
  paput capture approval person`,
		Args:      args(cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs)),
		ValidArgs: []cobra.Completion{approvedByPerson, approvedByAnyone},
		RunE: func(cmd *cobra.Command, arg []string) error {
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			var policy *memov1.CapturePolicy
			if len(arg) > 0 {
				byPerson := arg[0] == approvedByPerson
				res, err := memos.UpdateCaptureApproval(cmd.Context(), &memov1.UpdateCaptureApprovalRequest{PersonApproves: &byPerson})
				if err != nil {
					return fromRPC(s.server, err)
				}
				policy = res.GetPolicy()
			} else {
				res, err := memos.GetCapturePolicy(cmd.Context(), &memov1.GetCapturePolicyRequest{})
				if err != nil {
					return fromRPC(s.server, err)
				}
				policy = res.GetPolicy()
			}
			approval := approvedByAnyone
			if policy.GetPersonApproves() {
				approval = approvedByPerson
			}
			if a.json {
				return a.printJSON(map[string]string{"approval": approval})
			}
			_, err = fmt.Fprintln(a.Out, approval)
			return err
		},
	}
}
