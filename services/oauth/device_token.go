package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
)

const (
	// pollInterval is how long a device waits between two polls (RFC 8628, section 3.2), and by how much longer each time
	// that it does not (section 3.5).
	pollInterval = 5 * time.Second
	// pollJitter is how much too early a poll may come: a device that counts right is not made to slow down by the network.
	pollJitter = 500 * time.Millisecond
	maxPolled  = 10_000 // device codes whose polls are remembered
)

// authorizeDevice serves the device authorization endpoint. An address that asks too often is told so before anything is
// looked up.
func (s *Server) authorizeDevice(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if wait := s.devices.reserve(exchangeFrom(r.Context()).asker, s.now()); wait > 0 {
			noStore(w)
			retryAfter(w, wait)
			s.refuse(w, r, errTooManyDevices)
			return
		}
	}
	s.form(w, r)
}

// DeviceAuthorization gives a device the code that it shows and the one that it fetches its tokens with (RFC 8628,
// sections 3.1 and 3.2).
func (s *Server) DeviceAuthorization(ctx context.Context, r *op.ClientRequest[oidc.DeviceAuthorizationRequest]) (*op.Response, error) {
	c, ok := r.Client.(*client)
	if !ok {
		return nil, s.internal(ctx, errors.New("the client is not ours"))
	}
	if !c.usesDevices() {
		return nil, refusing(ctx, errNoDeviceGrant)
	}
	resources, err := s.findResources(ctx)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	resource, ok := canonicalResource(resources, r.Form["resource"])
	if !ok {
		return nil, refusing(ctx, errUnknownTarget)
	}
	scopes, ok := requestedScopes(r.Form.Get("scope"), c.scopes)
	if !ok {
		return nil, refusing(ctx, errUnknownScopes)
	}
	deviceCode, grantID := newToken(devicePrefix, s.now()), s.newID("grant")
	drawn := []string{newUserCode(), newUserCode(), newUserCode(), newUserCode()}
	var userCode string
	err = s.do(ctx, func(tx *eventlog.Tx) (err error) {
		userCode, err = chooseUserCode(drawn, func(hash []byte) (bool, error) { return isOpen(tx, hash) })
		if err != nil {
			return err
		}
		if userCode == "" {
			return errBusy
		}
		return tx.Append(kindGrant+"/"+grantID, deviceRequested(&oauthv1.DeviceAuthorizationRequested{
			ClientId:        c.id,
			Resource:        resource,
			RequestedScopes: scopes,
			DeviceCodeHash:  hashToken(deviceCode),
			UserCodeHash:    hashSecret(userCode),
			ExpireTime:      timestamppb.New(tx.Now().Add(deviceLife)),
		}))
	})
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	s.logger.InfoContext(ctx, "device authorization requested", "grant_id", grantID, "client_id", c.id)
	page := s.issuer + pathDevice
	return op.NewResponse(&oidc.DeviceAuthorizationResponse{
		DeviceCode:              deviceCode,
		UserCode:                showUserCode(userCode),
		VerificationURI:         page,
		VerificationURIComplete: page + "?" + url.Values{fieldUserCode: {showUserCode(userCode)}}.Encode(),
		ExpiresIn:               int(deviceLife / time.Second),
		Interval:                int(pollInterval / time.Second),
	}), nil
}

func (c *client) usesDevices() bool { return slices.Contains(c.grantTypes, oidc.GrantTypeDeviceCode) }

// isOpen says whether a request has the user code, answered or not, that has not expired.
func isOpen(tx *eventlog.Tx, userCodeHash []byte) (open bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM oauth_devices WHERE user_code_hash = ? AND expires_at > ?)`,
		userCodeHash, millis(tx.Now())).Scan(&open)
	return open, err
}

// DeviceToken makes tokens of a device code, or says what the device has to wait for (RFC 8628, sections 3.4 and 3.5). A
// poll that finds no answer leaves no event and needs no transaction: it looks among what is committed.
func (s *Server) DeviceToken(ctx context.Context, r *op.ClientRequest[oidc.DeviceAccessTokenRequest]) (*op.Response, error) {
	c, ok := r.Client.(*client)
	if !ok {
		return nil, s.internal(ctx, errors.New("the client is not ours"))
	}
	resource, err := s.requestedResource(ctx, r.Form)
	if err != nil {
		return nil, s.failing(ctx, err)
	}
	if !isToken(devicePrefix, r.Data.DeviceCode) {
		return nil, refusing(ctx, errDeviceCode)
	}
	now := s.now()
	access, refreshSecret := newToken(accessPrefix, now), newToken(refreshPrefix, now)
	wish := fetching{
		clientID: c.id, resource: resource, codeHash: hashToken(r.Data.DeviceCode), accessHash: hashToken(access),
	}
	if c.usesRefresh() {
		wish.refreshHash = hashToken(refreshSecret)
	}
	known, err := s.findDevice(ctx, byCode, wish.codeHash)
	if errors.Is(err, errAbsent) {
		return nil, refusing(ctx, errDeviceCode)
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	v := fetch(known, wish, now, s.life)
	switch {
	case errors.Is(v.refusal, errPending) && s.polls.tooEarly(string(wish.codeHash), known.expires, now):
		return nil, refusing(ctx, errSlowDown)
	case v.refusal != nil:
		return nil, refusing(ctx, v.refusal)
	}
	v, err = s.decide(ctx, func(tx *eventlog.Tx) (string, verdict, error) {
		d, err := loadDevice(finding(tx), byCode, wish.codeHash)
		return d.grantID, fetch(d, wish, tx.Now(), s.life), err
	})
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	return s.tokens(ctx, v, access, refreshSecret)
}

// findDevice looks a device's request up among what is committed; errAbsent when there is none.
func (s *Server) findDevice(ctx context.Context, by deviceKey, value any) (device, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return loadDevice(func(query string, args ...any) row { return s.log.DB().QueryRowContext(ctx, query, args...) }, by, value)
}

func finding(tx *eventlog.Tx) finder {
	return func(query string, args ...any) row { return tx.QueryRow(query, args...) }
}

// polls remembers when devices asked last, in memory alone: after a restart each may ask too early once more.
type polls struct {
	mu sync.Mutex
	// byCode is guarded by mu.
	byCode map[string]*polling
}

// polling is how one device has asked so far.
type polling struct {
	last     time.Time
	interval time.Duration
	until    time.Time // when its code expires
}

func newPolls() *polls { return &polls{byCode: make(map[string]*polling)} }

// tooEarly takes note of a poll and says whether it came before the interval was over, which is longer from then on.
func (p *polls) tooEarly(code string, expires, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.byCode[code]
	if known == nil {
		p.forget(now)
		p.byCode[code] = &polling{last: now, interval: pollInterval, until: expires}
		return false
	}
	early := now.Before(known.last.Add(known.interval - pollJitter))
	known.last = now
	if early {
		known.interval += pollInterval
	}
	return early
}

// forget makes room: expired codes are polled no more. When there are too many others, all go. The caller holds mu.
func (p *polls) forget(now time.Time) {
	if len(p.byCode) < maxPolled {
		return
	}
	for code, known := range p.byCode {
		if !now.Before(known.until) {
			delete(p.byCode, code)
		}
	}
	if len(p.byCode) >= maxPolled {
		clear(p.byCode)
	}
}
