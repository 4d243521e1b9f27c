package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzMetadata checks what must hold of a registration whatever it says.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		`{"redirect_uris":["http://localhost:1/cb"]}`,
		`{"redirect_uris":["https://app.example/cb"],"client_name":"App","grant_types":["authorization_code"],"token_endpoint_auth_method":"none"}`,
		`{"redirect_uris":["https://app.example/cb"],"client_name":"a\u202eb","response_types":["token"]}`,
		`{"redirect_uris":null}`, `{"redirect_uris":["javascript:alert(1)"]}`, `[]`, `{}{}`, "",
		`{"redirect_uris":["cursor://x/cb"]}`,
	} {
		f.Add([]byte(seed))
	}
	allow := func(scheme string) bool { return scheme == "cursor" }
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseMetadata(body, allow)
		if err != nil {
			var known *refusal
			if !errors.As(err, &known) || permitted(known.text) != known.text {
				t.Fatalf("got the error %v", err)
			}
			return
		}
		if !json.Valid(body) || !isPlainText(m.Name, maxClientName) || m.AuthMethod == "" {
			t.Fatalf("accepted %q as %+v", body, m)
		}
		if slices.ContainsFunc(m.GrantTypes, func(g string) bool { return g == "implicit" || g == "password" || g == "client_credentials" }) {
			t.Fatalf("accepted the grant types %q of %q", m.GrantTypes, body)
		}
		for _, u := range m.RedirectURIs {
			if fault := redirectFault(u, m.ApplicationType, allow); fault != "" {
				t.Fatalf("accepted %q: %s", u, fault)
			}
		}
	})
}

// FuzzForm checks that a form gets through the guard only when no parameter can be read in two ways.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"grant_type=refresh_token&refresh_token=x&client_id=y", "token=x&token_type_hint=access_token", "a=1&a=2", "resource=1&resource=2",
		"grant_type=%zz", "client_secret=x", "a;b=c", "client_assertion=x&client_assertion_type=y", "&&&=", "client_id=x",
	} {
		f.Add(seed, "")
		f.Add(seed, "Basic eDp5")
	}
	f.Fuzz(func(t *testing.T, body, authorization string) {
		for _, path := range []string{pathToken, pathRevoke, pathIntrospect} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", authorization)
			err := readForm(httptest.NewRecorder(), r)
			if err != nil {
				var known *refusal
				if !errors.As(err, &known) || permitted(known.text) != known.text {
					t.Fatalf("got the error %v", err)
				}
				continue
			}
			for name, values := range r.Form {
				if len(values) != 1 && name != "resource" {
					t.Fatalf("%q let %s through %d times", body, name, len(values))
				}
			}
			if id, ok := basicAuth(r.Header); ok && (r.Form.Has("client_secret") || r.Form.Has("client_assertion") ||
				r.Form.Get("client_id") != "" && r.Form.Get("client_id") != id) {
				t.Fatalf("%q and %q name two clients or methods", body, authorization)
			}
		}
	})
}

// FuzzAssertion checks that nothing unsigned is ever taken for a client's, and that what is read is read in one way.
func FuzzAssertion(f *testing.F) {
	for _, seed := range []string{
		"e30.e30.", "..", "", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.", "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4Iiwic3ViIjoieCIsImV4cCI6MX0.AAAA",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjF9.AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		a, err := readAssertion(compact)
		if err != nil {
			return
		}
		if len(compact) > maxAssertion || strings.Count(compact, ".") != 2 || strings.ContainsAny(compact, " \r\n\t") && !strings.ContainsAny(compact[strings.LastIndexByte(compact, '.'):], " \r\n\t") {
			t.Fatalf("read %q", compact)
		}
		if a.algorithm == "none" || strings.HasPrefix(a.algorithm, "HS") || a.expires.IsZero() {
			t.Fatalf("read %q as %+v", compact, a)
		}
		if a.signedBy(nil) {
			t.Fatalf("%q is signed by nobody", compact)
		}
	})
}

// FuzzKeys checks that a key set never holds a shared or private key, or two of one name.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
		`{"keys":[]}`, `{"keys":[{}]}`, `{}`, `[]`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"AA"}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, set string) {
		keys, err := parseKeys(set)
		if err != nil {
			return
		}
		again, err := formatKeys(keys)
		if err != nil {
			t.Fatalf("accepted %q and cannot write it: %v", set, err)
		}
		if strings.Contains(again, `"d":`) || strings.Contains(again, `"k":`) {
			t.Fatalf("accepted a secret key in %q", set)
		}
		if read, err := parseKeys(again); err != nil || len(read) != len(keys) {
			t.Fatalf("%q became %q: %v", set, again, err)
		}
	})
}
