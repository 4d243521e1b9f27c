package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// archive measures how fast paput exports an account of many memos, and imports it into another account, beside creating the
// same memos a hundred at a time; and how much memory paput and the server need at most, with a tenth of the memos and with
// all of them.
func archive(ctx context.Context, bin, dir string, memos, body int) error {
	p, err := startPaputd(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	fmt.Printf("\nexport and import of memos with %d bytes\n\n%-22s %9s %9s %9s %10s %11s %10s\n", body, "", "memos", "per s", "MB per s", "cpu µs/op", "server MiB", "paput MiB")
	from := &person{p: p, number: 0}
	if err := from.logIn(ctx, dir); err != nil {
		return err
	}
	there := 0
	for i, n := range []int{memos / 10, memos} {
		create := func() (int64, error) { return 0, p.loadLarge(ctx, there, n, body) }
		if err := p.archiveRow("CreateMemos by hundreds", n-there, body, create); err != nil {
			return err
		}
		there = n
		file := filepath.Join(dir, fmt.Sprintf("%d.zip", n))
		export := func() (peak int64, err error) {
			var out struct{ Files []struct{ Records int } }
			peak, err = from.run(ctx, &out, "export", file, "--json")
			if err == nil && (len(out.Files) == 0 || out.Files[0].Records != n) {
				err = fmt.Errorf("exported %+v of %d memos", out.Files, n)
			}
			return peak, err
		}
		if err := p.archiveRow("paput export", n, body, export); err != nil {
			return err
		}
		to := &person{p: p, number: 1 + i}
		if err := to.logIn(ctx, dir); err != nil {
			return err
		}
		for _, again := range []bool{false, true} {
			name := "paput import"
			if again {
				name += ", again"
			}
			err := p.archiveRow(name, n, body, func() (int64, error) {
				var out struct {
					Memos struct{ Imported, Unchanged int }
				}
				peak, err := to.run(ctx, &out, "import", file, "--json")
				if done := map[bool]int{false: out.Memos.Imported, true: out.Memos.Unchanged}[again]; err == nil && done != n {
					err = fmt.Errorf("imported %+v of %d memos", out.Memos, n)
				}
				return peak, err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// archiveRow prints what something costs that is done with all memos and gives paput's peak of memory, in bytes.
func (p *process) archiveRow(name string, memos, body int, what func() (peak int64, err error)) error {
	if err := p.forgetPeak(); err != nil {
		return err
	}
	before, err := p.cpu()
	if err != nil {
		return err
	}
	begin := time.Now()
	own, err := what()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took := time.Since(begin).Seconds()
	after, err := p.cpu()
	if err != nil {
		return err
	}
	peak, err := peakOf(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("%-22s %9d %9.0f %9.1f %10.0f %11d %10d\n", name, memos, float64(memos)/took, float64(memos*body)/took/1e6,
		float64((after-before).Microseconds())/float64(memos), peak>>20, own>>20)
	return nil
}

// loadLarge creates the memos with the numbers from one up to another in the account of the first person.
func (p *process) loadLarge(ctx context.Context, from, to, body int) error {
	memos := p.memos()
	for ; from < to; from += atOnce {
		var all []*memov1.MemoDraft
		for i := from; i < min(to, from+atOnce); i++ {
			d := memoDraft(i)
			var b strings.Builder
			for more := 1; b.Len() < body; more++ {
				b.WriteString(memoDraft(i + more*1_000_000).GetBody())
			}
			d.Body = b.String()
			all = append(all, d)
		}
		if err := create(bearing(ctx, p.token.Access), memos, all); err != nil {
			return err
		}
	}
	return nil
}

// person is someone at a command line.
type person struct {
	p      *process
	number int
	home   string
}

func (o *person) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(o.p.bin, "paput"), args...)
	cmd.Env = append(os.Environ(), "PAPUT_HOME="+o.home)
	return cmd
}

// logIn lets paput log in, for the account as a whole, and goes to the browser for it.
func (o *person) logIn(ctx context.Context, dir string) error {
	home, err := filepath.Abs(filepath.Join(dir, fmt.Sprintf("person%d", o.number)))
	if err != nil {
		return err
	}
	o.home = home
	cmd := o.command(ctx, "login", "--no-browser", "--scope", "paput.account", o.p.url)
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), o.p.url+"/authorize?") {
		continue // what it says to the person
	}
	page, err := o.p.visitor(o.number).Approve(ctx, lines.Text(), "paput.read", "paput.write", "paput.account")
	if err == nil {
		var res *http.Response
		if res, err = http.Get(page.URL.String()); err == nil {
			res.Body.Close()
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
	}
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("paput login: %w", err)
	}
	return nil
}

// run lets paput do something whose result it reads, and gives the greatest resident set size of it in bytes.
func (o *person) run(ctx context.Context, result any, args ...string) (peak int64, err error) {
	cmd := o.command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// What getrusage(2) gives would include this process, which paput was forked from.
	for tick := time.Tick(10 * time.Millisecond); ; {
		select {
		case err := <-ended:
			if err != nil {
				return 0, fmt.Errorf("paput %s: %w", args[0], err)
			}
			if err := json.Unmarshal(out.Bytes(), result); err != nil {
				return 0, fmt.Errorf("paput %s printed %s", args[0], out.Bytes())
			}
			return peak, nil
		case <-tick:
			if now, err := peakOf(cmd.Process.Pid); err == nil { // it may have ended just now
				peak = now
			}
		}
	}
}
