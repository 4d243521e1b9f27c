package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// abuse is something that a stranger, an app or a page may try with the authorization server or its tokens, and what shows
// that it does not work.
type abuse struct {
	number int
	title  string
	shown  []proof
}

// proof is a test in a directory, and those of its rows and subtests that matter; all of it when none is named.
type proof struct {
	dir, test string
	rows      []string
}

func inOAuth(test string, rows ...string) proof { return proof{"services/oauth", test, rows} }
func inAccount(test string) proof               { return proof{"services/account", test, nil} }
func inEdge(test string, rows ...string) proof  { return proof{"edge/mcp", test, rows} }
func here(test string, rows ...string) proof    { return proof{"deploy/paputd", test, rows} }
func inE2E(test string, rows ...string) proof   { return proof{"deploy/e2e", test, rows} }

// TestCatalogue fails when a test that an abuse relies on is renamed or taken away.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	read := map[string]map[string][]string{}
	for i, a := range catalogue() {
		if a.number != i+1 {
			t.Errorf("got number %d after %d", a.number, i)
		}
		if len(a.shown) == 0 {
			t.Errorf("%d %s: nothing shows it", a.number, a.title)
		}
		for _, p := range a.shown {
			if read[p.dir] == nil {
				read[p.dir] = testsIn(t, filepath.Join("..", "..", p.dir))
			}
			texts, ok := read[p.dir][p.test]
			if !ok {
				t.Errorf("%d %s: there is no %s in %s", a.number, a.title, p.test, p.dir)
				continue
			}
			for _, row := range p.rows {
				if !slices.Contains(texts, row) {
					t.Errorf("%d %s: %s in %s has no %q", a.number, a.title, p.test, p.dir, row)
				}
			}
		}
	}
}

// testsIn lists the tests of a directory, each with the texts that stand in it, the names of its rows among them.
func testsIn(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") && !strings.HasSuffix(f.Name.Name, "Outcomes") {
				continue
			}
			texts := []string{}
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if text, err := strconv.Unquote(l.Value); err == nil {
						texts = append(texts, text)
					}
				}
				return true
			})
			tests[f.Name.Name] = texts
		}
	}
	return tests
}

