package memo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// content is what a person wrote.
type content struct {
	title      string
	body       string
	summary    string
	types      []string
	categories []string
	projects   []string
}

// state is a memo as its events made it. The zero state is a memo that was never created.
type state struct {
	id        string
	accountID string
	revision  int64 // version of the newest event; 0 for a memo that was never created
	inTrash   bool
	purged    bool // it has left the trash for good; there is no content
	isPublic  bool // never in the trash
	withheld  bool // it was public where an archive comes from, and is not here
	content
	createTime time.Time
	updateTime time.Time
	deleteTime time.Time // meaningful in the trash only
}

// The names that changed_fields and update_mask use.
const (
	fieldTitle      = "title"
	fieldBody       = "body"
	fieldSummary    = "summary"
	fieldTypes      = "memo_types"
	fieldCategories = "categories"
	fieldProjects   = "projects"

	fieldFromRevision = "from_revision" // in an update_mask it says nothing
)

// fieldNames lists the fields of a memo that can change, in the order of the proto file.
func fieldNames() []string {
	return []string{fieldTitle, fieldBody, fieldSummary, fieldTypes, fieldCategories, fieldProjects}
}

// fold gives the state that a memo's records make.
func fold(id string, records []eventlog.Record) state {
	s := state{id: id}
	for _, r := range records {
		s = evolve(s, r)
	}
	return s
}

// evolve is total: it takes every event ever written and refuses none.
func evolve(s state, r eventlog.Record) state {
	t := tell(r)
	if t.event == nil {
		return s
	}
	s.revision = r.Version
	s.updateTime = t.at
	switch e := t.event.GetEvent().(type) {
	case *memov1.MemoEvent_Created:
		s.content = contentOf(e.Created)
		s.createTime = t.at
		if t := e.Created.GetCreateTime(); t != nil {
			s.createTime = t.AsTime()
		}
	case *memov1.MemoEvent_Updated:
		s.content = updatedContent(s.content, e.Updated)
	case *memov1.MemoEvent_Deleted:
		s.inTrash, s.isPublic, s.withheld = true, false, false
		s.deleteTime = t.at
	case *memov1.MemoEvent_Restored:
		s.inTrash = false
	case *memov1.MemoEvent_Purged:
		s.inTrash, s.purged, s.content = false, true, content{}
	case *memov1.MemoEvent_Published:
		s.isPublic, s.withheld = !t.withheld, t.withheld
	case *memov1.MemoEvent_Unpublished:
		s.isPublic, s.withheld = false, false
	}
	if r.Version == 1 {
		s.accountID = t.event.GetAccountId()
	}
	return s
}

// worded is a message that has what a memo says.
type worded interface {
	GetTitle() string
	GetBody() string
	GetSummary() string
	GetMemoTypes() []string
	GetCategories() []string
	GetProjects() []string
}

func contentOf(m worded) content {
	return content{
		title:      m.GetTitle(),
		body:       m.GetBody(),
		summary:    m.GetSummary(),
		types:      m.GetMemoTypes(),
		categories: m.GetCategories(),
		projects:   m.GetProjects(),
	}
}

func updatedContent(c content, e *memov1.MemoUpdated) content {
	for _, name := range e.GetChangedFields() {
		switch name {
		case fieldTitle:
			c.title = e.GetTitle()
		case fieldBody:
			c.body = e.GetBody()
		case fieldSummary:
			c.summary = e.GetSummary()
		case fieldTypes:
			c.types = e.GetMemoTypes()
		case fieldCategories:
			c.categories = e.GetCategories()
		case fieldProjects:
			c.projects = e.GetProjects()
		}
	}
	return c
}

// changes lists the fields in which two contents differ.
func (c content) changes(to content) []string {
	var names []string
	add := func(name string, same bool) {
		if !same {
			names = append(names, name)
		}
	}
	add(fieldTitle, c.title == to.title)
	add(fieldBody, c.body == to.body)
	add(fieldSummary, c.summary == to.summary)
	add(fieldTypes, slices.Equal(c.types, to.types))
	add(fieldCategories, slices.Equal(c.categories, to.categories))
	add(fieldProjects, slices.Equal(c.projects, to.projects))
	return names
}

// digest is SHA-256, in hex, of the memo's id and every field, each preceded by its length and each list by the number of
// its items. With the id in it, equal memos of two accounts have unequal digests.
func (c content) digest(id string) string {
	var b []byte
	add := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, s := range []string{id, c.title, c.body, c.summary} {
		add(s)
	}
	for _, list := range [][]string{c.types, c.categories, c.projects} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			add(s)
		}
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// etag names one revision of one memo.
func etag(id string, revision int64) string {
	return fmt.Sprintf("%d-%s", revision, id[max(0, len(id)-8):])
}

// proto gives the whole memo, without its address.
func (s state) proto() *memov1.Memo {
	m := &memov1.Memo{
		Id:         s.id,
		Title:      s.title,
		Body:       s.body,
		Summary:    s.summary,
		MemoTypes:  s.types,
		Categories: s.categories,
		Projects:   s.projects,
		CreateTime: timestamppb.New(s.createTime),
		UpdateTime: timestamppb.New(s.updateTime),
		Revision:   int32(min(s.revision, 1<<31-1)), //nolint:gosec // bounded
		Etag:       etag(s.id, s.revision),
		IsPublic:   s.isPublic,
	}
	if s.inTrash {
		m.DeleteTime = timestamppb.New(s.deleteTime)
	}
	return m
}

// entry gives the memo without its body.
func (s state) entry() *memov1.MemoEntry {
	m := s.proto()
	return &memov1.MemoEntry{
		Id:         m.GetId(),
		Title:      m.GetTitle(),
		Summary:    m.GetSummary(),
		MemoTypes:  m.GetMemoTypes(),
		Categories: m.GetCategories(),
		Projects:   m.GetProjects(),
		CreateTime: m.GetCreateTime(),
		UpdateTime: m.GetUpdateTime(),
		DeleteTime: m.GetDeleteTime(),
		Revision:   m.GetRevision(),
		Etag:       m.GetEtag(),
		IsPublic:   m.GetIsPublic(),
	}
}
