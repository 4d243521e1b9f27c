package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"
)

// auditOptions are the flags of `paput audit tail`.
type auditOptions struct {
	url, seed string
	from      string
	follow    bool
}

func (a *app) auditCommand() *cobra.Command {
	return group("audit", "Read the audit stream",
		`Read the audit stream: what clients, people and tokens were allowed or refused.`,
		a.auditTailCommand())
}

func (a *app) auditTailCommand() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the audit stream as JSON Lines, and what is added to it",
		Long: `Print the audit stream as JSON Lines, one event a line, and wait for more until
Ctrl-C.

Each line is a CloudEvent in JSON with two attributes of its own: "sequence", the
event's place in the stream, and "natssubject". Sequences count from 1 without
gaps: to go on later, give the last one plus 1 to --from. Should an event be
missing, paput says so and exits with 1. Should the connection be lost, paput
says so on standard error and goes on as soon as it is back.

paput reads over NATS, as a user who may read this stream and do nothing else.
paputd writes that user's key into its data directory; whoever has the key reads
the stream.`,
		Example: `  paput audit tail
  paput audit tail --from new | jq -r '[.time, .type] | @tsv'
  paput audit tail --from 1200 --follow=false > audit.jsonl`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.auditTail(cmd.Context(), o) },
	}
	fl := cmd.Flags()
	fl.StringVar(&o.url, "nats", "", "the NATS server's `URL` (env PAPUT_NATS_URL; otherwise nats://127.0.0.1:4222)")
	fl.StringVar(&o.seed, "nkey", "", "the `FILE` with the auditor's NKey seed (env PAPUT_NATS_NKEY; otherwise ./paput-data/nats/auditor.nk)")
	fl.StringVar(&o.from, "from", "first", "where to begin: a `SEQUENCE`, first, last or new")
	fl.BoolVar(&o.follow, "follow", true, "wait for more; --follow=false exits at the end of what is there")
	return cmd
}

func (a *app) auditTail(ctx context.Context, o auditOptions) error {
	o.url = first(o.url, a.env("PAPUT_NATS_URL"), "nats://127.0.0.1:4222")
	o.seed = first(o.seed, a.env("PAPUT_NATS_NKEY"), "paput-data/nats/auditor.nk")
	begin, err := parseFrom(o.from)
	if err != nil {
		return err
	}
	switch err := checkPrivate(o.seed); {
	case errors.Is(err, fs.ErrNotExist):
		return problemf(errRefused, "there is no key %s; name the auditor's key, which paputd keeps in its data directory under nats/auditor.nk, with --nkey", o.seed)
	case err != nil:
		return err
	}
	stream, err := a.openAuditStream(o.url, o.seed)
	if err != nil {
		return err
	}
	defer stream.close()
	err = stream.print(ctx, begin, o.follow, a.Out)
	if o.follow && errors.Is(err, ctx.Err()) && ctx.Err() != nil {
		return nil // Ctrl-C is how one stops listening
	}
	return err
}

// position is where to begin in a stream: at a sequence, or, when that is 0, at a named place.
type position struct {
	sequence uint64
	place    string
}

func parseFrom(s string) (position, error) {
	switch s {
	case "first", "last", "new":
		return position{place: s}, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 {
		return position{}, usagef("--from %q is neither a sequence from 1 nor first, last or new", s)
	}
	return position{sequence: n}, nil
}

// in finds the sequence in a stream that holds first to last; first is last+1 when it is empty.
func (p position) in(first, last uint64) uint64 {
	switch p.place {
	case "first":
		return max(first, 1)
	case "last":
		return max(last, 1)
	case "new":
		return last + 1
	}
	return p.sequence
}

// first returns the first that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// gapError says that the stream, from which nothing may ever be removed, lacks events.
func gapError(missing, found uint64) error {
	if found == missing+1 {
		return fmt.Errorf("event %d is missing from the audit stream: something was removed from it", missing)
	}
	return fmt.Errorf("events %d to %d are missing from the audit stream: something was removed from it", missing, found-1)
}
