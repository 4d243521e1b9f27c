package memo

import (
	"fmt"
	"slices"
	"strings"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

// maxNoteMemos is how many memos a note may have.
const maxNoteMemos = 500

// knownMemos are memos of one account, by id, and whether each is in the trash.
type knownMemos map[string]bool

// living leaves out the memos that do not exist: those of a note that were purged.
func (k knownMemos) living(ids []string) []string {
	var out []string
	for _, id := range ids {
		if _, exists := k[id]; exists {
			out = append(out, id)
		}
	}
	return out
}

// admit decides which memos may be in a note that has some already, with a result for each. One that is asked for again is
// there already.
func (k knownMemos) admit(asked, has []string) (admitted []string, results []*memov1.NoteMemoResult) {
	for i, id := range asked {
		result := &memov1.NoteMemoResult{Index: int32(i), Id: id} //nolint:gosec // at most maxNoteMemos
		results = append(results, result)
		inTrash, exists := k[id]
		switch {
		case !exists:
			result.Error = &toolv1.ItemError{Code: "not_found", Message: fmt.Sprintf("%s %v", id, ErrNotFound)}
		case inTrash && !slices.Contains(has, id):
			result.Error = &toolv1.ItemError{Code: "failed_precondition", Message: fmt.Sprintf("%s %v", id, ErrInTrash)}
		case !slices.Contains(admitted, id):
			admitted = append(admitted, id)
		}
	}
	return admitted, results
}

// createNote decides to create a note with a checked title. It returns nil when all of its memos are refused.
func createNote(id string, c noteContent, known knownMemos) (*memov1.NoteEvent, []*memov1.NoteMemoResult) {
	admitted, results := known.admit(c.memoIDs, nil)
	if len(results) > 0 && len(admitted) == 0 {
		return nil, results
	}
	c.memoIDs = admitted
	return &memov1.NoteEvent{Event: &memov1.NoteEvent_Created{Created: &memov1.NoteCreated{
		Title: c.title, MemoIds: c.memoIDs, Digest: c.digest(id),
	}}}, results
}

// deleteNote decides to delete a note.
func deleteNote() *memov1.NoteEvent {
	return &memov1.NoteEvent{Event: &memov1.NoteEvent_Deleted{Deleted: &memov1.NoteDeleted{}}}
}

// noteChange is an update that was asked for: the fields named get the values given.
type noteChange struct {
	etag   string // empty for whatever revision there is
	fields []string
	noteContent
	add, remove []string
}

// wanted are the memos that are to be in the note.
func (c noteChange) wanted() []string {
	if slices.Contains(c.fields, fieldMemoIDs) {
		return c.memoIDs
	}
	return c.add
}

// updateNote decides on a checked change. It returns no event when the note is so already, and when all memos that are to
// be in it are refused.
func updateNote(s noteState, c noteChange, known knownMemos) (*memov1.NoteEvent, []*memov1.NoteMemoResult, error) {
	if err := checkEtag(c.etag, s.id, s.revision); err != nil {
		return nil, nil, err
	}
	has := known.living(s.memoIDs)
	admitted, results := known.admit(c.wanted(), has)
	if len(results) > 0 && len(admitted) == 0 {
		return nil, results, nil
	}
	to := noteContent{s.title, has}
	if slices.Contains(c.fields, fieldTitle) {
		to.title = c.title
	}
	if slices.Contains(c.fields, fieldMemoIDs) {
		to.memoIDs = admitted
	} else {
		to.memoIDs = slices.DeleteFunc(unique(slices.Concat(has, admitted)), func(id string) bool { return slices.Contains(c.remove, id) })
	}
	if n := len(to.memoIDs); n > maxNoteMemos {
		return nil, nil, invalid("%s would have %d memos, at most %d; take some out with remove_memo_ids, or begin another note", s.id, n, maxNoteMemos)
	}
	e := &memov1.NoteUpdated{}
	if to.title != s.title {
		e.ChangedFields, e.Title = append(e.ChangedFields, fieldTitle), to.title
	}
	if !slices.Equal(to.memoIDs, has) {
		e.ChangedFields, e.MemoIds = append(e.ChangedFields, fieldMemoIDs), to.memoIDs
	} else {
		to.memoIDs = s.memoIDs
	}
	if len(e.GetChangedFields()) == 0 {
		return nil, results, nil
	}
	e.Digest = to.digest(s.id)
	return &memov1.NoteEvent{Event: &memov1.NoteEvent_Updated{Updated: e}}, results, nil
}

// noteChangeFrom reads an update request: the fields of the mask, or without a mask the fields that are not empty (AIP-134).
func noteChangeFrom(req *memov1.UpdateNoteRequest) (noteChange, error) {
	names := []string{fieldTitle, fieldMemoIDs, fieldAddMemoIDs, fieldRemoveMemoIDs}
	given := []bool{req.GetTitle() != "", len(req.GetMemoIds()) > 0, len(req.GetAddMemoIds()) > 0, len(req.GetRemoveMemoIds()) > 0}
	c := noteChange{etag: req.GetEtag(), fields: req.GetUpdateMask().GetPaths()}
	if len(c.fields) == 0 {
		for i, name := range names {
			if given[i] {
				c.fields = append(c.fields, name)
			}
		}
	}
	if slices.Equal(c.fields, []string{"*"}) {
		c.fields = names[:2] // a note is its title and its memos
	}
	if len(c.fields) == 0 {
		return noteChange{}, invalid("there is nothing to change; give one of %s", strings.Join(names, ", "))
	}
	var err error
	for _, name := range c.fields {
		switch name {
		case fieldTitle:
			c.title, err = checkNoteTitle(req.GetTitle())
		case fieldMemoIDs:
			c.memoIDs = req.GetMemoIds()
		case fieldAddMemoIDs:
			c.add = req.GetAddMemoIds()
		case fieldRemoveMemoIDs:
			c.remove = req.GetRemoveMemoIds()
		default:
			err = invalid("update_mask names %q; what can change is %s", name, strings.Join(names, ", "))
		}
		if err != nil {
			return noteChange{}, err
		}
	}
	return c, c.check()
}

// check refuses what contradicts itself.
func (c noteChange) check() error {
	if slices.Contains(c.fields, fieldMemoIDs) && (slices.Contains(c.fields, fieldAddMemoIDs) || slices.Contains(c.fields, fieldRemoveMemoIDs)) {
		return invalid("memo_ids gives all memos of the note; leave it out to add or remove some, or give it alone")
	}
	for _, id := range c.add {
		if slices.Contains(c.remove, id) {
			return invalid("%s is in add_memo_ids and in remove_memo_ids; give it in one of them", id)
		}
	}
	return nil
}

func checkNoteTitle(s string) (string, error) {
	s, err := oneLine(fieldTitle, s)
	if err == nil && !visible(s) {
		return "", invalid("title is empty; give one that says what the note is about")
	}
	return s, err
}
