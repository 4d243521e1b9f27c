package memo

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// refusedCall is a call that must be refused, as a whole or in its one item, without any trace.
type refusedCall struct {
	name       string
	call       func(ctx context.Context) (proto.Message, error)
	code, want string
}

func refusing[R, A proto.Message](name string, call func(context.Context, R) (A, error), req R, code, want string) refusedCall {
	return refusedCall{name, func(ctx context.Context) (proto.Message, error) { return call(ctx, req) }, code, want}
}

// refusal is the code and the text of an error, or of that of the first item.
func refusal(res proto.Message, err error) (code, text string) {
	if err != nil {
		return connect.CodeOf(err).String(), err.Error()
	}
	results := res.ProtoReflect().Descriptor().Fields().ByName("results")
	if results == nil || res.ProtoReflect().Get(results).List().Len() == 0 {
		return "", ""
	}
	item := res.ProtoReflect().Get(results).List().Get(0).Message()
	e := item.Get(item.Descriptor().Fields().ByName("error")).Message()
	fields := e.Descriptor().Fields()
	return e.Get(fields.ByName("code")).String(), e.Get(fields.ByName("message")).String()
}

// TestBadInput sends every write what it must refuse: each answer names the field and the limit, and nothing is written.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, his := w.create(t, "alice", draftOf("x", ""))[0], w.create(t, "bob", draftOf("his", ""))[0]
	noteOf := func(person, memo string) string {
		res, err := w.CreateNote(as(t, person), &memov1.CreateNoteRequest{Title: "束", MemoIds: []string{memo}})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetNote().GetId()
	}
	note, hisNote := noteOf("alice", mine), noteOf("bob", his)
	cand, hisCand := w.propose(t, "alice", proposed("候補", ""))[0], w.propose(t, "bob", proposed("候補", ""))[0]
	long := strings.Repeat("長", 201)
	const bidi, nul = "user\u202Eexe.txt", "a\x00b"
	memos := func(d *memov1.MemoDraft) *memov1.CreateMemosRequest {
		return &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{d}}
	}
	drafts := func(d *memov1.CandidateDraft) *memov1.AddCandidatesRequest {
		return &memov1.AddCandidatesRequest{Source: "codex", Candidates: []*memov1.CandidateDraft{d}}
	}
	edits := func(e *memov1.CandidateEdit) []*memov1.CandidateEdit { return []*memov1.CandidateEdit{e} }
	const invalid, missing, aborted = "invalid_argument", "not_found", "aborted"
	for _, tt := range []refusedCall{
		refusing("create: title", w.CreateMemos, memos(draftOf(long, "")), invalid, "title is 201 characters, at most 200"),
		refusing("create: direction", w.CreateMemos, memos(draftOf(bidi, "")), invalid, "title has the control character U+202E; remove it"),
		refusing("create: control", w.CreateMemos, memos(draftOf(nul, "")), invalid, "title has the control character U+0000"),
		refusing("create: summary", w.CreateMemos, memos(&memov1.MemoDraft{Title: "x", Summary: strings.Repeat("s", 501)}), invalid, "summary is 501 characters, at most 500"),
		refusing("create: category", w.CreateMemos, memos(&memov1.MemoDraft{Title: "x", Categories: []string{strings.Repeat("c", 101)}}), invalid, "categories[0] is 101 characters, at most 100"),
		refusing("create: project", w.CreateMemos, memos(&memov1.MemoDraft{Title: "x", Projects: []string{bidi}}), invalid, "projects[0] has the control character U+202E"),
		refusing("create: type", w.CreateMemos, memos(&memov1.MemoDraft{Title: "x", MemoTypes: []string{"Decision"}}), invalid, `memo_types[0] is "Decision", must be one of knowledge, decision, operation, principle`),

		refusing("update: title", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, Title: long}, invalid, "title is 201 characters, at most 200"),
		refusing("update: direction", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, Title: bidi}, invalid, "title has the control character U+202E"),
		refusing("update: body", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, Title: "y", Body: nul}, invalid, "body has the control character U+0000"),
		refusing("update: type", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, MemoTypes: []string{"opinion"}}, invalid, `memo_types[0] is "opinion"`),
		refusing("update: too many types", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, MemoTypes: []string{"decision", "decision", "decision", "decision", "decision"}}, invalid, "memo_types has 5 items, at most 4"),
		refusing("update: mask", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "account_id"}}}, invalid, `update_mask names "account_id"`),
		refusing("update: no title left", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}}, invalid, "title is empty"),
		refusing("update: etag", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, Title: "y", Etag: etag(mine, 7)}, aborted, `it is at revision 1, etag "`+etag(mine, 1)+`"`),
		refusing("update: long etag", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: mine, Title: "y", Etag: strings.Repeat("e", 101)}, invalid, "etag is 101 characters, at most 100"),
		refusing("update: foreign", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: his, Title: "y"}, missing, his+" not found; search first"),
		refusing("update: etag of another's", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: his, Title: "y", Etag: "1-x"}, missing, his+" not found; search first"),
		refusing("update: id", w.UpdateMemo, &memov1.UpdateMemoRequest{Id: strings.Repeat("i", 65), Title: "y"}, invalid, "id is 65 characters, at most 64"),

		refusing("delete: foreign", w.DeleteMemos, &memov1.DeleteMemosRequest{Ids: []string{his}}, missing, his+" not found"),
		refusing("delete: id", w.DeleteMemos, &memov1.DeleteMemosRequest{Ids: []string{mine, strings.Repeat("i", 65)}}, invalid, "ids[1] is 65 characters, at most 64"),
		refusing("restore: foreign", w.RestoreMemos, &memov1.RestoreMemosRequest{Ids: []string{his}}, missing, his+" not found"),
		refusing("publish: foreign", w.PublishMemos, &memov1.PublishMemosRequest{Ids: []string{his}}, missing, his+" not found"),
		refusing("unpublish: foreign", w.UnpublishMemos, &memov1.UnpublishMemosRequest{Ids: []string{his}}, missing, his+" not found"),

		refusing("note: title", w.CreateNote, &memov1.CreateNoteRequest{Title: long}, invalid, "title is 201 characters, at most 200"),
		refusing("note: direction", w.CreateNote, &memov1.CreateNoteRequest{Title: bidi}, invalid, "title has the control character U+202E"),
		refusing("note: foreign memo", w.CreateNote, &memov1.CreateNoteRequest{Title: "x", MemoIds: []string{his}}, missing, his+" not found"),
		refusing("note: title again", w.UpdateNote, &memov1.UpdateNoteRequest{Id: note, Title: bidi}, invalid, "title has the control character U+202E"),
		refusing("note: etag", w.UpdateNote, &memov1.UpdateNoteRequest{Id: note, Title: "y", Etag: "9-x"}, aborted, `it is at revision 1, etag "`+etag(note, 1)+`"`),
		refusing("note: foreign", w.UpdateNote, &memov1.UpdateNoteRequest{Id: hisNote, Title: "y"}, missing, hisNote+" not found"),
		refusing("note: delete foreign", w.DeleteNote, &memov1.DeleteNoteRequest{Id: hisNote}, missing, hisNote+" not found"),

		refusing("propose: title", w.AddCandidates, drafts(proposed(long, "")), invalid, "title is 201 characters, at most 200"),
		refusing("propose: direction", w.AddCandidates, drafts(proposed(bidi, "")), invalid, "title has the control character U+202E"),
		refusing("propose: confidence", w.AddCandidates, drafts(&memov1.CandidateDraft{Title: "x", Confidence: proto.Float64(1.5)}), invalid, "confidence is 1.5, at most 1"),
		refusing("propose: source", w.AddCandidates, &memov1.AddCandidatesRequest{Source: "gemini", Candidates: []*memov1.CandidateDraft{proposed("x", "")}}, invalid, `source is "gemini", must be one of claude, codex`),
		refusing("propose: session", w.AddCandidates, &memov1.AddCandidatesRequest{Source: "codex", SessionId: bidi, Candidates: []*memov1.CandidateDraft{proposed("x", "")}}, invalid, "session_id has the control character U+202E"),
		refusing("amend: title", w.UpdateCandidates, &memov1.UpdateCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: cand, Title: long})}, invalid, "title is 201 characters, at most 200"),
		refusing("amend: direction", w.UpdateCandidates, &memov1.UpdateCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: cand, Title: bidi})}, invalid, "title has the control character U+202E"),
		refusing("amend: etag", w.UpdateCandidates, &memov1.UpdateCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: cand, Title: "y", Etag: "9-x"})}, aborted, `it is at revision 1, etag "`+etag(cand, 1)+`"`),
		refusing("amend: foreign", w.UpdateCandidates, &memov1.UpdateCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: hisCand, Title: "y"})}, missing, hisCand+" not found"),
		refusing("discard: reason", w.DiscardCandidates, &memov1.DiscardCandidatesRequest{Ids: []string{cand}, Reason: strings.Repeat("r", 501)}, invalid, "reason is 501 characters, at most 500"),
		refusing("discard: direction", w.DiscardCandidates, &memov1.DiscardCandidatesRequest{Ids: []string{cand}, Reason: bidi}, invalid, "reason has the control character U+202E"),
		refusing("discard: foreign", w.DiscardCandidates, &memov1.DiscardCandidatesRequest{Ids: []string{hisCand}}, missing, hisCand+" not found"),
		refusing("save: etag", w.SaveCandidates, &memov1.SaveCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: cand, Etag: "9-x"})}, aborted, `it is at revision 1, etag "`+etag(cand, 1)+`"`),
		refusing("save: title", w.SaveCandidates, &memov1.SaveCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: cand, Title: bidi})}, invalid, "title has the control character U+202E"),
		refusing("save: foreign", w.SaveCandidates, &memov1.SaveCandidatesRequest{Candidates: edits(&memov1.CandidateEdit{Id: hisCand})}, missing, hisCand+" not found"),

		refusing("sessions: source", w.MarkProcessedSessions, &memov1.MarkProcessedSessionsRequest{Source: "", SessionIds: []string{"s"}}, invalid, "source is required"),
		refusing("sessions: direction", w.MarkProcessedSessions, &memov1.MarkProcessedSessionsRequest{Source: "codex", SessionIds: []string{bidi}}, invalid, "session_ids[0] has the control character U+202E"),
		refusing("policy: text", w.UpdateCapturePolicy, &memov1.UpdateCapturePolicyRequest{Text: proto.String(strings.Repeat("p", 20_001))}, invalid, "text is 20001 characters, at most 20000"),
		refusing("policy: etag", w.UpdateCapturePolicy, &memov1.UpdateCapturePolicyRequest{Text: proto.String("x"), Etag: "9-policy"}, aborted, `it is at revision 0, etag "`+etag("policy", 0)+`"`),
	} {
		last := w.log.Last()
		code, text := refusal(tt.call(publishing(t, "alice")))
		if code != tt.code || !strings.Contains(text, tt.want) {
			t.Errorf("%s: got %s %q, want %s with %q", tt.name, code, text, tt.code, tt.want)
		}
		if now := w.log.Last(); now != last {
			t.Errorf("%s: the log went on from %d to %d", tt.name, last, now)
		}
	}
}
