package mcp

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// The app is a page that a client shows in place of what a tool found (MCP Apps, 2026-01-26): memos, and the candidates that
// wait for approval. It says nothing that the tool's structured content does not say, and calls the tools that the model
// calls, through the client, with the client's token.
const (
	// appExtension is what a client names among its extensions that can show apps of appType.
	appExtension = "io.modelcontextprotocol/ui"
	appType      = "text/html;profile=mcp-app"
	appURI       = "ui://paput/app"
	// candidatesTool is the tool whose results the app offers to decide on, and memosTool the other one that it shows.
	candidatesTool = "paput_list_pending_candidates"
	memosTool      = "paput_search_memo"
	// decidingKey is where a result of candidatesTool tells the app, in its _meta, which of decidingTools this caller may call
	// here. What is not there it does not offer.
	decidingKey = "paput/tools"
)

// decidingTools are those with which candidates are decided on.
func decidingTools() []string {
	return []string{"paput_save_pending_candidates", "paput_discard_pending_candidates"}
}

//go:embed app.html
var appSource string

// addApp offers the app.
func (m *memos) addApp() {
	page := appPage()
	about := map[string]any{"ui": map[string]any{
		// It loads nothing and sends nothing.
		"csp":           map[string]any{"connectDomains": []string{}, "resourceDomains": []string{}, "frameDomains": []string{}, "baseUriDomains": []string{}},
		"prefersBorder": true,
	}}
	resource := mcp.NewResource(appURI, "app", mcp.WithResourceTitle("Paput"), mcp.WithMIMEType(appType),
		mcp.WithResourceDescription("Shows memos, and candidates to approve or discard."))
	resource.Meta = &mcp.Meta{AdditionalFields: about}
	m.s.mcp.AddResource(resource, func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: appURI, MIMEType: appType, Text: page, Meta: about}}, nil
	})
}

// appPage is the app with a policy of its own, whatever that of the client is: what is in the page runs, by its hash, and
// nothing else does or is loaded (CSP Level 3, sections 2.3.1 and 3.3).
func appPage() string {
	policy := "default-src 'none'; script-src " + hashOf("script") + "; style-src " + hashOf("style") +
		"; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	return strings.Replace(appSource, "{{policy}}", policy, 1)
}

// hashOf is the source expression for the content of the one element of the app with that name.
func hashOf(element string) string {
	_, from, _ := strings.Cut(appSource, "<"+element+">")
	content, _, _ := strings.Cut(from, "</"+element+">")
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// showsApps says whether the extensions that a client declares have the app's (MCP Apps, Capability Negotiation).
func showsApps(extensions []byte) bool {
	var declared map[string]json.RawMessage
	var settings struct {
		MIMETypes []string `json:"mimeTypes"`
	}
	return json.Unmarshal(extensions, &declared) == nil && json.Unmarshal(declared[appExtension], &settings) == nil &&
		slices.Contains(settings.MIMETypes, appType)
}

// deciding is what the _meta of a result tells the app of the caller, as a member of it; nil for nothing.
func (s *Server) deciding(t *tool, c *caller) []byte {
	if !c.apps || t.name != candidatesTool {
		return nil
	}
	member := []byte(`"` + decidingKey + `":[`)
	sep := ""
	for _, name := range decidingTools() {
		if t := s.tools[name]; t != nil && c.has(t) && c.may(t.scope) {
			member = appendQuoted(append(member, sep...), name)
			sep = ","
		}
	}
	return append(member, ']')
}

// withoutApp leaves the app out of the resources that a client is told of that cannot show it.
func withoutApp(found mcp.ListResourcesResult) mcp.ListResourcesResult {
	found.Resources = slices.DeleteFunc(slices.Clone(found.Resources), func(r mcp.Resource) bool { return r.URI == appURI })
	return found
}
