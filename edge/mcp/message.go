package mcp

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
)

// A message is one JSON-RPC message, in slices of the text it came in.
type message struct {
	// id is as it came, so that it is echoed byte for byte; nil for a notification.
	id     []byte
	method string
	// params is an object; an empty one when there was none.
	params []byte
	// response says that the message answers one of ours; result is what it says, nil for an error.
	response bool
	result   []byte
	// meta is what params._meta says of the protocol.
	meta meta
	// tool and arguments are those of a tools/call, and state and answers what a client sends with it that was asked for
	// input; nil when it sends none.
	tool           string
	arguments      []byte
	state, answers []byte
}

// meta is what a request says of itself since 2026-07-28.
type meta struct {
	version string
	// capabilities is an object, or nil.
	capabilities []byte
	// logLevel is from which level on the client wants to be told what happens; empty for nothing.
	logLevel string
}

// An rpcError is an error answer of JSON-RPC.
type rpcError struct {
	code int
	text string
	// data is JSON, or nil.
	data []byte
}

func (e *rpcError) Error() string { return e.text }

// parse reads a message. On an error it returns what it has read so far: the id, if there was a valid one.
//
// Batches were part of the protocol for one revision, 2025-03-26; no client is known that sends one, and they are refused.
func parse(body []byte) (message, *rpcError) {
	var m message
	if !utf8.Valid(body) || !json.Valid(body) {
		return m, &rpcError{code: mcp.PARSE_ERROR, text: "the body is not JSON"}
	}
	body = body[skipSpace(body, 0):]
	if isArray(body) {
		return m, &rpcError{code: mcp.INVALID_REQUEST, text: "batches are not supported: send one message in each request"}
	}
	if !isObject(body) {
		return m, &rpcError{code: mcp.INVALID_REQUEST, text: "the body is not a JSON-RPC message"}
	}
	var version, method, id, params []byte
	err := eachMember(body, func(name, value []byte) error {
		var part *[]byte
		switch string(name) {
		case "jsonrpc":
			part = &version
		case "method":
			part = &method
		case "id":
			part = &id
		case "params":
			part = &params
		case "result":
			m.response, m.result = true, value
			return nil
		case "error":
			m.response = true
			return nil
		default:
			return nil
		}
		if *part != nil {
			return fmt.Errorf("%s is given twice", name)
		}
		*part = value
		return nil
	})
	if isString(id) || isNumber(id) {
		m.id = id
	}
	switch {
	case err != nil:
		return m, &rpcError{code: mcp.INVALID_REQUEST, text: err.Error()}
	case !isString(version) || unquote(version) != mcp.JSONRPC_VERSION:
		return m, &rpcError{code: mcp.INVALID_REQUEST, text: `jsonrpc must be "2.0"`}
	case id != nil && m.id == nil:
		return m, &rpcError{code: mcp.INVALID_REQUEST, text: "id must be a string or a number, not " + describe(id)}
	case m.response && method == nil:
		return m, nil
	case !isString(method):
		return m, &rpcError{code: mcp.INVALID_REQUEST, text: "method must be a string"}
	}
	m.response = false
	m.method = unquote(method)
	if params == nil || isNull(params) {
		params = []byte("{}")
	}
	if !isObject(params) {
		return m, &rpcError{code: mcp.INVALID_PARAMS, text: "params must be an object, not " + describe(params)}
	}
	m.params = params
	return m, m.readParams()
}

// readParams finds what the transport itself must know of the params.
func (m *message) readParams() *rpcError {
	var raw, name, arguments []byte
	_ = eachMember(m.params, func(member, value []byte) error {
		switch string(member) {
		case "_meta":
			raw = value
		case "name":
			name = value
		case "arguments":
			arguments = value
		case "requestState":
			m.state = value
		case "inputResponses":
			m.answers = value
		}
		return nil
	})
	if raw != nil && !isObject(raw) {
		return &rpcError{code: mcp.INVALID_PARAMS, text: "_meta must be an object, not " + describe(raw)}
	}
	if raw != nil {
		m.meta = readMeta(raw)
	}
	if m.method != string(mcp.MethodToolsCall) {
		return nil
	}
	if !isString(name) {
		return &rpcError{code: mcp.INVALID_PARAMS, text: "params.name must be a string, the name of a tool"}
	}
	if arguments != nil && !isObject(arguments) {
		return &rpcError{code: mcp.INVALID_PARAMS, text: "params.arguments must be an object, not " + describe(arguments)}
	}
	if arguments == nil {
		arguments = []byte("{}")
	}
	m.tool, m.arguments = unquote(name), arguments
	return nil
}

func readMeta(raw []byte) (about meta) {
	_ = eachMember(raw, func(name, value []byte) error {
		switch string(name) {
		case mcp.MetaKeyProtocolVersion:
			if isString(value) {
				about.version = unquote(value)
			}
		case mcp.MetaKeyClientCapabilities:
			if isObject(value) {
				about.capabilities = value
			}
		case mcp.MetaKeyLogLevel:
			if isString(value) {
				about.logLevel = unquote(value)
			}
		}
		return nil
	})
	return about
}

// appendHead appends the beginning of an answer. A request whose id could not be read is answered with null.
func appendHead(dst, id []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	if id == nil {
		return append(dst, "null"...)
	}
	return append(dst, id...)
}

// appendError appends an error answer.
func appendError(dst, id []byte, e *rpcError) []byte {
	dst = appendHead(dst, id)
	dst = fmt.Appendf(dst, `,"error":{"code":%d,"message":`, e.code)
	dst = appendQuoted(dst, e.text)
	if e.data != nil {
		dst = append(append(dst, `,"data":`...), e.data...)
	}
	return append(dst, "}}"...)
}
