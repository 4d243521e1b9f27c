package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountv1 "github.com/paput/paput/proto/gen/paput/account/v1"
	"github.com/paput/paput/proto/gen/paput/account/v1/accountv1connect"
	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/proto/gen/paput/oauth/v1/oauthv1connect"
)

// The grant types, as protocols call them.
const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantCredentials = "client_credentials"
	grantDevice      = "urn:ietf:params:oauth:grant-type:device_code"
)

// shortGrant is what the command line calls a grant type.
func shortGrant(grant string) string {
	switch grant {
	case grantCode:
		return "code"
	case grantRefresh:
		return "refresh"
	case grantDevice:
		return "device"
	default:
		return grant
	}
}

func longGrant(word string) (string, error) {
	for _, grant := range []string{grantCode, grantRefresh, grantCredentials, grantDevice} {
		if word == grant || word == shortGrant(grant) {
			return grant, nil
		}
	}
	return "", fmt.Errorf("--grant %q: code, refresh, client_credentials or device", word)
}

// shortMethod is what the command line calls an authentication method.
func shortMethod(method string) string {
	return strings.ReplaceAll(strings.TrimPrefix(method, "client_secret_"), "_", "-")
}

func longMethod(word string) (string, error) {
	for _, method := range []string{"client_secret_basic", "client_secret_post", "none", "private_key_jwt"} {
		if word == method || word == shortMethod(method) {
			return method, nil
		}
	}
	return "", fmt.Errorf("--auth %q: basic, post, none or private-key-jwt", word)
}

func clientCommand(cfg *config, log *slog.Logger) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Manage the apps and services that may ask for access tokens",
		Long: `Most apps need none of this: they register themselves when they first connect. Register beforehand what has no person in
front of it (a service that acts by itself, or that checks tokens), and apps that cannot register.

These commands work while the server runs and while it does not.`,
	}
	cfg.addOfflineFlags(cmd.PersistentFlags())
	cmd.AddCommand(clientAddCommand(cfg, log), clientListCommand(cfg, log), clientRotateCommand(cfg, log), clientRemoveCommand(cfg, log))
	return cmd
}

// clientOptions are the flags of paputd client add.
type clientOptions struct {
	name, auth, jwksFile, resource, applicationType string
	redirectURIs, grants, scopes, emails            []string
	json                                            bool
}

