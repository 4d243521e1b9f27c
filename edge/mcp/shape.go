package mcp

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// maxDescription bounds what a tool or a field says of itself: the list of tools is paid for in every conversation.
const maxDescription = 200

// A kind is how a value of a field looks in JSON.
type kind int

const (
	text kind = iota
	boolean
	integer
	number
	timestamp
	object
)

// A shape is how a message looks in JSON. The schema, the reader and the writer of a message all follow its shape, so what
// is published, what is accepted and what is sent agree.
type shape struct {
	fields []*field
	byName map[string]*field
	// mask is the hidden field that names the arguments that are present; nil when there is none.
	mask protoreflect.FieldDescriptor
	// confirms says that the object may have a member confirm, which is for the edge itself.
	confirms bool
}

type field struct {
	desc protoreflect.FieldDescriptor
	name string
	// bit is the field's own bit in a set of the fields of its shape.
	bit uint64
	// key is the quoted name and a colon.
	key   string
	kind  kind
	list  bool
	rules *toolv1.Field
	// of is the shape of an object, else nil.
	of *shape
}

// optional says whether the field may be absent from what is sent: a single message, or a scalar that knows its absence.
func (f *field) optional() bool {
	return !f.list && f.desc.HasPresence()
}

// shapeOf derives the shape of a message. It refuses what JSON clients cannot read safely: 64-bit numbers, maps, oneofs,
// enums, bytes and messages within themselves. Hidden fields are left out.
func shapeOf(m protoreflect.MessageDescriptor, within ...protoreflect.FullName) (*shape, error) {
	if slices.Contains(within, m.FullName()) {
		return nil, fmt.Errorf("%s contains itself", m.FullName())
	}
	within = append(within, m.FullName())
	s := &shape{byName: make(map[string]*field)}
	for i := range m.Fields().Len() {
		desc := m.Fields().Get(i)
		rules, _ := proto.GetExtension(desc.Options(), toolv1.E_Field).(*toolv1.Field)
		if rules.GetHidden() {
			if desc.Name() == "update_mask" && isMessage(desc, "google.protobuf.FieldMask") {
				s.mask = desc
			}
			continue
		}
		f, err := fieldOf(desc, rules, within)
		if err != nil {
			return nil, err
		}
		if len(s.fields) == 64 {
			return nil, fmt.Errorf("%s has more than 64 fields", m.FullName())
		}
		f.bit = 1 << len(s.fields)
		s.fields = append(s.fields, f)
		s.byName[f.name] = f
	}
	return s, nil
}

func fieldOf(desc protoreflect.FieldDescriptor, rules *toolv1.Field, within []protoreflect.FullName) (*field, error) {
	f := &field{desc: desc, name: string(desc.Name()), list: desc.IsList(), rules: rules}
	f.key = `"` + f.name + `":`
	if n := len([]rune(rules.GetDescription())); n > maxDescription {
		return nil, fmt.Errorf("%s: the description has %d characters, at most %d", desc.FullName(), n, maxDescription)
	}
	if oneof := desc.ContainingOneof(); desc.IsMap() || oneof != nil && !oneof.IsSynthetic() {
		return nil, fmt.Errorf("%s: a map or oneof cannot be part of a tool", desc.FullName())
	}
	switch desc.Kind() {
	case protoreflect.StringKind:
		f.kind = text
	case protoreflect.BoolKind:
		f.kind = boolean
	case protoreflect.Int32Kind:
		f.kind = integer
	case protoreflect.DoubleKind:
		f.kind = number
	case protoreflect.MessageKind:
		if isMessage(desc, "google.protobuf.Timestamp") {
			f.kind = timestamp
			return f, nil
		}
		of, err := shapeOf(desc.Message(), within...)
		if err != nil {
			return nil, err
		}
		f.kind, f.of = object, of
	default:
		return nil, fmt.Errorf("%s: a field of kind %s cannot be part of a tool", desc.FullName(), desc.Kind())
	}
	return f, nil
}

func isMessage(desc protoreflect.FieldDescriptor, name protoreflect.FullName) bool {
	return desc.Kind() == protoreflect.MessageKind && desc.Message().FullName() == name
}
