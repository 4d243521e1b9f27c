package oauth

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCaught(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		given  *refusal
		want   refusal
	}{
		{"ours", 400, `{"error":"x"}`, errCode, *errCode},
		{"what op found missing", 400, `{"error":"invalid_request","error_description":"code \"missing\"\n"}`, nil, refusal{"invalid_request", "code missing"}},
		{"trouble in op", 500, `{"error":"server_error","error_description":"sql: no rows"}`, nil, *errServer},
		{"no JSON", 400, `sql: no rows`, nil, *errServer},
	}
	for _, tt := range tests {
		c := &catcher{status: tt.status, body: *bytes.NewBufferString(tt.body)}
		if got := c.caught(&exchange{refusal: tt.given}); *got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, *got, tt.want)
		}
	}
}

func TestFormToken(t *testing.T) {
	t.Parallel()
	k, err := deriveKeys(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, id := range []string{"tx_1", "tx_2"} {
		for _, cookie := range []string{"a", "b"} {
			for _, session := range []string{"s", "t"} {
				seen[k.formToken(transaction{ID: id}, cookie, session)] = true
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("got %d tokens for 8 forms", len(seen))
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1234":           "192.0.2.1",
		"[::ffff:192.0.2.1]:1":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
		"[fe80::1%lo]:1":           "fe80::/64",
		"@":                        "@",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		if got := address(r); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}
