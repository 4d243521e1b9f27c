package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	serverv1 "github.com/paput/paput/proto/gen/paput/server/v1"
	"github.com/paput/paput/proto/gen/paput/server/v1/serverv1connect"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/oauth"
)

const (
	// keyStream is the history of the server's key.
	keyStream = "server/key"
	// maxEarlierKeys is how many keys are honoured besides the one in use: each is tried on whatever strangers send.
	maxEarlierKeys = 8
	// keyLook is how often to see whether a key has had its time.
	keyLook = time.Minute
)

var (
	errTooManyKeys = fmt.Errorf("the key was replaced %d times within a few minutes, and what was made with those keys may still "+
		"come back: wait, or give them up with --forget", maxEarlierKeys)
	errKeyFile = errors.New("the key is as it was")
)

// serverKinds describes the streams that the program itself keeps.
func serverKinds() []eventlog.Kind {
	return []eventlog.Kind{{Name: "server", Event: &serverv1.ServerEvent{}, Relay: "AUTH", Subject: "paput.auth.server"}}
}

// keeper keeps the server's keys in their file, replaces the one in use, and drops the earlier ones when nothing that was
// made with them can come back. The file is written first, then the authorization server uses it, then the log says so;
// should the program end in between, the log says so after the next start.
type keeper struct {
	file    string
	events  *eventlog.Log
	overlap time.Duration          // how long an earlier key is honoured
	use     func(serverKeys) error // nil while the authorization server does not run
	now     func() time.Time
	log     *slog.Logger

	mu   sync.Mutex
	keys serverKeys // as in the file; nil before it was read; guarded by mu
}

var _ serverv1connect.KeyAdminServiceHandler = (*keeper)(nil)

// newKeeper returns a keeper for a log that is open.
func newKeeper(cfg config, events *eventlog.Log, log *slog.Logger) *keeper {
	return &keeper{file: cfg.keyFile(), events: events, overlap: oauth.Lifetimes{}.KeyOverlap(), now: time.Now, log: log}
}

// keyCodes translates the errors of a keeper.
func keyCodes(err error) (connect.Code, bool) {
	switch {
	case errors.Is(err, errTooManyKeys):
		return connect.CodeResourceExhausted, true
	case errors.Is(err, errKeyDamaged), errors.Is(err, errKeyVersion):
		return connect.CodeDataLoss, true
	case errors.Is(err, errKeyFile):
		return connect.CodeUnavailable, true
	default:
		return 0, false
	}
}

// run records what could not be recorded before the program ended, then drops keys that have had their time, until ctx is
// done. It never fails: whatever goes wrong is tried again.
func (k *keeper) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := k.tidy(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "server keys not tidied up", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(keyLook):
		}
	}
	return nil
}

func (k *keeper) tidy(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(); err != nil {
		return err
	}
	if err := k.record(ctx); err != nil {
		return err
	}
	live := k.keys.honoured(k.now(), k.overlap)
	if len(live) == len(k.keys) {
		return nil
	}
	return k.put(live)
}

// read reads the file, once. The caller holds mu.
func (k *keeper) read() (err error) {
	if k.keys == nil {
		k.keys, err = readKeys(k.file, k.now())
	}
	return err
}

// put writes keys and has them used. The caller holds mu.
func (k *keeper) put(keys serverKeys) error {
	replaced, err := keys.write(k.file)
	if !replaced {
		return fmt.Errorf("%w; %w", err, errKeyFile)
	}
	k.keys = keys
	if k.use != nil {
		err = errors.Join(err, k.use(keys))
	}
	return err
}

// record tells the log of the key in use, unless it knows or it is the first. The caller holds mu.
func (k *keeper) record(ctx context.Context) error {
	current := k.keys[0]
	if current.Replaces == "" {
		return nil
	}
	event := &serverv1.KeyRotated{KeyId: current.ID, PreviousKeyId: current.Replaces}
	for _, earlier := range k.keys[1:] {
		if earlier.ID == current.Replaces {
			event.PreviousExpireTime = timestamppb.New(earlier.Retired.Add(k.overlap))
		}
	}
	err := k.events.Do(ctx, func(tx *eventlog.Tx) error {
		past, err := tx.Load(keyStream)
		if err != nil || lastKey(past) == current.ID {
			return err
		}
		return tx.Append(keyStream, &serverv1.ServerEvent{Event: &serverv1.ServerEvent_KeyRotated{KeyRotated: event}})
	})
	if err != nil {
		return fmt.Errorf("record that the server's key was replaced: %w", err)
	}
	return nil
}

// lastKey is the id of the key that the log believes to be in use; empty for the first.
func lastKey(past []eventlog.Record) (id string) {
	for _, r := range past {
		if e, ok := r.Event.(*serverv1.ServerEvent); ok && e.GetKeyRotated() != nil {
			id = e.GetKeyRotated().GetKeyId()
		}
	}
	return id
}

// RotateKey implements paput.server.v1.KeyAdminService.
func (k *keeper) RotateKey(ctx context.Context, req *serverv1.RotateKeyRequest) (*serverv1.RotateKeyResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(); err != nil {
		return nil, err
	}
	if err := k.record(ctx); err != nil { // of a rotation before
		return nil, err
	}
	now := k.now().UTC().Truncate(time.Millisecond)
	next := k.keys.honoured(now, k.overlap).rotated(now, req.GetForget())
	if len(next) > 1+maxEarlierKeys {
		return nil, errTooManyKeys
	}
	if err := k.put(next); err != nil {
		return nil, err
	}
	k.log.InfoContext(ctx, "server key rotated", "key_id", next[0].ID, "previous_key_id", next[0].Replaces, "forgotten", req.GetForget())
	if err := k.record(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return &serverv1.RotateKeyResponse{Keys: k.list()}, nil
}

// ListKeys implements paput.server.v1.KeyAdminService.
func (k *keeper) ListKeys(context.Context, *serverv1.ListKeysRequest) (*serverv1.ListKeysResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(); err != nil {
		return nil, err
	}
	return &serverv1.ListKeysResponse{Keys: k.list()}, nil
}

// list is the keys that are honoured. The caller holds mu.
func (k *keeper) list() []*serverv1.Key {
	var keys []*serverv1.Key
	for _, key := range k.keys.honoured(k.now(), k.overlap) {
		said := &serverv1.Key{Id: key.ID}
		if !key.Created.IsZero() {
			said.CreateTime = timestamppb.New(key.Created)
		}
		if !key.Retired.IsZero() {
			said.ExpireTime = timestamppb.New(key.Retired.Add(k.overlap))
		}
		keys = append(keys, said)
	}
	return keys
}
