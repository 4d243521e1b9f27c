package mcp_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paput/paput/edge/mcp"
)

// TestNothingCrosses lets two accounts call in both eras under the same ids while they hang up on some calls and send
// cancellations of others. Every answer must be the caller's own, and every call that is not hung up on must be answered.
func TestNothingCrosses(t *testing.T) {
	t.Parallel()
	const callers, calls = 64, 15
	// The bodies of calls that are hung up on and the log would grow together otherwise.
	st := start(t, func(c *mcp.HTTPConfig) { c.KeepAlive = time.Second })
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			token, account := aliceToken, "acct_alice"
			if n%2 == 1 {
				token, account = bobToken, "acct_bob"
			}
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for i := range calls {
				mark := fmt.Sprintf("%dms", 1+random.IntN(9))
				id := random.IntN(4)
				body, headers := call("paput_search_memo", `{"query":"wait:`+mark+`"}`), []string(nil)
				if random.IntN(2) == 0 {
					body, headers = modernCall("paput_search_memo", `{"query":"wait:`+mark+`"}`)
				}
				body = strings.Replace(body, `"id":7`, fmt.Sprintf(`"id":%d`, id), 1)
				headers = append(headers, "Authorization", "Bearer "+token)
				ctx, cancel := context.WithCancel(t.Context())
				hangUp := random.IntN(4) == 0
				if hangUp {
					time.AfterFunc(time.Duration(random.IntN(6))*time.Millisecond, cancel)
				}
				if random.IntN(4) == 0 {
					note := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
					if res := st.send(t, "POST", "/", note, "Authorization", "Bearer "+token); res.status != 202 {
						t.Errorf("a cancellation: got %d", res.status)
					}
				}
				res, err := st.try(ctx, "POST", "/mcp", body, headers...)
				var said []byte
				if err == nil {
					said, err = io.ReadAll(res.Body)
					res.Body.Close()
				}
				cancel()
				if err != nil {
					if !hangUp {
						t.Errorf("caller %d, call %d: %v", n, i, err)
					}
					continue
				}
				head, title := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":`, id), fmt.Sprintf(`"title":"%s %s"`, account, mark)
				if !strings.HasPrefix(string(said), head) || !strings.Contains(string(said), title) || strings.Count(string(said), "acct_") != 2 {
					t.Errorf("caller %d got %s\nwant %s and %s", n, said, head, title)
				}
			}
		})
	}
	wg.Wait()
}
