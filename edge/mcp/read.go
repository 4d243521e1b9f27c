package mcp

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// An argumentError says, for a model, which argument is wrong and what it must be. Nothing has been done when it is
// returned.
type argumentError string

func (e argumentError) Error() string { return string(e) }

func badArgument(format string, args ...any) error {
	return argumentError(fmt.Sprintf(format, args...))
}

// read fills a message from the arguments of a call, an object that json.Valid has accepted. It is strict about
// structure: unknown names, names given twice, null and values of another type are refused. Lengths and closed lists are
// the RPC's to check, whose errors reach the model as well; but to an RPC an empty word of a closed list is none at all.
func (s *shape) read(into protoreflect.Message, arguments []byte) error {
	return s.readObject(into, arguments, "", true)
}

// setMask names the fields that are present, in a message that has a mask for it.
func (s *shape) setMask(into protoreflect.Message, present uint64) {
	if s.mask == nil {
		return
	}
	// AIP-134: the arguments that are present are what is to change, so that an empty one clears. Those that say which
	// thing, or which state of it, are not changes to it.
	mask := &fieldmaskpb.FieldMask{}
	for _, f := range s.fields {
		if present&f.bit != 0 && !f.rules.GetRequired() && f.name != "etag" {
			mask.Paths = append(mask.Paths, f.name)
		}
	}
	into.Set(s.mask, protoreflect.ValueOfMessage(mask.ProtoReflect()))
}

// readObject fills a message. path is what the names in errors begin with. An object whose fields are not all its own
// business (whole is false) may lack required ones.
func (s *shape) readObject(into protoreflect.Message, value []byte, path string, whole bool) error {
	var present uint64
	err := eachMember(value, func(name, value []byte) error {
		f, ok := s.byName[string(name)]
		if !ok && s.confirms && string(name) == confirmArgument {
			if !isBoolean(value) {
				return badArgument("%s must be a boolean, not %s", confirmArgument, describe(value))
			}
			return nil
		}
		if !ok {
			return s.unknown(path, name)
		}
		if present&f.bit != 0 {
			return badArgument("%s%s is given twice; give it once", path, f.name)
		}
		present |= f.bit
		return f.read(into, value, path)
	})
	if err != nil {
		return err
	}
	s.setMask(into, present)
	if !whole {
		return nil
	}
	for _, f := range s.fields {
		if f.rules.GetRequired() && present&f.bit == 0 {
			return badArgument("%s%s is required: %s", path, f.name, f.rules.GetDescription())
		}
	}
	return nil
}

func (s *shape) unknown(path string, name []byte) error {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	what, takes := "unknown argument "+path, strings.Join(names, ", ")
	if len(name) > 64 {
		name = append(append([]byte(nil), name[:64]...), "…"...)
	}
	if len(names) == 0 {
		return badArgument("%s%s: this tool takes no arguments", what, name)
	}
	return badArgument("%s%s; known are %s", what, name, takes)
}

func (f *field) read(into protoreflect.Message, value []byte, path string) error {
	if !f.list {
		v, err := f.readValue(value, path+f.name, func() protoreflect.Value { return into.NewField(f.desc) })
		if err != nil {
			return err
		}
		if words := f.rules.GetOneOf(); len(words) > 0 && v.String() == "" {
			return badArgument("%s%s is empty; leave it out, or give one of %s", path, f.name, strings.Join(words, ", "))
		}
		into.Set(f.desc, v)
		return nil
	}
	if !isArray(value) {
		return badArgument("%s%s must be a list, not %s", path, f.name, describe(value))
	}
	list := into.Mutable(f.desc).List()
	return eachElement(value, func(n int, value []byte) error {
		where := ""
		if f.kind == object {
			where = fmt.Sprintf("%s%s[%d]", path, f.name, n)
		}
		v, err := f.readValue(value, where, list.NewElement)
		if err != nil && where == "" {
			_, err = f.readValue(value, fmt.Sprintf("%s%s[%d]", path, f.name, n), list.NewElement)
		}
		if err == nil {
			list.Append(v)
		}
		return err
	})
}

// readValue reads one value; where names it in errors, and empty makes a message to read an object into.
func (f *field) readValue(value []byte, where string, empty func() protoreflect.Value) (protoreflect.Value, error) {
	switch f.kind {
	case text:
		if isString(value) {
			return protoreflect.ValueOfString(unquote(value)), nil
		}
		return protoreflect.Value{}, badArgument("%s must be a string, not %s", where, describe(value))
	case boolean:
		if isBoolean(value) {
			return protoreflect.ValueOfBool(value[0] == 't'), nil
		}
		return protoreflect.Value{}, badArgument("%s must be true or false, not %s", where, describe(value))
	case integer:
		return readInteger(value, where)
	case number:
		n, err := strconv.ParseFloat(string(value), 64)
		if err != nil || !isNumber(value) {
			return protoreflect.Value{}, badArgument("%s must be a number, not %s", where, describe(value))
		}
		return protoreflect.ValueOfFloat64(n), nil
	case timestamp:
		v := empty()
		return v, readTime(v.Message(), value, where)
	default:
		v := empty()
		if !isObject(value) {
			return v, badArgument("%s must be an object, not %s", where, describe(value))
		}
		return v, f.of.readObject(v.Message(), value, where+".", !f.rules.GetItemsStandAlone())
	}
}

// readInteger accepts every spelling of a whole number, as JSON Schema does: 20, 20.0 and 2e1.
func readInteger(value []byte, where string) (protoreflect.Value, error) {
	if !isNumber(value) {
		return protoreflect.Value{}, badArgument("%s must be a whole number, not %s", where, describe(value))
	}
	n, err := strconv.ParseFloat(string(value), 64)
	if err != nil || n != math.Trunc(n) {
		return protoreflect.Value{}, badArgument("%s must be a whole number, not %.32s", where, value)
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return protoreflect.Value{}, badArgument("%s must be between %d and %d", where, math.MinInt32, math.MaxInt32)
	}
	return protoreflect.ValueOfInt32(int32(n)), nil
}

// rfc3339 is how a time is written (RFC 3339, section 5.6). time.Parse takes more: 9:00:00, a comma, zones of a day and over.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// readTime fills a google.protobuf.Timestamp from an RFC 3339 string.
func readTime(into protoreflect.Message, value []byte, where string) error {
	const example = "a time with its zone, such as 2026-01-31T09:00:00Z"
	if !isString(value) {
		return badArgument("%s must be %s, not %s", where, example, describe(value))
	}
	said := strings.ToUpper(unquote(value))
	t, err := time.Parse(time.RFC3339Nano, said)
	if err != nil || !rfc3339.MatchString(said) || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return badArgument("%s must be %s", where, example)
	}
	fields := into.Descriptor().Fields()
	into.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(t.Unix()))
	into.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(int32(t.Nanosecond()))) //nolint:gosec // below 1e9
	return nil
}
