package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// deviceGrant is the grant type of a machine without a browser (RFC 8628, section 3.4).
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

const (
	// pollInterval is how long to wait between two polls when the server does not say, and how much longer when it says to
	// slow down (RFC 8628, sections 3.2 and 3.5).
	pollInterval = 5 * time.Second
	// maxPollInterval bounds the waits between polls while the server cannot be reached.
	maxPollInterval = time.Minute
	// maxDeviceLife bounds how long paput waits for the person, whatever the server says.
	maxDeviceLife = 30 * time.Minute
)

// What a device is told instead of tokens (RFC 8628, section 3.5).
var (
	errPending      = errors.New("authorization_pending")
	errSlowDown     = errors.New("slow_down")
	errAccessDenied = errors.New("access_denied")
	errExpiredCode  = errors.New("expired_token")
)

var errNobodyAnswered = errors.New("nobody entered the code in time; run paput login --device again")

// deviceCodes is what an authorization server gives a device (RFC 8628, section 3.2).
type deviceCodes struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Page       string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	Expires    int64  `json:"expires_in"` // seconds
	Interval   *int64 `json:"interval"`   // seconds
}

// authorizeDevice carries out one device authorization grant (RFC 8628) and puts the tokens into acc, after registering
// when acc has no registration that is good for it.
func (a *app) authorizeDevice(ctx context.Context, acc *account) error {
	if acc.Endpoints.Device == "" {
		return problemf(errRefused, "%s does not let machines without a browser log in; run: paput login --no-browser", acc.Endpoints.Issuer)
	}
	if acc.Registration.ClientID == "" || !acc.Registration.Device {
		id, err := a.register(ctx, acc.Endpoints, "")
		if err != nil {
			return err
		}
		acc.Registration = registration{ClientID: id, Device: true, Scopes: acc.Endpoints.Scopes}
	}
	codes, err := a.deviceCodes(ctx, acc)
	if err != nil {
		return err
	}
	a.note("On any device with a browser, open this address:\n\n  %s\n\nand enter this code:\n\n  %s\n\n"+
		"Allow it only if the page shows the same code. Waiting for you …", clean(codes.Page), clean(codes.UserCode))
	acc.Tokens, err = a.poll(ctx, acc, codes)
	return err
}

// deviceCodes asks for the codes.
func (a *app) deviceCodes(ctx context.Context, acc *account) (c deviceCodes, err error) {
	status, answer, err := a.post(ctx, acc.Endpoints.Device, url.Values{
		"client_id": {acc.Registration.ClientID},
		"scope":     {strings.Join(acc.Endpoints.Scopes, " ")},
		"resource":  {acc.Endpoints.Resource},
	})
	if err != nil {
		return c, err
	}
	if status != http.StatusOK {
		return c, oauthError(status, answer)
	}
	if json.Unmarshal(answer, &c) != nil || c.DeviceCode == "" || c.UserCode == "" || c.Page == "" || c.Expires <= 0 {
		return c, errors.New("the authorization server's answer has no code for this machine")
	}
	return c, secureURL(c.Page)
}

// poll asks for the tokens until there are some, the person says no, or the code has expired.
func (a *app) poll(ctx context.Context, acc *account, codes deviceCodes) (*tokens, error) {
	interval := pollInterval
	if codes.Interval != nil {
		interval = time.Duration(min(max(*codes.Interval, 1), int64(maxPollInterval/time.Second))) * time.Second
	}
	life := min(time.Duration(min(codes.Expires, 1<<31))*time.Second, maxDeviceLife)
	wait, cancel := context.WithTimeoutCause(ctx, a.pace(life), errNobodyAnswered)
	defer cancel()
	for {
		select {
		case <-wait.Done():
			return nil, context.Cause(wait)
		case <-time.After(a.pace(interval)):
		}
		t, err := a.token(wait, acc, url.Values{"grant_type": {deviceGrant}, "device_code": {codes.DeviceCode}})
		switch {
		case err == nil:
			return t, nil
		case wait.Err() != nil:
			return nil, context.Cause(wait)
		case errors.Is(err, errPending):
		case errors.Is(err, errSlowDown):
			interval += pollInterval
		case errors.Is(err, errUnreachable):
			interval = min(2*interval, maxPollInterval) // RFC 8628, section 3.5: ever more rarely
		case errors.Is(err, errAccessDenied):
			return nil, problemf(errRefused, "access was denied in the browser")
		case errors.Is(err, errExpiredCode):
			return nil, errNobodyAnswered
		default:
			return nil, fmt.Errorf("log in: %w", err)
		}
	}
}
