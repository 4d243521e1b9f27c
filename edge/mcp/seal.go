package mcp

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// A sealer signs what is handed to a client to be handed back, so that nothing has to be kept meanwhile and any process
// with the same keys can go on. It is safe for concurrent use.
type sealer struct{ keys atomic.Pointer[[][]byte] }

// use replaces the keys: the first signs, the others are still recognised.
func (s *sealer) use(keys ...[]byte) error {
	derived := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if derived[i], err = hkdf.Expand(sha256.New, key, "paput edge/mcp seal", sha256.Size); err != nil {
			return fmt.Errorf("derive the key of seals: %w", err)
		}
	}
	s.keys.Store(&derived)
	return nil
}

// seal signs content. Only who asks for the same purpose on behalf of the same owner can open it.
func (s *sealer) seal(purpose, owner string, content []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(sealOf((*s.keys.Load())[0], purpose, owner, content), content...))
}

// unseal returns the content of a seal.
func (s *sealer) unseal(purpose, owner, sealed string) ([]byte, bool) {
	all, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(all) < sha256.Size {
		return nil, false
	}
	signature, content := all[:sha256.Size], all[sha256.Size:]
	for _, key := range *s.keys.Load() {
		if hmac.Equal(signature, sealOf(key, purpose, owner, content)) {
			return content, true
		}
	}
	return nil, false
}

func sealOf(key []byte, purpose, owner string, content []byte) []byte {
	h := hmac.New(sha256.New, key)
	// Neither a purpose nor an owner contains a zero byte.
	h.Write(slices.Concat([]byte(purpose), []byte{0}, []byte(owner), []byte{0}, content))
	return h.Sum(nil)
}

// UseKeys replaces the keys that sign what clients hand back: current signs, and what the earlier ones signed is still
// recognised. It may be called while the server serves. A key has at least 32 random bytes. Without a call the server has
// one of its own, which nothing outlives that the server handed out.
func (s *Server) UseKeys(current []byte, earlier ...[]byte) error {
	return s.seals.use(slices.Concat([][]byte{current}, earlier)...)
}

// newKey is what a server signs with that is not told its keys.
func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}

// sessionPurpose is for the ids of sessions.
const sessionPurpose = "session"

// newSession makes the id of a session (MCP up to 2025-11-25, Session Management). All that there is to a session is in it:
// what the client can do.
func (s *Server) newSession(owner string, can abilities) string {
	content := make([]byte, 17)
	for i, able := range []bool{can.elicitation, can.sampling, can.roots, can.apps} {
		if able {
			content[0] |= 1 << i
		}
	}
	_, _ = rand.Read(content[1:])
	return s.seals.seal(sessionPurpose, owner, content)
}

// openSession reads the id of a session. One that is unknown, from another key or another account, is no error: a client
// goes on without what it could do.
func (s *Server) openSession(owner, id string) abilities {
	content, ok := s.seals.unseal(sessionPurpose, owner, id)
	if !ok || len(content) == 0 {
		return abilities{}
	}
	bits := content[0]
	return abilities{elicitation: bits&1 != 0, sampling: bits&2 != 0, roots: bits&4 != 0, apps: bits&8 != 0}
}

// stateTime is how long what is to be answered may wait for its answer.
const stateTime = 10 * time.Minute

// expiryLayout is how the end of a state stands before it: of two, the later one is the greater string.
const expiryLayout = "20060102150405"

// SealState makes the requestState of a result that asks the caller of ctx for input (MCP 2026-07-28, Multi Round-Trip
// Requests). It is good for stateTime, for the same account and client, and for the same purpose.
func (s *Server) SealState(ctx context.Context, purpose string, state []byte) string {
	return s.sealState(purpose, callerFrom(ctx), state)
}

func (s *Server) sealState(purpose string, c *caller, state []byte) string {
	content := s.now().UTC().Add(stateTime).AppendFormat(nil, expiryLayout)
	return s.seals.seal("state "+purpose, c.identity(), append(content, state...))
}

// UnsealState returns the state in a requestState that SealState has made. It is not good when it was altered or is too
// old, or when another caller or another purpose is meant.
func (s *Server) UnsealState(ctx context.Context, purpose, sealed string) (state []byte, ok bool) {
	return s.unsealState(purpose, callerFrom(ctx), sealed)
}

func (s *Server) unsealState(purpose string, c *caller, sealed string) (state []byte, ok bool) {
	content, ok := s.seals.unseal("state "+purpose, c.identity(), sealed)
	if !ok || len(content) < len(expiryLayout) || s.now().UTC().Format(expiryLayout) >= string(content[:len(expiryLayout)]) {
		return nil, false
	}
	return content[len(expiryLayout):], true
}
