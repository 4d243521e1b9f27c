package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// client keeps a connection open for each caller.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

const memoBody = `アクセストークンは不透明な 256 ビットの乱数とし、データベースには SHA-256 だけを保存する。
JWT にすると失効の反映が遅れ、鍵の入れ替えも運用に載せなければならない。We look tokens up live behind a small cache that
revocation empties at once; the price is one indexed read, measured at well under a tenth of a millisecond. 引き換えに、
別のマシンのリソースサーバーは introspection を呼ぶ必要がある。`

func echoHandler(w http.ResponseWriter, r *http.Request) {
	var v map[string]any
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		http.Error(w, "bad JSON", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// send posts a body and reads the answer to its end, so that the connection is used again.
func send(ctx context.Context, address, contentType, token string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", address, res.StatusCode, answer)
	}
	if bytes.Contains(answer, []byte(`"isError":true`)) || bytes.Contains(answer, []byte(`"error":{`)) {
		return fmt.Errorf("%s answered an error: %s", address, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

func echoCalls(address string, n int) []func(context.Context) error {
	body := toolCall("paput_search_memo", `{"query":"認証","page_size":5}`)
	return same(n, func(ctx context.Context) error { return send(ctx, address, "application/json", "", body, nil) })
}

func toolCall(name, arguments string) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, name, arguments)
}

func same(n int, call func(context.Context) error) []func(context.Context) error {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		calls[i] = call
	}
	return calls
}

// toolCalls searches for a word that few memos have.
func toolCalls(ctx context.Context, p *process, n int) ([]func(context.Context) error, error) {
	rare := toolCall("paput_create_memos", `{"memos":[{"title":"Zanzibar","body":"認可の論文。"}]}`)
	if err := send(ctx, p.url+"/mcp", "application/json", p.token.Access, rare, nil); err != nil {
		return nil, err
	}
	body := toolCall("paput_search_memo", `{"query":"zanzibar"}`)
	return same(n, func(ctx context.Context) error {
		return send(ctx, p.url+"/mcp", "application/json", p.token.Access, body, nil)
	}), nil
}

// categoryCalls asks for what costs the service next to nothing, which leaves the price of the edge.
func categoryCalls(_ context.Context, p *process, n int) ([]func(context.Context) error, error) {
	body := toolCall("paput_get_categories", `{}`)
	return same(n, func(ctx context.Context) error {
		return send(ctx, p.url+"/mcp", "application/json", p.token.Access, body, nil)
	}), nil
}

func createCalls(_ context.Context, p *process, n int) ([]func(context.Context) error, error) {
	memos := memov1connect.NewMemoServiceClient(connect.NewClient(connecthttp.NewTransport(client, p.url)))
	var count atomic.Int64
	return same(n, func(ctx context.Context) error {
		ctx, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Authorization", "Bearer "+p.token.Access)
		res, err := memos.CreateMemos(ctx, &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{
			Title: fmt.Sprintf("認証の方針 %d", count.Add(1)), Body: memoBody, MemoTypes: []string{"decision"}, Categories: []string{"認証"},
		}}})
		if err == nil && res.GetResults()[0].GetError() != nil {
			err = fmt.Errorf("refused: %s", res.GetResults()[0].GetError().GetMessage())
		}
		return err
	}), nil
}

// grants is how many grants share the refreshes of all callers: one grant may be refreshed a thousand times at once, and
// once a second.
const grants = 256

// refreshCalls gives each caller grants of its own, by turns, whose refresh token each call exchanges for the next.
func refreshCalls(ctx context.Context, p *process, n int) ([]func(context.Context) error, error) {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		var tokens []string
		person := p.visitor(i)
		for len(tokens) < grants/n {
			token, err := person.Grant(ctx, p.token.ClientID, p.url, "paput.read")
			if err != nil {
				return nil, err
			}
			if tokens = append(tokens, token.Refresh); len(tokens)%(perAddress/2) == 0 {
				person.From(p.addresses.next())
			}
		}
		turn := 0
		calls[i] = func(ctx context.Context) error {
			refresh := &tokens[turn%len(tokens)]
			turn++
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {*refresh}, "client_id": {p.token.ClientID}}
			var next struct {
				Refresh string `json:"refresh_token"`
			}
			if err := send(ctx, p.url+"/token", "application/x-www-form-urlencoded", "", []byte(form.Encode()), &next); err != nil {
				return err
			}
			if next.Refresh == "" || strings.EqualFold(next.Refresh, *refresh) {
				return fmt.Errorf("the refresh token was not rotated")
			}
			*refresh = next.Refresh
			return nil
		}
	}
	return calls, nil
}
