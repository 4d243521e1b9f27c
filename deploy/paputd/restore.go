package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/paput/paput/services/eventlog/sqlite"
)

func restoreCommand() *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "restore BACKUP --data DIRECTORY",
		Short: "Make a data directory from a backup",
		Long: `Makes a data directory from a backup, after checking every part of it. The directory must be empty, or not there. Then
start the server on it as before.

What was answered after the backup was made is lost: accounts that were erased since are back, and must be erased again;
an app that has renewed its access since has to be signed in again, others stay connected. The streams of the embedded
NATS server are made anew. A cluster that is ahead of the restored log is left alone, and the server says what to do.`,
		Example: "  paputd restore /var/backups/paput-2026-03-01 --data /var/lib/paput",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := cfg.restore(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("restore %s to %s: %w", args[0], cfg.data, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Restored to %s what there was on %s: the log ends at position %d.\nStart it with: paputd serve --data %[1]s\n",
				cfg.data, m.Created.Format(time.RFC3339), m.Position)
			return nil
		},
	}
	cfg.addDataFlag(cmd.Flags())
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

// restore makes the data directory from the backup in dir. When it fails, what it made is gone.
func (c *config) restore(ctx context.Context, dir string) (m manifest, err error) {
	if m, err = c.readManifest(dir); err != nil {
		return m, err
	}
	made, err := emptyDir(c.data)
	if err != nil {
		return m, err
	}
	lock, err := c.lockData()
	if err != nil {
		return m, err
	}
	defer func() {
		_ = lock.Unlock()
		if err == nil {
			return
		}
		for _, p := range append(c.partNames(), struct{ name, path string }{"", c.natsDir()}, struct{ name, path string }{"", c.lockFile()}) {
			_ = os.Remove(p.path)
		}
		if made {
			_ = os.Remove(c.data)
		}
	}()
	for _, p := range m.Parts {
		if err := c.restorePart(dir, p); err != nil {
			return m, err
		}
	}
	standing, err := sqlite.Inspect(ctx, c.logFile())
	if err != nil {
		return m, err
	}
	if standing.Position != m.Position || !maps.Equal(standing.Ordinals, m.Ordinals) {
		return m, fmt.Errorf("the log stands at %v, and %s says %v", standing, manifestFile, m.Standing)
	}
	// It makes a key when there was none, as the first start does.
	if _, err := readKeys(c.keyFile(), time.Now()); err != nil {
		return m, err
	}
	return m, syncDir(c.data)
}

// emptyDir makes a directory, or makes sure that nothing is in it.
func emptyDir(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, os.MkdirAll(dir, 0o700)
	}
	if err == nil && len(entries) > 0 {
		err = errors.New("the directory is not empty; a restore overwrites nothing")
	}
	return false, err
}

// restorePart copies one part to its place, if it is what the manifest says.
func (c *config) restorePart(dir string, p part) error {
	for _, known := range c.partNames() {
		if known.name != p.Name {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(known.path), 0o700); err != nil {
			return err
		}
		if err := copyFile(filepath.Join(dir, p.Name), known.path, p.Size); err != nil {
			return err
		}
		got, err := describePart(known.path)
		if err != nil {
			return err
		}
		if got.Size != p.Size || got.SHA256 != p.SHA256 {
			return fmt.Errorf("%s is damaged: it is not what %s says", p.Name, manifestFile)
		}
	}
	return nil
}
