package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/paput/paput/services/eventlog"
)

// message is what is published.
type message = nats.Msg

// The headers of a CloudEvent in binary mode: CloudEvents 1.0, NATS protocol binding, section 3.1. It maps the content type
// to ce-datacontenttype; content-type is what people and most libraries look for.
const (
	headerSpecVersion = "ce-specversion"
	headerID          = "ce-id"
	headerType        = "ce-type"
	headerSource      = "ce-source"
	headerTime        = "ce-time"
	headerSubject     = "ce-subject"
	headerDataType    = "ce-datacontenttype"
	headerContentType = "content-type"

	// timeFormat is RFC 3339 to the millisecond, which is what the log keeps.
	timeFormat = "2006-01-02T15:04:05.000Z07:00"
)

// message makes the CloudEvent of an event. Its id is the stream and the version in it, as in "grant/grant_01k…#2"; its type
// is the protobuf name of what happened; its body is that message as JSON without what is to be redacted, which o loses.
func (r *Relay) message(o eventlog.Outgoing) (*message, error) {
	_, happened := eventlog.Case(o.Event)
	if happened == nil {
		return nil, fmt.Errorf("ordinal %d says nothing", o.Ordinal)
	}
	data, err := body(o.Event)
	if err != nil {
		return nil, fmt.Errorf("write ordinal %d as JSON: %w", o.Ordinal, err)
	}
	return &nats.Msg{
		Subject: o.Subject,
		Header: nats.Header{
			headerSpecVersion: {"1.0"},
			headerID:          {o.Stream + "#" + strconv.FormatInt(o.Version, 10)},
			headerType:        {string(proto.MessageName(happened))},
			headerSource:      {r.source},
			headerTime:        {o.Time.Format(timeFormat)},
			headerSubject:     {o.Stream},
			headerDataType:    {"application/json"},
			headerContentType: {"application/json"},
		},
		Data: data,
	}, nil
}

// body redacts the event and is the JSON of what happened.
func body(event proto.Message) ([]byte, error) {
	eventlog.Redact(event)
	_, happened := eventlog.Case(event)
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(happened)
	if err != nil {
		return nil, err
	}
	// protojson varies its white space from build to build, so that nobody relies on it.
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}
