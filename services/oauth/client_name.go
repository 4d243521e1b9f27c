package oauth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

// ClientNames gives names for clients by their ids, to be shown to people: plain text on one line, at most 300 characters. A
// client that a metadata document describes has the name of the document's host, and one that an administrator registered the
// name that it was given. One that registered itself is "unverified: " and what it calls itself, as anyone can. It also says
// when the registration has ended. An id that was never a client's is left out.
func (s *Server) ClientNames(ctx context.Context, ids []string) (map[string]string, error) {
	names := make(map[string]string, len(ids))
	for _, id := range ids {
		name, err := s.clientName(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("name the client %s: %w", id, err)
		}
		if name != "" {
			names[id] = name
		}
	}
	return names, nil
}

func (s *Server) clientName(ctx context.Context, id string) (string, error) {
	if isDocumentID(id) {
		host, _ := documentFault(id)
		return host, nil
	}
	var name string
	var preregistered bool
	err := s.log.DB().QueryRowContext(ctx, `SELECT name, preregistered FROM oauth_clients WHERE id = ?`, id).Scan(&name, &preregistered)
	if err == nil {
		return presented(name, preregistered, false), nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	records, err := s.log.Read(ctx, kindClient+"/"+id)
	if err != nil {
		return "", err
	}
	for _, r := range records {
		if e, ok := r.Event.(*oauthv1.ClientEvent); ok && e.GetRegistered() != nil {
			return presented(e.GetRegistered().GetName(), e.GetRegistered().GetPreregistered(), true), nil
		}
	}
	return "", nil
}

// presented puts first what a reader must not miss, for a long name may be cut.
func presented(name string, preregistered, ended bool) string {
	var facts []string
	if !preregistered {
		facts = append(facts, "unverified")
	}
	if ended {
		facts = append(facts, "no longer registered")
	}
	if name == "" || !isPlainText(name, maxClientName) {
		name = "an app without a name"
	}
	if len(facts) == 0 {
		return name
	}
	return strings.Join(facts, ", ") + ": " + name
}
