package eventlog

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Redact clears, for good, every field marked debug_redact in all records of a stream. Positions, versions, times, ordinals
// and what happened stay, and what is published of the records is to the byte what it was: the relay never published more.
// Doing it again changes nothing.
//
// The read models are not told. They must hold nothing that is cleared here by the time the command ends, because a rebuild
// would not find it: a command redacts a stream whose last event, appended now or before, took its content from them.
//
// The bytes are gone from the database's files soon after the command, see Log.Scrub.
func (tx *Tx) Redact(stream string) error {
	if err := tx.mayLog(); err != nil {
		return err
	}
	if err := tx.redact(stream); err != nil {
		err = fmt.Errorf("redact %s: %w", stream, err)
		if tx.failed == nil {
			tx.failed = err
		}
		return err
	}
	return nil
}

func (tx *Tx) redact(stream string) error {
	for version, last := int64(0), false; !last; {
		records, err := tx.log.load(tx.ctx, selectStreamAfter, stream, version, readBatch)
		if err != nil {
			return err
		}
		if last = len(records) < readBatch; len(records) > 0 {
			version = records[len(records)-1].Version
		}
		for _, r := range records {
			if err := tx.redactRecord(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) redactRecord(r Record) error {
	before, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Event)
	if err != nil {
		return err
	}
	Redact(r.Event)
	after, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Event)
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	tx.wrote = true
	if !tx.redacted {
		if err := tx.log.exec(tx.ctx, insertRemnants); err != nil {
			return err
		}
		tx.redacted = true
	}
	return tx.log.exec(tx.ctx, updateData, after, r.Position)
}

// Redact clears the fields of an event, at any depth, whose debug_redact option is set. When what happened is itself marked,
// it stays as an empty message. A google.protobuf.Any loses its content, because what is in it cannot be looked through.
func Redact(event proto.Message) {
	m := event.ProtoReflect()
	var happened protoreflect.FieldDescriptor
	if oneof := m.Descriptor().Oneofs().ByName(eventOneof); oneof != nil {
		happened = m.WhichOneof(oneof)
	}
	redact(m)
	if happened != nil && !m.Has(happened) {
		m.Set(happened, m.NewField(happened))
	}
}

func redact(m protoreflect.Message) {
	if m.Descriptor().FullName() == "google.protobuf.Any" {
		proto.Reset(m.Interface())
		return
	}
	m.SetUnknown(nil)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isSecret(f):
			m.Clear(f)
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					redact(v.Message())
					return true
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				redact(v.List().Get(i).Message())
			}
		default:
			redact(v.Message())
		}
		return true
	})
}

func isSecret(f protoreflect.FieldDescriptor) bool {
	o, ok := f.Options().(*descriptorpb.FieldOptions)
	return ok && o.GetDebugRedact()
}