func clientAddCommand(cfg *config, log *slog.Logger) *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:   "add --name NAME",
		Short: "Register an app or a service, and print its id and secret",
		Long: `Registers an app or a service. Its secret is printed once and kept nowhere: only a hash of it is stored.

What is not said follows from the rest. With --redirect-uri it is an app that people sign in to (--grant code and refresh);
without one it is a service that acts by itself (--grant client_credentials), or, with --resource-server, one that only asks
what tokens are worth. An app on people's own computers has no secret (--auth none), because it could not keep one; others get
one (--auth basic), unless they sign with a key of their own (--jwks).

Redirect URIs begin with https://, with http:// on localhost, 127.0.0.1 or [::1] (any port), or with a scheme of the app's own,
such as com.example.notes:/callback.`,
		Example: `  # A website that people connect
  paputd client add --name Wiki --redirect-uri https://wiki.example.com/callback

  # A nightly job that reads the memos of one person
  paputd client add --name Backup --scope paput.read --acts-for aiko@example.com

  # The same, signing with its own key (RFC 7523)
  openssl genpkey -algorithm ed25519 -out backup.key && openssl pkey -in backup.key -pubout -out backup.pub
  paputd client add --name Backup --scope paput.read --acts-for aiko@example.com --jwks backup.pub

  # Another server that takes this server's tokens, and asks it what they are worth (RFC 7662)
  paputd client add --name Search --resource-server https://search.example.com

  # A screen without a browser
  paputd client add --name Kiosk --grant device --grant refresh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				if client.AccountIds, err = accountIDs(ctx, server, o.emails); err != nil {
					return err
				}
				res, err := oauthv1connect.NewOAuthAdminServiceClient(server).CreateClient(ctx, &oauthv1.CreateClientRequest{Client: client})
				if err != nil {
					return flagError(err)
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), describeClient(res.GetClient(), res.GetClientSecret()))
				}
				printAdded(cmd.OutOrStdout(), res)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "what people see it called")
	flags.StringArrayVar(&o.redirectURIs, "redirect-uri", nil, "where people's browsers are sent back to; may be repeated")
	flags.StringSliceVar(&o.grants, "grant", nil, "how it gets tokens: code, refresh, client_credentials or device; may be repeated")
	flags.StringSliceVar(&o.scopes, "scope", nil, "what it may ask for at most, such as paput.read; may be repeated\n(default everything; needed for client_credentials)")
	flags.StringVar(&o.auth, "auth", "", "how it proves who it is: basic, post, none or private-key-jwt")
	flags.StringVar(&o.jwksFile, "jwks", "", "file with its public keys, a JWK set or one key in PEM, for --auth private-key-jwt")
	flags.StringVar(&o.resource, "resource-server", "", "URL of the service that it is, which tokens can be asked for and it can look into")
	flags.StringArrayVar(&o.emails, "acts-for", nil, "e-mail address of an account that it may act for with client_credentials; may be repeated")
	flags.StringVar(&o.applicationType, "application-type", "", "web, for https redirect URIs only, or native")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

// client is what the flags describe, with what was left out.
func (o *clientOptions) client() (*oauthv1.Client, error) {
	c := &oauthv1.Client{
		Name: o.name, RedirectUris: o.redirectURIs, Scopes: o.scopes, Resource: o.resource, ApplicationType: o.applicationType,
	}
	for _, word := range o.grants {
		grant, err := longGrant(word)
		if err != nil {
			return nil, err
		}
		c.GrantTypes = append(c.GrantTypes, grant)
	}
	if o.grants == nil {
		c.GrantTypes = o.usualGrants()
	}
	if o.jwksFile != "" {
		var err error
		if c.Jwks, err = readKeySet(o.jwksFile); err != nil {
			return nil, fmt.Errorf("--jwks %s: %w", o.jwksFile, cause(err))
		}
	}
	if o.auth == "" {
		c.AuthMethod = usualMethod(c)
		return c, nil
	}
	var err error
	c.AuthMethod, err = longMethod(o.auth)
	return c, err
}

// readKeySet reads public keys: a JWK set as it is, or what openssl pkey -pubout writes.
func readKeySet(file string) (string, error) {
	content, err := os.ReadFile(file) //nolint:gosec // the administrator names the file
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(content)
	switch {
	case block == nil:
		return string(content), nil
	case block.Type != "PUBLIC KEY":
		return "", fmt.Errorf("it holds a %s: give the public key alone, as openssl pkey -pubout writes it", strings.ToLower(block.Type))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", err
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key}}})
	return string(set), err
}

// usualGrants are those of a client that names none.
func (o *clientOptions) usualGrants() (grants []string) {
	if len(o.redirectURIs) > 0 {
		grants = append(grants, grantCode, grantRefresh)
	}
	if len(o.emails) > 0 || len(o.redirectURIs) == 0 && o.resource == "" {
		grants = append(grants, grantCredentials)
	}
	return grants
}

// usualMethod is that of a client that names none: what runs on people's own computers can keep no secret.
func usualMethod(c *oauthv1.Client) string {
	onComputers := !slices.ContainsFunc(c.GetRedirectUris(), func(uri string) bool { return strings.HasPrefix(uri, "https://") })
	switch {
	case c.GetJwks() != "":
		return "private_key_jwt"
	case c.GetResource() != "" || slices.Contains(c.GetGrantTypes(), grantCredentials) || !onComputers:
		return "client_secret_basic"
	default:
		return "none"
	}
}

// accountIDs finds the accounts with the e-mail addresses.
func accountIDs(ctx context.Context, server *connect.Client, emails []string) (ids []string, err error) {
	if len(emails) == 0 {
		return nil, nil
	}
	res, err := accountv1connect.NewAccountAdminServiceClient(server).ListAccounts(ctx, &accountv1.ListAccountsRequest{})
	if err != nil {
		return nil, plainError(err)
	}
	for _, email := range emails {
		i := slices.IndexFunc(res.GetAccounts(), func(a *accountv1.Account) bool { return strings.EqualFold(a.GetEmail(), strings.TrimSpace(email)) })
		if i < 0 {
			return nil, fmt.Errorf("--acts-for %s: there is no such account; paputd account list shows them", email)
		}
		ids = append(ids, res.GetAccounts()[i].GetId())
	}
	return ids, nil
}

// flagError names the flag that a field of the request came from.
func flagError(err error) error {
	field, text, found := strings.Cut(plainError(err).Error(), ": ")
	flag, known := map[string]string{
		"name": "name", "redirect_uris": "redirect-uri", "grant_types": "grant", "scopes": "scope", "auth_method": "auth", "jwks": "jwks",
		"resource": "resource-server", "account_ids": "acts-for", "application_type": "application-type", "keep_seconds": "keep",
	}[field]
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !found || !known {
		return plainError(err)
	}
	return fmt.Errorf("--%s: %s", flag, text)
}

func printAdded(w io.Writer, res *oauthv1.CreateClientResponse) {
	c := res.GetClient()
	fmt.Fprintf(w, "%s is registered.\n\n  Client ID      %s\n", c.GetName(), c.GetId())
	if secret := res.GetClientSecret(); secret != "" {
		fmt.Fprintf(w, "  Client secret  %s\n\nKeep the secret: it is shown this once. paputd client rotate-secret makes another.\n", secret)
		return
	}
	fmt.Fprintln(w)
	if c.GetAuthMethod() == "none" {
		fmt.Fprintln(w, "It has no secret.")
		return
	}
	fmt.Fprintln(w, "It has no secret: it signs with its own key.")
}

func clientListCommand(cfg *config, log *slog.Logger) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the apps and services, those that registered themselves too",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := oauthv1connect.NewOAuthAdminServiceClient(server).ListClients(ctx, &oauthv1.ListClientsRequest{})
				if err != nil {
					return plainError(err)
				}
				if asJSON {
					all := make([]clientDescription, 0, len(res.GetClients()))
					for _, c := range res.GetClients() {
						all = append(all, describeClient(c, ""))
					}
					return printJSON(cmd.OutOrStdout(), all)
				}
				emails, err := emailsByID(ctx, server)
				if err != nil {
					return err
				}
				for i, c := range res.GetClients() {
					if i > 0 {
						fmt.Fprintln(cmd.OutOrStdout())
					}
					printClient(cmd.OutOrStdout(), c, emails)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func emailsByID(ctx context.Context, server *connect.Client) (map[string]string, error) {
	res, err := accountv1connect.NewAccountAdminServiceClient(server).ListAccounts(ctx, &accountv1.ListAccountsRequest{})
	if err != nil {
		return nil, plainError(err)
	}
	emails := make(map[string]string)
	for _, a := range res.GetAccounts() {
		emails[a.GetId()] = a.GetEmail()
	}
	return emails, nil
}

// printClient prints one client over several lines, so that nothing is cut off.
func printClient(w io.Writer, c *oauthv1.Client, emails map[string]string) {
	name := c.GetName()
	if name == "" {
		name = "(no name)"
	}
	by := "by itself"
	if c.GetPreregistered() {
		by = "by an administrator"
	}
	used := "never used"
	if at := c.GetUseTime(); at != nil {
		used = "last used " + at.AsTime().Format(time.DateOnly)
	}
	var grants []string
	for _, grant := range c.GetGrantTypes() {
		grants = append(grants, shortGrant(grant))
	}
	fmt.Fprintf(w, "%s  %s\n", c.GetId(), name)
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-11s %s\n", label, value)
		}
	}
	line("registered", c.GetRegisterTime().AsTime().Format(time.DateOnly)+" "+by+", "+used)
	line("auth", shortMethod(c.GetAuthMethod()))
	line("grants", strings.Join(grants, " "))
	line("scopes", strings.Join(c.GetScopes(), " "))
	for _, uri := range c.GetRedirectUris() {
		line("redirect", uri)
	}
	line("serves", c.GetResource())
	for _, id := range c.GetAccountIds() {
		line("acts for", emails[id]+" ("+id+")")
	}
}

func clientRotateCommand(cfg *config, log *slog.Logger) *cobra.Command {
	var keep time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate-secret CLIENT-ID",
		Short: "Give an app or a service another secret, and print it",
		Long: `Gives an app or a service another secret. The one before it goes on working for a day, or for as long as --keep says, so that
