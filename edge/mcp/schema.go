package mcp

import (
	"math"
	"strconv"
)

// appendInputSchema appends the JSON Schema of what a tool accepts. It holds no $ref, no union and no null, which some
// clients cannot read.
func (s *shape) appendInputSchema(dst []byte) []byte {
	dst = append(dst, `{"type":"object","properties":{`...)
	for i, f := range s.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.appendInputSchema(append(dst, f.key...))
	}
	if s.confirms {
		dst = append(dst, `,"`+confirmArgument+`":{"type":"boolean","description":"true once the person has agreed to exactly this."}`...)
	}
	dst = append(dst, '}')
	dst = s.appendRequired(dst)
	return append(dst, `,"additionalProperties":false}`...)
}

func (f *field) appendInputSchema(dst []byte) []byte {
	rules := f.rules
	if !f.list {
		return f.appendInputValue(dst, rules.GetDescription())
	}
	dst = append(dst, `{"type":"array"`...)
	dst = appendDescription(dst, rules.GetDescription())
	if rules.GetRequired() {
		dst = append(dst, `,"minItems":1`...)
	}
	if n := rules.GetMaxItems(); n > 0 {
		dst = strconv.AppendUint(append(dst, `,"maxItems":`...), uint64(n), 10)
	}
	dst = f.appendInputValue(append(dst, `,"items":`...), "")
	return append(dst, '}')
}

// appendInputValue appends the schema of one value of the field.
func (f *field) appendInputValue(dst []byte, description string) []byte {
	if f.kind == object {
		start := len(dst)
		dst = f.of.appendInputSchema(dst)
		if description != "" {
			tail := append([]byte(nil), dst[start+len(`{"type":"object"`):]...)
			dst = appendDescription(dst[:start+len(`{"type":"object"`)], description)
			dst = append(dst, tail...)
		}
		return dst
	}
	rules := f.rules
	dst = appendType(append(dst, '{'), f.kind)
	dst = appendDescription(dst, description)
	// A text that may be present and empty is required to be present only.
	if f.kind == text && rules.GetRequired() && !f.desc.HasPresence() {
		dst = append(dst, `,"minLength":1`...)
	}
	if n := rules.GetMaxLength(); n > 0 {
		dst = strconv.AppendUint(append(dst, `,"maxLength":`...), uint64(n), 10)
	}
	if f.kind == integer {
		least, greatest := f.bounds()
		dst = strconv.AppendInt(append(dst, `,"minimum":`...), least, 10)
		dst = strconv.AppendInt(append(dst, `,"maximum":`...), greatest, 10)
	}
	if f.kind == number && rules != nil && rules.Minimum != nil {
		dst = strconv.AppendInt(append(dst, `,"minimum":`...), int64(rules.GetMinimum()), 10)
	}
	if f.kind == number && rules != nil && rules.Maximum != nil {
		dst = strconv.AppendInt(append(dst, `,"maximum":`...), int64(rules.GetMaximum()), 10)
	}
	for i, word := range rules.GetOneOf() {
		if i == 0 {
			dst = append(dst, `,"enum":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, word)
	}
	if len(rules.GetOneOf()) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// bounds are the least and the greatest value of an integer field.
func (f *field) bounds() (least, greatest int64) {
	least, greatest = math.MinInt32, math.MaxInt32
	if f.rules != nil && f.rules.Minimum != nil {
		least = int64(f.rules.GetMinimum())
	}
	if f.rules != nil && f.rules.Maximum != nil {
		greatest = int64(f.rules.GetMaximum())
	}
	return least, greatest
}

// outputDepth is how deep an output schema describes objects: the result itself alone.
const outputDepth = 1

// appendOutputSchema appends the JSON Schema of what a tool answers. It leaves additional properties open: a field added
// later must not break a client that keeps an old list of tools. It says nothing of what is always there, nor of what the
// objects in the result hold: the list of tools is paid for in every conversation, and an answer shows both.
func (s *shape) appendOutputSchema(dst []byte, depth int) []byte {
	dst = append(dst, `{"type":"object"`...)
	if depth == outputDepth {
		return append(dst, '}')
	}
	dst = append(dst, `,"properties":{`...)
	for i, f := range s.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, f.key...)
		if f.list {
			dst = append(dst, `{"type":"array","items":`...)
		}
		if f.kind == object {
			dst = f.of.appendOutputSchema(dst, depth+1)
		} else {
			dst = append(appendType(append(dst, '{'), f.kind), '}')
		}
		if f.list {
			dst = append(dst, '}')
		}
	}
	return append(dst, `}}`...)
}

func (s *shape) appendRequired(dst []byte) []byte {
	n := 0
	for _, f := range s.fields {
		if !f.rules.GetRequired() {
			continue
		}
		if n == 0 {
			dst = append(dst, `,"required":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, f.name)
		n++
	}
	if n > 0 {
		dst = append(dst, ']')
	}
	return dst
}

func appendDescription(dst []byte, description string) []byte {
	if description == "" {
		return dst
	}
	return appendQuoted(append(dst, `,"description":`...), description)
}

func appendType(dst []byte, k kind) []byte {
	switch k {
	case boolean:
		return append(dst, `"type":"boolean"`...)
	case integer:
		return append(dst, `"type":"integer"`...)
	case number:
		return append(dst, `"type":"number"`...)
	case timestamp:
		return append(dst, `"type":"string","format":"date-time"`...)
	default:
		return append(dst, `"type":"string"`...)
	}
}
