package memo

import (
	"cmp"
	"regexp"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/services/rpc"
)

const actionCreated = "created"

// idPattern is what the ids of an archive look like behind their prefix.
var idPattern = regexp.MustCompile(`^[0-9a-z]{1,40}$`)

// checkRecord applies the rules to a record. What it gives is a copy, trimmed and with times cut to the millisecond as
// everything is that the service keeps.
func checkRecord(r *memov1.ArchiveRecord, now time.Time) (*memov1.ArchiveRecord, error) {
	if err := rpc.Validate(r); err != nil {
		return nil, err
	}
	r = proto.CloneOf(r)
	c := recordCheck{now: now}
	switch r := r.GetRecord().(type) {
	case *memov1.ArchiveRecord_Memo:
		c.memo(r.Memo)
	case *memov1.ArchiveRecord_Note:
		c.note(r.Note)
	case *memov1.ArchiveRecord_Candidate:
		c.candidate(r.Candidate)
	case *memov1.ArchiveRecord_Session:
		c.time("process_time", r.Session.GetProcessTime())
		c.is(checkSessionID("session_id", r.Session.GetSessionId()))(&r.Session.SessionId)
	case *memov1.ArchiveRecord_Policy:
		c.time("update_time", r.Policy.GetUpdateTime())
		c.fail(checkText("text", r.Policy.GetText()))
	case *memov1.ArchiveRecord_Document:
		c.document(r.Document)
	default:
		return nil, invalid("the record is empty, or of a kind that this server does not know")
	}
	return r, c.err
}

// recordCheck keeps the first thing that is wrong.
type recordCheck struct {
	now time.Time
	err error
}

func (c *recordCheck) fail(err error) { c.err = cmp.Or(c.err, err) }

// is takes a checked text and writes it where it belongs.
func (c *recordCheck) is(text string, err error) func(*string) {
	c.fail(err)
	return func(s *string) {
		if err == nil {
			*s = text
		}
	}
}

func (c *recordCheck) memo(m *memov1.ArchivedMemo) {
	c.id("id", kindName, m.GetId())
	if m.GetCandidateId() != "" {
		c.id("candidate_id", idOfCandidate, m.GetCandidateId())
	}
	if (m.GetAction() == actionCreated) != (m.GetRevision() == 1) {
		c.fail(invalid("revision %d says %q; revision 1 says \"created\" and no other does", m.GetRevision(), m.GetAction()))
	}
	if m.GetRevision() > 1 && m.GetCandidateId() != "" {
		c.fail(invalid("revision %d has a candidate_id; only revision 1 can", m.GetRevision()))
	}
	c.time("time", m.GetTime())
	c.time("create_time", m.GetCreateTime())
	c.is(oneLine("client_id", m.GetClientId()))(&m.ClientId)
	c.is(oneLine("grant_id", m.GetGrantId()))(&m.GrantId)
	checked := c.content(m)
	m.Title, m.Summary, m.MemoTypes, m.Categories, m.Projects = checked.title, checked.summary, checked.types, checked.categories, checked.projects
}

func (c *recordCheck) note(m *memov1.ArchivedNote) {
	c.id("id", kindNote, m.GetId())
	c.time("create_time", m.GetCreateTime())
	c.time("update_time", m.GetUpdateTime())
	c.is(checkNoteTitle(m.GetTitle()))(&m.Title)
	for _, id := range m.GetMemoIds() {
		c.id("memo_ids", kindName, id)
	}
}

func (c *recordCheck) candidate(m *memov1.ArchivedCandidate) {
	c.id("id", idOfCandidate, m.GetId())
	c.time("create_time", m.GetCreateTime())
	c.time("add_time", m.GetAddTime())
	c.time("update_time", m.GetUpdateTime())
	c.is(oneLine("session_id", m.GetSessionId()))(&m.SessionId)
	c.is(oneLine("discard_reason", m.GetDiscardReason()))(&m.DiscardReason)
	for _, s := range m.GetSimilarMemos() {
		c.id("similar_memos.id", kindName, s.GetId())
	}
	switch saved := m.GetStatus() == statusSaved; {
	case saved:
		c.id("saved_memo_id", kindName, m.GetSavedMemoId())
	case m.GetSavedMemoId() != "":
		c.fail(invalid("saved_memo_id is given, but the status is %q", m.GetStatus()))
	}
	if m.GetStatus() != statusDiscarded && m.GetDiscardReason() != "" {
		c.fail(invalid("discard_reason is given, but the status is %q", m.GetStatus()))
	}
	checked := c.content(m)
	m.Title, m.Summary, m.MemoTypes, m.Categories, m.Projects = checked.title, checked.summary, checked.types, checked.categories, checked.projects
}

// document also fills in the times that are not given.
func (c *recordCheck) document(m *memov1.ArchivedDocument) {
	if m.GetId() != "" {
		c.id("id", kindName, m.GetId())
	}
	c.time("create_time", m.GetCreateTime())
	c.time("update_time", m.GetUpdateTime())
	m.CreateTime = cmp.Or(m.GetCreateTime(), m.GetUpdateTime(), timestamppb.New(c.now.UTC().Truncate(time.Millisecond)))
	m.UpdateTime = cmp.Or(m.GetUpdateTime(), m.GetCreateTime())
	checked := c.content(m)
	m.Title, m.Summary, m.MemoTypes, m.Categories, m.Projects = checked.title, checked.summary, checked.types, checked.categories, checked.projects
}

func (c *recordCheck) id(name, prefix, id string) {
	if rest := id[min(len(prefix)+1, len(id)):]; id != prefix+"_"+rest || !idPattern.MatchString(rest) {
		c.fail(invalid("%s %q is not %q and 1 to 40 small letters and digits", name, id, prefix+"_"))
	}
}

// time cuts a time, if there is one, to the millisecond.
func (c *recordCheck) time(name string, t *timestamppb.Timestamp) {
	if t == nil {
		return
	}
	if err := checkTime(name, t); err != nil {
		c.fail(err)
		return
	}
	if t.AsTime().After(c.now.Add(maxAhead)) {
		c.fail(invalid("%s %s is more than a day in the future", name, t.AsTime().Format(time.RFC3339)))
	}
	t.Nanos -= t.GetNanos() % int32(time.Millisecond)
}

func (c *recordCheck) content(m worded) content {
	checked, err := change{fields: fieldNames(), content: contentOf(m)}.checked()
	c.fail(err)
	return checked.content
}