the app can be changed over; those before that end at once. Nobody is logged out.`,
		Example: "  paputd client rotate-secret client_01k…\n  paputd client rotate-secret client_01k… --keep 0   # the secret has leaked",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keep < 0 || keep > 90*24*time.Hour {
				return fmt.Errorf("--keep %s: between 0 and 2160h (90 days)", keep)
			}
			if err := cfg.findData(); err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				res, err := oauthv1connect.NewOAuthAdminServiceClient(server).RotateClientSecret(ctx,
					&oauthv1.RotateClientSecretRequest{ClientId: args[0], KeepSeconds: int64(keep / time.Second)})
				if err != nil {
					return clientError(err, args[0])
				}
				until := res.GetPreviousExpireTime().AsTime()
				if asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{
						"client_id": args[0], "client_secret": res.GetClientSecret(), "previous_expires_at": until,
					})
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  Client secret  %s\n\nKeep it: it is shown this once. ", res.GetClientSecret())
				if keep == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "The one before has ended.")
					return nil
				}
				fmt.Fprintf(cmd.OutOrStdout(), "The one before works until %s.\n", until.Format("2006-01-02 15:04 MST"))
				return nil
			})
		},
	}
	cmd.Flags().DurationVar(&keep, "keep", 24*time.Hour, "how long the secret before goes on working, 0 to 2160h")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func clientRemoveCommand(cfg *config, log *slog.Logger) *cobra.Command {
	return &cobra.Command{
		Use:   "remove CLIENT-ID",
		Short: "End a registration, and with it every token of the app or service",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cfg.findData(); err != nil {
				return err
			}
			return administer(cmd.Context(), *cfg, log, func(ctx context.Context, server *connect.Client) error {
				_, err := oauthv1connect.NewOAuthAdminServiceClient(server).RemoveClient(ctx, &oauthv1.RemoveClientRequest{ClientId: args[0]})
				if err != nil {
					return clientError(err, args[0])
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is removed; its tokens have ended.\n", args[0])
				return nil
			})
		},
	}
}

// clientError names the client that an error is about, and the flag.
func clientError(err error, id string) error {
	switch connect.CodeOf(err) {
	case connect.CodeNotFound:
		return fmt.Errorf("%s: %w; paputd client list shows them all", id, plainError(err))
	case connect.CodeFailedPrecondition:
		return fmt.Errorf("%s: %w", id, plainError(err))
	default:
		return flagError(err)
	}
}

// clientDescription is what --json prints of a client, in the words of RFC 7591, section 2, where it has some.
type clientDescription struct {
	ID              string          `json:"client_id"`
	Secret          string          `json:"client_secret,omitempty"`
	Name            string          `json:"client_name"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	RedirectURIs    []string        `json:"redirect_uris,omitempty"`
	GrantTypes      []string        `json:"grant_types,omitempty"`
	Scope           string          `json:"scope,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	ApplicationType string          `json:"application_type,omitempty"`
	Resource        string          `json:"resource,omitempty"`
	AccountIDs      []string        `json:"account_ids,omitempty"`
	Preregistered   bool            `json:"preregistered"`
	Registered      *time.Time      `json:"registered_at,omitempty"`
	Used            *time.Time      `json:"used_at,omitempty"`
}

func describeClient(c *oauthv1.Client, secret string) clientDescription {
	return clientDescription{
		ID: c.GetId(), Secret: secret, Name: c.GetName(), AuthMethod: c.GetAuthMethod(), RedirectURIs: c.GetRedirectUris(),
		GrantTypes: c.GetGrantTypes(), Scope: strings.Join(c.GetScopes(), " "), JWKS: json.RawMessage(c.GetJwks()),
		ApplicationType: c.GetApplicationType(), Resource: c.GetResource(), AccountIDs: c.GetAccountIds(), Preregistered: c.GetPreregistered(),
		Registered: moment(c.GetRegisterTime()), Used: moment(c.GetUseTime()),
	}
}

func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

func printJSON(w io.Writer, content any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(content)
}
