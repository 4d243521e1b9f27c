package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
)

// notes is the resource of another server, which asks what tokens are worth.
const notes = "https://notes.example/api"

// registered is a service that the administrator registered.
type registered struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// addServices registers one that gets tokens by itself, and one that asks what tokens for notes are worth.
func (p *process) addServices(ctx context.Context, bin string) (err error) {
	if p.service, err = p.addClient(ctx, bin, "--name", "Service", "--grant", "client_credentials", "--scope", "paput.read"); err != nil {
		return err
	}
	p.server, err = p.addClient(ctx, bin, "--name", "Notes", "--resource-server", notes)
	return err
}

// addClient registers a service as an administrator does.
func (p *process) addClient(ctx context.Context, bin string, args ...string) (*registered, error) {
	args = append([]string{"client", "add", "--data", p.data, "--json"}, args...)
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "paputd"), args...).Output()
	if err != nil {
		return nil, fmt.Errorf("paputd client add: %w: %s", err, out)
	}
	r := &registered{}
	if err := json.Unmarshal(out, r); err != nil || r.Secret == "" {
		return nil, fmt.Errorf("paputd client add printed %s", out)
	}
	return r, nil
}

// post sends a form with the service's secret and wants an answer with some text.
func (r *registered) post(ctx context.Context, address string, form url.Values, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(r.ID), url.QueryEscape(r.Secret))
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !strings.Contains(string(answer), want)) {
		err = fmt.Errorf("%s answered %d: %s", address, res.StatusCode, answer)
	}
	return err
}

// introspectCalls ask what the access token of a person's app is worth, each caller about its own.
func introspectCalls(ctx context.Context, p *process, n int) ([]func(context.Context) error, error) {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		person := p.visitor(i)
		token, err := person.Grant(ctx, p.token.ClientID, notes, "paput.read")
		if err != nil {
			return nil, err
		}
		form := url.Values{"token": {token.Access}}
		calls[i] = func(ctx context.Context) error { return p.server.post(ctx, p.url+"/introspect", form, `"active":true`) }
	}
	return calls, nil
}

// serviceCalls get tokens by client credentials.
func serviceCalls(_ context.Context, p *process, n int) ([]func(context.Context) error, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	return same(n, func(ctx context.Context) error { return p.service.post(ctx, p.url+"/token", form, `"access_token"`) }), nil
}
