package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// editDocument opens a text in the person's editor and hands what comes back to use. What the person wrote is kept in a
// file until use has succeeded, and the error says where.
func (a *app) editDocument(ctx context.Context, name, text string, use func(document) error) error {
	path, err := a.draft(name, text)
	if err != nil {
		return err
	}
	written, err := a.edit(ctx, path)
	if err != nil {
		return keptIn(path, err)
	}
	if strings.TrimSpace(written) == "" || written == text {
		a.note("Nothing was written, so nothing is sent.")
		return os.Remove(path)
	}
	doc, err := parseDocument(written)
	if err == nil {
		if doc.title == "" {
			doc.title, doc.body = firstHeading(doc.body)
		}
		err = use(doc)
	}
	if err != nil {
		return keptIn(path, err)
	}
	return os.Remove(path)
}

// keptIn tells where the person's text is after err.
func keptIn(path string, err error) error {
	return &problem{kind: kindOf(err).err, text: fmt.Sprintf("%s; your text is kept in %s", err, path)}
}

// draft writes a text to a new file that only its owner can read.
func (a *app) draft(name, text string) (string, error) {
	v, err := a.vault()
	if err != nil {
		return "", err
	}
	if err := v.make(v.dir); err != nil {
		return "", err
	}
	dir := filepath.Join(v.dir, "drafts")
	if err := v.make(dir); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, name+"-*.md")
	if err != nil {
		return "", fmt.Errorf("write a draft: %w", err)
	}
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", fmt.Errorf("write a draft: %w", err)
	}
	return f.Name(), nil
}

// edit runs the person's editor on a file and reads it back. It waits for the editor however long that takes.
func (a *app) edit(ctx context.Context, path string) (string, error) {
	editor := a.env("VISUAL")
	if editor == "" {
		editor = a.env("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	// As git does it: the variable may hold arguments and quotes, so a shell reads it.
	command := []string{"sh", "-c", editor + ` "$@"`, editor, path}
	if runtime.GOOS == "windows" {
		command = append(strings.Fields(editor), path)
	}
	// A terminal sends Ctrl-C to the editor too, which knows what it means there.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...) //nolint:gosec // the person's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.In, a.Err, a.Err
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("the editor %s ended with an error", editor)
		}
		return "", fmt.Errorf("start the editor %s: %w; set EDITOR to another", editor, err)
	}
	data, err := os.ReadFile(path) //nolint:gosec // the draft
	if err != nil {
		return "", fmt.Errorf("read the draft: %w", err)
	}
	return string(data), nil
}
