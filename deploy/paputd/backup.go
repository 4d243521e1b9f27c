package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/paput/paput/services/eventlog/sqlite"
)

const (
	// manifestFile is written last: a directory without it is no backup.
	manifestFile = "manifest.json"
	// backupFormat is the version of a backup's make-up.
	backupFormat = 1
	// maxManifest is more than a manifest has, in bytes.
	maxManifest = 1 << 16
)

// manifest says what a backup has.
type manifest struct {
	Format  int       `json:"format"`
	Version string    `json:"paputd"`
	Created time.Time `json:"created"`
	sqlite.Standing
	Parts []part `json:"parts"`
}

// part is one file of a backup.
type part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// partNames are the files that a backup may have, and where each belongs in the data directory. The database comes first:
// should the key be replaced meanwhile, the key that comes with it is the later one, which honours the one before.
func (c *config) partNames() []struct{ name, path string } {
	return []struct{ name, path string }{
		{"paput.db", c.logFile()},
		{"server.key", c.keyFile()},
		{"auditor.nk", filepath.Join(c.natsDir(), "auditor.nk")}, // if there is one
	}
}

func backupCommand() *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "backup DIRECTORY",
		Short: "Write everything that the server needs to go on into a new directory",
		Long: `Writes a backup into a directory that it makes: the event log with all that is made from it, as of one moment, and the
keys of the server and the auditor. It works while the server runs, which nobody notices, and while it does not. Every
command that was answered before it began is in it. The streams in NATS are not: they are made from the log again.

The backup is secret: who has it can read every memo, and act as the server. It is readable by you alone. What was erased
before is not in it, and what is erased afterwards stays in it: delete old backups.`,
		Example: "  paputd backup /var/backups/paput-$(date +%F)",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			m, err := cfg.backUp(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("back up to %s: %w", args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Backed up to %s, at position %d of the log; read again and found whole.\n", args[0], m.Position)
			return nil
		},
	}
	cfg.addDataFlag(cmd.Flags())
	return cmd
}

// backUp writes a backup into dir, which it makes, and reads it again. When it fails, dir is gone.
func (c *config) backUp(ctx context.Context, dir string) (m manifest, err error) {
	if _, err := os.Stat(c.logFile()); err != nil {
		return m, fmt.Errorf("there is nothing to back up: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return m, errors.New("it exists already; name a directory that does not, a backup overwrites nothing")
		}
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	m = manifest{Format: backupFormat, Version: version(), Created: time.Now().UTC().Truncate(time.Second)}
	for _, p := range c.partNames() {
		to := filepath.Join(dir, p.name)
		if p.path == c.logFile() {
			err = copyLog(ctx, p.path, to)
		} else {
			err = copyFile(p.path, to, maxManifest)
		}
		if errors.Is(err, os.ErrNotExist) && p.name != "paput.db" {
			continue // the server has never run, or the auditor is the cluster's
		}
		if err != nil {
			return m, err
		}
		written, err := describePart(to)
		if err != nil {
			return m, err
		}
		m.Parts = append(m.Parts, written)
	}
	if m.Standing, err = sqlite.Inspect(ctx, filepath.Join(dir, "paput.db")); err != nil {
		return m, err
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := writeFile(filepath.Join(dir, manifestFile), append(data, '\n')); err != nil {
		return m, err
	}
	return m, syncDir(dir)
}

// copyLog copies the log into a file that is there beforehand, so that nobody else may ever read it.
func copyLog(ctx context.Context, from, to string) error {
	if err := writeFile(to, nil); err != nil {
		return err
	}
	if err := sqlite.Copy(ctx, from, to); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_RDWR, 0) //nolint:gosec // of a backup
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// describePart reads a file from the disk.
func describePart(path string) (part, error) {
	f, err := os.Open(path) //nolint:gosec // of a backup
	if err != nil {
		return part{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	return part{Name: filepath.Base(path), Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// copyFile copies a regular file of at most max bytes to one that does not exist yet, and syncs it. A link is followed
// nowhere.
func copyFile(from, to string, most int64) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return fmt.Errorf("%s is no file of at most %d bytes", from, most)
	}
	in, err := os.Open(from) //nolint:gosec // the operator says where
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator says where
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, most))
	return errors.Join(err, out.Sync(), out.Close())
}

// writeFile writes a file that does not exist yet, readable by its owner alone, and syncs it.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator says where
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator says where
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readManifest reads and checks what a backup says of itself.
func (c *config) readManifest(dir string) (m manifest, err error) {
	path := filepath.Join(dir, manifestFile)
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, fmt.Errorf("there is no %s: it is no backup, or one that was not finished", manifestFile)
	}
	if err != nil {
		return m, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxManifest {
		return m, fmt.Errorf("%s is no file of at most %d bytes", manifestFile, maxManifest)
	}
	data, err := os.ReadFile(path) //nolint:gosec // the operator says where
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s is damaged: %w", manifestFile, err)
	}
	if m.Format != backupFormat {
		return m, fmt.Errorf("it has the format %d and this paputd knows %d: restore it with paputd %s", m.Format, backupFormat, m.Version)
	}
	var names []string
	for _, p := range m.Parts {
		known := slices.ContainsFunc(c.partNames(), func(k struct{ name, path string }) bool { return k.name == p.Name })
		if !known || slices.Contains(names, p.Name) || p.Size < 0 {
			return m, fmt.Errorf("%s names %q, which no backup has, or not twice", manifestFile, p.Name)
		}
		names = append(names, p.Name)
	}
	if !slices.Contains(names, "paput.db") {
		return m, fmt.Errorf("%s does not name paput.db", manifestFile)
	}
	return m, nil
}
