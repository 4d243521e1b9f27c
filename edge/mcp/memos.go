package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
	"github.com/paput/paput/proto/gen/paput/memo/v1/memov1connect"
)

const (
	// memoScheme begins the address of each resource, and what follows is a memo's id or one of these two.
	memoScheme    = "memo://"
	recentURI     = memoScheme + "recent"
	categoriesURI = memoScheme + "categories"
	memoTemplate  = memoScheme + "{id}"

	markdown = "text/markdown"
	// readScope is what a caller needs to read any resource.
	readScope = "paput.read"
	// recentMemos is how many memos memo://recent lists.
	recentMemos = 20
)

// memos shows the memos of a caller as resources, and completes what a person types from them. It reaches them as the
// caller, by RPC.
type memos struct {
	s       *Server
	service memov1connect.MemoServiceClient
}

// addMemos offers resources and prompts when the memo service is among the services.
func (s *Server) addMemos(services []protoreflect.ServiceDescriptor) {
	if !slices.ContainsFunc(services, func(d protoreflect.ServiceDescriptor) bool { return d.FullName() == memov1connect.MemoServiceName }) {
		return
	}
	m := &memos{s: s, service: memov1connect.NewMemoServiceClient(s.client)}
	s.memos = m
	for _, option := range []server.ServerOption{
		server.WithResourceCapabilities(false, false), server.WithPromptCapabilities(false), server.WithCompletions(),
		server.WithPromptCompletionProvider(m), server.WithResourceCompletionProvider(m),
		// A client may keep what there is, but not what it says.
		server.WithMethodCacheHints(mcp.MethodResourcesRead, 0, mcp.CacheScopePrivate),
		server.WithExtensions(map[string]any{appExtension: struct{}{}}),
	} {
		option(s.mcp)
	}
	add := func(uri, title, description string, read func(ctx context.Context, uri string) (string, error)) {
		about := mcp.NewResource(uri, strings.TrimPrefix(uri, memoScheme), mcp.WithResourceTitle(title), mcp.WithResourceDescription(description), mcp.WithMIMEType(markdown))
		s.mcp.AddResource(about, m.handler(read))
	}
	add(recentURI, "Recent memos", fmt.Sprintf("The %d memos that were changed last, with their addresses.", recentMemos), m.readRecent)
	add(categoriesURI, "Categories", "The categories in use, with the number of memos in each.", m.readCategories)
	template := mcp.NewResourceTemplate(memoTemplate, "memo", mcp.WithTemplateTitle("Memo"), mcp.WithTemplateMIMEType(markdown),
		mcp.WithTemplateDescription("One memo as Markdown with front matter. Words of its title complete to its id."))
	s.mcp.AddResourceTemplate(template, server.ResourceTemplateHandlerFunc(m.handler(m.readMemo)))
	m.addPrompts()
	m.addApp()
}

func (m *memos) handler(read func(ctx context.Context, uri string) (string, error)) server.ResourceHandlerFunc {
	return func(ctx context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		text, err := read(ctx, r.Params.URI)
		if err != nil {
			return nil, err
		}
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: markdown, Text: text}}, nil
	}
}

func (m *memos) readMemo(ctx context.Context, uri string) (string, error) {
	id := strings.TrimPrefix(uri, memoScheme)
	found, err := m.search(ctx, &memov1.SearchMemosRequest{Ids: []string{id}})
	if err == nil && len(found.GetMemos()) == 1 {
		return document(found.GetMemos()[0]), nil
	}
	// What cannot be an id is no memo either.
	if err == nil || connect.CodeOf(err) == connect.CodeInvalidArgument {
		code := mcp.RESOURCE_NOT_FOUND
		if server.IsModernRequest(ctx) {
			code = mcp.INVALID_PARAMS
		}
		return "", refuse(ctx, refusal{fault: notFound(code, uri)})
	}
	return "", err
}

