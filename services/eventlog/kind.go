package eventlog

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// eventOneof is the name of the oneof that every event message has.
const eventOneof = "event"

// Case tells what happened: the name of the case that is set in the oneof "event" of e, and its message. The name is empty
// and the message nil when none is set.
func Case(e proto.Message) (name string, body proto.Message) {
	m := e.ProtoReflect()
	oneof := m.Descriptor().Oneofs().ByName(eventOneof)
	if oneof == nil {
		return "", nil
	}
	field := m.WhichOneof(oneof)
	if field == nil || field.Message() == nil {
		return "", nil
	}
	return string(field.Name()), m.Get(field).Message().Interface()
}

// kindOf returns the part of a stream's name that says its kind.
func kindOf(stream string) string {
	kind, _, _ := strings.Cut(stream, "/")
	return kind
}

// kindsByName checks the kinds and indexes them.
func kindsByName(kinds []Kind) (map[string]Kind, error) {
	byName := make(map[string]Kind, len(kinds))
	for _, k := range kinds {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("kind %q: %w", k.Name, err)
		}
		if _, exists := byName[k.Name]; exists {
			return nil, fmt.Errorf("kind %q is given twice", k.Name)
		}
		byName[k.Name] = k
	}
	return byName, nil
}

func (k Kind) check() error {
	if k.Name == "" || strings.Contains(k.Name, "/") {
		return errors.New("a name has at least one character and no slash")
	}
	if k.Event == nil {
		return errors.New("there is no event message")
	}
	if (k.Relay == "") != (k.Subject == "") {
		return errors.New("a relay and a subject go together")
	}
	if space := "paput." + strings.ToLower(k.Relay); k.Relay != "" && k.Subject != space && !strings.HasPrefix(k.Subject, space+".") {
		return fmt.Errorf("the subject %q is not below %s, which the relay %s takes", k.Subject, space, k.Relay)
	}
	oneof := k.Event.ProtoReflect().Descriptor().Oneofs().ByName(eventOneof)
	if oneof == nil {
		return fmt.Errorf("%s has no oneof named %q", proto.MessageName(k.Event), eventOneof)
	}
	for i := range oneof.Fields().Len() {
		if f := oneof.Fields().Get(i); f.Kind() != protoreflect.MessageKind {
			return fmt.Errorf("%s is not a message", f.FullName())
		}
	}
	return nil
}

// subject is where an event of the kind is published, by the name of what happened.
func (k Kind) subject(what string) string { return k.Subject + "." + what }

// decode is the inverse of proto.Marshal for the events of the kind.
func (k Kind) decode(data []byte) (proto.Message, error) {
	m := k.Event.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, err
	}
	return m, nil
}
