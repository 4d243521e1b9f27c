package memo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// noteContent is what a person put together.
type noteContent struct {
	title   string
	memoIDs []string // in order, each once; some may have been purged
}

// noteState is a note as its events made it. The zero state is a note that was never created.
type noteState struct {
	id        string
	accountID string
	revision  int64 // version of the newest event; 0 for a note that was never created
	deleted   bool
	noteContent
	createTime time.Time
	updateTime time.Time
}

// The names that changed_fields and update_mask use, besides fieldTitle.
const (
	fieldMemoIDs       = "memo_ids"
	fieldAddMemoIDs    = "add_memo_ids"
	fieldRemoveMemoIDs = "remove_memo_ids"
)

// foldNote gives the state that a note's records make.
func foldNote(id string, records []eventlog.Record) noteState {
	s := noteState{id: id}
	for _, r := range records {
		s = evolveNote(s, r)
	}
	return s
}

// evolveNote is total: it takes every event ever written and refuses none.
func evolveNote(s noteState, r eventlog.Record) noteState {
	e, ok := r.Event.(*memov1.NoteEvent)
	if !ok {
		return s
	}
	s.revision = r.Version
	s.updateTime = r.Time
	switch e := e.GetEvent().(type) {
	case *memov1.NoteEvent_Created:
		s.noteContent = noteContent{e.Created.GetTitle(), e.Created.GetMemoIds()}
		s.createTime = r.Time
	case *memov1.NoteEvent_Updated:
		if slices.Contains(e.Updated.GetChangedFields(), fieldTitle) {
			s.title = e.Updated.GetTitle()
		}
		if slices.Contains(e.Updated.GetChangedFields(), fieldMemoIDs) {
			s.memoIDs = e.Updated.GetMemoIds()
		}
	case *memov1.NoteEvent_Imported:
		s.noteContent = noteContent{e.Imported.GetTitle(), e.Imported.GetMemoIds()}
		s.createTime, s.updateTime = e.Imported.GetCreateTime().AsTime(), e.Imported.GetUpdateTime().AsTime()
	case *memov1.NoteEvent_Deleted:
		s.deleted, s.noteContent = true, noteContent{}
	}
	if r.Version == 1 {
		s.accountID = e.GetAccountId()
	}
	return s
}

// digest is SHA-256, in hex, of the note's id, its title and its memo ids, each preceded by its length.
func (c noteContent) digest(id string) string {
	var b []byte
	for _, s := range append([]string{id, c.title}, c.memoIDs...) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// entry gives the note without its memos, of which there are count.
func (s noteState) entry(count int) *memov1.NoteEntry {
	return &memov1.NoteEntry{
		Id:         s.id,
		Title:      s.title,
		MemoCount:  int32(count), //nolint:gosec // at most maxNoteMemos
		CreateTime: timestamppb.New(s.createTime),
		UpdateTime: timestamppb.New(s.updateTime),
		Revision:   int32(min(s.revision, 1<<31-1)), //nolint:gosec // bounded
		Etag:       etag(s.id, s.revision),
	}
}
