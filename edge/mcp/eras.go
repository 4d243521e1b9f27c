package mcp

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// isModern says whether a request follows the rules of 2026-07-28 and later. To name such a version in one of the two
// places is enough; to name it in one alone is a mistake that checkVersion reports.
func (x *exchange) isModern(m *message) bool {
	return mcp.IsModernProtocol(m.meta.version) || mcp.IsModernProtocol(x.r.Header.Get(mcp.HeaderProtocolVersion))
}

// checkVersion checks what a request says of its protocol version, in its headers and in itself.
func (x *exchange) checkVersion(m *message, modern bool) *rpcError {
	version := x.r.Header.Get(mcp.HeaderProtocolVersion)
	if !modern {
		// A client may leave the header out, and some do.
		if version == "" || mcp.IsValidProtocolVersion(version) {
			return nil
		}
		return unsupported(version)
	}
	switch {
	case version == "":
		return &rpcError{code: mcp.HEADER_MISMATCH, text: "the header Mcp-Protocol-Version is missing"}
	case m.meta.version == "":
		return &rpcError{code: mcp.INVALID_PARAMS, text: "_meta has no " + mcp.MetaKeyProtocolVersion}
	case version != m.meta.version:
		return &rpcError{code: mcp.HEADER_MISMATCH, text: fmt.Sprintf("the header Mcp-Protocol-Version says %q, _meta says %q", version, m.meta.version)}
	}
	if fault := checkMeta(m, modern); fault != nil {
		return fault
	}
	return x.checkHeaders(m)
}

// checkMeta checks what a request says of its protocol version in itself.
func checkMeta(m *message, modern bool) *rpcError {
	switch {
	case !modern:
		return nil
	case !mcp.IsValidProtocolVersion(m.meta.version):
		return unsupported(m.meta.version)
	case m.meta.capabilities == nil:
		return &rpcError{code: mcp.INVALID_PARAMS, text: "_meta has no " + mcp.MetaKeyClientCapabilities}
	}
	return nil
}

// checkHeaders compares the headers that repeat parts of the body with it (SEP-2243).
func (x *exchange) checkHeaders(m *message) *rpcError {
	header := x.r.Header
	if m.tool != "" && header.Get(mcp.HeaderMethod) == m.method && header.Get(mcp.HeaderName) == m.tool && x.h.s.tools[m.tool] != nil {
		return nil
	}
	err := mcp.ValidateStandardHeaders(header.Get, m.meta.version, mcp.MCPMethod(m.method), m.params)
	if registered := x.h.s.mcp.GetTool(m.tool); err == nil && registered != nil {
		err = mcp.ValidateParamHeadersLookup(func(name string) (string, bool) {
			values := header.Values(name)
			return header.Get(name), len(values) > 0
		}, &registered.Tool, m.params)
	}
	if err != nil {
		return &rpcError{code: mcp.HEADER_MISMATCH, text: err.Error()}
	}
	return nil
}

func unsupported(version string) *rpcError {
	data := append([]byte(`{"supported":[`), `"`+strings.Join(mcp.ValidProtocolVersions, `","`)+`"`...)
	data = appendQuoted(append(data, `],"requested":`...), version)
	return &rpcError{
		code: mcp.UNSUPPORTED_PROTOCOL_VERSION,
		text: fmt.Sprintf("protocol version %q is not supported", version),
		data: append(data, '}'),
	}
}

// statusOf maps a JSON-RPC error code to a status as 2026-07-28 asks; before, every answer to a request was 200.
func statusOf(code int, modern bool) int {
	switch {
	case code == 0 || !modern:
		return http.StatusOK
	case code == mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case code == mcp.INTERNAL_ERROR:
		return http.StatusOK
	default:
		return http.StatusBadRequest
	}
}
