package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
)

// TestNothingCrosses lets two accounts, with two clients each, work at once on shared connections: 64 callers write, read,
// are asked and answer in both eras, hang up and cancel, under the same few JSON-RPC ids, while others listen and a third
// account is silent. Whatever arrives must be the receiver's own, and whatever is owed must arrive.
func TestNothingCrosses(t *testing.T) {
	t.Parallel()
	rounds, splits := 1, []bool{false}
	if *soak {
		rounds, splits = 10, []bool{false, true}
	}
	for _, split := range splits {
		t.Run(fmt.Sprintf("split=%v", split), func(t *testing.T) {
			t.Parallel()
			c := newCrossing(t, split)
			for range rounds {
				c.round()
			}
			c.settle()
			c.stop()
		})
	}
}

const (
	crossingCallers = 64
	crossingCalls   = 4
	// crossingBeacons is how many memos of each account those who listen are told of.
	crossingBeacons = 24
)

// crossing is the server and whoever is there.
type crossing struct {
	*testing.T
	server *running
	// tenants are the two accounts, and a third that writes nothing.
	tenants [3]*tenant
	// lines are the ways to the server, of HTTP/1.1 and HTTP/2, that everybody shares.
	lines [2]*http.Client
}

// tenant is an account.
type tenant struct {
	// mark is in every title that the account writes, and nobody else can know it.
	mark string
	// tokens are those of two clients.
	tokens [2]string
	// beacons are memos that are changed once in a round.
	beacons []string

	mu sync.Mutex // guards what follows
	// changed are the beacons that are being changed or were, in order.
	changed []string
	// seen are the ids of all memos that the account was told of.
	seen map[string]bool
	// agreed and refused are memos that were to be published and the person's answers.
	agreed, refused []string
}

