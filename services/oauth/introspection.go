package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/paput/paput/services/rpc"
)

// introspected is what a resource server learns of an access token (RFC 7662, section 2.2). Who the person is beyond the
// account's id is none of its business.
type introspected struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"` // what the token carries, without what that implies
	ClientID  string `json:"client_id,omitempty"`
	Subject   string `json:"sub,omitempty"` // the account; absent when the token speaks for none
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	TokenType string `json:"token_type,omitempty"`
}

// introspect tells a registered resource server what an access token is worth to it (RFC 7662). What is not bound to its
// own resource is inactive, like what does not exist.
//
// Resource servers ask for every call that they serve, so it is not op that reads the request, and nothing is looked up
// again that was found lately.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		writeRefusal(w, http.StatusMethodNotAllowed, &refusal{"invalid_request", "this endpoint needs POST"})
		return
	}
	answer, err := s.introspection(w, r)
	if told := (*refusal)(nil); errors.As(err, &told) {
		err = s.counted(w, r, told)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) introspection(w http.ResponseWriter, r *http.Request) (introspected, error) {
	if err := readForm(w, r); err != nil {
		return introspected{}, err
	}
	c, err := s.resourceServer(r)
	if err != nil {
		return introspected{}, err
	}
	token := r.PostForm.Get("token")
	if token == "" {
		return introspected{}, errNoToken
	}
	found, err := s.find(r.Context(), token)
	switch {
	case errors.Is(err, rpc.ErrUnauthenticated), err == nil && found.caller.Resource != c.resource:
		return introspected{}, nil
	case err != nil:
		return introspected{}, err
	}
	return introspected{
		Active:    true,
		Scope:     strings.Join(found.caller.Scopes, " "),
		ClientID:  found.caller.ClientID,
		Subject:   found.caller.AccountID,
		Audience:  found.caller.Resource,
		Issuer:    s.issuer,
		Expires:   found.caller.Expires.Unix(),
		IssuedAt:  issueTime(token).Unix(),
		TokenType: oidc.BearerToken,
	}, nil
}

// resourceServer authenticates the client that introspects; it must be one that an administrator registered for a resource
// of its own, and prove it.
func (s *Server) resourceServer(r *http.Request) (*client, error) {
	credentials, err := readCredentials(r)
	if err != nil {
		return nil, err
	}
	if isDocumentID(credentials.ClientID) {
		return nil, errInvalidClient // it has no secret: there is no need to fetch the document
	}
	found, err := s.VerifyClient(r.Context(), &op.Request[op.ClientCredentials]{
		Method: r.Method, URL: r.URL, Header: r.Header, Form: r.Form, PostForm: r.PostForm, Data: &credentials,
	})
	if err != nil {
		return nil, orDefault(exchangeFrom(r.Context()).refusal, errServer)
	}
	c, ok := found.(*client)
	switch {
	case !ok:
		return nil, errors.New("the client is not ours")
	case c.authMethod == string(oidc.AuthMethodNone):
		return nil, errInvalidClient
	case c.resource == "" || !c.preregistered:
		return nil, errNoResourceServer
	}
	return c, nil
}

// readCredentials reads what a client authenticates with (RFC 6749, section 2.3.1; RFC 7521, section 4.2). readForm has
// made sure that it is one thing only.
func readCredentials(r *http.Request) (op.ClientCredentials, error) {
	form := r.PostForm
	c := op.ClientCredentials{
		ClientID:            form.Get("client_id"),
		ClientSecret:        form.Get("client_secret"),
		ClientAssertion:     form.Get("client_assertion"),
		ClientAssertionType: form.Get("client_assertion_type"),
	}
	if id, secret, ok := r.BasicAuth(); ok {
		var err error
		if c.ClientID, err = url.QueryUnescape(id); err != nil {
			return c, errInvalidClient
		}
		if c.ClientSecret, err = url.QueryUnescape(secret); err != nil {
			return c, errInvalidClient
		}
	}
	return c, nil
}
