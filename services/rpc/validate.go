package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// validate checks each message that a client sends against the options of its fields.
func validate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		return next(ctx, spec, validatingStream{stream})
	}
}

type validatingStream struct{ connect.ServerStream }

func (s validatingStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	m, ok := msg.(proto.Message)
	if !ok {
		return nil
	}
	if err := Validate(m); err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err.Error())
	}
	return nil
}

// Validate checks a message against the paput.tool.v1.field options of its fields and returns the first fault, in words
// that name the field and the limit. Items of a list that stand alone are left to the service, which calls Validate for
// each.
func Validate(m proto.Message) error {
	return validateMessage(m.ProtoReflect(), "")
}

func validateMessage(m protoreflect.Message, prefix string) error {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		rules, _ := proto.GetExtension(f.Options(), toolv1.E_Field).(*toolv1.Field)
		name := prefix + string(f.Name())
		if !m.Has(f) {
			if rules.GetRequired() {
				return fmt.Errorf("%s is required", name)
			}
			continue
		}
		if err := validateField(m.Get(f), f, rules, name); err != nil {
			return err
		}
	}
	return nil
}

func validateField(v protoreflect.Value, f protoreflect.FieldDescriptor, rules *toolv1.Field, name string) error {
	if !f.IsList() {
		return validateValue(v, f, rules, name)
	}
	list := v.List()
	if limit := int(rules.GetMaxItems()); limit > 0 && list.Len() > limit {
		return fmt.Errorf("%s has %d items, at most %d", name, list.Len(), limit)
	}
	if rules.GetItemsStandAlone() {
		return nil
	}
	for i := range list.Len() {
		if rules.GetRequired() && f.Kind() == protoreflect.StringKind && list.Get(i).String() == "" {
			return fmt.Errorf("%s[%d] is empty", name, i)
		}
		if err := validateValue(list.Get(i), f, rules, fmt.Sprintf("%s[%d]", name, i)); err != nil {
			return err
		}
	}
	return nil
}

func validateValue(v protoreflect.Value, f protoreflect.FieldDescriptor, rules *toolv1.Field, name string) error {
	switch f.Kind() {
	case protoreflect.StringKind:
		return validateString(v.String(), rules, name)
	case protoreflect.Int32Kind:
		n := v.Int()
		if rules != nil && rules.Minimum != nil && n < int64(rules.GetMinimum()) {
			return fmt.Errorf("%s is %d, at least %d", name, n, rules.GetMinimum())
		}
		if rules != nil && rules.Maximum != nil && n > int64(rules.GetMaximum()) {
			return fmt.Errorf("%s is %d, at most %d", name, n, rules.GetMaximum())
		}
	case protoreflect.DoubleKind:
		// Written so that NaN, which is neither below nor above anything, is refused.
		n := v.Float()
		if rules != nil && rules.Minimum != nil && !(n >= float64(rules.GetMinimum())) {
			return fmt.Errorf("%s is %v, at least %d", name, n, rules.GetMinimum())
		}
		if rules != nil && rules.Maximum != nil && !(n <= float64(rules.GetMaximum())) {
			return fmt.Errorf("%s is %v, at most %d", name, n, rules.GetMaximum())
		}
	case protoreflect.MessageKind:
		return validateMessage(v.Message(), name+".")
	}
	return nil
}

func validateString(s string, rules *toolv1.Field, name string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not valid UTF-8", name)
	}
	if limit := int(rules.GetMaxLength()); limit > 0 {
		if n := utf8.RuneCountInString(s); n > limit {
			return fmt.Errorf("%s is %d characters, at most %d", name, n, limit)
		}
	}
	if allowed := rules.GetOneOf(); len(allowed) > 0 && !slices.Contains(allowed, s) {
		return fmt.Errorf("%s is %q, must be one of %s", name, s, strings.Join(allowed, ", "))
	}
	return nil
}
