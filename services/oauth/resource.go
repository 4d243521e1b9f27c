package oauth

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// knownResources are what a token may be bound to (RFC 8707): this server's own resources first, then those of the
// registered resource servers.
type knownResources struct {
	resources []string
	until     time.Time // when they are looked up again
}

// findResources lists the known resources. They are few, because an administrator registered each, so they are kept in
// memory together and a request for one that is unknown needs no look-up.
func (s *Server) findResources(ctx context.Context) ([]string, error) {
	now := s.now()
	known, ticket, ok := s.known.get("")
	if ok && now.Before(known.until) {
		return known.resources, nil
	}
	registered, err := s.registeredResources(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the registered resources: %w", err)
	}
	known = knownResources{append(slices.Clip(s.resources), registered...), now.Add(memory)}
	s.known.put("", known, ticket)
	return known.resources, nil
}

func (s *Server) registeredResources(ctx context.Context) (resources []string, err error) {
	rows, err := s.log.DB().QueryContext(ctx, `SELECT DISTINCT resource FROM oauth_clients WHERE resource <> ''`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var resource string
		if err := rows.Scan(&resource); err != nil {
			return nil, err
		}
		resources = append(resources, resource)
	}
	return resources, rows.Err()
}

// isOwn says whether a resource is this server itself, and not somebody else who relies on it.
func (s *Server) isOwn(resource string) bool { return slices.Contains(s.resources, resource) }

// forgetResources makes the next request look the registered resources up again.
func (s *Server) forgetResources() { s.known.purge(func(knownResources) bool { return true }) }

// canonicalResource finds the resource that a request names among those that are known (RFC 8707), the first of which is
// meant when it names none. Clients that parse URLs add a slash to one without a path, so one is overlooked.
func canonicalResource(resources, asked []string) (resource string, ok bool) {
	switch {
	case len(asked) == 0:
		return resources[0], true
	case len(asked) > 1:
		return "", false
	}
	resource = strings.TrimSuffix(asked[0], "/")
	return resource, slices.Contains(resources, resource)
}

// requestedResource reads the resource of a token request; empty when it names none, errUnknownTarget when it is not known.
func (s *Server) requestedResource(ctx context.Context, form url.Values) (string, error) {
	asked := form["resource"]
	if len(asked) == 0 {
		return "", nil
	}
	known, err := s.findResources(ctx)
	if err != nil {
		return "", err
	}
	resource, ok := canonicalResource(known, asked)
	if !ok {
		return "", errUnknownTarget
	}
	return resource, nil
}

// foreignHost is the host, with its port, of a resource that is not this server; empty for one that is. A resource without
// a host stands for itself.
func (s *Server) foreignHost(resource string) string {
	if s.isOwn(resource) {
		return ""
	}
	if u, err := url.Parse(resource); err == nil && u.Host != "" {
		return u.Host
	}
	return resource
}
