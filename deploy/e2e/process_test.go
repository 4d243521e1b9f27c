package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take on a busy machine.
const patience = time.Minute

// output collects what a program prints while others read it.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a program that runs beside the test.
type process struct {
	cmd      *exec.Cmd
	out, err output
	// ended is closed at the end; state is set by then.
	ended chan struct{}
	state *os.ProcessState
}

// startProcess starts a program. What it prints on standard output and standard error is kept apart.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.err
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		p.state = cmd.ProcessState
		close(p.ended)
	}()
	return p, nil
}

// printed waits until the program has printed what pattern matches on either stream, and returns the match.
func (p *process) printed(pattern *regexp.Regexp) ([]string, error) {
	deadline := time.Now().Add(patience)
	for {
		over := false
		select {
		case <-p.ended:
			over = true
		default:
		}
		for _, text := range []string{p.out.String(), p.err.String()} {
			if m := pattern.FindStringSubmatch(text); m != nil {
				return m, nil
			}
		}
		switch {
		case over:
			return nil, fmt.Errorf("%s ended (%s) without printing %s:\n%s%s", p.name(), p.state, pattern, p.out.String(), p.err.String())
		case time.Now().After(deadline):
			return nil, fmt.Errorf("%s has not printed %s:\n%s%s", p.name(), pattern, p.out.String(), p.err.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) }

// stop sends a signal and waits for the end. A program that takes longer than within is killed, and that is an error.
func (p *process) stop(signal os.Signal, within time.Duration) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not stop within %s of %s", p.name(), within, signal)
	}
}

// kill ends the program without any chance to clean up.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// paputd is a running server.
type paputd struct {
	*process
	data, url, nats string
}

// args are how this server is started again on the same data and the same ports.
func (d *paputd) args() []string {
	return []string{
		"--listen", "127.0.0.1:" + d.url[strings.LastIndex(d.url, ":")+1:],
		"--nats-listen", strings.TrimPrefix(d.nats, "nats://"),
	}
}

// startPaputd starts a server with an empty data directory on free ports, and stops it when the test ends.
func startPaputd(t *testing.T) *paputd {
	t.Helper()
	return startPaputdOn(t, filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
}

func startPaputdOn(t *testing.T, data string, args ...string) *paputd {
	t.Helper()
	p, err := startProcess(exec.Command(program("paputd"), append([]string{"serve", "--data", data}, args...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(os.Interrupt, patience); err != nil {
			t.Error(err)
		}
		if s := secretsIn(p.out.String() + p.err.String()); s != "" {
			t.Errorf("paputd printed a secret, %s", s)
		}
		if t.Failed() {
			t.Logf("paputd printed:\n%s%s", p.out.String(), p.err.String())
		}
	})
	m, err := p.printed(regexp.MustCompile(`(?s)MCP endpoint\s+(\S+).*Events \(NATS\)\s+(\S+).*Ctrl-C stops`))
	if err != nil {
		t.Fatal(err)
	}
	return &paputd{process: p, data: data, url: m[1], nats: m[2]}
}

// addAccount makes the account of most stories.
func (d *paputd) addAccount(t *testing.T) {
	t.Helper()
	cmd := exec.Command(program("paputd"), "account", "add", "--data", d.data, "--email", email, "--password-stdin")
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("account add: %v\n%s", err, out)
	}
}

// waitReady waits until the server at base says that it can do its work.
func waitReady(base string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", base, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
