package oauth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func TestDocumentFault(t *testing.T) {
	t.Parallel()
	const (
		long     = "the address is longer than 512 characters"
		escaping = "the address has a character that needs escaping"
		query    = "the address has a query or a fragment"
		noURL    = "the address is no https URL"
		noPath   = "the address has no path"
		dots     = "the address has dot segments"
		name     = "the address must have the full name of a host, in lower case, without user or port"
	)
	tests := []struct{ raw, host, fault string }{
		{"https://claude.ai/oauth/claude-code-client-metadata", "claude.ai", ""},
		{"https://chatgpt.com/oauth/codex/client.json", "chatgpt.com", ""},
		{"https://app.example:443/c", "app.example", ""},
		{"https://app.example/", "app.example", ""},
		{"https://xn--80ak6aa92e.example/c", "xn--80ak6aa92e.example", ""},
		{"https://1.example/c..d/.e", "1.example", ""},
		{"https://app.example/" + strings.Repeat("a", 492), "app.example", ""},
		{"https://app.example/" + strings.Repeat("a", 493), "", long},
		{"http://app.example/c", "", noURL},
		{"HTTPS://app.example/c", "", noURL},
		{"https://app.example", "", noPath},
		{"https://app.example?x", "", query},
		{"https://app.example/c?x=1", "", query},
		{"https://app.example/c?", "", query},
		{"https://app.example/c#x", "", query},
		{"https://app.example/c#", "", query},
		{"https://app.example/../c", "", dots},
		{"https://app.example/./c", "", dots},
		{"https://app.example/c/..", "", dots},
		{"https://app.example/%2e%2E/c", "", dots},
		{"https://app.example/a%2f..%2fc", "", dots},
		{"https://app.example/%zz", "", noURL},
		{"https://app.example/c d", "", escaping},
		{"https://app.example\\@evil.example/c", "", escaping},
		{"https://app.example/ü", "", escaping},
		{"https://APP.example/c", "", name},
		{"https://u@app.example/c", "", name},
		{"https://u:p@app.example/c", "", name},
		{"https://@app.example/c", "", name},
		{"https://app.example:8443/c", "", name},
		{"https://app.example:0443/c", "", name},
		{"https://app.example:/c", "", name},
		{"https:///c", "", name},
		{"https://localhost/c", "", name},
		{"https://app.example./c", "", name},
		{"https://app..example/c", "", name},
		{"https://-app.example/c", "", name},
		{"https://app_1.example/c", "", name},
		{"https://%61pp.example/c", "", noURL},
		{"https://" + strings.Repeat("a", 64) + ".example/c", "", name},
		{"https://" + strings.Repeat("a.", 124) + "example/c", "", name},
		{"https://127.0.0.1/c", "", name},
		{"https://169.254.169.254/latest/meta-data", "", name},
		{"https://127.1/c", "", name},
		{"https://2130706433/c", "", name},
		{"https://0x7f000001/c", "", name},
		{"https://0x7f.1/c", "", name},
		{"https://127.0.0.0x1/c", "", name},
		{"https://017700000001/c", "", name},
		{"https://[::1]/c", "", name},
		{"https://[::ffff:127.0.0.1]/c", "", name},
		{"https://[64:ff9b::7f00:1]/c", "", name},
		{"https://[fe80::1%25lo]/c", "", name},
	}
	for _, tt := range tests {
		if host, fault := documentFault(tt.raw); host != tt.host || fault != tt.fault {
			t.Errorf("documentFault(%.60q): got %q, %q, want %q, %q", tt.raw, host, fault, tt.host, tt.fault)
		}
	}
}

const documentID = "https://app.example/client.json"

// describing is a good document with one more member.
func describing(member string) string {
	return fmt.Sprintf(`{"client_id":%q,"client_name":"App","redirect_uris":["http://localhost/cb"]%s}`, documentID, member)
}

