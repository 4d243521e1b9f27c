package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect/v2"
	"github.com/mark3labs/mcp-go/mcp"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A caller is whoever sent a message.
type caller struct {
	// authorization is the header, with the token, that goes with every RPC; nil when the client adds one of its own.
	authorization []string
	// account is whom the token speaks for, empty for a service that speaks for itself. client is the app or service that
	// was given it.
	account, client string
	// scopes are those granted and those that they imply.
	scopes []string
	// set is the toolset whose address was called; empty for all tools.
	set string
	// project is what new memos are put into, or empty.
	project string
	// local says that the caller is the person at this machine: every tool is listed and the services alone decide.
	local bool
	// apps says that the client shows apps.
	apps bool
}

// may says whether the caller's scopes allow what scope allows.
func (c *caller) may(scope string) bool {
	return c.local || scope == "" || scope == "authenticated" || slices.Contains(c.scopes, scope)
}

// sees says whether the caller is told of what scope allows. Where there is a person, everything: models call only what
// they are told of, and only a call lets the client ask its person to allow more. What a service may do is settled.
func (c *caller) sees(scope string) bool { return c.account != "" || c.may(scope) }

// owner is whom the caller's streams are counted for.
func (c *caller) owner() string { return cmp.Or(c.account, c.client) }

// identity is whom what is handed out is good for: one client in the hands of one account.
func (c *caller) identity() string { return c.account + " " + c.client }

// errToken says that a service did not accept the caller's token.
var errToken = errors.New("the access token is unknown, expired or revoked")

// A scopeError says that the caller's token does not reach as far as the tool.
type scopeError struct{ scope string }

func (e scopeError) Error() string {
	return "this needs the scope " + e.scope + ", which the access token does not have"
}

// appendCall calls the tool's RPC and appends the result of a tools/call. What the model can mend, and what it can only
// tell its user, is a result with isError. An error is returned for what the transport must answer: a scopeError or
// errToken, and the context's own error when the caller has gone.
func (s *Server) appendCall(ctx context.Context, dst []byte, t *tool, m *message, c *caller, modern bool, l *line) ([]byte, *rpcError, error) {
	if !c.may(t.scope) {
		return dst, nil, scopeError{t.scope}
	}
	request := t.request.New()
	if err := t.in.read(request, m.arguments); err != nil {
		return s.appendFailure(dst, err.Error(), modern), nil, nil
	}
	if c.project != "" {
		pin(request.Interface(), c.project)
	}
	if t.confirmation.needed(request) {
		if answer, fault := s.confirm(ctx, t, request, m, c, modern, l); answer != nil || fault != nil {
			return append(dst, answer...), fault, nil
		}
	}
	response := t.response.New()
	if err := s.invoke(ctx, t, request, response, c); err != nil {
		text, err := s.explain(ctx, t.name, err, c)
		if err != nil {
			return dst, nil, err
		}
		return s.appendFailure(dst, text, modern), nil, nil
	}
	start := len(dst)
	dst, err := s.appendSuccess(dst, t, response, s.deciding(t, c), modern)
	if err != nil {
		return s.appendFailure(dst[:start], s.internal(ctx, t.name, err), modern), nil, nil
	}
	return dst, nil, nil
}

// as returns the context of an RPC that is made with the caller's own token.
func (s *Server) as(ctx context.Context, c *caller) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.callTimeout)
	ctx, info := connect.NewClientContext(ctx)
	if c.authorization != nil {
		info.RequestHeader().SetValues("Authorization", c.authorization)
	}
	return ctx, cancel
}

func (s *Server) invoke(ctx context.Context, t *tool, request, response protoreflect.Message, c *caller) error {
	ctx, cancel := s.as(ctx, c)
	defer cancel()
	return s.client.CallUnary(ctx, t.spec, request.Interface(), response.Interface())
}