func (m *memos) readRecent(ctx context.Context, _ string) (string, error) {
	found, err := m.search(ctx, &memov1.SearchMemosRequest{PageSize: recentMemos})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Recent memos\n\n")
	for _, e := range found.GetEntries() {
		fmt.Fprintf(&b, "- [%s](%s%s), %s", inLink(e.GetTitle()), memoScheme, e.GetId(), e.GetUpdateTime().AsTime().Format(time.DateOnly))
		if e.GetSummary() != "" {
			fmt.Fprintf(&b, ": %s", inLine(e.GetSummary()))
		}
		b.WriteByte('\n')
	}
	if len(found.GetEntries()) == 0 {
		b.WriteString("There are no memos yet.\n")
	}
	return b.String(), nil
}

func (m *memos) readCategories(ctx context.Context, _ string) (string, error) {
	found, err := m.categories(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Categories\n\n")
	for _, c := range found {
		fmt.Fprintf(&b, "- %s (%d)\n", inLine(c.GetName()), c.GetMemoCount())
	}
	if len(found) == 0 {
		b.WriteString("There are no categories yet.\n")
	}
	return b.String(), nil
}

// search asks as the caller of ctx. An error has been made ready to be returned, but for one of the arguments.
func (m *memos) search(ctx context.Context, r *memov1.SearchMemosRequest) (*memov1.SearchMemosResponse, error) {
	found, err := ask(ctx, m.s, readScope, func(ctx context.Context) (*memov1.SearchMemosResponse, error) { return m.service.SearchMemos(ctx, r) })
	return found, err
}

func (m *memos) categories(ctx context.Context) ([]*memov1.Category, error) {
	found, err := ask(ctx, m.s, readScope, func(ctx context.Context) (*memov1.ListCategoriesResponse, error) {
		return m.service.ListCategories(ctx, &memov1.ListCategoriesRequest{})
	})
	return found.GetCategories(), err
}

// ask makes an RPC as the caller of ctx, on behalf of a handler of the registry, if the caller's scopes allow it. What goes
// wrong is answered as it would be for a tool.
func ask[Response any](ctx context.Context, s *Server, scope string, call func(context.Context) (*Response, error)) (*Response, error) {
	c := callerFrom(ctx)
	if !c.may(scope) {
		return nil, refuse(ctx, refusal{err: scopeError{scope}})
	}
	through, cancel := s.as(ctx, c)
	defer cancel()
	response, err := call(through)
	if err == nil || connect.CodeOf(err) == connect.CodeInvalidArgument {
		return response, err
	}
	text, err := s.explain(ctx, "memos", err, c)
	if err != nil {
		return nil, refuse(ctx, refusal{err: err})
	}
	return nil, Refuse(ctx, mcp.INTERNAL_ERROR, text, nil)
}

// document is a memo as a text: front matter, which is YAML, and the body.
func document(m *memov1.Memo) string {
	var b strings.Builder
	b.WriteString("---\n")
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	list := func(name string, values []string) {
		for i, v := range values {
			if i == 0 {
				fmt.Fprintf(&b, "%s:\n", name)
			}
			fmt.Fprintf(&b, "  - %s\n", quoted(v))
		}
	}
	date := func(name string, t *timestamppb.Timestamp) {
		if t != nil {
			line(name, t.AsTime().Format(time.RFC3339))
		}
	}
	line("id", m.GetId())
	line("title", quoted(m.GetTitle()))
	if m.GetSummary() != "" {
		line("summary", quoted(m.GetSummary()))
	}
	list("types", m.GetMemoTypes())
	list("categories", m.GetCategories())
	list("projects", m.GetProjects())
	date("created", m.GetCreateTime())
	date("updated", m.GetUpdateTime())
	date("deleted", m.GetDeleteTime())
	line("etag", m.GetEtag())
	line("public_url", m.GetPublicUrl())
	b.WriteString("---\n\n")
	b.WriteString(strings.TrimRight(m.GetBody(), "\n"))
	b.WriteByte('\n')
	return b.String()
}

// quoted writes s as a string of JSON, which YAML reads as that very string.
func quoted(s string) string { return string(appendQuoted(nil, s)) }

// inLine makes one line of s.
func inLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// inLink makes of s what can stand in the brackets of a Markdown link.
func inLink(s string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`).Replace(inLine(s))
}

// Values of a completion at once (MCP, Completion), and memos that projects and titles are taken from.
const (
	maxCompletions = 100
	completedFrom  = 100
)

// CompleteResourceArgument implements server.ResourceCompletionProvider: words of a title, or the beginning of an id, become
// ids, the best match first.
func (m *memos) CompleteResourceArgument(ctx context.Context, uri string, a mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	if uri != memoTemplate || a.Name != "id" {
		return nil, Refuse(ctx, mcp.INVALID_PARAMS, "only the id of "+memoTemplate+" can be completed", nil)
	}
	request := &memov1.SearchMemosRequest{Query: a.Value, PageSize: completedFrom}
	begun := strings.HasPrefix(a.Value, "memo_")
	if begun {
		request.Query = ""
	}
	found, err := m.search(ctx, request)
	if err != nil {
		return tooLong(err)
	}
	values := []string{}
	for _, e := range found.GetEntries() {
		if !begun || strings.HasPrefix(e.GetId(), a.Value) {
			values = append(values, e.GetId())
		}
	}
	return &mcp.Completion{Values: values, HasMore: found.GetNextPageToken() != ""}, nil
}

// tooLong answers what is no search, such as a text that is too long, with nothing.
func tooLong(err error) (*mcp.Completion, error) {
	if connect.CodeOf(err) == connect.CodeInvalidArgument {
		return &mcp.Completion{Values: []string{}}, nil
	}
	return nil, err
}

// CompletePromptArgument implements server.PromptCompletionProvider.
func (m *memos) CompletePromptArgument(ctx context.Context, prompt string, a mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	var values []string
	var err error
	switch a.Name {
	case "category":
		values, err = m.categoryNames(ctx)
	case "project":
		values, err = m.projectNames(ctx)
	case "topic":
		found, err := m.search(ctx, &memov1.SearchMemosRequest{Query: a.Value, PageSize: recentMemos})
		if err != nil {
			return tooLong(err)
		}
		for _, e := range found.GetEntries() {
			values = append(values, e.GetTitle())
		}
		return &mcp.Completion{Values: values}, nil
	default:
		return &mcp.Completion{}, nil
	}
	if err != nil {
		return nil, err
	}
	return beginning(values, a.Value), nil
}

func (m *memos) categoryNames(ctx context.Context) (names []string, err error) {
	found, err := m.categories(ctx)
	for _, c := range found {
		names = append(names, c.GetName())
	}
	return names, err
}

// projectNames are those of the memos that were changed last, the latest first.
func (m *memos) projectNames(ctx context.Context) (names []string, err error) {
	found, err := m.search(ctx, &memov1.SearchMemosRequest{PageSize: completedFrom})
	if err != nil {
		return nil, err
	}
	for _, e := range found.GetEntries() {
		for _, p := range e.GetProjects() {
			if !slices.Contains(names, p) {
				names = append(names, p)
			}
		}
	}
	return names, nil
}

// beginning leaves those values that begin with what was typed, in any case, then those that have it elsewhere.
func beginning(values []string, typed string) *mcp.Completion {
	typed = strings.ToLower(typed)
	var first, then []string
	for _, v := range values {
		switch i := strings.Index(strings.ToLower(v), typed); {
		case i == 0:
			first = append(first, v)
		case i > 0:
			then = append(then, v)
		}
	}
	all := append(first, then...)
	return &mcp.Completion{Values: all[:min(len(all), maxCompletions)], Total: len(all), HasMore: len(all) > maxCompletions}
}
