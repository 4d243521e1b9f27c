package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// confirmArgument is the argument by which a model says that the person agrees, where the client cannot ask.
const confirmArgument = "confirm"

// namedMemos is how many memos a question names.
const namedMemos = 10

const (
	// inputRequired begins the result that has a client of the stateless era ask its person.
	inputRequired = `{"resultType":"` + string(mcp.ResultTypeInputRequired) + `","inputRequests":{"` + confirmArgument + `":{"method":"` + string(mcp.MethodElicitationCreate) + `","params":`
	notConfirmed  = "The person did not agree. Nothing was done; do not try again unless they ask for it."
	notAsked      = "The person could not be asked. Nothing was done."
)

// A confirmation is what the person is asked before a tool is called. A nil one is nothing.
type confirmation struct {
	question string
	// ids is the list that the question is about, or nil; upTo is how long it may be without the question.
	ids  protoreflect.FieldDescriptor
	upTo int
	// most is how many ids the RPC takes; 0 for any number.
	most int
}

func newConfirmation(m protoreflect.MethodDescriptor, about *toolv1.Confirmation, in *shape) (*confirmation, error) {
	if about == nil {
		return nil, nil
	}
	c := &confirmation{question: about.GetQuestion(), upTo: int(about.GetUpTo())}
	if c.question == "" || in.byName[confirmArgument] != nil || len(in.fields) == 0 {
		return nil, fmt.Errorf("%s: a confirmation needs a question, and arguments of which none is named %s", m.FullName(), confirmArgument)
	}
	if name := about.GetIds(); name != "" {
		f := in.byName[name]
		if f == nil || !f.list || f.kind != text {
			return nil, fmt.Errorf("%s: there is no list of ids %s to confirm", m.FullName(), name)
		}
		c.ids, c.most = f.desc, int(f.rules.GetMaxItems())
	}
	in.confirms = true
	return c, nil
}

// needed says whether the person must be asked about a request. About one that the RPC refuses for its length nobody is.
func (c *confirmation) needed(request protoreflect.Message) bool {
	if c == nil || c.ids == nil {
		return c != nil
	}
	n := request.Get(c.ids).List().Len()
	return n > c.upTo && (c.most == 0 || n <= c.most)
}

// confirm asks the person behind a client whether a call is to be carried out: through the client, if it says that it can
// ask, else through the model. It returns nil when it is, and otherwise what to answer instead. A model alone cannot say
// yes where the client can ask.
func (s *Server) confirm(ctx context.Context, t *tool, request protoreflect.Message, m *message, c *caller, modern bool, l *line) ([]byte, *rpcError) {
	can := l.can
	if modern {
		can = readAbilities(m.meta.capabilities)
	}
	if !can.elicitation {
		if confirmed(m.arguments) {
			return nil, nil
		}
		text := s.question(ctx, t, request, c) + "\nNothing was done. Ask the person exactly this; if they agree, call again with " + confirmArgument + ": true."
		return s.appendFailure(nil, text, modern), nil
	}
	if modern {
		return s.confirmByRounds(ctx, t, request, m, c)
	}
	var said struct{ Action mcp.ElicitationResponseAction }
	if l.ask(ctx, mcp.MethodElicitationCreate, elicitation(s.question(ctx, t, request, c), false), &said) != nil {
		return s.appendFailure(nil, notAsked, modern), nil //nolint:nilerr // why, is no matter to the model
	}
	if said.Action != mcp.ElicitationResponseActionAccept {
		return s.appendFailure(nil, notConfirmed, modern), nil
	}
	return nil, nil
}