// explain turns the error of an RPC, which was made for what, into a sentence for the model, or into an error that the transport must answer.
func (s *Server) explain(ctx context.Context, what string, err error, c *caller) (string, error) {
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	said := ""
	var rpc *connect.Error
	if errors.As(err, &rpc) {
		said = rpc.Message()
	}
	switch code := connect.CodeOf(err); code {
	case connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeAlreadyExists, connect.CodeFailedPrecondition,
		connect.CodeAborted, connect.CodeOutOfRange, connect.CodeResourceExhausted, connect.CodePermissionDenied:
		if said != "" {
			return said, nil
		}
		return code.String(), nil
	case connect.CodeUnauthenticated:
		if !c.local {
			return "", errToken
		}
		if said != "" {
			return said, nil
		}
		return errToken.Error(), nil
	case connect.CodeDeadlineExceeded:
		return "Paput did not answer in time. The call may still have been carried out: look before you repeat it.", nil
	case connect.CodeUnavailable:
		id := s.newID("err")
		s.log.WarnContext(ctx, "service unavailable", "what", what, "error_id", id, "error", err)
		return fmt.Sprintf("Paput cannot be reached right now. Try again in a moment (error %s).", id), nil
	default:
		return s.internal(ctx, what, err), nil
	}
}

// internal logs an error that nobody outside may see and returns what to say instead.
func (s *Server) internal(ctx context.Context, what string, err error) string {
	id := s.newID("err")
	s.log.ErrorContext(ctx, "mcp call failed", "what", what, "error_id", id, "error", err)
	return fmt.Sprintf("Something went wrong inside Paput (error %s). Trying again may help; if not, tell the operator this number.", id)
}

// appendSuccess appends a result with structured content and the same as text. about is as in appendTail.
func (s *Server) appendSuccess(dst []byte, t *tool, response protoreflect.Message, about []byte, modern bool) ([]byte, error) {
	scratch := s.buffers.get()
	defer s.buffers.put(scratch)
	failed, all := t.failures(response)
	outline := *scratch
	switch {
	case failed > 0 && failed == all:
		outline = fmt.Appendf(outline, "Nothing was done: %d of %d failed.\n", failed, all)
	case failed > 0:
		outline = fmt.Appendf(outline, "%d of %d failed; the others were carried out.\n", failed, all)
	case t.foundNothing(response):
		outline = append(outline, "Nothing found.\n"...)
	}
	outline = t.out.appendOutline(outline, response, "")
	*scratch = outline

	dst = append(dst, `{"content":[{"type":"text","text":`...)
	dst = appendQuoted(dst, outline)
	dst = append(dst, `}],"structuredContent":`...)
	dst, err := t.out.appendJSON(dst, response)
	if err != nil {
		return dst, err
	}
	if failed > 0 {
		dst = append(dst, `,"isError":true`...)
	}
	return s.appendTail(dst, about, modern), nil
}

// foundNothing says whether the response has lists, all of them are empty, and it tells of no single thing either.
func (t *tool) foundNothing(response protoreflect.Message) bool {
	lists := false
	for _, f := range t.out.fields {
		if !f.list {
			if f.of != nil && response.Has(f.desc) {
				return false
			}
			continue
		}
		if lists = true; response.Has(f.desc) {
			return false
		}
	}
	return lists
}

// appendFailure appends a result that says what went wrong.
func (s *Server) appendFailure(dst []byte, text string, modern bool) []byte {
	return s.appendTail(appendFault(dst, text), nil, modern)
}

// appendFault appends a result that says what went wrong, all but its end.
func appendFault(dst []byte, text string) []byte {
	dst = append(dst, `{"content":[{"type":"text","text":`...)
	return append(appendQuoted(dst, text), `}],"isError":true`...)
}

// appendTail closes a result; from 2026-07-28 on each says that it is complete and whose it is. about is a member of its _meta,
// or nil.
func (s *Server) appendTail(dst, about []byte, modern bool) []byte {
	switch {
	case modern:
		if dst = append(append(dst, modernHead...), s.identity...); about != nil {
			dst = append(dst, ',')
		}
	case about != nil:
		dst = append(dst, `,"_meta":{`...)
	default:
		return append(dst, '}')
	}
	return append(append(dst, about...), "}}"...)
}

// modernHead is what comes before the server's identity in a result.
const modernHead = `,"resultType":"complete","_meta":{"` + mcp.MetaKeyServerInfo + `":`

// challengeKey is where ChatGPT looks, in the _meta of a result, for the challenge that a failed call would have brought in
// its headers (OpenAI Apps SDK, Reference).
const challengeKey = "mcp/www_authenticate"

// appendChallenged appends a result that says what went wrong and by what challenge the client can mend it.
func (s *Server) appendChallenged(dst []byte, text, challenge string, modern bool) []byte {
	about := append(appendQuoted([]byte(`"`+challengeKey+`":[`), challenge), ']')
	return s.appendTail(appendFault(dst, text), about, modern)
}
