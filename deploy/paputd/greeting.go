package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// greet tells whoever started the server what is served where, how to connect, and how to make the first account.
func (a *app) greet(ctx context.Context, w io.Writer) error {
	link, err := a.accounts.SetupLink(ctx)
	if err != nil {
		return fmt.Errorf("make the set-up link: %w", err)
	}
	url := a.cfg.publicURL
	events := a.cfg.natsURL
	auditor := ""
	if a.nats != nil {
		events = a.nats.url()
		auditor = fmt.Sprintf("\n  Audit stream    paput audit tail --nats %s --nkey %s", events, filepath.Join(a.cfg.natsDir(), "auditor.nk"))
	}
	fmt.Fprintf(w, `Paput is running.

  MCP endpoint    %[1]s  (also %[1]s/mcp)
  RPC             %[1]s/paput.memo.v1.MemoService/…
  Events (NATS)   %[2]s
  Data            %[3]s

Connect a client:

  Claude Code     claude mcp add --transport http paput %[1]s
  Codex           codex mcp add paput --url %[1]s
  Any other       npx mcp-remote %[1]s
  Terminal        paput login %[1]s%[4]s

`, url, events, a.cfg.data, auditor)
	if link != "" {
		fmt.Fprintf(w, "Make the first account in your browser; this link works once:\n\n  %s\n\n", link)
	}
	fmt.Fprintln(w, "Ctrl-C stops the server.")
	return nil
}
