package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/paput/paput/deploy/visitor"
)

// clockTicks is the unit of CPU times in /proc (sysconf _SC_CLK_TCK, 100 on every Linux).
const clockTicks = 100

// process is a server that is measured from outside.
type process struct {
	cmd     *exec.Cmd
	bin     string // the directory of the binaries
	listen  string
	nats    string
	url     string
	started time.Duration // until the first 200
	data    string
	person  *visitor.Visitor
	token   *visitor.Token
	// service gets tokens by itself, and server asks what tokens for notes are worth.
	service, server *registered
	addresses       addresses
	names           atomic.Int64 // of clients
}

func startPaputd(ctx context.Context, bin, dir string) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	events, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &process{bin: bin, data: filepath.Join(dir, "data"), listen: address, nats: events}
	p.url = "http://localhost:" + address[strings.LastIndex(address, ":")+1:]
	if err := p.serve(ctx); err != nil {
		return nil, err
	}
	if !isLoaded(dir) {
		if err := p.addPeople(ctx, bin); err != nil {
			p.stop()
			return nil, err
		}
	}
	p.person = p.visitor(0)
	if p.token, err = p.person.LogIn(ctx, "paput.read", "paput.write"); err != nil {
		p.stop()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return p, nil
}

// serve starts the server, for the first time or again, and waits until it is ready.
func (p *process) serve(ctx context.Context) (err error) {
	p.cmd = exec.CommandContext(ctx, filepath.Join(p.bin, "paputd"), "serve", "--data", p.data, "--listen", p.listen, "--nats-listen", p.nats, "--calls-per-second", "0")
	// A line for each log-in would bury the figures.
	if p.cmd.Stderr, err = os.OpenFile(filepath.Join(filepath.Dir(p.data), "paputd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start paputd: %w; run make build first", err)
	}
	if err := waitFor(ctx, "http://"+p.listen+"/readyz"); err != nil {
		p.stop()
		return err
	}
	p.started = time.Since(begin)
	return nil
}

const password = "correct horse battery"

func email(i int) string { return fmt.Sprintf("bench%d@example.com", i) }

// visitor is a person at a browser that nobody has used, at an address of its own.
func (p *process) visitor(person int) *visitor.Visitor {
	v := visitor.New(p.url, email(person), password)
	v.From(p.addresses.next())
	return v
}

// addPeople makes an account for each caller: the server limits what is tried in one person's name at once.
func (p *process) addPeople(ctx context.Context, bin string) error {
	for i := range slices.Max(callers) {
		add := exec.CommandContext(ctx, filepath.Join(bin, "paputd"), "account", "add", "--data", p.data, "--email", email(i), "--password-stdin")
		add.Stdin = strings.NewReader(password)
		if out, err := add.CombinedOutput(); err != nil {
			return fmt.Errorf("paputd account add: %w: %s", err, out)
		}
	}
	return nil
}

func startEcho(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-echo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, err
	}
	return &process{cmd: cmd, url: "http://" + strings.TrimSpace(address)}, nil
}

// serveEcho is the baseline: net/http, one JSON decode and one encode, nothing else but what it says of its memory.
func serveEcho() {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	vars := expvar.Handler()
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/vars" {
			vars.ServeHTTP(w, r)
			return
		}
		echoHandler(w, r)
	})}
	_ = server.Serve(l)
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// report prints what does not depend on load.
func (p *process) report(bin string) error {
	fmt.Printf("start to first 200 from /readyz   %d ms\n", p.started.Milliseconds())
	rss, err := p.memory()
	if err != nil {
		return err
	}
	fmt.Printf("resident memory, idle             %d MB\n", rss>>20)
	for _, name := range []string{"paputd", "paput"} {
		info, err := os.Stat(filepath.Join(bin, name))
		if err != nil {
			return err
		}
		fmt.Printf("size of %-8s                  %d MB\n", name, info.Size()>>20)
	}
	return nil
}

// spent is what a process has used so far: processor time, and objects that it allocated.
type spent struct {
	cpu    time.Duration
	allocs uint64
}

func (p *process) spent(ctx context.Context) (s spent, err error) {
	if s.allocs, err = p.allocs(ctx); err != nil {
		return s, err
	}
	s.cpu, err = p.cpu()
	return s, err
}

// rest waits until the server has little to do: after a start it publishes what it has not yet.
func (p *process) rest(ctx context.Context) error {
	const little = 50 * time.Millisecond
	for {
		before, err := p.cpu()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		after, err := p.cpu()
		if err != nil || after-before < little {
			return err
		}
	}
}

// allocs returns how many objects the process has allocated so far, as it says itself: paputd on its admin socket.
func (p *process) allocs(ctx context.Context) (uint64, error) {
	dialer := net.Dialer{}
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if p.data == "" {
			return dialer.DialContext(ctx, network, address)
		}
		return dialer.DialContext(ctx, "unix", filepath.Join(p.data, "admin.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/debug/vars", nil)
	if err != nil {
		return 0, err
	}
	res, err := once.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var vars struct {
		Memstats struct{ Mallocs uint64 } `json:"memstats"`
	}
	if err := json.NewDecoder(res.Body).Decode(&vars); err != nil {
		return 0, fmt.Errorf("/debug/vars answered %d: %w", res.StatusCode, err)
	}
	return vars.Memstats.Mallocs, nil
}

// cpu returns the processor time the process has used so far.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses, which may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/…/stat is shorter than expected")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(user+system) * time.Second / clockTicks, nil
}

// memory returns the resident set size in bytes.
func (p *process) memory() (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0, errors.New("/proc/…/statm is shorter than expected")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// forgetPeak makes peak begin anew.
func (p *process) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0) // proc(5)
}

// peakOf returns the greatest resident set size of a process in bytes.
func peakOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("VmHWM: %w", err)
	}
	return kilobytes << 10, nil
}

func freeAddress() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func waitFor(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer: %w", url, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}
