package memo

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// modelNote is what a note should be, kept in the simplest way.
type modelNote struct {
	account, title string
	revision       int
	memos          []string
}

// mayHold are those of the ids that may be in the account's note, each once.
func (m *machine) mayHold(account string, asked, has []string) (ids []string) {
	for _, id := range asked {
		known := m.memos[id]
		if known != nil && known.account == account && (known.memo.GetDeleteTime() == nil || slices.Contains(has, id)) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *machine) createNote() {
	account, title, ids := m.account(), m.text("title", 1), m.ids()
	res, err := send(m, account, &memov1.CreateNoteRequest{Title: title, MemoIds: ids}, m.CreateNote)
	if err != nil {
		m.Fatal(err)
	}
	held := m.mayHold(account, ids, nil)
	if (res.GetNote() != nil) != (len(held) > 0) {
		m.Fatalf("create a note of %v: got %v", ids, res)
	}
	if res.GetNote() != nil {
		m.notes[res.GetNote().GetId()] = &modelNote{account, title, 1, held}
	}
}

func (m *machine) noteID() string {
	return rapid.SampledFrom(append([]string{"note_none"}, slices.Sorted(maps.Keys(m.notes))...)).Draw(m.T, "note")
}

func (m *machine) changeNote() {
	account, id, ids := m.account(), m.noteID(), m.ids()
	req := &memov1.UpdateNoteRequest{Id: id}
	how := rapid.SampledFrom([]string{"replace", "add", "remove", "title"}).Draw(m.T, "how")
	switch how {
	case "replace":
		req.MemoIds = ids
	case "add":
		req.AddMemoIds = ids
	case "remove":
		req.RemoveMemoIds = ids
	default:
		req.Title = m.text("title", 1)
	}
	_, err := send(m, account, req, m.UpdateNote)
	n := m.notes[id]
	if n == nil || n.account != account {
		if err == nil {
			m.Fatalf("update %s of another account: got no error", id)
		}
		return
	}
	if err != nil {
		m.Fatal(err)
	}
	title, memos, held := n.title, slices.Clone(n.memos), m.mayHold(account, ids, n.memos)
	switch {
	case how == "replace" && len(held) > 0:
		memos = held
	case how == "add":
		memos = unique(append(memos, held...))
	case how == "remove":
		memos = slices.DeleteFunc(memos, func(id string) bool { return slices.Contains(ids, id) })
	case how == "title":
		title = req.GetTitle()
	}
	if title != n.title || !slices.Equal(memos, n.memos) {
		n.title, n.memos, n.revision = title, memos, n.revision+1
	}
}

func (m *machine) deleteNote() {
	account, id := m.account(), m.noteID()
	_, err := send(m, account, &memov1.DeleteNoteRequest{Id: id}, m.DeleteNote)
	mine := m.notes[id] != nil && m.notes[id].account == account
	if (err == nil) != mine {
		m.Fatalf("delete %s: got %v", id, err)
	}
	if mine {
		delete(m.notes, id)
	}
}

// leaveNotes takes a purged memo out of every note.
func (m *machine) leaveNotes(memo string) {
	for _, n := range m.notes {
		n.memos = slices.DeleteFunc(n.memos, func(id string) bool { return id == memo })
	}
}

// observeNotes gives what the two accounts can read of notes.
func (m *machine) observeNotes() map[string]string {
	notes := map[string]string{}
	for _, account := range []string{"alice", "bob"} {
		list, err := m.SearchNotes(as(m.T, account), &memov1.SearchNotesRequest{PageSize: 100})
		if err != nil {
			m.Fatal(err)
		}
		for _, n := range list.GetNotes() {
			res, err := m.GetNote(as(m.T, account), &memov1.GetNoteRequest{Id: n.GetId(), PageSize: 100})
			if err != nil {
				m.Fatal(err)
			}
			var ids []string
			for _, memo := range res.GetMemos() {
				ids = append(ids, memo.GetId())
			}
			if int(n.GetMemoCount()) != len(ids) {
				m.Fatalf("%s has %d memos, and memo_count is %d", n.GetId(), len(ids), n.GetMemoCount())
			}
			notes[n.GetId()] = fmt.Sprint(account, " ", n.GetTitle(), " ", n.GetRevision(), ids)
		}
	}
	return notes
}

func (m *machine) expectNotes() map[string]string {
	notes := map[string]string{}
	for id, n := range m.notes {
		notes[id] = fmt.Sprint(n.account, " ", n.title, " ", n.revision, n.memos)
	}
	return notes
}
