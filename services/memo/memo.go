// Package memo keeps what people learn at work: short, titled memos, written mostly by the assistant beside them and read
// back by every assistant they use later.
//
// Each memo is one stream of the event log, and so is each note, which gathers memos in an order. A command loads the
// stream, decides with a pure function, and appends at most one event to it; a projection keeps the tables that searches read, the text index among them, in the same transaction.
// So a search sees every command that has returned.
//
// A memo belongs to one account. To every other account it does not exist: all errors and lists are as if it had never
// been written. Only a public memo can be read by others, by its id.
package memo

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
	"github.com/paput/paput/services/eventlog"
)

// The first parts of the names of streams, and of ids.
const (
	kindName = "memo"
	kindNote = "note"
)

// The errors that callers can do something about. Some are wrapped to name what is wrong.
var (
	// ErrNotFound is the answer for a memo or note that does not exist and for one of another account alike.
	ErrNotFound = errors.New("not found; search first")
	// ErrInTrash refuses a change to a memo in the trash.
	ErrInTrash = errors.New("is in the trash; restore it first with paput_restore_memos")
	// ErrChanged refuses a change whose etag is not that of the memo or note.
	ErrChanged = errors.New("it has changed since it was read")
	// ErrPublic refuses a change to a public memo to a caller who may not publish.
	ErrPublic = errors.New("is public, and a change would be public too: unpublish it first, or get the scope paput.publish")
	// ErrClosed refuses a change to a candidate that was decided on.
	ErrClosed = errors.New("the candidate is not pending")
	// ErrExists refuses to import what the account has with other content.
	ErrExists = errors.New("exists already")
	// ErrPosition refuses a position that the log does not have.
	ErrPosition = errors.New("unknown position")
	// ErrTooMany refuses one more of what there may be only so many.
	ErrTooMany = errors.New("too many")
	// ErrPersonApproves refuses to make a memo of a candidate where only the person does.
	ErrPersonApproves = errors.New("only the person saves proposals: ask them to run paput capture approve with the ids, which needs the scope paput.account")
	// ErrInvalid refuses an argument.
	ErrInvalid = errors.New("invalid argument")
)

// fault is a domain error whose text is its own and whose kind is one of the errors above.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

// Codes translates the errors of this package.
func Codes(err error) (connect.Code, bool) {
	switch {
	case errors.Is(err, ErrNotFound):
		return connect.CodeNotFound, true
	case errors.Is(err, ErrInTrash), errors.Is(err, ErrClosed):
		return connect.CodeFailedPrecondition, true
	case errors.Is(err, ErrChanged):
		return connect.CodeAborted, true
	case errors.Is(err, ErrExists):
		return connect.CodeAlreadyExists, true
	case errors.Is(err, ErrPublic), errors.Is(err, ErrPersonApproves):
		return connect.CodePermissionDenied, true
	case errors.Is(err, ErrPosition):
		return connect.CodeOutOfRange, true
	case errors.Is(err, ErrTooMany):
		return connect.CodeResourceExhausted, true
	case errors.Is(err, ErrInvalid):
		return connect.CodeInvalidArgument, true
	}
	return 0, false
}

// Config has what a Service needs. All fields but ClientNames and Meaning are required.
type Config struct {
	// Log is a log that was opened with Kinds, Projections and Caches.
	Log *eventlog.Log
	// Now gives the time.
	Now func() time.Time
	// NewID gives an id that was never given before: the prefix, an underscore, and letters and digits.
	NewID func(prefix string) string
	// PublicURL is the address that clients use, without a trailing slash: public memos are under it.
	PublicURL string
	// ClientNames gives names for clients, each fit to be shown to people on one line, by their ids; those that it does not know
	// are left out. Nil knows none.
	ClientNames func(ctx context.Context, ids []string) (map[string]string, error)
	// Logger is told what Run does.
	Logger *slog.Logger
	// Meaning makes searches find by meaning besides words; nil, which is what it is for most, sends nothing to anyone.
	Meaning *Meaning
}

// Service carries out the RPCs of paput.memo.v1.MemoService. Its methods may be called from any goroutine.
type Service struct {
	log   *eventlog.Log
	now   func() time.Time
	newID func(prefix string) string
	// publicURL has no trailing slash.
	publicURL   string
	clientNames func(ctx context.Context, ids []string) (map[string]string, error)
	logger      *slog.Logger
	meaning     *meaning // nil when it is off
	// searches has a place for each search that runs. Searches need nothing but a processor: more of them at once than there
	// are processors would make all of them late, and each would have a connection whose cache it fills.
	searches chan struct{}
	watchers watchers
	// begun is where the log was before anybody could watch.
	begun int64
	// heartbeat is how often a stream of WatchMemos says that it is alive.
	heartbeat time.Duration
}

var _ memov1connect.MemoServiceHandler = (*Service)(nil)

// New returns a service over the log.
func New(c Config) *Service {
	return &Service{
		log: c.Log, now: c.Now, newID: c.NewID, publicURL: c.PublicURL, clientNames: c.ClientNames, logger: c.Logger,
		heartbeat: heartbeat, begun: c.Log.Last(), meaning: newMeaning(c.Meaning, c.Now), searches: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Kinds lists the streams that this package writes.
func Kinds() []eventlog.Kind {
	return []eventlog.Kind{
		{Name: kindName, Event: &memov1.MemoEvent{}, Relay: "MEMO", Subject: "paput.memo"},
		{Name: kindNote, Event: &memov1.NoteEvent{}, Relay: "MEMO", Subject: "paput.memo.note"},
		{Name: queueKind, Event: &memov1.CandidateEvent{}, Relay: "MEMO", Subject: "paput.memo.candidate"},
		{Name: captureKind, Event: &memov1.CaptureEvent{}, Relay: "MEMO", Subject: "paput.memo.capture"},
		{Name: answerKind, Event: &memov1.AnswerEvent{}},
	}
}

func stream(id string) string { return kindName + "/" + id }
