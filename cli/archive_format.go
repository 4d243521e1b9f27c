package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// The format of archives is told to programs in docs/export.md.
const (
	archiveFormat  = "paput-archive"
	archiveVersion = 1
	manifestName   = "manifest.json"
	markdownDir    = "memos/"
)

// Limits of what is read from an archive. A line holds one record, whose texts the server limits to less than 1 MiB.
const (
	maxManifest = 64 << 10
	maxLine     = 4 << 20
	// What unpacks to more than maxUnpacked may not have been made less than maxRatio times as small: texts never are.
	maxUnpacked = 64 << 20
	maxRatio    = 200
)

// manifest is the last file of an archive.
type manifest struct {
	Format   string           `json:"format"`
	Version  int              `json:"version"`
	Files    []manifestFile   `json:"files"`
	Markdown manifestMarkdown `json:"markdown"`
}

// manifestFile tells of one file of records.
type manifestFile struct {
	Name    string `json:"name"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// manifestMarkdown tells of all Markdown files together: the digest is of the lines "digest  name" of each, in order.
type manifestMarkdown struct {
	Files  int64  `json:"files"`
	SHA256 string `json:"sha256"`
}

// recordFile is a file of an archive that has records of one kind.
type recordFile struct{ kind, name string }

// recordFiles lists the files of records in their order. A kind is the name of a field of ArchiveRecord.
func recordFiles() []recordFile {
	return []recordFile{
		{"memo", "memos.jsonl"},
		{"note", "notes.jsonl"},
		{"candidate", "candidates.jsonl"},
		{"session", "sessions.jsonl"},
		{"policy", "policy.jsonl"},
	}
}

// recordKind says which field of a record is set, and what is in it.
func recordKind(r *memov1.ArchiveRecord) (kind string, body proto.Message) {
	m := r.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("record"))
	if field == nil {
		return "", nil
	}
	return string(field.Name()), m.Get(field).Message().Interface()
}

// recordLine writes what is in a record as one line of JSON, the same for the same record.
func recordLine(body proto.Message) ([]byte, error) {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write a record: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil { // protojson varies its spaces on purpose
		return nil, fmt.Errorf("write a record: %w", err)
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

// parseRecord reads a line of a file that has records of a kind.
func parseRecord(kind string, line []byte) (*memov1.ArchiveRecord, error) {
	r := &memov1.ArchiveRecord{}
	field := r.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(kind))
	body := r.ProtoReflect().Mutable(field).Message().Interface()
	if err := protojson.Unmarshal(line, body); err != nil {
		text := err.Error()
		if i := strings.LastIndex(text, "): "); i >= 0 {
			text = text[i+len("): "):]
		}
		return nil, problemf(errRefused, "it is not a %s: %s", kind, clean(text))
	}
	return r, nil
}
