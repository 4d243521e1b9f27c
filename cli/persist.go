package cli

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
)

// maxAttempts is how often a long transfer is tried without any progress; the pauses between add up to half a minute.
const maxAttempts = 6

// persist calls try until it succeeds, or fails for a reason that stays, or fails often without progress. What it transfers
// must bear to be repeated.
func (a *app) persist(ctx context.Context, server string, try func(ctx context.Context) (progress bool, err error)) error {
	pause := time.Second
	for attempt := 1; ; attempt++ {
		progress, err := try(ctx)
		if err == nil || ctx.Err() != nil || stays(err) {
			return err
		}
		if progress {
			attempt, pause = 1, time.Second
		}
		if attempt >= maxAttempts {
			return err
		}
		a.note("paput: %s; trying again", fromRPC(server, err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(a.pace(pause)):
		}
		pause *= 2
	}
}

// stays says whether it is no use to try again.
func stays(err error) bool {
	var local localError
	if errors.As(err, &local) {
		return !errors.Is(err, errUnreachable)
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeInvalidArgument, connect.CodeNotFound,
		connect.CodeUnimplemented, connect.CodeFailedPrecondition, connect.CodeAlreadyExists:
		return true
	}
	var ce *connect.Error
	return !errors.As(err, &ce) // it is about a file of this computer's
}
