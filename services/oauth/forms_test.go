package oauth

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Whatever of a form this server looks at is where op's own decoder would have put it.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		to      any
		members string
	}{
		{&op.ClientCredentials{}, "client_id client_secret client_assertion client_assertion_type"},
		{&oidc.AuthRequest{}, "client_id redirect_uri"},
		{&oidc.AccessTokenRequest{}, "code redirect_uri code_verifier"},
		{&oidc.RefreshTokenRequest{}, "refresh_token scope"},
		{&oidc.ClientCredentialsRequest{}, "scope"},
		{&oidc.DeviceAuthorizationRequest{}, "client_id scope"},
		{&oidc.DeviceAccessTokenRequest{}, "device_code"},
		{&oidc.RevocationRequest{}, "token"},
		{&oidc.TokenExchangeRequest{}, ""},
	} {
		form := url.Values{}
		for member := range strings.FieldsSeq(tt.members) {
			form.Set(member, "the "+member)
		}
		if err := (forms{}).Decode(tt.to, form); err != nil {
			t.Error(err)
		}
		for member := range strings.FieldsSeq(tt.members) {
			if got := tagged(tt.to, member); got != "the "+member {
				t.Errorf("%T: got %q for %s", tt.to, got, member)
			}
		}
	}
	if (forms{}).Decode(&oidc.EndSessionRequest{}, nil) == nil {
		t.Error("a form that no endpoint has is read")
	}
}

// tagged is the text of the field that op's decoder fills in from a member of the form.
func tagged(of any, member string) string {
	v := reflect.ValueOf(of).Elem()
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("schema"), ","); name != member {
			continue
		}
		if scopes, ok := v.Field(i).Interface().(oidc.SpaceDelimitedArray); ok {
			return strings.Join(scopes, " ")
		}
		return v.Field(i).String()
	}
	return ""
}
