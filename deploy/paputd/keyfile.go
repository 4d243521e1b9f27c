package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/paput/paput/services/oauth"
)

const (
	keySize = 32 // bytes
	// keyFormat is the version of the file. A file of exactly keySize bytes is the key itself: it has no version and no
	// earlier keys, and becomes a file of this version when the key is rotated.
	keyFormat = 2
)

// serverKey is one key, as the file has it.
type serverKey struct {
	// ID is made from the key, tells nothing of it, and shows when a key is damaged.
	ID string `json:"id"`
	// Key is the secret, in base64.
	Key []byte `json:"key"`
	// Created is when it was made; zero when that is not known.
	Created time.Time `json:"created,omitzero"`
	// Replaces is the id of the key that it was made in place of; empty for the first.
	Replaces string `json:"replaces,omitempty"`
	// Retired is when another took its place; zero for the key in use.
	Retired time.Time `json:"retired,omitzero"`
}

// serverKeys are the key in use, first, and the earlier ones that are still honoured, the latest first.
type serverKeys []serverKey

// keyDocument is the file: indented JSON, which a person can read and a backup can compare.
type keyDocument struct {
	Version int        `json:"version"`
	Note    string     `json:"note"`
	Keys    serverKeys `json:"keys"`
}

var (
	errKeyDamaged = errors.New("is damaged")
	errKeyVersion = errors.New("was written by another version of paputd: use that one, or a later one")
)

const keyNote = "Secret. The first key is in use. Change them with: paputd key rotate"

// newServerKey draws a key.
func newServerKey(now time.Time, replaces string) serverKey {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return serverKey{ID: keyID(key), Key: key, Created: now.UTC().Truncate(time.Millisecond), Replaces: replaces}
}

// keyID is the name that a key goes by.
func keyID(key []byte) string {
	id, err := hkdf.Expand(sha256.New, key, "paput server key id", 8)
	if err != nil {
		panic("paputd: " + err.Error()) // the length is a constant
	}
	return hex.EncodeToString(id)
}

// readKeys reads the keys that tokens are derived from, and makes the first when there is none.
func readKeys(file string, now time.Time) (serverKeys, error) {
	content, err := os.ReadFile(file) // #nosec G304 -- it is in the data directory
	if errors.Is(err, os.ErrNotExist) {
		keys := serverKeys{newServerKey(now, "")}
		_, err := keys.write(file)
		return keys, err
	}
	if err != nil {
		return nil, fmt.Errorf("read the server key %s: %w", file, cause(err))
	}
	keys, err := parseKeys(content)
	if errors.Is(err, errKeyVersion) {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %w: %w; restore it from a backup, or delete it: log-ins that are under way must then begin again",
			file, errKeyDamaged, err)
	}
	return keys, nil
}

// parseKeys reads a key file. Its errors quote nothing of it.
func parseKeys(content []byte) (serverKeys, error) {
	if len(content) == keySize {
		return serverKeys{{ID: keyID(content), Key: content}}, nil
	}
	var d keyDocument
	if err := json.Unmarshal(content, &d); err != nil {
		return nil, fmt.Errorf("its %d bytes are neither a key nor a whole list of keys", len(content))
	}
	if d.Version != keyFormat {
		return nil, errKeyVersion
	}
	strict := json.NewDecoder(bytes.NewReader(content))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d); err != nil || len(d.Keys) == 0 {
		return nil, errors.New("it is no list of keys")
	}
	for i, k := range d.Keys {
		switch {
		case len(k.Key) != keySize || keyID(k.Key) != k.ID:
			return nil, fmt.Errorf("key %d is not what its id says", i+1)
		case k.Retired.IsZero() != (i == 0):
			return nil, errors.New("the first key, and no other, must be one that is not retired")
		}
	}
	return d.Keys, nil
}

// write puts the file in the place of the one that is there, whole or not at all. replaced says that it is there: after an
// error it may be so, and not yet be safe from a power cut.
func (k serverKeys) write(file string) (replaced bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the server key %s: %w", file, cause(err))
		}
	}()
	content, err := json.MarshalIndent(keyDocument{keyFormat, keyNote, k}, "", "  ")
	if err != nil {
		return false, err
	}
	fresh := file + ".new"                                                  // what a crash leaves of one is written over
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- it is in the data directory
	if err != nil {
		return false, err
	}
	_, err = f.Write(append(content, '\n'))
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(fresh, file)
	}
	if err != nil {
		_ = os.Remove(fresh)
		return false, err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return true, err
	}
	return true, errors.Join(dir.Sync(), dir.Close())
}

// rotated is the keys with another one in use. With forget there are no earlier ones.
func (k serverKeys) rotated(now time.Time, forget bool) serverKeys {
	fresh := serverKeys{newServerKey(now, k[0].ID)}
	if forget {
		return fresh
	}
	former := k[0]
	former.Retired = now
	return append(append(fresh, former), k[1:]...)
}

// honoured is the keys without those that nothing can come back from any more.
func (k serverKeys) honoured(now time.Time, overlap time.Duration) serverKeys {
	live := serverKeys{k[0]}
	for _, earlier := range k[1:] {
		if now.Before(earlier.Retired.Add(overlap)) {
			live = append(live, earlier)
		}
	}
	return live
}

// earlier is the keys before the one in use, as the authorization server wants them.
func (k serverKeys) earlier() []oauth.EarlierKey {
	var earlier []oauth.EarlierKey
	for _, e := range k[1:] {
		earlier = append(earlier, oauth.EarlierKey{Key: e.Key, Retired: e.Retired})
	}
	return earlier
}
