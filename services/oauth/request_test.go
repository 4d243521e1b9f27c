package oauth

import (
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"
)

var testResources = []string{"https://mcp.example", "https://mcp.example/mcp"}

const testChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B

func TestParseAuthorize(t *testing.T) {
	t.Parallel()
	const good = "response_type=code&code_challenge_method=S256&code_challenge=" + testChallenge
	tests := []struct {
		name, query string
		want        error
	}{
		{"a good one", good, nil},
		{"response_type=token", "response_type=token", errResponseType},
		{"response_type=id_token token", "response_type=id_token+token", errResponseType},
		{"no response_type", "code_challenge_method=S256", errNoResponseType},
		{"a fragment answer", good + "&response_mode=fragment", errResponseMode},
		{"a form_post answer", good + "&response_mode=form_post", errResponseMode},
		{"a query answer", good + "&response_mode=query", nil},
		{"a request object", good + "&request=eyJhbGciOiJub25lIn0.e30.", errRequestObject},
		{"a request URI", good + "&request_uri=http%3A%2F%2F169.254.169.254%2F", errRequestURI},
		{"no PKCE", "response_type=code", errChallengeMethod},
		{"plain", "response_type=code&code_challenge_method=plain&code_challenge=" + testChallenge, errChallengeMethod},
		{"no method", "response_type=code&code_challenge=" + testChallenge, errChallengeMethod},
		{"S512", "response_type=code&code_challenge_method=S512&code_challenge=" + testChallenge, errChallengeMethod},
		{"a method and no challenge", "response_type=code&code_challenge_method=S256", errChallenge},
		{"a short challenge", "response_type=code&code_challenge_method=S256&code_challenge=abc", errChallenge},
		{"a challenge with padding", good + "%3D", errChallenge},
		{"a challenge with a newline", good + "%0A", errChallenge},
		{"a challenge of other characters", "response_type=code&code_challenge_method=S256&code_challenge=" + testChallenge[:42] + "%2B", errChallenge},
		{"only unknown scopes", good + "&scope=admin+root", errUnknownScopes},
		{"some unknown scopes", good + "&scope=admin+paput.read", nil},
		{"an unknown resource", good + "&resource=https%3A%2F%2Fevil.example", errUnknownTarget},
		{"a relative resource", good + "&resource=%2Fmcp", errUnknownTarget},
		{"a resource with a fragment", good + "&resource=https%3A%2F%2Fmcp.example%23x", errUnknownTarget},
		{"an empty resource", good + "&resource=", errUnknownTarget},
		{"two slashes", good + "&resource=https%3A%2F%2Fmcp.example%2F%2F", errUnknownTarget},
		{"two resources", good + "&resource=https%3A%2F%2Fmcp.example&resource=https%3A%2F%2Fmcp.example", errUnknownTarget},
		{"a repeated parameter", good + "&scope=paput.read&scope=paput.write", errRepeated},
		{"prompt=none and another", good + "&prompt=none+login", errPrompt},
		{"prompt=consent", good + "&prompt=consent", nil},
		{"max_age of letters", good + "&max_age=abc", errMaxAge},
		{"a negative max_age", good + "&max_age=-1", errMaxAge},
	}
	for _, tt := range tests {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseAuthorize(q, testResources, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestParseAuthorizeReads(t *testing.T) {
	t.Parallel()
	parse := func(more string) authorizeRequest {
		q, err := url.ParseQuery("response_type=code&code_challenge_method=S256&code_challenge=" + testChallenge + more)
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseAuthorize(q, testResources, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got := parse(""); got.resource != "https://mcp.example" || !slices.Equal(got.scopes, defaultScopes()) || got.maxAge >= 0 {
		t.Errorf("got %+v for the bare minimum", got)
	}
	if got := parse("&scope=offline_access"); !slices.Equal(got.scopes, defaultScopes()) {
		t.Errorf("got %v for offline_access alone", got.scopes)
	}
	if got := parse("&scope=paput.publish+offline_access+paput.read"); !slices.Equal(got.scopes, []string{"paput.read", "paput.publish"}) {
		t.Errorf("got %v", got.scopes)
	}
	for _, resource := range []string{"https://mcp.example/mcp", "https://mcp.example/mcp/"} {
		if got := parse("&resource=" + url.QueryEscape(resource)); got.resource != "https://mcp.example/mcp" {
			t.Errorf("got %q for %q", got.resource, resource)
		}
	}
	if got := parse("&max_age=90"); got.maxAge != 90*time.Second {
		t.Errorf("got %v for max_age=90", got.maxAge)
	}
	if got := parse("&prompt=login"); got.maxAge != 0 {
		t.Errorf("got %v for prompt=login", got.maxAge)
	}
}

// FuzzAuthorize checks that whatever is let through is bound, scoped and challenged.
func FuzzAuthorize(f *testing.F) {
	f.Add("response_type=code&code_challenge_method=S256&code_challenge=" + testChallenge)
	f.Add("response_type=code&code_challenge_method=S256&code_challenge=" + testChallenge + "&scope=a+b&resource=https://mcp.example/&prompt=none&max_age=1")
	f.Add("response_type=token&scope=%zz&resource=%00&resource=2;x")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		r, err := parseAuthorize(q, testResources, nil)
		if err != nil {
			var known *refusal
			if !errors.As(err, &known) || permitted(known.text) != known.text {
				t.Fatalf("got the error %v", err)
			}
			return
		}
		if len(r.challenge) != 32 || !slices.Contains(testResources, r.resource) || len(r.scopes) == 0 {
			t.Fatalf("%q got through as %+v", raw, r)
		}
		for _, s := range r.scopes {
			if !slices.Contains(scopeNames(), s) {
				t.Fatalf("%q got through with the scope %q", raw, s)
			}
		}
	})
}