func catalogue() []abuse {
	return []abuse{
		{1, "authorize: unknown or missing client_id", []proof{
			inOAuth("TestAuthorizeRefusesOnAPage", "unknown client", "no client", "empty client", "client twice"),
			inE2E("TestBadAuthorize", "an unknown client", "no client"),
		}},
		{2, "redirect_uri missing, of another host, javascript:, data:", []proof{
			inOAuth("TestAuthorizeRefusesOnAPage", "no redirect_uri", "other host", "javascript", "data"),
		}},
		{3, "redirect_uri: https for http, localhost for 127.0.0.1", []proof{
			inOAuth("TestAuthorizeRefusesOnAPage", "https for http", "http for https", "127.0.0.1 for localhost"),
		}},
		{4, "redirect_uri: user names, another host behind @, a longer host", []proof{
			inOAuth("TestAuthorizeRefusesOnAPage", "another host behind @", "user name", "longer host"),
		}},
		{5, "redirect_uri: fragment, escapes, longer path, dot segments, query, https port", []proof{
			inOAuth("TestAuthorizeRefusesOnAPage", "fragment", "escaped path", "longer path", "dot segments", "query dropped", "query added", "https port"),
		}},
		{6, "redirect_uri twice, good and evil", []proof{inOAuth("TestAuthorizeRefusesOnAPage", "good and evil", "evil and good")}},
		{7, "open redirect by an error", []proof{inOAuth("TestAuthorizeRefusesOnAPage", "bad client and evil redirect")}},
		{8, "PKCE: none, plain, method omitted, S512, short challenge", []proof{
			inOAuth("TestAuthorizeRefusesToTheClient", "no PKCE", "plain", "short challenge"),
			inOAuth("TestParseAuthorize", "no method", "S512"),
		}},
		{9, "response_type: token, id_token token, missing", []proof{
			inOAuth("TestAuthorizeRefusesToTheClient", "implicit", "hybrid", "no response_type"),
		}},
		{10, "response_mode: fragment, form_post", []proof{
			inOAuth("TestAuthorizeRefusesToTheClient", "fragment answer", "form_post answer"),
		}},
		{11, "request objects and request_uri", []proof{
			inOAuth("TestAuthorizeRefusesToTheClient", "request object", "request_uri"), here("TestNoEgress", "request_uri"),
		}},
		{12, "only unknown scopes", []proof{inOAuth("TestAuthorizeRefusesToTheClient", "unknown scopes")}},
		{13, "resource: unknown, relative, with a fragment, two", []proof{
			inOAuth("TestAuthorizeRefusesToTheClient", "unknown resource", "two resources"),
			inOAuth("TestParseAuthorize", "a relative resource", "a resource with a fragment"),
		}},
		{14, "prompt=none; none with another", []proof{
			inOAuth("TestAuthorizeRefusesToTheClient", "prompt=none", "prompt=none login"),
		}},
		{15, "authorize: PUT, HEAD, 70 KB", []proof{inOAuth("TestAuthorizeRefusesOnAPage", "too long")}},
		{16, "consent from another browser, or with another request's cookie", []proof{
			inOAuth("TestConsentRefuses", "the page in another browser", "the form in another browser", "another transaction's form",
				"a cookie of that name with another value"),
		}},
		{17, "consent: csrf missing or another's, foreign origin, cross-site", []proof{
			inOAuth("TestConsentRefuses", "no csrf", "another person's csrf", "a foreign origin", "the origin null", "cross-site", "same-site",
				"another person in the same browser"),
		}},
		{18, "consent by GET", []proof{inOAuth("TestConsentRefuses", "an answer by GET")}},
		{19, "consent sent twenty times", []proof{inOAuth("TestConsentIsAnsweredOnce")}},
		{20, "clickjacking", []proof{
			inOAuth("TestAuthorizeRefusesOnAPage"), inOAuth("TestConsentPage"), inOAuth("TestAuthorizeRefusesToTheClient", "X-Frame-Options"),
		}},
		{21, "a request older than ten minutes", []proof{inOAuth("TestConsentExpires")}},
		{22, "session fixation", []proof{here("TestSessionFixation"), inAccount("TestFixation")}},
		{23, "scripts and invisible characters in names and state", []proof{
			inOAuth("TestConsentPage", "a web app without a name", `"><script>alert(1)</script>`),
			inOAuth("TestRegistrationRefuses", "name that turns the writing", "name with a zero-width space"),
			inAccount("TestScriptInInputIsEscaped"),
		}},
		{24, "token: GET, query string, JSON, more than 64 KiB, code twice", []proof{
			inOAuth("TestTokenGuard", "GET", "parameters in the URL", "the code in the URL", "JSON", "too large", "the code twice"),
		}},
		{25, "token: password, implicit, jwt-bearer", []proof{inOAuth("TestTokenGuard", "password", "implicit", "jwt-bearer")}},
		{26, "token: client_credentials, token exchange and device code by an ordinary client", []proof{
			inOAuth("TestTokenGuard", "client_credentials", "token-exchange", "device code"),
			inOAuth("TestClientCredentialsRefuses", "a registered app", "a registered app with a secret", "a public client"),
		}},
		{27, "code: verifier wrong, missing, short", []proof{inOAuth("TestCode", "wrong verifier", "no verifier", "short verifier")}},
		{28, "code: another redirect_uri", []proof{inOAuth("TestCode", "another redirect_uri")}},
		{29, "code of another client", []proof{inOAuth("TestCodeOfAnotherClient")}},
		{30, "code replay", []proof{inOAuth("TestCodeReplay"), inE2E("TestBadToken", "a code used twice")}},
		{31, "fifty redemptions at once", []proof{inOAuth("TestFiftyRedemptions")}},
		{32, "expired code", []proof{inOAuth("TestCodeExpires")}},
		{33, "code: another or unknown resource", []proof{inOAuth("TestCode", "another resource", "an unknown resource")}},
		{34, "client authentication: unknown client, wrong secret, wrong method, unsigned assertion", []proof{
			inOAuth("TestClientAuthentication", "unknown client", "wrong secret in the body", "secret of a public client",
				"basic client by body", "post client by header", "assertion without a signature"),
		}},
		{35, "client authentication: wrong secret in the header", []proof{
			inOAuth("TestClientAuthentication", "wrong secret in the header", `Basic realm="paput", charset="UTF-8"`),
		}},
		{36, "client authentication: two methods, two ids", []proof{
			inOAuth("TestClientAuthentication", "header and secret", "another id in the body"),
		}},
		{37, "refresh: unknown, another client's", []proof{inOAuth("TestRefreshRefuses", "unknown", "another client's")}},
		{38, "refresh: more scope", []proof{inOAuth("TestRefreshRefuses", "more scope", "unknown scope")}},
		{39, "refresh: another resource", []proof{inOAuth("TestRefreshRefuses", "another resource", "unknown resource")}},
		{40, "refresh: reuse after the grace time", []proof{inOAuth("TestRefreshInTheGraceTime")}},
		{41, "fifty refreshes at once", []proof{inOAuth("TestFiftyRefreshes")}},
		{42, "refresh: past 30 days idle, past 90 days", []proof{inOAuth("TestRefreshLifetimes")}},
		{43, "refresh by a client without the grant type", []proof{inOAuth("TestRefreshRefuses", "client without the grant type")}},
		{44, "revocation of another's token", []proof{inOAuth("TestRevocation", "another client ended the grant")}},
		{45, "revocation of a refresh token", []proof{inOAuth("TestRevocation", "access tokens survive the revocation of the refresh token")}},
		{46, "introspection by a public client, or of another's audience", []proof{
			inOAuth("TestIntrospectionRefuses", "a public client", "a public client with a resource"),
			inOAuth("TestInactive", "of this server", "of another resource server"),
		}},
		{47, "registration: redirect URIs that lead elsewhere", []proof{
			inOAuth("TestRegistrationRefuses", "http elsewhere", "javascript", "data", "custom scheme", "user name", "wildcard", "backslash",
				"fragment", "none", "eleven"),
		}},
		{48, "registration: bad metadata", []proof{
			inOAuth("TestRegistrationRefuses", "web on loopback", "unknown application_type", "implicit", "password", "mutual TLS", "http logo", "form"),
		}},
		{49, "registration: 20 KB; a flood", []proof{
			inOAuth("TestRegistrationRefuses", "20 KB"), here("TestFloods", "registrations"), inOAuth("TestRegistrationFlood"),
		}},
		{50, "registration management without its token; tokens of a deleted client", []proof{
			here("TestEndOfARegistration", "no token", "another token"), inOAuth("TestRegistrationIsNobodyElses"), inOAuth("TestDeletedClient"),
		}},
		{51, "client metadata documents that cannot be used", []proof{
			inOAuth("TestBadDocuments", "another client_id", "secret member", "secret method", "HTML", "404", "201", "redirect", "oversize",
				"padded with white space", "bad redirect URI"),
			inOAuth("TestSlowDocument"),
		}},
		{52, "client metadata documents at addresses that lead inside", []proof{
			inOAuth("TestDocumentAddressesThatLeadInside"), inOAuth("TestEgressRefusesSpecialAddresses"), inOAuth("TestIsPublic"),
		}},
		{53, "DNS rebinding", []proof{inOAuth("TestEgressRefusesRebinding")}},
		{54, "addresses in client metadata that would be fetched", []proof{
			here("TestNoEgress", "logo_uri", "client_uri", "jwks_uri"), inOAuth("TestOnlyTheDocumentIsFetched"),
		}},
		{55, "tools: no token, a bad one, one in the URL, a refresh token", []proof{
			here("TestTokensAtTheTools", "a refresh token", "nothing that was given out", "no token: got %d %s", "in the URL: got %d %s"),
			inEdge("TestChallenge", "no token", "unknown token", "token in the URL"),
		}},
		{56, "tools: a token for another resource", []proof{
			inEdge("TestChallenge", "token of another resource"), here("TestTokenOfAnotherServer"), inOAuth("TestForeignResource"),
		}},
		{57, "tools: too little scope", []proof{
			here("TestTokensAtTheTools", "too little scope: got %d %s"), inEdge("TestChallenge", "scope too small"),
		}},
		{58, "tools: made-up JWTs", []proof{
			here("TestTokensAtTheTools", "a JWT without algorithm", "a JWT with a symmetric key", "a JWT with an unknown key", "a JWT of another type"),
		}},
		{59, "pages shared with other origins", []proof{
			here("TestNoPageIsSharedWithOrigins"), inOAuth("TestCORS"), inOAuth("TestIntrospectionIsAFormByPost", "a preflight", "nobody"),
		}},
		{60, "caches", []proof{
			here("TestNothingIsCached", "tokens", "a refused refresh", "an unknown client", "a registration", "a refused registration"),
		}},
		{61, "telling an unknown client from a wrong secret by time", []proof{
			inOAuth("TestUnknownClientIsAsMuchWork"), inAccount("TestWrongPasswordAndUnknownAddressLookTheSame"),
		}},
		{62, "the store fails", []proof{
			inOAuth("TestEveryOutage"), here("TestDatabaseGone", "authorize", "token, refresh", "revoke", "MCP"), inAccount("TestDatabaseTrouble"),
		}},
		{63, "mix-up: iss in every answer", []proof{here("TestIssuer"), inOAuth("TestAuthorizeRefusesToTheClient", "iss")}},
		{64, "endpoints that the library would have", []proof{here("TestLibraryLeftovers"), inOAuth("TestLeftovers", "/authorize/callback", "/userinfo", "/end_session")}},
	}
}
