package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"connectrpc.com/connect/v2"
	"github.com/mark3labs/mcp-go/mcp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// A tool is one RPC as a model sees it.
type tool struct {
	name string
	// scope is what a caller's token must allow.
	scope string
	// schemes says the same to clients, as JSON.
	schemes  json.RawMessage
	spec     connect.Spec
	request  protoreflect.MessageType
	response protoreflect.MessageType
	in, out  *shape
	// sets are the toolsets that it is in, besides the read-only one.
	sets []string
	// confirmation is what the person is asked first, or nil.
	confirmation *confirmation
	// results are the lists of the response whose items tell by themselves whether they failed.
	results []itemResults
	// definition is what clients are told.
	definition mcp.Tool
}

// itemResults is a list in a response, and the field of its items that is set when the item failed.
type itemResults struct {
	list, failure protoreflect.FieldDescriptor
}

// newTool makes the tool of an RPC; nil when it is none. Its annotations are checked here, so that a mistake in a proto
// file stops the program before it serves anybody.
func newTool(m protoreflect.MethodDescriptor) (*tool, error) {
	method, _ := proto.GetExtension(m.Options(), toolv1.E_Method).(*toolv1.Method)
	about := method.GetTool()
	if about == nil {
		return nil, nil
	}
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	idempotency := options.GetIdempotencyLevel()
	readOnly := idempotency == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	if err := checkAnnotations(m, method, readOnly); err != nil {
		return nil, err
	}
	in, err := shapeOf(m.Input())
	if err != nil {
		return nil, err
	}
	if err := in.checkInput(m.Input().FullName()); err != nil {
		return nil, err
	}
	asks, err := newConfirmation(m, about.GetConfirmation(), in)
	if err != nil {
		return nil, err
	}
	out, err := shapeOf(m.Output())
	if err != nil {
		return nil, err
	}
	t := &tool{
		name:    about.GetName(),
		scope:   method.GetScope(),
		schemes: schemesOf(method.GetScope()),
		spec: connect.Spec{
			StreamType:       connect.StreamTypeUnary,
			IdempotencyLevel: connect.IdempotencyLevel(idempotency),
			Schema:           m,
			Procedure:        fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()),
		},
		request:  messageType(m.Input()),
		response: messageType(m.Output()),
		in:       in,
		out:      out,
		results:  resultsIn(out),

		confirmation: asks,
		sets:         about.GetToolsets(),
	}
	t.definition = mcp.Tool{
		Name:            t.name,
		Title:           about.GetTitle(),
		Description:     about.GetDescription(),
		RawInputSchema:  json.RawMessage(in.appendInputSchema(nil)),
		RawOutputSchema: json.RawMessage(out.appendOutputSchema(nil, 0)),
		Annotations: annotations(about.GetTitle(), hints{
			readOnly:    readOnly,
			destructive: about.GetDestructive(),
			idempotent:  about.GetIdempotent() || readOnly,
			openWorld:   about.GetOpenWorld(),
		}),
	}
	return t, nil
}

// schemesOf says how a tool is called: with a token that allows a scope, or with any.
func schemesOf(scope string) json.RawMessage {
	if scope == "authenticated" {
		return json.RawMessage(`[{"type":"oauth2"}]`)
	}
	return fmt.Appendf(nil, `[{"type":"oauth2","scopes":[%q]}]`, scope)
}

// toolName is what every known client accepts after its own prefix.
const toolName = `^[a-z0-9_]{1,45}$`

func checkAnnotations(m protoreflect.MethodDescriptor, method *toolv1.Method, readOnly bool) error {
	about := method.GetTool()
	var fault string
	switch {
	case !regexp.MustCompile(toolName).MatchString(about.GetName()):
		fault = fmt.Sprintf("the tool's name %q is not of the form %s", about.GetName(), toolName)
	case about.GetTitle() == "":
		fault = "the tool has no title"
	case about.GetDescription() == "" || utf8.RuneCountInString(about.GetDescription()) > maxDescription:
		fault = fmt.Sprintf("the tool's description must have 1 to %d characters", maxDescription)
	case method.GetScope() == "" || method.GetScope() == "public":
		fault = "a tool needs a scope"
	case m.IsStreamingClient() || m.IsStreamingServer():
		fault = "a streaming RPC cannot be a tool"
	case readOnly && about.GetDestructive():
		fault = "an RPC without side effects cannot be destructive"
	default:
		return nil
	}
	return fmt.Errorf("%s: %s", m.FullName(), fault)
}

// checkInput demands that a model is told what each argument means.
func (s *shape) checkInput(name protoreflect.FullName) error {
	for _, f := range s.fields {
		if f.rules.GetDescription() == "" {
			return fmt.Errorf("%s.%s: an argument needs a description", name, f.name)
		}
		if f.of == nil {
			continue
		}
		if err := f.of.checkInput(f.desc.Message().FullName()); err != nil {
			return err
		}
	}
	return nil
}

// hints are what a tool says of its effects; a client may let a person decide by them.
type hints struct{ readOnly, destructive, idempotent, openWorld bool }

func annotations(title string, h hints) mcp.ToolAnnotation {
	return mcp.ToolAnnotation{
		Title:           title,
		ReadOnlyHint:    mcp.ToBoolPtr(h.readOnly),
		DestructiveHint: mcp.ToBoolPtr(h.destructive),
		IdempotentHint:  mcp.ToBoolPtr(h.idempotent),
		OpenWorldHint:   mcp.ToBoolPtr(h.openWorld),
	}
}

// messageType is the generated type when it is linked, which a server in the same process reads without a detour.
func messageType(m protoreflect.MessageDescriptor) protoreflect.MessageType {
	t, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
	if errors.Is(err, protoregistry.NotFound) || err == nil && t.Descriptor() != m {
		return dynamicpb.NewMessageType(m)
	}
	return t
}

func resultsIn(out *shape) (found []itemResults) {
	for _, f := range out.fields {
		if !f.list || f.of == nil {
			continue
		}
		for _, item := range f.of.fields {
			if !item.list && isMessage(item.desc, "paput.tool.v1.ItemError") {
				found = append(found, itemResults{list: f.desc, failure: item.desc})
			}
		}
	}
	return found
}

// failures counts the items of a response that failed, and all items that could have.
func (t *tool) failures(response protoreflect.Message) (failed, all int) {
	for _, r := range t.results {
		list := response.Get(r.list).List()
		all += list.Len()
		for i := range list.Len() {
			if list.Get(i).Message().Has(r.failure) {
				failed++
			}
		}
	}
	return failed, all
}
