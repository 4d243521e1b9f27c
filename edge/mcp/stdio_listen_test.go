package mcp_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a client of ServeStdio.
type pipes struct {
	io.Writer
	answers *bufio.Scanner
	ended   chan error
}

func (p *pipes) next() string {
	p.answers.Scan()
	return p.answers.Text()
}

// listen sends a subscriptions/listen.
func (p *pipes) listen(id, uris string) {
	fmt.Fprintf(p, `{"jsonrpc":"2.0","id":%s,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":%s},%s}}`+"\n", id, uris, modernMeta)
}

// pipe lets a server serve a client for the time of fn, and wants it to end without an error.
func pipe(t *testing.T, f *far, fn func(p *pipes)) {
	t.Helper()
	in, feed := io.Pipe()
	out, sink := io.Pipe()
	p := &pipes{Writer: feed, answers: bufio.NewScanner(out), ended: make(chan error, 1)}
	go func() {
		p.ended <- stdioServerOf(t, f, aliceToken).ServeStdio(t.Context(), in, sink)
		sink.Close()
	}()
	fn(p)
	feed.Close()
	if rest := p.next(); rest != "" {
		t.Errorf("at the end: got %s, want nothing", rest)
	}
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}

// updated is what a subscription says of a resource.
func updated(id, uri string) string {
	return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `},"uri":"` + uri + `"}}`
}

func acknowledged(id, uris string) string {
	return `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `},"notifications":{"resourceSubscriptions":` + uris + `}}}`
}

func TestStdioListens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &far{revoked: make(chan struct{}), changed: make(chan string)}
		pipe(t, f, func(p *pipes) {
			fmt.Fprintln(p, `{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{`+modernMeta+`}}`)
			if got := p.next(); !strings.Contains(got, `"resources":{"subscribe":true}`) {
				t.Errorf("got %s, want that resources can be subscribed to", got)
			}
			p.listen(`"s"`, `["memo://memo_1","file:///etc/passwd","memo://recent"]`)
			if got, want := p.next(), acknowledged(`"s"`, `["memo://memo_1","memo://recent"]`); got != want {
				t.Fatalf("got %s\nwant %s", got, want)
			}
			f.changed <- "memo_1"
			for _, uri := range []string{"memo://memo_1", "memo://recent"} {
				if got, want := p.next(), updated(`"s"`, uri); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
			}
			for range 3 {
				time.Sleep(time.Minute)
				f.changed <- "memo_2"
				if got, want := p.next(), updated(`"s"`, "memo://recent"); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
			}
			fmt.Fprintln(p, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			if got, want := p.next(), `{"jsonrpc":"2.0","id":1,"result":{}}`; got != want {
				t.Errorf("meanwhile: got %s\nwant %s", got, want)
			}
			fmt.Fprintln(p, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s"}}`)
			synctest.Wait()
			select {
			case f.changed <- "memo_1":
				t.Error("after it was cancelled: memos are watched")
			default:
			}
		})
	})
}

// TestStdioListensOn loses the watch, and cannot begin another one for a while: the client is told once it can that all may
// have changed.
func TestStdioListensOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &far{revoked: make(chan struct{}), changed: make(chan string)}
		pipe(t, f, func(p *pipes) {
			f.down.Store(true)
			p.listen(`7`, `["memo://memo_1","memo://categories"]`)
			if got, want := p.next(), acknowledged(`7`, `["memo://memo_1","memo://categories"]`); got != want {
				t.Fatalf("got %s\nwant %s", got, want)
			}
			for _, outage := range []time.Duration{100 * time.Millisecond, time.Hour, 100 * time.Millisecond} {
				time.Sleep(outage)
				back := time.Now()
				f.down.Store(false)
				for _, uri := range []string{"memo://memo_1", "memo://categories"} {
					if got, want := p.next(), updated(`7`, uri); got != want {
						t.Errorf("after %s: got %s\nwant %s", outage, got, want)
					}
				}
				if late, most := time.Since(back), min(outage*10, 15*time.Second); late > most {
					t.Errorf("after %s: told %s after the server was back, want within %s", outage, late, most)
				}
				f.changed <- "memo_2"
				if got, want := p.next(), updated(`7`, "memo://categories"); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
				f.down.Store(true)
				f.changed <- "end"
			}
		})
	})
}

// TestStdioListensToSilence lets the way to the server die without a word, as it does while a machine sleeps: at first before
// a watch begins, and then while one is under way.
func TestStdioListensToSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &far{revoked: make(chan struct{}), changed: make(chan string)}
		f.dead.Store(true)
		pipe(t, f, func(p *pipes) {
			p.listen(`7`, `["memo://recent"]`)
			for i, want := range []string{acknowledged(`7`, `["memo://recent"]`), updated(`7`, "memo://recent"), updated(`7`, "memo://recent")} {
				begin := time.Now()
				if got := p.next(); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
				if took := time.Since(begin); took > 2*time.Minute {
					t.Errorf("message %d came after %s", i, took)
				}
				f.dead.Store(false)
			}
		})
	})
}

func TestStdioListensRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &far{revoked: make(chan struct{})}
		pipe(t, f, func(p *pipes) {
			for _, uris := range []string{`"memo://recent"`, `[1]`, `["memo://0"` + manyURIs() + `]`} {
				p.listen(`1`, uris)
				if got := p.next(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,`) {
					t.Errorf("%.40s: got %s, want an error", uris, got)
				}
			}
			for id := range 34 {
				p.listen(fmt.Sprint(id), `[]`)
				got := p.next()
				if refused := strings.Contains(got, `"error":{"code":-32000,"message":"32 subscriptions are open`); refused != (id == 32) {
					t.Errorf("subscription %d: got %s", id, got)
				}
				if id == 32 {
					fmt.Fprintln(p, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
					synctest.Wait()
				}
			}
		})
	})
}
