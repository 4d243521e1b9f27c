package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

// maxInput bounds a text that is read from a file or from standard input, in bytes. The server's limit is 200 000
// characters.
const maxInput = 4 << 20

func (a *app) memoCommand() *cobra.Command {
	return group("memo", "Write, find, change and remove memos",
		`Write, find, change and remove memos: short, titled notes in Markdown.`,
		a.memoAddCommand(), a.memoSearchCommand(), a.memoShowCommand(), a.memoEditCommand(),
		a.memoRmCommand(), a.memoRestoreCommand(), a.memoPublishCommand(), a.memoUnpublishCommand(),
		a.memoHistoryCommand(), a.memoCategoriesCommand(), a.memoWatchCommand())
}

// memos opens the session and returns a client of the memo service with it.
func (a *app) memos() (memov1connect.MemoServiceClient, *session, error) {
	s, err := a.session()
	if err != nil {
		return nil, nil, err
	}
	return memov1connect.NewMemoServiceClient(s.client()), s, nil
}

// memoFields are the flags that set what a memo says.
type memoFields struct {
	title, summary, file        string
	types, categories, projects []string
}

func (f *memoFields) flags(cmd *cobra.Command, removes string) {
	fl := cmd.Flags()
	fl.StringVarP(&f.title, "title", "t", "", "the `TITLE`, on one line")
	fl.StringVar(&f.summary, "summary", "", "a `LINE` that search results show")
	fl.StringVarP(&f.file, "file", "f", "", "read the text from a `FILE`, - for standard input")
	fl.StringArrayVar(&f.types, "type", nil, "a `TYPE`: knowledge, decision, operation or principle; can be repeated"+removes)
	fl.StringArrayVarP(&f.categories, "category", "c", nil, "a `CATEGORY`; can be repeated"+removes)
	fl.StringArrayVarP(&f.projects, "project", "p", nil, "a `PROJECT`; can be repeated"+removes)
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes) // fails only for a flag that does not exist
}

func completeTypes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"knowledge", "decision", "operation", "principle"}, cobra.ShellCompDirectiveNoFileComp
}

// text returns the text that the command line gives, as an argument, a file or standard input; given is false when it
// gives none.
func (a *app) text(file string, arg []string) (text string, given bool, err error) {
	switch {
	case len(arg) == 1 && file != "":
		return "", false, usagef("give the text as an argument or with --file, not both")
	case len(arg) == 1 && arg[0] != "-":
		return arg[0], true, nil
	case len(arg) == 1:
		file = "-"
	case file == "":
		return "", false, nil
	}
	in := a.In
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the person names the file
		if err != nil {
			return "", false, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return "", false, fmt.Errorf("read the text: %w", err)
	}
	if len(data) > maxInput {
		return "", false, problemf(errRefused, "the text is larger than %d MiB", maxInput>>20)
	}
	if !utf8.Valid(data) {
		return "", false, problemf(errRefused, "the text is not valid UTF-8; convert it first, such as with: iconv -f SHIFT_JIS -t UTF-8")
	}
	return string(data), true, nil
}

// given drops the empty values of a flag: --category "" alone means none.
func given(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return strings.TrimSpace(s) == "" })
}

func (a *app) memoShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID…",
		Short: "Print memos as Markdown",
		Example: `  paput memo show memo_01k8z6v2m3n4p5q6r7s8t9v0w1
  paput memo show memo_01k8z6v2m3n4p5q6r7s8t9v0w1 > why.md`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.SearchMemos(cmd.Context(), &memov1.SearchMemosRequest{Ids: ids})
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				err = a.printProto(res)
			} else {
				err = a.printMemos(res.GetMemos())
			}
			if err != nil {
				return err
			}
			return missing(res.GetMissingIds())
		},
	}
}

// missing is the error for ids that name nothing.
func missing(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return problemf(errNotFound, "there is no memo %s; find ids with: paput memo search", strings.Join(ids, ", "))
}

// printMemos prints memos as Markdown, a rule between them.
func (a *app) printMemos(memos []*memov1.Memo) error {
	var b strings.Builder
	for i, m := range memos {
		if i > 0 {
			b.WriteString("\n---\n\n")
		}
		b.WriteString(a.markdown(m))
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}

func (a *app) markdown(m *memov1.Memo) string {
	about := []string{"`" + clean(m.GetId()) + "`", a.moment(m.GetCreateTime())}
	for _, list := range [][]string{m.GetMemoTypes(), m.GetCategories(), m.GetProjects()} {
		if len(list) > 0 {
			about = append(about, clean(strings.Join(list, ", ")))
		}
	}
	if m.GetRevision() > 1 {
		about = append(about, fmt.Sprintf("revision %d of %s", m.GetRevision(), a.moment(m.GetUpdateTime())))
	}
	if m.GetPublicUrl() != "" {
		about = append(about, "public at "+clean(m.GetPublicUrl()))
	}
	if m.GetDeleteTime() != nil {
		about = append(about, "in the trash since "+a.moment(m.GetDeleteTime()))
	}
	text := "# " + clean(m.GetTitle()) + "\n\n" + strings.Join(about, " · ") + "\n"
	if s := clean(m.GetSummary()); s != "" {
		text += "\n> " + s + "\n"
	}
	if body := strings.TrimSpace(cleanText(m.GetBody())); body != "" {
		text += "\n" + body + "\n"
	}
	return text
}

func (a *app) memoCategoriesCommand() *cobra.Command {
	var req memov1.ListCategoriesRequest
	cmd := &cobra.Command{
		Use:   "categories",
		Short: "List the categories in use, with the number of memos in each",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.PageSize < 1 {
				return usagef("--limit counts from 1")
			}
			memos, s, err := a.memos()
			if err != nil {
				return err
			}
			res, err := memos.ListCategories(cmd.Context(), &req)
			if err != nil {
				return fromRPC(s.server, err)
			}
			if a.json {
				return a.printProto(res)
			}
			t := table{head: []string{"MEMOS", "CATEGORY"}}
			for _, c := range res.GetCategories() {
				t.add(fmt.Sprint(c.GetMemoCount()), c.GetName())
			}
			return a.printPage(t, "There are no categories.", res.GetNextPageToken())
		},
	}
	pages(cmd, &req.PageSize, &req.PageToken, "categories")
	most := cmd.Flags().Lookup("limit")
	most.DefValue, req.PageSize = "100", 100
	return cmd
}
