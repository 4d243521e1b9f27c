package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func (a *app) memoEditCommand() *cobra.Command {
	var f memoFields
	var etag string
	cmd := &cobra.Command{
		Use:   "edit ID [TEXT|-]",
		Short: "Change a memo",
		Long: `Change a memo. What the flags and the text do not name stays as it is; an empty
value such as --category "" removes. With nothing but the ID your editor opens
($VISUAL or $EDITOR); should the memo change meanwhile, your text is kept in a
file.

A text that begins with front matter, as the editor shows it, replaces all
fields.`,
		Example: `  paput memo edit memo_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput memo edit memo_01k8z6v2m3n4p5q6r7s8t9v0w1 --title "Why we left SQLite"
  paput memo edit memo_01k8z6v2m3n4p5q6r7s8t9v0w1 --file why.md`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, arg []string) error {
			text, isGiven, err := a.text(f.file, arg[1:])
			if err != nil {
				return err
			}
			req := f.update(cmd)
			req.Id, req.Etag = arg[0], etag
			if isGiven {
				if err := setText(req, text); err != nil {
					return err
				}
			}
			switch {
			case len(req.GetUpdateMask().GetPaths()) > 0:
				return a.update(cmd.Context(), req)
			case a.Interactive && !a.json:
				return a.updateInEditor(cmd.Context(), arg[0])
			}
			return usageOf(cmd, usagef("say what to change, with a flag or a text"))
		},
	}
	f.flags(cmd, "; \"\" removes all")
	cmd.Flags().StringVar(&etag, "etag", "", "the `ETAG` last seen: refuse when the memo has changed since")
	return cmd
}

// update makes the request of the flags that were given.
func (f *memoFields) update(cmd *cobra.Command) *memov1.UpdateMemoRequest {
	fields := map[string]string{
		"title": "title", "summary": "summary", "type": "memo_types", "category": "categories", "project": "projects",
	}
	req := &memov1.UpdateMemoRequest{
		Title: f.title, Summary: f.summary,
		MemoTypes: given(f.types), Categories: given(f.categories), Projects: given(f.projects),
		UpdateMask: &fieldmaskpb.FieldMask{},
	}
	for _, flag := range changed(cmd) {
		if field := fields[flag]; field != "" {
			req.UpdateMask.Paths = append(req.UpdateMask.Paths, field)
		}
	}
	return req
}

// setText adds a text to the request: a whole document, from which a flag still takes precedence, or the body alone.
func setText(req *memov1.UpdateMemoRequest, text string) error {
	doc, err := parseDocument(text)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.TrimPrefix(text, "\ufeff"), fence) || doc.title == "" {
		req.Body = text
		req.UpdateMask.Paths = append(req.UpdateMask.Paths, "body")
		return nil
	}
	from := requestOf(doc)
	for _, field := range from.GetUpdateMask().GetPaths() {
		if slices.Contains(req.GetUpdateMask().GetPaths(), field) {
			continue
		}
		if d := from.ProtoReflect().Descriptor().Fields().ByTextName(field); from.ProtoReflect().Has(d) {
			req.ProtoReflect().Set(d, from.ProtoReflect().Get(d))
		}
		req.UpdateMask.Paths = append(req.UpdateMask.Paths, field)
	}
	return nil
}

// requestOf makes a request that sets all fields to what a document says.
func requestOf(d document) *memov1.UpdateMemoRequest {
	return &memov1.UpdateMemoRequest{
		Title: d.title, Summary: d.summary, Body: d.body,
		MemoTypes: d.types, Categories: d.categories, Projects: d.projects,
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "summary", "body", "memo_types", "categories", "projects"}},
	}
}

func (a *app) update(ctx context.Context, req *memov1.UpdateMemoRequest) error {
	memos, s, err := a.memos()
	if err != nil {
		return err
	}
	res, err := memos.UpdateMemo(ctx, req)
	if err != nil {
		return fromRPC(s.server, err)
	}
	if a.json {
		return a.printProto(res)
	}
	_, err = fmt.Fprintf(a.Out, "%s is at revision %d\n", clean(res.GetMemo().GetId()), res.GetMemo().GetRevision())
	return err
}

// updateInEditor lets the person change the whole memo, and refuses to overwrite what others changed in the meantime.
func (a *app) updateInEditor(ctx context.Context, id string) error {
	memos, s, err := a.memos()
	if err != nil {
		return err
	}
	res, err := memos.SearchMemos(ctx, &memov1.SearchMemosRequest{Ids: []string{id}})
	if err != nil {
		return fromRPC(s.server, err)
	}
	if len(res.GetMemos()) != 1 {
		return missing([]string{id})
	}
	memo := res.GetMemos()[0]
	start := documentOf(memo).String()
	before, err := parseDocument(start)
	if err != nil {
		return err
	}
	return a.editDocument(ctx, "memo", start, func(doc document) error {
		req := requestOf(doc)
		req.Id, req.Etag = id, memo.GetEtag()
		keepChanges(req, requestOf(before))
		if len(req.GetUpdateMask().GetPaths()) == 0 {
			a.note("Nothing has changed, so nothing is sent.")
			return nil
		}
		return a.update(ctx, req)
	})
}

// keepChanges takes the fields that are as they were out of the request, so that the history names those that are not.
func keepChanges(req, before *memov1.UpdateMemoRequest) {
	m, b := req.ProtoReflect(), before.ProtoReflect()
	req.UpdateMask.Paths = slices.DeleteFunc(req.UpdateMask.Paths, func(field string) bool {
		d := m.Descriptor().Fields().ByTextName(field)
		return m.Get(d).Equal(b.Get(d))
	})
}
