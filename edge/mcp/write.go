package mcp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// appendJSON appends a message as the schema of its shape says: every list and scalar is there, empty or not; a message
// that is not set is left out; nothing is null. A number that JSON cannot hold is an error.
func (s *shape) appendJSON(dst []byte, m protoreflect.Message) ([]byte, error) {
	var err error
	dst = append(dst, '{')
	first := true
	for _, f := range s.fields {
		if f.optional() && !m.Has(f.desc) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.key...)
		if !f.list {
			if dst, err = f.appendJSON(dst, m.Get(f.desc)); err != nil {
				return dst, err
			}
			continue
		}
		dst = append(dst, '[')
		list := m.Get(f.desc).List()
		for i := range list.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = f.appendJSON(dst, list.Get(i)); err != nil {
				return dst, err
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, '}'), nil
}

func (f *field) appendJSON(dst []byte, v protoreflect.Value) ([]byte, error) {
	switch f.kind {
	case text:
		return appendQuoted(dst, v.String()), nil
	case timestamp:
		t, err := timeOf(v.Message())
		if err != nil {
			return dst, fmt.Errorf("%s: %w", f.name, err)
		}
		dst = t.AppendFormat(append(dst, '"'), time.RFC3339Nano)
		return append(dst, '"'), nil
	case object:
		return f.of.appendJSON(dst, v.Message())
	case number:
		if n := v.Float(); math.IsNaN(n) || math.IsInf(n, 0) {
			return dst, fmt.Errorf("%s is not a finite number", f.name)
		}
		return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64), nil
	default:
		return f.appendPlain(dst, v), nil
	}
}

// appendPlain appends a value that is not an object as a person writes it.
func (f *field) appendPlain(dst []byte, v protoreflect.Value) []byte {
	switch f.kind {
	case boolean:
		return strconv.AppendBool(dst, v.Bool())
	case integer:
		return strconv.AppendInt(dst, v.Int(), 10)
	case number:
		return strconv.AppendFloat(dst, v.Float(), 'g', 4, 64)
	case timestamp:
		t, err := timeOf(v.Message())
		if err != nil {
			return dst
		}
		return t.AppendFormat(dst, time.RFC3339)
	default:
		return append(dst, v.String()...)
	}
}

func timeOf(m protoreflect.Message) (time.Time, error) {
	fields := m.Descriptor().Fields()
	t := time.Unix(m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return t, fmt.Errorf("the year %d cannot be written", t.Year())
	}
	return t, nil
}

// appendOutline appends a message as text for a reader: a line for each field that is not empty, indented under what it
// belongs to. It says all that the JSON says, and costs a model less to read.
func (s *shape) appendOutline(dst []byte, m protoreflect.Message, indent string) []byte {
	for _, f := range s.fields {
		if !m.Has(f.desc) {
			continue
		}
		v := m.Get(f.desc)
		dst = append(append(append(dst, indent...), f.name...), ':')
		switch {
		case f.list && f.kind == object:
			dst = append(dst, '\n')
			for i := range v.List().Len() {
				from := len(dst)
				dst = f.of.appendOutline(dst, v.List().Get(i).Message(), indent+"  ")
				if from == len(dst) {
					dst = append(append(dst, indent...), "  \n"...)
				}
				dst[from+len(indent)] = '-'
			}
		case f.list:
			for i := range v.List().Len() {
				sep := ", "
				if i == 0 {
					sep = " "
				}
				dst = f.appendPlain(append(dst, sep...), v.List().Get(i))
			}
			dst = append(dst, '\n')
		case f.kind == object:
			dst = f.of.appendOutline(append(dst, '\n'), v.Message(), indent+"  ")
		case f.kind == text && strings.Contains(v.String(), "\n"):
			dst = append(dst, '\n')
			for line := range strings.SplitSeq(strings.TrimSuffix(v.String(), "\n"), "\n") {
				if line != "" {
					dst = append(append(append(dst, indent...), "  "...), line...)
				}
				dst = append(dst, '\n')
			}
		default:
			dst = append(f.appendPlain(append(dst, ' '), v), '\n')
		}
	}
	return dst
}
