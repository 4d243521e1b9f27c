package cli

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
)

// cloudEvent is an event in the JSON format of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time,omitempty"`
	DataContentType string `json:"datacontenttype,omitempty"`
	// The extension attributes of this program: the place in the stream, and the NATS subject.
	Sequence    uint64          `json:"sequence"`
	NATSSubject string          `json:"natssubject"`
	Data        json.RawMessage `json:"data,omitempty"`
	DataBase64  []byte          `json:"data_base64,omitempty"`
}

// jsonLine makes a line of the message that a direct get answered with: a CloudEvent in binary mode (CloudEvents 1.0,
// NATS protocol binding, section 3.1), to which the NATS server has added the subject, the sequence and the time it was
// stored.
func jsonLine(msg *nats.Msg, sequence uint64) ([]byte, error) {
	h := msg.Header
	e := cloudEvent{
		SpecVersion:     first(h.Get("ce-specversion"), "1.0"),
		ID:              h.Get("ce-id"),
		Source:          h.Get("ce-source"),
		Type:            h.Get("ce-type"),
		Subject:         h.Get("ce-subject"),
		Time:            first(h.Get("ce-time"), h.Get(nats.JSTimeStamp)),
		DataContentType: first(h.Get("ce-datacontenttype"), h.Get("content-type")),
		Sequence:        sequence,
		NATSSubject:     h.Get(nats.JSSubject),
	}
	var data bytes.Buffer
	if json.Compact(&data, msg.Data) == nil {
		e.Data = data.Bytes()
	} else {
		e.DataBase64 = msg.Data
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("write event %d: %w", sequence, err)
	}
	return line.Bytes(), nil
}