func newCrossing(t *testing.T, split bool) *crossing {
	t.Helper()
	server := startWithAccounts(t, func(c *config) { c.split = split })
	_, err := server.app.accounts.Admin().CreateAccount(t.Context(), &accountv1.CreateAccountRequest{Email: "silent@example.com", Password: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	http2 := new(http.Protocols)
	http2.SetUnencryptedHTTP2(true)
	c := &crossing{T: t, server: server, lines: [2]*http.Client{
		{Transport: &http.Transport{MaxIdleConnsPerHost: crossingCallers}}, {Transport: &http.Transport{Protocols: http2}},
	}}
	for i, name := range []string{"aiko", "eve", "silent"} {
		person := newVisitor(server)
		person.Email = name + "@example.com"
		who := &tenant{mark: name + "-" + rand.Text(), seen: map[string]bool{}}
		for n := range who.tokens {
			who.tokens[n] = logIn(t, person, "paput.read", "paput.write", "paput.publish")
		}
		c.tenants[i] = who
	}
	for _, who := range c.tenants[:2] {
		v := c.voice(who, 0)
		drafts := make([]string, crossingBeacons)
		for i := range drafts {
			drafts[i] = fmt.Sprintf(`{"title":"%s beacon %d"}`, who.mark, i)
		}
		said := v.call(`paput_create_memos`, `{"memos":[`+strings.Join(drafts, ",")+`]}`)
		who.beacons = memoIDs.FindAllString(said, -1)
		slices.Sort(who.beacons)
		who.beacons = slices.Compact(who.beacons)
	}
	return c
}

// round lets everybody work until each caller has made its calls, and everybody who listens has been told what it is owed.
func (c *crossing) round() {
	ctx, end := context.WithCancel(c.Context())
	defer end()
	var listeners, workers sync.WaitGroup
	for _, who := range c.tenants {
		who.changed = nil
	}
	written := make(chan struct{})
	for n := range 14 {
		ready := make(chan struct{})
		listeners.Go(func() { c.listener(ctx, c.tenants[n%3], n, ready, written) })
		<-ready
	}
	for n := range crossingCallers {
		workers.Go(func() { c.caller(n) })
	}
	for i, who := range c.tenants[:2] {
		workers.Go(func() { c.changer(who, i) })
	}
	workers.Wait()
	close(written)
	listeners.Wait()
}

// A voice is one caller of an account, by one of its clients on one of the ways.
type voice struct {
	*crossing
	*tenant
	token, foreign, sibling string
	line                    *http.Client
	random                  *mathrand.Rand
	session                 string
}

func (c *crossing) voice(who *tenant, n int) *voice {
	other := c.tenants[0]
	if other == who {
		other = c.tenants[1]
	}
	return &voice{
		crossing: c, tenant: who, token: who.tokens[n/3%2], sibling: who.tokens[1-n/3%2], foreign: other.tokens[n/3%2], line: c.lines[n/2%2],
		random: mathrand.New(mathrand.NewPCG(uint64(n), mathrand.Uint64())),
	}
}

var memoIDs = regexp.MustCompile(`memo_[0-9a-z]{26}`)

// mine checks that a text that the account was sent has nothing of another account.
func (v *voice) mine(text string) {
	for _, other := range v.tenants {
		if other != v.tenant && strings.Contains(text, other.mark) {
			v.Errorf("%s was sent %s", v.mark, text)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range memoIDs.FindAllString(text, -1) {
		v.seen[id] = true
	}
}

// asked is a request of an era: the method's params without _meta, and what the client can do.
type asked struct {
	method, params, tool string
	modern               bool
	session              string
}

// send sends a request under an id that others use as well, and returns it.
func (v *voice) send(ctx context.Context, token string, a asked) (id string, res *http.Response, err error) {
	id = fmt.Sprint(v.random.IntN(4))
	params := a.params
	if a.modern {
		params = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},` +
			`"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}},` + params
	}
	res, err = v.post(ctx, token, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{%s}}`, id, a.method, params), func(h http.Header) {
		h.Set("Mcp-Protocol-Version", "2025-11-25")
		if a.modern {
			h.Set("Mcp-Protocol-Version", "2026-07-28")
			h.Set("Mcp-Method", a.method)
		}
		if a.modern && a.tool != "" {
			h.Set("Mcp-Name", a.tool)
		}
		if a.session != "" {
			h.Set("Mcp-Session-Id", a.session)
		}
	})
	return id, res, err
}

func (v *voice) post(ctx context.Context, token, body string, headers func(http.Header)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.server.url+"/mcp", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", asJSON)
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	headers(req.Header)
	return v.line.Do(req)
}

// exchange sends a request and reads its whole answer, which must be to it.
func (v *voice) exchange(token string, a asked) string {
	id, res, err := v.send(v.Context(), token, a)
	if err != nil {
		v.Errorf("%s: %v", a.method, err)
		return ""
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		v.Errorf("%s: %v", a.method, err)
	}
	v.answers(id, string(said))
	return string(said)
}

// answers checks that a text answers the request with an id.
func (v *voice) answers(id, said string) {
	v.mine(said)
	if !strings.HasPrefix(said, `{"jsonrpc":"2.0","id":`+id+`,`) {
		v.Errorf("to the request %s %s got %s", id, v.mark, said)
	}
}

func tool(name, arguments string, modern bool) asked {
	return asked{method: "tools/call", params: fmt.Sprintf(`"name":%q,"arguments":%s`, name, arguments), tool: name, modern: modern}
}

// call calls a tool in either era and returns the answer, which must be a success.
func (v *voice) call(name, arguments string) string {
	said := v.exchange(v.token, tool(name, arguments, v.random.IntN(2) == 0))
	if !strings.Contains(said, `"structuredContent"`) || strings.Contains(said, `"isError":true`) {
		v.Errorf("%s: got %s", name, said)
	}
	return said
}

// write writes a memo of its own and returns its id.
func (v *voice) write(title string) string {
	said := v.call("paput_create_memos", fmt.Sprintf(`{"memos":[{"title":%q,"body":%q}]}`, title, v.mark))
	id := memoIDs.FindString(said)
	if !strings.Contains(said, title) || id == "" {
		v.Errorf("created %s: got %s", title, said)
	}
	return id
}

// caller makes calls of all kinds.
func (c *crossing) caller(n int) {
	v := c.voice(c.tenants[n%2], n)
	v.begin()
	for i := range crossingCalls {
		title := fmt.Sprintf("%s caller %d call %d %s", v.mark, n, i, rand.Text())
		if v.random.IntN(3) == 0 {
			v.cancel()
		}
		switch id := v.write(title); v.random.IntN(4) {
		case 0:
			if said := v.call("paput_search_memo", fmt.Sprintf(`{"ids":[%q]}`, id)); !strings.Contains(said, title) {
				v.Errorf("read back %s: got %s", title, said)
			}
		case 1:
			v.askedOnStream(id, title)
		case 2:
			v.askedByRounds(id, title)
		case 3:
			v.hangUp(id)
		}
	}
}

// begin makes the session of a client that can be asked, in the era of the handshake.
func (v *voice) begin() {
	_, res, err := v.send(v.Context(), v.token, asked{
		method: "initialize", params: `"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}`,
	})
	if err != nil {
		v.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if v.session = res.Header.Get("Mcp-Session-Id"); v.session == "" {
		v.Error("there is no session for a client that can be asked")
	}
}

// tell sends what is not answered.
func (v *voice) tell(token, message string) {
	res, err := v.post(v.Context(), token, message, func(h http.Header) { h.Set("Mcp-Protocol-Version", "2025-11-25") })
	if err != nil {
		v.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		v.Errorf("%s: got %d", message, res.StatusCode)
	}
}

// cancel cancels a request that is another caller's, of this account and of the other, by its id.
func (v *voice) cancel() {
	v.tell(v.token, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, v.random.IntN(4)))
}

// hangUp makes calls and does not wait for what they answer; what it reads until then must be its own all the same.
func (v *voice) hangUp(id string) {
	v.decide(&v.refused, id)
	for _, a := range []asked{
		tool("paput_search_memo", `{"query":"caller"}`, v.random.IntN(2) == 0),
		tool("paput_create_memos", fmt.Sprintf(`{"memos":[{"title":"%s hung up"}]}`, v.mark), v.random.IntN(2) == 0),
		tool("paput_publish_memos", fmt.Sprintf(`{"ids":[%q]}`, id), true),
	} {
		ctx, cancel := context.WithCancel(v.Context())
		time.AfterFunc(time.Duration(v.random.IntN(6000))*time.Microsecond, cancel)
		if _, res, err := v.send(ctx, v.token, a); err == nil {
			said, _ := io.ReadAll(res.Body)
			res.Body.Close()
			v.mine(string(said))
		}
		cancel()
	}
}

// decide notes what became of a memo that was to be published.
func (v *voice) decide(list *[]string, id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*list = append(*list, id)
}

// question checks what the person is asked.
func (v *voice) question(message, title string) {
	v.mine(message)
	if want := "Publish these memos, so that anyone who has their addresses can read them?\n- " + title; message != want {
		v.Errorf("%s was asked %q, want %q", v.mark, message, want)
	}
}

// outcome checks the answer to a call about which the person has decided.
func (v *voice) outcome(id, said string, agrees bool) {
	switch {
	case agrees && !strings.Contains(said, `"public_url":"`+v.server.url+"/m/"+id+`"`):
		v.Errorf("%s agreed: got %s", v.mark, said)
	case !agrees && !strings.Contains(said, "The person did not agree."):
		v.Errorf("%s did not agree: got %s", v.mark, said)
	}
	if agrees {
		v.decide(&v.agreed, id)
	} else {
		v.decide(&v.refused, id)
	}
}

func action(agrees bool) string {
	if agrees {
		return `{"action":"accept","content":{}}`
	}
	return `{"action":"decline"}`
}

// askedOnStream publishes a memo and is asked on the way (until 2025-11-25). Others answer too, and count for nothing.
func (v *voice) askedOnStream(id, title string) {
	a := tool("paput_publish_memos", fmt.Sprintf(`{"ids":[%q]}`, id), false)
	a.session = v.session
	ctx, cancel := context.WithCancel(v.Context())
	defer cancel()
	request, res, err := v.send(ctx, v.token, a)
	if err != nil {
		v.Error(err)
		return
	}
	defer res.Body.Close()
	events := bufio.NewScanner(res.Body)
	events.Buffer(nil, 1<<20)
	var ask struct {
		ID, Method string
		Params     struct{ Message string }
	}
	if said := nextData(events); json.Unmarshal([]byte(said), &ask) != nil || ask.Method != "elicitation/create" {
		v.Errorf("got %q, want a question", said)
		return
	}
	v.question(ask.Params.Message, title)
	if v.random.IntN(4) == 0 {
		v.decide(&v.refused, id)
		return // and hang up
	}
	agrees := v.random.IntN(2) == 0
	reply := func(agrees bool) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":%s}`, ask.ID, action(agrees))
	}
	for _, token := range []string{v.foreign, v.sibling} {
		v.tell(token, reply(!agrees))
	}
	v.tell(v.token, reply(agrees))
	said := nextData(events)
	v.answers(request, said)
	v.outcome(id, said, agrees)
}

// askedByRounds publishes a memo and is asked by an answer that wants another call (2026-07-28). Others make that call too.
func (v *voice) askedByRounds(id, title string) {
	a := tool("paput_publish_memos", fmt.Sprintf(`{"ids":[%q]}`, id), true)
	said := v.exchange(v.token, a)
	var asks struct {
		Result struct {
			InputRequests struct {
				Confirm struct{ Params struct{ Message string } }
			}
			RequestState string
		}
	}
	if err := json.Unmarshal([]byte(said), &asks); err != nil || asks.Result.RequestState == "" {
		v.Errorf("got %s, want a question", said)
		return
	}
	v.question(asks.Result.InputRequests.Confirm.Params.Message, title)
	if v.random.IntN(4) == 0 {
		v.decide(&v.refused, id)
		return // and never answer
	}
	agrees := v.random.IntN(2) == 0
	reply := func(agrees bool) asked {
		again := a
		again.params += fmt.Sprintf(`,"requestState":%q,"inputResponses":{"confirm":%s}`, asks.Result.RequestState, action(agrees))
		return again
	}
	for _, token := range []string{v.foreign, v.sibling} {
		if said := v.exchange(token, reply(!agrees)); !strings.Contains(said, "the requestState is not for this call") {
			v.Errorf("with another's requestState: got %s", said)
		}
	}
	v.outcome(id, v.exchange(v.token, reply(agrees)), agrees)
}

// changer changes each beacon of an account, one after the other.
func (c *crossing) changer(who *tenant, n int) {
	v := c.voice(who, n)
	for _, id := range who.beacons {
		who.mu.Lock()
		who.changed = append(who.changed, id)
		who.mu.Unlock()
		v.call("paput_update_memo", fmt.Sprintf(`{"id":%q,"summary":%q}`, id, rand.Text()))
		time.Sleep(time.Duration(v.random.IntN(20)) * time.Millisecond)
	}
}

// nextData reads the next message of a stream; "" at its end.
func nextData(events *bufio.Scanner) string {
	for events.Scan() {
		if said, ok := strings.CutPrefix(events.Text(), "data: "); ok {
			return said
		}
	}
	return ""
}

// listen opens a stream about the beacons of both accounts and all that each account has. When it returns nothing is missed
// from then on.
func (v *voice) listen(ctx context.Context) (id string, events *bufio.Scanner, hangUp func()) {
	uris := []string{`"memo://recent"`}
	for _, who := range v.tenants {
		for _, id := range who.beacons {
			uris = append(uris, `"memo://`+id+`"`)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	id, res, err := v.send(ctx, v.token, asked{ //nolint:bodyclose // by hangUp
		method: "subscriptions/listen", modern: true, params: `"notifications":{"resourceSubscriptions":[` + strings.Join(uris, ",") + `]}`,
	})
	if err != nil {
		v.Errorf("listen: %v", err)
		return id, bufio.NewScanner(strings.NewReader("")), cancel
	}
	events = bufio.NewScanner(res.Body)
	events.Buffer(nil, 1<<20)
	if said := nextData(events); !strings.Contains(said, "notifications/subscriptions/acknowledged") || !strings.Contains(said, `subscriptionId":`+id+`}`) {
		v.Errorf("listen: got %d %s", res.StatusCode, said)
	}
	return id, events, func() { cancel(); res.Body.Close() }
}

// listener listens, and hangs up now and then to listen again. Once everything is written, it stays until it has been told of
// each beacon that was changed since it began.
func (c *crossing) listener(ctx context.Context, who *tenant, n int, ready chan<- struct{}, written <-chan struct{}) {
	v := c.voice(who, n)
	for last := false; !last; {
		id, events, hangUp := v.listen(ctx)
		// What is changed from here on is owed; what was being changed may have been before.
		who.mu.Lock()
		before := len(who.changed)
		who.mu.Unlock()
		if ready != nil {
			close(ready)
			ready = nil
		}
		told, over := make(chan string), make(chan struct{})
		go func() {
			defer close(told)
			for said := nextData(events); said != ""; said = nextData(events) {
				select {
				case told <- said:
				case <-over:
					return
				}
			}
		}()
		// Every other one stays for the whole round.
		patience := time.Hour
		if n%2 == 1 {
			patience = time.Duration(20+v.random.IntN(300)) * time.Millisecond
		}
		last = v.hear(id, before, told, time.After(patience), written)
		hangUp()
		close(over)
	}
}

// hear reads what a stream tells until it is time to hang up, or everything has been written and told.
func (v *voice) hear(id string, before int, told <-chan string, leave <-chan time.Time, written <-chan struct{}) (all bool) {
	heard := map[string]bool{}
	owed := func() (missing []string) {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, id := range v.changed[before:] {
			if !heard[id] {
				missing = append(missing, id)
			}
		}
		return missing
	}
	var deadline <-chan time.Time
	for written != nil || len(owed()) > 0 {
		select {
		case said, ok := <-told:
			if !ok {
				v.Errorf("the stream of %s ended; it is owed %v", v.mark, owed())
				return true
			}
			v.told(id, said, heard)
		case <-leave:
			return false
		case <-written:
			written, leave, deadline = nil, nil, time.After(30*time.Second)
		case <-deadline:
			v.Errorf("%s was not told of %v", v.mark, owed())
			return true
		}
	}
	// Nothing more is owed; what comes now would be another's.
	for quiet := time.After(50 * time.Millisecond); ; {
		select {
		case said, ok := <-told:
			if !ok {
				return true
			}
			v.told(id, said, heard)
		case <-quiet:
			return true
		}
	}
}

// told checks one message of a stream.
func (v *voice) told(id, said string, heard map[string]bool) {
	v.mine(said)
	var update struct {
		Method string
		Params struct {
			URI  string
			Meta map[string]json.RawMessage `json:"_meta"`
		}
	}
	if err := json.Unmarshal([]byte(said), &update); err != nil || update.Method != "notifications/resources/updated" {
		v.Errorf("%s was told %s", v.mark, said)
		return
	}
	if got := update.Params.Meta["io.modelcontextprotocol/subscriptionId"]; !bytes.Equal(got, []byte(id)) {
		v.Errorf("%s was told %s on the stream %s", v.mark, said, id)
	}
	memo := strings.TrimPrefix(update.Params.URI, "memo://")
	if memo == "recent" && v.beacons != nil {
		return
	}
	if !slices.Contains(v.beacons, memo) {
		v.Errorf("%s was told of %s, which is not its own", v.mark, update.Params.URI)
	}
	heard[memo] = true
}

// settle checks, when all is quiet, that all memos that an account was told of are its own, and that those are public that
// it agreed to.
func (c *crossing) settle() {
	for n, who := range c.tenants {
		v := c.voice(who, n)
		var ids []string
		for id := range who.seen {
			ids = append(ids, id)
		}
		if n < 2 && (len(who.agreed) == 0 || len(who.refused) == 0 || len(ids) < crossingCallers) {
			c.Errorf("%s did next to nothing", who.mark)
		}
		for some := range slices.Chunk(ids, 100) {
			list, err := json.Marshal(some)
			if err != nil {
				c.Fatal(err)
			}
			said := v.call("paput_search_memo", `{"ids":`+string(list)+`}`)
			var found struct {
				Result struct {
					StructuredContent struct {
						Memos []struct {
							ID, Title, Etag string
							IsPublic        bool `json:"is_public"`
						}
					}
				}
			}
			if err := json.Unmarshal([]byte(said), &found); err != nil || len(found.Result.StructuredContent.Memos) != len(some) {
				c.Errorf("%s does not have all the memos that it was told of: %s", who.mark, said)
			}
			for _, m := range found.Result.StructuredContent.Memos {
				if m.Etag == "" || !strings.HasPrefix(m.Title, who.mark) {
					c.Errorf("%s was told of %s, %q", who.mark, m.ID, m.Title)
				}
				if m.IsPublic != slices.Contains(who.agreed, m.ID) {
					c.Errorf("%s, %q: public is %t", m.ID, m.Title, m.IsPublic)
				}
			}
		}
	}
}

// stop stops the server, which must say so on each stream, and have met no error.
func (c *crossing) stop() {
	var streams []func()
	for n, who := range c.tenants {
		v := c.voice(who, n)
		id, events, _ := v.listen(c.Context())
		streams = append(streams, func() { v.answers(id, nextData(events)) })
	}
	if err := c.server.stop(); err != nil {
		c.Error(err)
	}
	for _, ends := range streams {
		ends()
	}
	if logs := c.server.logs(); strings.Contains(logs, "level=ERROR") || strings.Contains(logs, "level=WARN") {
		c.Errorf("the server complains:\n%s", logs)
	}
}
