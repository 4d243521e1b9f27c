package memo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"google.golang.org/protobuf/proto"
)

// The sizes of pages, as the proto file states them.
const (
	defaultPageSize = 20
	maxPageSize     = 100
)

func pageSize(asked int32) int {
	if asked <= 0 {
		return defaultPageSize
	}
	return int(min(asked, maxPageSize))
}

// cursor is a place in a list: what its page token means. It names the last thing that was given, not how many were, so
// that a list that grows meanwhile repeats and loses nothing.
type cursor struct {
	// For says which list of whose this is a place in.
	For []byte `json:"f"`

	// A list of the newest: the last memo's create_time in milliseconds, and its id.
	Time int64  `json:"t,omitempty"`
	ID   string `json:"i,omitempty"`

	// A list of revisions: the last one's.
	Revision int64 `json:"r,omitempty"`

	// An export: which of its sections; see export. Pin is the position of the log at which it began.
	Section int `json:"x,omitempty"`

	// A ranked list: memos with a greater n than Pin were created after its first page and are no part of it. N and Score
	// are the last memo's. Tail says that all ranked memos were given; see keyword.
	Pin   int64   `json:"p,omitempty"`
	N     int64   `json:"n,omitempty"`
	Score float64 `json:"s,omitempty"`
	Tail  bool    `json:"e,omitempty"`
	// Near are the memos near in meaning that the list was made with; see nearness.
	Near []int64 `json:"m,omitempty"`
}

// listOf names a list: an RPC, its caller's account, and the request without what may differ between pages.
func listOf(accountID string, req proto.Message) []byte {
	h := sha256.New()
	h.Write([]byte(proto.MessageName(req)))
	h.Write([]byte{0})
	h.Write([]byte(accountID))
	h.Write([]byte{0})
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		panic("memo: a request that was received cannot be marshalled: " + err.Error())
	}
	h.Write(data)
	return h.Sum(nil)[:9]
}

func (c cursor) token() string {
	data, err := json.Marshal(c)
	if err != nil {
		panic("memo: marshal a page token: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// parseCursor gives nil for an empty token.
func parseCursor(token string, list []byte) (*cursor, error) {
	if token == "" {
		return nil, nil
	}
	var c cursor
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return nil, invalid("page_token is not one that was given out; leave it out to begin again")
	}
	if len(c.Near) > maxNear {
		return nil, invalid("page_token is not one that was given out; leave it out to begin again")
	}
	if string(c.For) != string(list) {
		return nil, invalid("page_token belongs to other arguments; repeat those of the page before, or leave it out to begin again")
	}
	return &c, nil
}
