package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/paput/paput/edge/mcp"
	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) mcpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "mcp",
		Short: "Serve the memo tools to an assistant over stdio (MCP)",
		Long: `Serve the memo tools to an assistant over stdio, by the Model Context Protocol:
the same tools as at the server's own URL, with your session. Assistants start
this command by themselves; log in beforehand with "paput login".

Standard output belongs to the protocol; what goes wrong is told on standard
error.`,
		Example: `  claude mcp add paput -- paput mcp
  codex mcp add paput -- paput mcp
  paput mcp --server https://paput.example.com`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.mcp(cmd.Context()) },
	}
}

// mcp serves until the assistant closes its end or ctx is done. Without a session it serves all the same: the tools then
// say that the person has to log in, and work from the moment that is done.
func (a *app) mcp(ctx context.Context) error {
	s, err := a.session()
	if err != nil {
		return err
	}
	server, err := mcp.New(mcp.Config{
		Services: []protoreflect.ServiceDescriptor{memov1.File_paput_memo_v1_memo_service_proto.Services().ByName("MemoService")},
		Client:   s.client(),
		Now:      a.Now,
		Version:  version(),
		Log:      slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	if err := server.ServeStdio(ctx, a.In, a.Out); ctx.Err() == nil { // to be told to stop is no failure
		return err
	}
	return nil
}
