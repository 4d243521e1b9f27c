package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
)

// defaultScopes are asked for when a server does not say what it has.
func defaultScopes() []string { return []string{"paput.read", "paput.write"} }

func (a *app) loginCommand() *cobra.Command {
	var noBrowser, device bool
	var scopes []string
	cmd := &cobra.Command{
		Use:   "login [SERVER]",
		Short: "Log in to a Paput server in the browser",
		Long: `Log in to a Paput server in the browser.

paput waits five minutes for you to sign in and agree. On a machine without a
browser, such as over SSH, use --device: paput prints a code, which you enter in
the browser of any other device within ten minutes. Later commands use the
server logged in to last, unless --server or PAPUT_SERVER names another. Logging
in again replaces the session before.

paput asks for what everyday commands need. What needs more says so, and names
the scope to ask for with --scope.`,
		Example: `  paput login
  paput login https://paput.example.com
  paput login --no-browser      # prints the address to open on this machine
  paput login --device          # prints a code to enter on another device
  paput login --scope paput.publish   # also to make memos public`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.server = args[0]
			}
			authorize, err := a.wayToLogIn(cmd, device, noBrowser)
			if err != nil {
				return err
			}
			server, err := a.logIn(cmd.Context(), scopes, authorize)
			if err != nil {
				return err
			}
			return a.welcome(cmd.Context(), server)
		},
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address to open instead of opening it")
	cmd.Flags().BoolVar(&device, "device", false, "print a code to enter in a browser on another device")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "also ask for a `SCOPE`, such as paput.publish; can be repeated")
	return cmd
}

// wayToLogIn is what puts tokens into an account, by the flags of a command.
func (a *app) wayToLogIn(cmd *cobra.Command, device, noBrowser bool) (func(context.Context, *account) error, error) {
	switch {
	case device && noBrowser:
		return nil, usageOf(cmd, errors.New("--device and --no-browser are two ways to log in: use one"))
	case device:
		return a.authorizeDevice, nil
	}
	return func(ctx context.Context, acc *account) error { return a.authorize(ctx, acc, !noBrowser) }, nil
}

// logIn logs in as obtain does, and keeps the tokens in place of those before, whose session it ends.
func (a *app) logIn(ctx context.Context, scopes []string, authorize func(context.Context, *account) error) (server string, err error) {
	v, err := a.vault()
	if err != nil {
		return "", err
	}
	server, acc, before, err := a.obtain(ctx, v, scopes, authorize)
	if err != nil {
		return "", err
	}
	var replaced *tokens
	err = v.update(ctx, func(c *credentials) error {
		replaced = c.of(server).Tokens
		c.Servers[server] = acc
		c.Current = server
		return nil
	})
	if err != nil {
		return "", err
	}
	if replaced != nil && acc.Endpoints.Revocation != "" {
		if err := a.revoke(ctx, before, replaced); err != nil {
			a.note("paput: the session before could not be ended: %s", err)
		}
	}
	return server, nil
}

// obtain logs in by authorize, which puts the tokens into an account, and keeps nothing. It asks for the usual scopes and
// those given. Before is what is kept of the server.
func (a *app) obtain(ctx context.Context, v vault, scopes []string, authorize func(context.Context, *account) error) (server string, acc, before *account, err error) {
	kept, err := v.read()
	if err != nil {
		return "", nil, nil, err
	}
	server, err = a.serverURL(kept)
	if err != nil {
		return "", nil, nil, err
	}
	found, err := a.discover(ctx, server)
	if err != nil {
		return "", nil, nil, err
	}
	if len(found.Scopes) == 0 {
		found.Scopes = defaultScopes()
	}
	for _, scope := range scopes {
		if !slices.Contains(found.Scopes, scope) {
			found.Scopes = append(found.Scopes, scope)
		}
	}
	before = kept.of(server)
	acc = &account{Endpoints: found}
	if before.Endpoints.Issuer == found.Issuer && before.Registration.covers(found.Scopes, scopes) {
		acc.Registration = before.Registration
	}
	if known, err := a.isRegistered(ctx, acc); err != nil {
		return "", nil, nil, err
	} else if !known {
		acc.Registration = registration{Port: acc.Registration.Port}
	}
	err = authorize(ctx, acc)
	if errors.Is(err, errInvalidClient) {
		a.note("%s has forgotten this program; registering again", host(server))
		acc.Registration = registration{}
		err = authorize(ctx, acc)
	}
	if err != nil {
		return "", nil, nil, err
	}
	for _, scope := range scopes {
		if allowed := strings.Fields(acc.Tokens.Scope); len(allowed) > 0 && !slices.Contains(allowed, scope) {
			a.note("paput: the scope %s was not allowed: its box in the browser was not ticked", scope)
		}
	}
	return server, acc, before, nil
}

// covers says whether a registration may ask for all of these scopes, some of which are more than the usual ones. A server
// may keep a client to what it said when it registered (RFC 7591, section 2).
func (r registration) covers(scopes, more []string) bool {
	if len(r.Scopes) == 0 {
		return len(more) == 0
	}
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(r.Scopes, s) })
}