// badDocuments are documents that are not as they must be, with what is wrong.
func badDocuments() map[string][2]string {
	const (
		malformed = "the document is no JSON object in UTF-8 with each member once"
		notOwn    = "client_id is not the address of the document"
		method    = "token_endpoint_auth_method must be none"
		secret    = "the document has a secret"
		redirect  = "redirect_uris is missing"
	)
	return map[string][2]string{
		"another address":        {`{"client_id":"https://app.example/other","client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"padded address":         {`{"client_id":" ` + documentID + ` ","client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"address with a slash":   {`{"client_id":"` + documentID + `/","client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"address with port":      {`{"client_id":"https://app.example:443/client.json","client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"no address":             {`{"client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"address in a list":      {`{"client_id":["` + documentID + `"],"client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"address in other case":  {`{"Client_ID":"` + documentID + `","client_name":"App","redirect_uris":["http://localhost/cb"]}`, notOwn},
		"no name":                {`{"client_id":"` + documentID + `","redirect_uris":["http://localhost/cb"]}`, "client_name is missing"},
		"blank name":             {`{"client_id":"` + documentID + `","client_name":" ","redirect_uris":["http://localhost/cb"]}`, "client_name is missing"},
		"name that turns":        {`{"client_id":"` + documentID + `","client_name":"A\u202epp","redirect_uris":["http://localhost/cb"]}`, "client_name is at most 100 characters, without control or invisible ones"},
		"no redirect URIs":       {`{"client_id":"` + documentID + `","client_name":"App"}`, redirect},
		"empty redirect URIs":    {`{"client_id":"` + documentID + `","client_name":"App","redirect_uris":[]}`, redirect},
		"redirect in other case": {`{"client_id":"` + documentID + `","client_name":"App","Redirect_URIs":["http://localhost/cb"]}`, redirect},
		"http redirect URI":      {`{"client_id":"` + documentID + `","client_name":"App","redirect_uris":["http://app.example/cb"]}`, "http is only for localhost, 127.0.0.1 and [::1]: use https"},
		"custom scheme":          {`{"client_id":"` + documentID + `","client_name":"App","redirect_uris":["app://cb"]}`, "the scheme of this redirect URI is not allowed here: use https://, or http://localhost, or ask whoever runs the server to allow it"},
		"web on loopback":        {describing(`,"application_type":"web"`), "a web application's redirect URI begins with https://"},
		"secret":                 {describing(`,"client_secret":"x"`), secret},
		"null secret":            {describing(`,"client_secret":null`), secret},
		"secret that expires":    {describing(`,"client_secret_expires_at":0`), secret},
		"secret by header":       {describing(`,"token_endpoint_auth_method":"client_secret_basic"`), method},
		"secret in the body":     {describing(`,"token_endpoint_auth_method":"client_secret_post"`), method},
		"shared signing secret":  {describing(`,"token_endpoint_auth_method":"client_secret_jwt"`), method},
		"signing key":            {describing(`,"token_endpoint_auth_method":"private_key_jwt"`), method},
		"empty method":           {describing(`,"token_endpoint_auth_method":""`), method},
		"null method":            {describing(`,"token_endpoint_auth_method":null`), method},
		"implicit":               {describing(`,"grant_types":["implicit"]`), "grant_types must include authorization_code or urn:ietf:params:oauth:grant-type:device_code"},
		"repeated member":        {describing(`,"client_name":"Other"`), malformed},
		"invalid UTF-8":          {describing(",\"x\":\"\xff\""), malformed},
		"two objects":            {describing("") + "{}", malformed},
		"cut off":                {strings.TrimSuffix(describing(""), "}"), malformed},
		"a list":                 {"[" + describing("") + "]", malformed},
		"a string":               {`"client_id"`, malformed},
		"empty":                  {"", malformed},
	}
}

func TestParseDocument(t *testing.T) {
	t.Parallel()
	for name, bad := range badDocuments() {
		if _, err := parseDocument(documentID, "app.example", []byte(bad[0]), noScheme); err == nil || err.Error() != bad[1] {
			t.Errorf("%s: got %v, want %s", name, err, bad[1])
		}
	}
	for _, more := range []string{"", `,"token_endpoint_auth_method":"none"`, `,"jwks_uri":"http://10.0.0.1/","x":{"client_secret":1}`} {
		c, err := parseDocument(documentID, "app.example", []byte(describing(more)), noScheme)
		if err != nil || c.id != documentID || c.host != "app.example" || c.name != "App" || c.authMethod != "none" || !c.usesRefresh() {
			t.Errorf("%s: got %+v, %v", more, c, err)
		}
	}
	c, err := parseDocument(documentID, "app.example", []byte(describing(`,"grant_types":["authorization_code"]`)), noScheme)
	if err != nil || c.usesRefresh() {
		t.Errorf("without the refresh grant: got %+v, %v", c, err)
	}
}

// FuzzDocument checks what must hold of a client whatever its document says, and that the document says so to any reader.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(describing(`,"grant_types":["authorization_code","refresh_token"]`)))
	for _, bad := range badDocuments() {
		f.Add([]byte(bad[0]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseDocument(documentID, "app.example", body, noScheme)
		if err != nil {
			return
		}
		var read map[string]any
		if err := json.Unmarshal(body, &read); err != nil || read["client_id"] != documentID {
			t.Fatalf("accepted %q: %v", body, err)
		}
		if _, ok := read["client_secret"]; ok || c.authMethod != string(oidc.AuthMethodNone) || c.secretHash != nil {
			t.Fatalf("accepted a secret in %q", body)
		}
		if c.name == "" || !isPlainText(c.name, maxClientName) || len(c.redirectURIs) == 0 {
			t.Fatalf("got %+v of %q", c, body)
		}
		for _, u := range c.redirectURIs {
			if fault := redirectFault(u, "", noScheme); fault != "" {
				t.Fatalf("got redirect URI %q: %s", u, fault)
			}
		}
	})
}
