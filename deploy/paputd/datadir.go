package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/gofrs/flock"
)

// errInUse says that another process has the data directory.
var errInUse = errors.New("is in use by another paputd")

// findData refuses a directory that is not there, for commands that must not make one by mistake.
func (c *config) findData() error {
	if _, err := os.Stat(c.data); err != nil {
		return fmt.Errorf("there is no data directory %s: %w; name it with --data", c.data, cause(err))
	}
	return nil
}

// lockData creates the data directory and locks it for this process. The lock goes with the process, however it ends.
func (c *config) lockData() (*flock.Flock, error) {
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory %s: %w", c.data, cause(err))
	}
	lock := flock.New(c.lockFile(), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be written: %w", c.data, cause(err))
	}
	if !got {
		return nil, fmt.Errorf("the data directory %s %w; stop that one or choose another directory with --data", c.data, errInUse)
	}
	return lock, nil
}
