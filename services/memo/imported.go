package memo

import (
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/eventlog"
)

// told is what a record says about a memo.
type told struct {
	// event is what happened; never an import.
	event *memov1.MemoEvent
	// at is when it happened.
	at time.Time
	// withheld says that a publication happened where an archive comes from, and not here.
	withheld bool
}

// tell reads a record. A revision that was imported is as if it had happened here when it happened there. The answer has no
// event when the record is not of a memo.
func tell(r eventlog.Record) told {
	e, _ := r.Event.(*memov1.MemoEvent)
	from := e.GetImported()
	if from == nil {
		return told{event: e, at: r.Time}
	}
	t := told{at: from.GetTime().AsTime(), event: &memov1.MemoEvent{AccountId: e.GetAccountId(), ClientId: from.GetClientId(), GrantId: from.GetGrantId()}}
	if from.GetClientId() == "" {
		t.event.ClientId, t.event.GrantId = e.GetClientId(), e.GetGrantId()
	}
	switch what := from.GetRevision().(type) {
	case *memov1.MemoImported_Created:
		t.event.Event = &memov1.MemoEvent_Created{Created: what.Created}
	case *memov1.MemoImported_Updated:
		t.event.Event = &memov1.MemoEvent_Updated{Updated: what.Updated}
	case *memov1.MemoImported_Deleted:
		t.event.Event = &memov1.MemoEvent_Deleted{Deleted: what.Deleted}
	case *memov1.MemoImported_Restored:
		t.event.Event = &memov1.MemoEvent_Restored{Restored: what.Restored}
	case *memov1.MemoImported_Published:
		t.event.Event = &memov1.MemoEvent_Published{Published: what.Published}
		t.withheld = !from.GetPublish()
	case *memov1.MemoImported_Unpublished:
		t.event.Event = &memov1.MemoEvent_Unpublished{Unpublished: what.Unpublished}
	}
	return t
}

// imported makes of an event what an import records.
func imported(e *memov1.MemoEvent, m *memov1.ArchivedMemo, publish bool) *memov1.MemoEvent {
	i := &memov1.MemoImported{Time: m.GetTime(), ClientId: m.GetClientId(), GrantId: m.GetGrantId()}
	switch what := e.GetEvent().(type) {
	case *memov1.MemoEvent_Created:
		i.Revision = &memov1.MemoImported_Created{Created: what.Created}
	case *memov1.MemoEvent_Updated:
		i.Revision = &memov1.MemoImported_Updated{Updated: what.Updated}
	case *memov1.MemoEvent_Deleted:
		i.Revision = &memov1.MemoImported_Deleted{Deleted: what.Deleted}
	case *memov1.MemoEvent_Restored:
		i.Revision = &memov1.MemoImported_Restored{Restored: what.Restored}
	case *memov1.MemoEvent_Published:
		i.Revision = &memov1.MemoImported_Published{Published: what.Published}
		i.Publish = publish
	case *memov1.MemoEvent_Unpublished:
		i.Revision = &memov1.MemoImported_Unpublished{Unpublished: what.Unpublished}
	}
	return &memov1.MemoEvent{Event: &memov1.MemoEvent_Imported{Imported: i}}
}
