package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The answers of an authorization server that mean something to every log-in (RFC 6749, section 5.2).
var (
	errInvalidClient = errors.New("invalid_client")
	errInvalidGrant  = errors.New("invalid_grant")
)

// meaningful lists the answers of an authorization server that this program acts on; their texts are the codes.
func meaningful() []error {
	return []error{errInvalidClient, errInvalidGrant, errPending, errSlowDown, errAccessDenied, errExpiredCode}
}

// register makes this program known to an authorization server (RFC 7591). Without a redirect URI it is on a machine
// without a browser.
func (a *app) register(ctx context.Context, e endpoints, redirect string) (clientID string, err error) {
	metadata := map[string]any{
		"client_name":                "paput",
		"application_type":           "native",
		"token_endpoint_auth_method": "none",
		"grant_types":                []string{deviceGrant, "refresh_token"},
		"response_types":             []string{},
		"scope":                      strings.Join(e.Scopes, " "),
	}
	if redirect != "" {
		metadata["grant_types"] = []string{"authorization_code", "refresh_token"}
		metadata["response_types"] = []string{"code"}
		metadata["redirect_uris"] = []string{redirect}
	}
	body, err := json.Marshal(metadata)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Registration, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	status, answer, err := a.fetch(req)
	if err != nil {
		return "", err
	}
	var doc struct {
		ClientID string `json:"client_id"`
	}
	if status/100 != 2 {
		return "", fmt.Errorf("register at %s: %w", e.Issuer, oauthError(status, answer))
	}
	if json.Unmarshal(answer, &doc) != nil || doc.ClientID == "" {
		return "", fmt.Errorf("register at %s: the answer has no client_id", e.Issuer)
	}
	return doc.ClientID, nil
}

// token asks the token endpoint for tokens, with a code, a device's code or a refresh token in form.
func (a *app) token(ctx context.Context, acc *account, form url.Values) (*tokens, error) {
	form.Set("client_id", acc.Registration.ClientID)
	form.Set("resource", acc.Endpoints.Resource)
	asked := a.Now()
	status, answer, err := a.post(ctx, acc.Endpoints.Token, form)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, oauthError(status, answer)
	}
	var doc struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Refresh string `json:"refresh_token"`
		Expires int64  `json:"expires_in"`
		Scope   string `json:"scope"`
	}
	// The answer holds tokens: no error may quote it.
	if json.Unmarshal(answer, &doc) != nil || doc.Access == "" || !strings.EqualFold(doc.Type, "bearer") {
		return nil, errors.New("the authorization server's answer has no bearer token")
	}
	t := &tokens{Access: doc.Access, Refresh: doc.Refresh, Scope: doc.Scope}
	if doc.Expires > 0 {
		t.Expires = asked.Add(time.Duration(min(doc.Expires, 1<<31)) * time.Second).UTC()
	}
	return t, nil
}

// refresh gets the successor of acc's tokens. An answer without a refresh token or scope keeps the ones before
// (RFC 6749, section 6).
func (a *app) refresh(ctx context.Context, acc *account) (*tokens, error) {
	t, err := a.token(ctx, acc, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {acc.Tokens.Refresh}})
	if err != nil {
		return nil, err
	}
	if t.Refresh == "" {
		t.Refresh = acc.Tokens.Refresh
	}
	if t.Scope == "" {
		t.Scope = acc.Tokens.Scope
	}
	return t, nil
}

// revoke ends what t allows (RFC 7009): the whole log-in, since it names the refresh token when there is one.
func (a *app) revoke(ctx context.Context, acc *account, t *tokens) error {
	form := url.Values{"token": {t.Refresh}, "token_type_hint": {"refresh_token"}}
	if t.Refresh == "" {
		form = url.Values{"token": {t.Access}, "token_type_hint": {"access_token"}}
	}
	form.Set("client_id", acc.Registration.ClientID)
	status, answer, err := a.post(ctx, acc.Endpoints.Revocation, form)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return oauthError(status, answer)
	}
	return nil
}

// isRegistered asks whether an authorization server still knows this client, so that nobody is sent to a page that says
// it does not. To revoke a token that does not exist is no error (RFC 7009, section 2.2) unless the client is unknown.
func (a *app) isRegistered(ctx context.Context, acc *account) (bool, error) {
	if acc.Registration.ClientID == "" {
		return false, nil
	}
	if acc.Endpoints.Revocation == "" {
		return true, nil
	}
	err := a.revoke(ctx, acc, &tokens{Refresh: "none"})
	switch {
	case errors.Is(err, errInvalidClient):
		return false, nil
	case errors.Is(err, errUnreachable), errors.Is(err, context.Canceled):
		return false, err
	}
	return true, nil
}

func (a *app) post(ctx context.Context, to string, form url.Values) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.fetch(req)
}

// oauthError puts a refusal of an authorization server into words.
func oauthError(status int, body []byte) error {
	var doc struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &doc) // without the members it is described by its status
	text := clean(doc.Description)
	if text == "" {
		text = clean(doc.Error)
	}
	known := slices.IndexFunc(meaningful(), func(e error) bool { return e.Error() == doc.Error })
	switch {
	case known >= 0:
		return fmt.Errorf("%w: %s", meaningful()[known], text)
	case status >= 500 || status == http.StatusTooManyRequests:
		return problemf(errUnreachable, "the authorization server cannot answer at present (HTTP status %d)", status)
	case text == "":
		return fmt.Errorf("the authorization server answered with HTTP status %d", status)
	}
	return problemf(errRefused, "the authorization server refused: %s", text)
}
