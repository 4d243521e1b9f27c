package mcp

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	"google.golang.org/protobuf/proto"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// projectHeader is what a client is configured with that works on one project, so that its memos are found under it
// whatever the model thinks of.
const projectHeader = "X-Paput-Project-Alias"

var projectAlias = regexp.MustCompile(`^[a-z0-9]{3,40}$`)

// projectOf reads the project of a request; empty when it names none.
func projectOf(header http.Header) (string, *rpcError) {
	values := header.Values(projectHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || !projectAlias.MatchString(values[0]):
		return "", &rpcError{code: mcp.INVALID_PARAMS, text: "the header X-PaPut-Project-Alias must be one name of 3 to 40 characters, a to z and 0 to 9"}
	default:
		return values[0], nil
	}
}

// pin puts what a request creates into a project, beside those that it names.
func pin(request proto.Message, project string) {
	into := func(projects []string) []string {
		if slices.Contains(projects, project) {
			return projects
		}
		return append(projects, project)
	}
	switch r := request.(type) {
	case *memov1.CreateMemosRequest:
		for _, m := range r.GetMemos() {
			m.Projects = into(m.GetProjects())
		}
	case *memov1.AddCandidatesRequest:
		for _, c := range r.GetCandidates() {
			c.Projects = into(c.GetProjects())
		}
	}
}
