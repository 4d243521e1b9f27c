package oauth

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

// The kinds of streams.
const (
	kindClient = "client"
	kindGrant  = "grant"
)

// Kinds describes the streams that the service keeps.
func Kinds() []eventlog.Kind {
	return []eventlog.Kind{
		{Name: kindClient, Event: &oauthv1.ClientEvent{}, Relay: "AUTH", Subject: "paput.auth.client"},
		{Name: kindGrant, Event: &oauthv1.GrantEvent{}, Relay: "AUTH", Subject: "paput.auth.grant"},
	}
}

// streamID is the aggregate's id in a stream's name.
func streamID(stream string) string {
	_, id, _ := strings.Cut(stream, "/")
	return id
}

func clientRegistered(e *oauthv1.ClientRegistered) *oauthv1.ClientEvent {
	return &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_Registered{Registered: e}}
}

func clientDeleted() *oauthv1.ClientEvent {
	return &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_Deleted{Deleted: &oauthv1.ClientDeleted{}}}
}

func registrationRepeated() *oauthv1.ClientEvent {
	return &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_RegistrationRepeated{RegistrationRepeated: &oauthv1.RegistrationRepeated{}}}
}

func clientExpired(reason oauthv1.ClientExpiry) *oauthv1.ClientEvent {
	return &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_Expired{Expired: &oauthv1.ClientExpired{Reason: reason}}}
}

func clientSecretRotated(hash []byte, previousUntil time.Time) *oauthv1.ClientEvent {
	return &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_SecretRotated{
		SecretRotated: &oauthv1.ClientSecretRotated{SecretHash: hash, PreviousExpireTime: timestamppb.New(previousUntil)},
	}}
}

func clientRemoved() *oauthv1.ClientEvent {
	return &oauthv1.ClientEvent{Event: &oauthv1.ClientEvent_Removed{Removed: &oauthv1.ClientRemoved{}}}
}

func consentGranted(e *oauthv1.ConsentGranted) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_ConsentGranted{ConsentGranted: e}}
}

func consentDenied(e *oauthv1.ConsentDenied) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_ConsentDenied{ConsentDenied: e}}
}

func codeIssued(e *oauthv1.CodeIssued) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_CodeIssued{CodeIssued: e}}
}

func codeRedeemed(e *oauthv1.CodeRedeemed) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_CodeRedeemed{CodeRedeemed: e}}
}

func codeRefused(hash []byte, reason oauthv1.CodeRefusal) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_CodeRefused{
		CodeRefused: &oauthv1.CodeRefused{CodeHash: hash, Reason: reason},
	}}
}

func codeReplayed(hash []byte) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_CodeReplayed{CodeReplayed: &oauthv1.CodeReplayed{CodeHash: hash}}}
}

func tokenRefreshed(e *oauthv1.TokenRefreshed) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_TokenRefreshed{TokenRefreshed: e}}
}

func refreshRepeated(hash []byte, access *oauthv1.AccessToken) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_RefreshRepeated{
		RefreshRepeated: &oauthv1.RefreshRepeated{RefreshTokenHash: hash, AccessToken: access},
	}}
}

func refreshReused(hash []byte, rotated time.Time) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_RefreshReused{
		RefreshReused: &oauthv1.RefreshReused{RefreshTokenHash: hash, RotateTime: timestamppb.New(rotated)},
	}}
}

func revoked(reason oauthv1.RevokeReason) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_Revoked{Revoked: &oauthv1.GrantRevoked{Reason: reason}}}
}

func deviceRequested(e *oauthv1.DeviceAuthorizationRequested) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_DeviceAuthorizationRequested{DeviceAuthorizationRequested: e}}
}

func deviceCodeRedeemed(e *oauthv1.DeviceCodeRedeemed) *oauthv1.GrantEvent {
	return &oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_DeviceCodeRedeemed{DeviceCodeRedeemed: e}}
}
