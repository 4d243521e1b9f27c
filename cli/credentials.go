package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// lockRetry is how often a process looks whether another has released the lock.
const lockRetry = 10 * time.Millisecond

// credentials is what the credentials file holds.
type credentials struct {
	// Current is the server logged in to last.
	Current string `json:"current,omitempty"`
	// Servers by URL, in the form that parseServer gives.
	Servers map[string]*account `json:"servers"`
}

// account is what paput keeps of one server: what it found out about it, its registration there, and its tokens.
type account struct {
	Endpoints    endpoints    `json:"endpoints"`
	Registration registration `json:"registration"`
	Tokens       *tokens      `json:"tokens,omitempty"` // nil when not logged in
}

// registration is this program as a client of one authorization server.
type registration struct {
	ClientID string `json:"client_id"`
	// Port is the loopback port that was registered; servers accept any, and some only this one.
	Port int `json:"port"`
	// Device says that it was registered on a machine without a browser, and for that alone.
	Device bool `json:"device,omitempty"`
	// Scopes are what it said it would ask for; empty for the usual ones.
	Scopes []string `json:"scopes,omitempty"`
}

// tokens are what one log-in gave. They are never shown.
type tokens struct {
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token,omitempty"`
	Expires time.Time `json:"expires"`
	Scope   string    `json:"scope,omitempty"`
}

// String keeps tokens out of anything that formats them.
func (tokens) String() string { return "[tokens]" }

// GoString keeps tokens out of anything that formats them.
func (tokens) GoString() string { return "[tokens]" }

// of returns what is kept of a server, or an empty account.
func (c *credentials) of(server string) *account {
	if a := c.Servers[server]; a != nil {
		return a
	}
	return &account{}
}

// vault is the directory in which paput keeps credentials and drafts: only its owner may look inside.
type vault struct{ dir string }

// vault finds the directory: $PAPUT_HOME, else paput in the user's configuration directory.
func (a *app) vault() (vault, error) {
	if dir := a.env("PAPUT_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		return vault{abs}, err
	}
	// os.UserConfigDir would read the environment of the process, not that of the run.
	base := a.env("XDG_CONFIG_HOME")
	switch home := a.env("HOME"); {
	case runtime.GOOS == "windows":
		base = a.env("AppData")
	case runtime.GOOS == "darwin" && home != "":
		base = filepath.Join(home, "Library", "Application Support")
	case base == "" && home != "":
		base = filepath.Join(home, ".config")
	}
	if !filepath.IsAbs(base) {
		return vault{}, errors.New("there is no directory for the credentials: set PAPUT_HOME")
	}
	return vault{filepath.Join(base, "paput")}, nil
}

func (v vault) file() string { return filepath.Join(v.dir, "credentials.json") }

// read returns what is kept, empty when nothing is. A file or directory that others can open is refused: what is in it
// may be known to them, and the person should hear of it.
func (v vault) read() (*credentials, error) {
	c := &credentials{}
	for _, path := range []string{v.dir, v.file()} {
		err := checkPrivate(path)
		if errors.Is(err, fs.ErrNotExist) {
			c.Servers = map[string]*account{}
			return c, nil
		}
		if err != nil {
			return nil, err
		}
	}
	data, err := os.ReadFile(v.file())
	if err != nil {
		return nil, fmt.Errorf("read the credentials: %w", err)
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s is damaged: delete it and log in again", v.file()) // never the parser's text, which may quote the file
	}
	if c.Servers == nil {
		c.Servers = map[string]*account{}
	}
	return c, nil
}

// update changes what is kept while no other process can: it takes the lock, reads the file afresh and, unless change
// fails, writes it whole. change may talk to a server; the others wait.
func (v vault) update(ctx context.Context, change func(c *credentials) error) error {
	if err := v.make(v.dir); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(v.dir, "credentials.lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("lock the credentials: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // the lock goes with the process at the latest
	c, err := v.read()
	if err != nil {
		return err
	}
	if err := change(c); err != nil {
		return err
	}
	return v.write(c)
}

// make makes a directory of the vault, or checks that it is private.
func (v vault) make(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory for the credentials: %w", err)
	}
	return checkPrivate(dir)
}

// write replaces the file so that a reader, or a power cut, finds the old one or the new one whole.
func (v vault) write(c *credentials) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	tmp, err := os.CreateTemp(v.dir, "credentials-*.tmp") // CreateTemp makes it 0600
	if err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), v.file())
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the write has failed already, and that is what the person hears
		return fmt.Errorf("write the credentials: %w", err)
	}
	return syncDir(v.dir)
}

// syncDir makes a rename durable. Windows has no such call and needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the vault's own directory
	if err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	return nil
}

// checkPrivate refuses a file or directory that anyone but its owner may open. Windows keeps the profile's directories
// private by other means.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	mode := "600"
	if info.IsDir() {
		mode = "700"
	}
	return fmt.Errorf("%s can be opened by other users (mode %04o) and holds secrets; run: chmod %s %s",
		path, info.Mode().Perm(), mode, path)
}
