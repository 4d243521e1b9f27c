package memo

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// create decides to create a memo of checked content.
func create(id string, c content, createTime *timestamppb.Timestamp) *memov1.MemoEvent {
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Created{Created: &memov1.MemoCreated{
		Title:      c.title,
		Body:       c.body,
		Summary:    c.summary,
		MemoTypes:  c.types,
		Categories: c.categories,
		Projects:   c.projects,
		CreateTime: createTime,
		Digest:     c.digest(id),
	}}}
}

// change is an update that was asked for: the fields named get the values in content.
type change struct {
	etag   string // empty for whatever revision there is
	fields []string
	content
	// from is the earlier revision whose content is meant, in place of what is given here; 0 for none.
	from int
}

// update decides on a change of checked content, by a caller who may publish or not. It returns nil when the memo is so
// already.
func update(s state, c change, mayPublish bool) (*memov1.MemoEvent, error) {
	if s.inTrash {
		return nil, &fault{ErrInTrash, fmt.Sprintf("%s %v", s.id, ErrInTrash)}
	}
	if err := checkEtag(c.etag, s.id, s.revision); err != nil {
		return nil, err
	}
	to := s.content
	for _, name := range c.fields {
		switch name {
		case fieldTitle:
			to.title = c.title
		case fieldBody:
			to.body = c.body
		case fieldSummary:
			to.summary = c.summary
		case fieldTypes:
			to.types = c.types
		case fieldCategories:
			to.categories = c.categories
		case fieldProjects:
			to.projects = c.projects
		}
	}
	changed := s.changes(to)
	if len(changed) == 0 {
		return nil, nil
	}
	if s.isPublic && !mayPublish {
		return nil, &fault{ErrPublic, fmt.Sprintf("%s %v (paput_publish_memos asks for it)", s.id, ErrPublic)}
	}
	e := &memov1.MemoUpdated{ChangedFields: changed, Digest: to.digest(s.id)}
	for _, name := range changed {
		switch name {
		case fieldTitle:
			e.Title = to.title
		case fieldBody:
			e.Body = to.body
		case fieldSummary:
			e.Summary = to.summary
		case fieldTypes:
			e.MemoTypes = to.types
		case fieldCategories:
			e.Categories = to.categories
		case fieldProjects:
			e.Projects = to.projects
		}
	}
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Updated{Updated: e}}, nil
}

// checkEtag gives ErrChanged when an etag is given and is not that of the revision there is.
func checkEtag(given, id string, revision int64) error {
	if given == "" || given == etag(id, revision) {
		return nil
	}
	return &fault{ErrChanged, fmt.Sprintf("%s has changed since it was read: it is at revision %d, etag %q. Read it again, merge your change, and send it with that etag",
		id, revision, etag(id, revision))}
}

// remove decides to move a memo to the trash. It returns nil for one that is there already.
func remove(s state) *memov1.MemoEvent {
	if s.inTrash {
		return nil
	}
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Deleted{Deleted: &memov1.MemoDeleted{}}}
}

// restore decides to bring a memo back. It returns nil for one that is not in the trash.
func restore(s state) *memov1.MemoEvent {
	if !s.inTrash {
		return nil
	}
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Restored{Restored: &memov1.MemoRestored{}}}
}

// publish decides to make a memo public. It returns nil for one that is public already.
func publish(s state) (*memov1.MemoEvent, error) {
	if s.inTrash {
		return nil, &fault{ErrInTrash, fmt.Sprintf("%s %v", s.id, ErrInTrash)}
	}
	if s.isPublic {
		return nil, nil
	}
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Published{Published: &memov1.MemoPublished{}}}, nil
}

// unpublish decides to make a memo private. It returns nil for one that is private already, unless it was imported from where
// it is public: that it is to be private is then worth recording, because an export tells of it.
func unpublish(s state) *memov1.MemoEvent {
	if !s.isPublic && !s.withheld {
		return nil
	}
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Unpublished{Unpublished: &memov1.MemoUnpublished{}}}
}

// edit is a message that says what to change.
type edit interface {
	worded
	GetEtag() string
	GetUpdateMask() *fieldmaskpb.FieldMask
}

// changeFrom reads an update request, which must change something.
func changeFrom(req *memov1.UpdateMemoRequest) (change, error) {
	c, err := editFrom(req)
	if err != nil {
		return change{}, err
	}
	if c.from = int(req.GetFromRevision()); c.from > 0 {
		if len(c.fields) > 0 {
			return change{}, invalid("from_revision brings the whole memo back; leave out %s, or leave out from_revision", strings.Join(c.fields, ", "))
		}
		c.fields = fieldNames()
		return c, nil
	}
	return c.some()
}

// some refuses a change of nothing.
func (c change) some() (change, error) {
	if len(c.fields) == 0 {
		return change{}, invalid("there is nothing to change; give one of %s", strings.Join(fieldNames(), ", "))
	}
	return c, nil
}

// editFrom reads an edit: the fields of the mask, or without a mask the fields that are not empty (AIP-134).
func editFrom(req edit) (change, error) {
	c := change{etag: req.GetEtag(), content: contentOf(req)}
	c.fields = content{}.changes(c.content)
	if paths := req.GetUpdateMask().GetPaths(); len(paths) > 0 {
		c.fields = slices.DeleteFunc(slices.Clone(paths), func(name string) bool { return name == fieldFromRevision })
	}
	if slices.Equal(c.fields, []string{"*"}) {
		c.fields = fieldNames()
	}
	for _, name := range c.fields {
		if !slices.Contains(fieldNames(), name) {
			return change{}, invalid("update_mask names %q; what can change is %s", name, strings.Join(fieldNames(), ", "))
		}
	}
	return c.checked()
}

// checked applies the rules to the fields that are to change.
func (c change) checked() (change, error) {
	var err error
	for _, name := range c.fields {
		switch name {
		case fieldTitle:
			c.title, err = checkTitle(c.title)
		case fieldBody:
			err = checkText(fieldBody, c.body)
		case fieldSummary:
			c.summary, err = oneLine(fieldSummary, c.summary)
		case fieldTypes:
			c.types = unique(c.types)
		case fieldCategories:
			c.categories, err = checkNames(fieldCategories, c.categories)
		case fieldProjects:
			c.projects, err = checkNames(fieldProjects, c.projects)
		}
		if err != nil {
			return change{}, err
		}
	}
	return c, nil
}