// confirmByRounds asks by a result that requires input (MCP 2026-07-28, Multi Round-Trip Requests). What comes back with the
// answer is good for the very call that was asked about.
func (s *Server) confirmByRounds(ctx context.Context, t *tool, request protoreflect.Message, m *message, c *caller) ([]byte, *rpcError) {
	about, err := callID(t, request)
	if err != nil {
		return s.appendFailure(nil, s.internal(ctx, t.name, err), true), nil
	}
	if m.state != nil {
		ok := isString(m.state)
		if ok {
			_, ok = s.unsealState(about, c, unquote(m.state))
		}
		if !ok {
			return nil, &rpcError{code: mcp.INVALID_PARAMS, text: "the requestState is not for this call, or too old: call again without it"}
		}
		action, err := confirmAction(m.answers)
		if err != nil {
			return nil, &rpcError{code: mcp.INVALID_PARAMS, text: err.Error()}
		}
		switch action {
		case "":
		case mcp.ElicitationResponseActionAccept:
			return nil, nil
		default:
			return s.appendFailure(nil, notConfirmed, true), nil
		}
	}
	params, err := json.Marshal(elicitation(s.question(ctx, t, request, c), true))
	if err != nil {
		return s.appendFailure(nil, s.internal(ctx, t.name, err), true), nil
	}
	answer := append(append([]byte(inputRequired), params...), `}},"requestState":`...)
	answer = appendQuoted(answer, s.sealState(about, c, nil))
	answer = append(append(answer, `,"_meta":{"`+mcp.MetaKeyServerInfo+`":`...), s.identity...)
	return append(answer, "}}"...), nil
}

// confirmed says whether the model says that the person agrees.
func confirmed(arguments []byte) (yes bool) {
	_ = eachMember(arguments, func(name, value []byte) error {
		if string(name) == confirmArgument {
			yes = value[0] == 't'
		}
		return nil
	})
	return yes
}

// confirmAction is what the person did with the question; empty when there is no answer to it.
func confirmAction(answers []byte) (mcp.ElicitationResponseAction, error) {
	if answers == nil || isNull(answers) {
		return "", nil
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal(answers, &said); err != nil {
		return "", errors.New("inputResponses must be an object")
	}
	if said[confirmArgument] == nil {
		return "", nil
	}
	var answer struct{ Action mcp.ElicitationResponseAction }
	if err := json.Unmarshal(said[confirmArgument], &answer); err != nil || answer.Action == "" {
		return "", errors.New("inputResponses." + confirmArgument + " must be the result of an elicitation")
	}
	return answer.Action, nil
}

// elicitation is a form without fields: to send it is to agree.
func elicitation(question string, modern bool) mcp.ElicitationParams {
	params := mcp.ElicitationParams{Message: question, RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`)}
	if modern {
		params.Mode = mcp.ElicitationModeForm
	}
	return params
}

// callID stands for a call: the tool and what it is called with.
func callID(t *tool, request protoreflect.Message) (string, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(request.Interface())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %x", t.name, sha256.Sum256(text)), nil
}

// question is what the person is asked, with the titles of the memos that it is about, as far as the caller may know them.
func (s *Server) question(ctx context.Context, t *tool, request protoreflect.Message, c *caller) string {
	about := t.confirmation
	if about.ids == nil {
		return about.question
	}
	list := request.Get(about.ids).List()
	ids := make([]string, list.Len())
	for i := range ids {
		ids[i] = list.Get(i).String()
	}
	shown := slices.Clone(ids[:min(len(ids), namedMemos)])
	if s.memos != nil && c.may(readScope) {
		through, cancel := s.as(ctx, c)
		defer cancel()
		if found, err := s.memos.service.SearchMemos(through, &memov1.SearchMemosRequest{Ids: shown}); err == nil {
			for _, m := range found.GetMemos() {
				if i := slices.Index(shown, m.GetId()); i >= 0 {
					shown[i] = inLine(m.GetTitle())
				}
			}
		}
	}
	text := about.question + "\n- " + strings.Join(shown, "\n- ")
	if more := len(ids) - len(shown); more > 0 {
		text += fmt.Sprintf("\nand %d more", more)
	}
	return text
}
