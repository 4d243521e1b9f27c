package memo

import (
	"bytes"
	"context"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// keptCall is a call with a key that was answered.
type keptCall struct {
	account, key string
	again        func() (proto.Message, error)
	answer       []byte
}

// send makes a call, perhaps with a key, in which case it can be repeated.
func send[R keyed, A proto.Message](m *machine, account string, req R, call func(context.Context, R) (A, error)) (A, error) {
	keep := rapid.Bool().Draw(m.T, "with a key")
	key := fmt.Sprint("key ", len(m.calls))
	if keep {
		req = withKey(req, key)
	}
	answer, err := call(as(m.T, account), req)
	if err == nil && keep {
		m.calls = append(m.calls, keptCall{account, key, func() (proto.Message, error) { return call(as(m.T, account), req) }, marshal(m.T, answer)})
	}
	return answer, err
}

// repeat makes a call again, which changes nothing, and tries to do something else with its key.
func (m *machine) repeat() {
	if len(m.calls) == 0 {
		return
	}
	c := rapid.SampledFrom(m.calls).Draw(m.T, "call")
	got, err := c.again()
	if err != nil || !bytes.Equal(marshal(m.T, got), c.answer) {
		m.Fatalf("%s again: got %v, %v, want the first answer", c.key, got, err)
	}
	_, err = m.CreateMemos(as(m.T, c.account), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{draftOf("another", "")}, IdempotencyKey: c.key})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		m.Fatalf("another call with %s: got %v, want invalid_argument", c.key, err)
	}
}