// welcome says who has logged in.
func (a *app) welcome(ctx context.Context, server string) error {
	s, err := a.session()
	if err != nil {
		return err
	}
	res, err := accountv1connect.NewAccountServiceClient(s.client()).GetAccount(ctx, &accountv1.GetAccountRequest{})
	if err != nil {
		return fromRPC(server, err)
	}
	if a.json {
		return a.printJSON(statusReport{Server: server, LoggedIn: true, Account: accountOf(res.GetAccount())})
	}
	_, err = fmt.Fprintf(a.Out, "Logged in to %s as %s.\n", server, clean(res.GetAccount().GetEmail()))
	return err
}

// authorize carries out one authorization-code grant with PKCE (RFC 6749, RFC 7636, RFC 8252) and puts the tokens into
// acc, after registering when acc has no registration that is good for it.
func (a *app) authorize(ctx context.Context, acc *account, browse bool) error {
	listener, err := listen(ctx, acc.Registration.Port)
	if err != nil {
		return fmt.Errorf("listen for the browser: %w", err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	redirect := "http://127.0.0.1:" + strconv.Itoa(port) + callbackPath
	if acc.Registration.ClientID == "" || acc.Registration.Device {
		id, err := a.register(ctx, acc.Endpoints, redirect)
		if err != nil {
			return err
		}
		acc.Registration = registration{ClientID: id, Port: port, Scopes: acc.Endpoints.Scopes}
	}
	verifier, state := secret(), secret()
	address, err := authorizationURL(acc, redirect, verifier, state)
	if err != nil {
		return err
	}
	a.invite(ctx, address, browse)

	wait, cancel := context.WithTimeoutCause(ctx, a.loginTimeout, errNobodyCame)
	defer cancel()
	c := &callback{
		listener: listener,
		accept:   func(q url.Values) error { return checkAnswer(q, state, acc.Endpoints) },
		finish: func(q url.Values) error {
			t, err := a.token(wait, acc, url.Values{
				"grant_type":    {"authorization_code"},
				"code":          {q.Get("code")},
				"redirect_uri":  {redirect},
				"code_verifier": {verifier},
			})
			acc.Tokens = t
			return err
		},
	}
	err = c.serve(wait)
	if err != nil && errors.Is(context.Cause(wait), errNobodyCame) {
		return errNobodyCame
	}
	return err
}

var errNobodyCame = errors.New("nobody finished the log-in in the browser in time; run paput login again, or paput login --device where there is no browser")

// listen takes the port that was registered when it is free, else any: authorization servers must accept any
// (RFC 8252, section 7.3), and not all do.
func listen(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	if port > 0 {
		if l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return l, nil
		}
	}
	return lc.Listen(ctx, "tcp4", "127.0.0.1:0")
}

// secret returns 256 random bits in 43 characters, as a code verifier must have (RFC 7636, section 4.1).
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func authorizationURL(acc *account, redirect, verifier, state string) (string, error) {
	u, err := url.Parse(acc.Endpoints.Authorization)
	if err != nil {
		return "", err
	}
	challenge := sha256.Sum256([]byte(verifier))
	q := u.Query()
	for name, value := range map[string]string{
		"response_type":         "code",
		"client_id":             acc.Registration.ClientID,
		"redirect_uri":          redirect,
		"scope":                 strings.Join(acc.Endpoints.Scopes, " "),
		"state":                 state,
		"code_challenge":        base64.RawURLEncoding.EncodeToString(challenge[:]),
		"code_challenge_method": "S256",
		"resource":              acc.Endpoints.Resource,
	} {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// errNotOurs is an answer that belongs to no log-in of this process; it goes on waiting.
var errNotOurs = errors.New("this answer does not belong to the log-in that paput is waiting for")

// checkAnswer checks an authorization response (RFC 6749, section 4.1.2; RFC 9207, section 2.4).
func checkAnswer(q url.Values, state string, e endpoints) error {
	once := func(name string) bool { return len(q[name]) == 1 }
	if !once("state") || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
		return errNotOurs
	}
	if issuer, sent := q["iss"]; (sent || e.SendsIssuer) && !slices.Equal(issuer, []string{e.Issuer}) {
		return errors.New("the answer comes from another authorization server; log in again, and tell whoever runs the server")
	}
	switch {
	case q.Get("error") == "access_denied":
		return problemf(errRefused, "access was denied in the browser")
	case q.Has("error"):
		text := clean(q.Get("error_description"))
		if text == "" {
			text = clean(q.Get("error"))
		}
		return problemf(errRefused, "the authorization server refused: %s", text)
	case !once("code") || q.Get("code") == "":
		return errors.New("the authorization server's answer has no code")
	}
	return nil
}

// invite sends the person to the browser.
func (a *app) invite(ctx context.Context, address string, browse bool) {
	if !browse {
		a.note("Open this address in a browser on this machine:\n\n%s\n", address)
		return
	}
	open := a.Browse
	if open == nil {
		open = openBrowser
	}
	if err := open(ctx, address); err != nil {
		a.note("The browser could not be opened. Open this address yourself, on this machine:\n\n%s\n\n"+
			"If this machine has no browser, press Ctrl-C and run: paput login --device\n", address)
		return
	}
	a.note("Waiting for you to log in in the browser. If it has not opened, open this address:\n\n%s\n", address)
}

// openBrowser hands a URL to the system. It does not wait for the browser to end.
func openBrowser(ctx context.Context, address string) error {
	name, arg := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, arg = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	// The browser may outlive this program, and Ctrl-C is not meant for it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, arg...) //nolint:gosec // the URL is one argument, given to no shell
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
