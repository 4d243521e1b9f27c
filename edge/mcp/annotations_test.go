package mcp

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// method makes the RPC Do of the service S with a request and a response of one field each.
func method(t *testing.T, change func(m *descriptorpb.MethodDescriptorProto, about *toolv1.Method, in, out *descriptorpb.FieldDescriptorProto, rules *toolv1.Field)) protoreflect.MethodDescriptor {
	t.Helper()
	field := func() *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: proto.String("f"), Number: proto.Int32(1), Options: &descriptorpb.FieldOptions{},
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	in, out, rules := field(), field(), &toolv1.Field{Description: "A field."}
	m := &descriptorpb.MethodDescriptorProto{Name: proto.String("Do"), InputType: proto.String(".t.In"), OutputType: proto.String(".t.Out"), Options: &descriptorpb.MethodOptions{}}
	about := &toolv1.Method{Scope: "paput.read", Tool: &toolv1.Tool{Name: "do", Title: "Do", Description: "Does."}}
	change(m, about, in, out, rules)
	proto.SetExtension(m.GetOptions(), toolv1.E_Method, about)
	proto.SetExtension(in.GetOptions(), toolv1.E_Field, rules)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("In"), Field: []*descriptorpb.FieldDescriptorProto{in}},
			{Name: proto.String("Out"), Field: []*descriptorpb.FieldDescriptorProto{out}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{m}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0).Methods().Get(0)
}

func TestBadAnnotations(t *testing.T) {
	t.Parallel()
	type (
		m = *descriptorpb.MethodDescriptorProto
		a = *toolv1.Method
		f = *descriptorpb.FieldDescriptorProto
		r = *toolv1.Field
	)
	long := strings.Repeat("x", 201)
	tests := []struct {
		name   string
		change func(m m, about a, in, out f, rules r)
		want   string
	}{
		{"a good one", func(m, a, f, f, r) {}, ""},
		{"name in capitals", func(_ m, a a, _, _ f, _ r) { a.Tool.Name = "Do" }, `t.S.Do: the tool's name "Do" is not of the form ^[a-z0-9_]{1,45}$`},
		{"name too long", func(_ m, a a, _, _ f, _ r) { a.Tool.Name = long[:46] }, `is not of the form`},
		{"no title", func(_ m, a a, _, _ f, _ r) { a.Tool.Title = "" }, "t.S.Do: the tool has no title"},
		{"no description", func(_ m, a a, _, _ f, _ r) { a.Tool.Description = "" }, "t.S.Do: the tool's description must have 1 to 200 characters"},
		{"description too long", func(_ m, a a, _, _ f, _ r) { a.Tool.Description = long }, "t.S.Do: the tool's description must have 1 to 200 characters"},
		{"no scope", func(_ m, a a, _, _ f, _ r) { a.Scope = "" }, "t.S.Do: a tool needs a scope"},
		{"public", func(_ m, a a, _, _ f, _ r) { a.Scope = "public" }, "t.S.Do: a tool needs a scope"},
		{"streaming", func(m m, _ a, _, _ f, _ r) { m.ServerStreaming = proto.Bool(true) }, "t.S.Do: a streaming RPC cannot be a tool"},
		{"destroys without side effects", func(m m, a a, _, _ f, _ r) {
			m.Options.IdempotencyLevel = descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()
			a.Tool.Destructive = true
		}, "t.S.Do: an RPC without side effects cannot be destructive"},
		{"argument without description", func(_ m, _ a, _, _ f, r r) { r.Description = "" }, "t.In.f: an argument needs a description"},
		{"argument with a long description", func(_ m, _ a, _, _ f, r r) { r.Description = long }, "t.In.f: the description has 201 characters, at most 200"},
		{"64-bit argument", func(_ m, _ a, in, _ f, _ r) { in.Type = descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum() }, "t.In.f: a field of kind int64 cannot be part of a tool"},
		{"64-bit answer", func(_ m, _ a, _, out f, _ r) { out.Type = descriptorpb.FieldDescriptorProto_TYPE_UINT64.Enum() }, "t.Out.f: a field of kind uint64 cannot be part of a tool"},
		{"bytes", func(_ m, _ a, _, out f, _ r) { out.Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum() }, "t.Out.f: a field of kind bytes cannot be part of a tool"},
		{"a message within itself", func(_ m, _ a, _, out f, _ r) {
			out.Type, out.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".t.Out")
		}, "t.Out contains itself"},
		{"a time is fine", func(_ m, _ a, in, _ f, _ r) {
			in.Type, in.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".google.protobuf.Timestamp")
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := newTool(method(t, test.change))
			if test.want == "" {
				if err != nil || got == nil {
					t.Errorf("got %v, want a tool", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
