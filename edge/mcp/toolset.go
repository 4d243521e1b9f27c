package mcp

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	toolv1 "github.com/paput/paput/proto/gen/paput/tool/v1"
)

const (
	// readOnlySet has the tools that change nothing.
	readOnlySet  = "readonly"
	readOnlyPath = "/mcp/readonly"
	// setsPath is where the other sets are, each by its name.
	setsPath = "/mcp/x/"
)

// A Toolset is a part of the tools at an address of its own, for a person who wants an assistant to have no more, or a model
// to read no more of them.
type Toolset struct {
	name string
	// Path follows the public URL, such as /mcp/readonly.
	Path string
	// Scopes are what a client needs there; nil means as at the endpoint itself.
	Scopes []string
}

// Toolsets lists the sets that the tools of services make up: the read-only one, and those that their options name.
func Toolsets(services ...protoreflect.ServiceDescriptor) []Toolset {
	sets := []Toolset{{name: readOnlySet, Path: readOnlyPath, Scopes: []string{readScope}}}
	var names []string
	for _, service := range services {
		for i := range service.Methods().Len() {
			method, _ := proto.GetExtension(service.Methods().Get(i).Options(), toolv1.E_Method).(*toolv1.Method)
			names = append(names, method.GetTool().GetToolsets()...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		sets = append(sets, Toolset{name: name, Path: setsPath + name})
	}
	return sets
}

// has says whether a tool is at the address that the caller has called; nil stands for one that is no RPC.
func (c *caller) has(t *tool) bool {
	switch {
	case c.set == "":
		return true
	case t == nil:
		return false
	case c.set == readOnlySet:
		return *t.definition.Annotations.ReadOnlyHint
	default:
		return slices.Contains(t.sets, c.set)
	}
}
