package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	maxAssertion   = 8 << 10 // bytes
	maxAssertionID = 255     // bytes of jti
	assertionLife  = 5 * time.Minute
	// assertionSkew is how far the client's clock and ours may be apart.
	assertionSkew = 30 * time.Second
	// maxAccepted is how many assertions of one client are remembered at once: nearly 200 a second that last as long as they may.
	maxAccepted = 1 << 16
)

// assertion is what a client authenticated with instead of a secret: a statement signed by it that it is itself, good once.
type assertion struct {
	hash  []byte    // of the client and the assertion's id
	until time.Time // when it is good no more and may be forgotten; the clocks' difference is allowed for
}

// presentedAssertion is an assertion (RFC 7523, section 3) that has been read. Nothing in it is to be believed.
type presentedAssertion struct {
	compact              string
	algorithm, keyID     string
	issuer, subject, id  string
	audience             []string
	expires              time.Time
	notBefore, issued    time.Time // zero when not said
	hasNotBefore, hasIat bool
}

// readAssertion reads a signed JWT. What could be read in two ways, or in another way by another library, is refused; so
// is a token that says it is for something else. The error says what is wrong.
func readAssertion(compact string) (presentedAssertion, error) {
	a := presentedAssertion{compact: compact}
	parts := strings.Split(compact, ".")
	if len(compact) > maxAssertion || len(parts) != 3 {
		return a, errors.New("the assertion is no signed JWT of at most 8 KiB")
	}
	header, err := readPart(parts[0])
	if err != nil {
		return a, err
	}
	a.algorithm, a.keyID = text(header["alg"]), text(header["kid"])
	_, critical := header["crit"]
	_, encoded := header["b64"]
	// RFC 7519, section 5.1, and the type of draft-ietf-oauth-rfc7523bis, section 4.
	kind := strings.TrimPrefix(strings.ToLower(text(header["typ"])), "application/")
	switch _, typed := header["typ"]; {
	case critical || encoded:
		return a, errors.New("the assertion's header has crit or b64")
	case typed && kind != "jwt" && kind != "client-authentication+jwt":
		return a, errors.New("the assertion's typ is that of another sort of token")
	case !slices.Contains(signatureAlgorithms(), jose.SignatureAlgorithm(a.algorithm)):
		return a, errors.New("the assertion's alg is not one of the metadata")
	}
	claims, err := readPart(parts[1])
	if err != nil {
		return a, err
	}
	a.issuer, a.subject, a.id = text(claims["iss"]), text(claims["sub"]), text(claims["jti"])
	if one := text(claims["aud"]); one != "" {
		a.audience = []string{one}
	} else if json.Unmarshal(claims["aud"], &a.audience) != nil {
		a.audience = nil
	}
	ok := true
	readTime := func(name string) (at time.Time, said bool) {
		raw, said := claims[name]
		if said {
			var known bool
			at, known = numericDate(raw)
			ok = ok && known
		}
		return at, said
	}
	var expires bool
	a.expires, expires = readTime("exp")
	a.notBefore, a.hasNotBefore = readTime("nbf")
	a.issued, a.hasIat = readTime("iat")
	if !ok || !expires {
		return a, errors.New("the assertion's exp is missing, or a time in it is no number")
	}
	return a, nil
}

// readPart reads one of the first two parts of a JWT.
func readPart(part string) (map[string]json.RawMessage, error) {
	body, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") { // which the decoder overlooks
		return nil, errors.New("the assertion is not in base64url")
	}
	members, err := parseMembers(body)
	if err != nil {
		return nil, errors.New("a part of the assertion is no JSON object with each member once")
	}
	return members, nil
}

// numericDate reads seconds since 1970 (RFC 7519, section 2).
func numericDate(raw json.RawMessage) (time.Time, bool) {
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || math.Abs(*seconds) > 1<<40 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(*seconds * 1000)).UTC(), true
}

// fault says what is wrong with the claims of a client's assertion, its signature aside; empty when nothing is. clientID
// is what the request says besides, if anything. The audience must be this server and nobody else: whoever else it was
// made for could show it here (RFC 7523, section 3).
func (a presentedAssertion) fault(clientID string, audiences []string, now time.Time) string {
	latest := now.Add(assertionLife + assertionSkew)
	foreign := func(s string) bool { return !slices.Contains(audiences, s) }
	switch {
	case a.issuer != a.subject:
		return "iss and sub must both be the client id"
	case clientID != "" && clientID != a.subject:
		return "client_id is not the assertion's sub"
	case len(a.audience) == 0 || slices.ContainsFunc(a.audience, foreign):
		return "aud must be the issuer or the token endpoint, and nothing else"
	case a.id == "" || len(a.id) > maxAssertionID:
		return "jti must be a string of 1 to 255 bytes"
	case !now.Before(a.expires.Add(assertionSkew)):
		return "the assertion has expired"
	case a.expires.After(latest):
		return "exp must be at most 5 minutes ahead"
	case a.hasNotBefore && (a.notBefore.After(now.Add(assertionSkew)) || a.notBefore.After(a.expires)):
		return "nbf is in the future"
	case a.hasIat && (a.issued.After(now.Add(assertionSkew)) || a.issued.Before(now.Add(-assertionLife-assertionSkew))):
		return "iat must be now: an assertion is made for one request"
	}
	return ""
}

// signedBy says whether one of the keys, which are fitting ones, made the signature.
func (a presentedAssertion) signedBy(keys []publicKey) bool {
	signed, err := jose.ParseSignedCompact(a.compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(a.algorithm)})
	if err != nil {
		return false
	}
	for _, k := range keys {
		if _, err := signed.Verify(k.key); err == nil {
			return true
		}
	}
	return false
}

// fitting returns those of the keys that may have signed the assertion: with an algorithm that the key is for.
func (a presentedAssertion) fitting(keys []publicKey) []publicKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k publicKey) bool {
		return a.keyID != "" && k.id != "" && k.id != a.keyID || !slices.Contains(k.algorithms, jose.SignatureAlgorithm(a.algorithm))
	})
}

// verifyAssertion authenticates a client by what it has signed (RFC 7523, section 2.2). All that can be wrong looks the
// same, and takes as long but for three things that only tell of keys, which are public: how many keys a client has that
// fit, how long its RSA keys are, and whether the assertion can be read at all.
func (s *Server) verifyAssertion(ctx context.Context, clientID, compact string) (op.Client, error) {
	a, err := readAssertion(compact)
	if err != nil {
		return nil, s.unauthenticated(ctx, err.Error())
	}
	var known *client
	if !isDocumentID(a.subject) { // a document has no keys, and is not fetched for this
		known, err = s.findClient(ctx, a.subject)
		if err != nil && !errors.Is(err, errAbsent) {
			return nil, s.internal(ctx, err)
		}
	}
	signed, err := s.signed(known, a)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	fault := a.fault(clientID, []string{s.issuer, s.issuer + pathToken}, s.now())
	switch {
	case !signed:
		return nil, s.unauthenticated(ctx, "the client is unknown, or has no key that the assertion is signed with")
	case fault != "":
		return nil, s.unauthenticated(ctx, fault, "client_id", known.id)
	}
	bound := *known
	bound.assertion = assertion{hash: hashSecret(known.id + " " + a.id), until: a.expires.Add(assertionSkew)}
	switch err := s.accepted.of(known.id).admit(bound.assertion, s.now()); {
	case errors.Is(err, errInvalidClient):
		return nil, s.unauthenticated(ctx, "the assertion was used before", "client_id", known.id)
	case err != nil:
		return nil, refusing(ctx, err)
	}
	return &bound, nil
}

// signed says whether the client signed the assertion. For one that is nobody, or has no fitting key, the work is done in
// vain.
func (s *Server) signed(c *client, a presentedAssertion) (bool, error) {
	if c != nil && c.authMethod == string(oidc.AuthMethodPrivateKeyJWT) {
		all, err := parseKeys(c.jwks)
		if err != nil {
			return false, err
		}
		if keys := a.fitting(all); len(keys) > 0 {
			return a.signedBy(keys), nil
		}
	}
	keys, err := parseKeys(s.decoys[a.algorithm])
	a.signedBy(keys)
	return false, err
}

// unauthenticated refuses a client, and tells the log why.
func (s *Server) unauthenticated(ctx context.Context, cause string, more ...any) error {
	s.report(ctx, "client not authenticated", append([]any{"cause", cause}, more...)...)
	return refusing(ctx, errInvalidClient)
}

// accepted remembers the assertions of each client apart, so that one with too many is in nobody else's way. There are as
// many clients that sign as administrators have registered.
type accepted struct {
	mu sync.Mutex
	// byClient is guarded by mu.
	byClient map[string]*acceptedAssertions
}

// of returns the memory of one client.
func (m *accepted) of(clientID string) *acceptedAssertions {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byClient == nil {
		m.byClient = make(map[string]*acceptedAssertions)
	}
	if m.byClient[clientID] == nil {
		m.byClient[clientID] = &acceptedAssertions{}
	}
	return m.byClient[clientID]
}

// acceptedAssertions remembers the assertions of a client that were accepted, until they are no good any more: each is good
// once. What client_credentials has accepted is in the log as well.
//
// BUG: it forgets when the server stops, so that an assertion can be shown a second time to the server that starts within
// the few minutes that it is good for; together with the code or refresh token of the client, that is, because only
// client_credentials gives anything for an assertion alone.
type acceptedAssertions struct {
	mu sync.Mutex
	// until when each is good, by hash, and how many there may be before those that have expired are forgotten. Guarded
	// by mu.
	until map[[32]byte]time.Time
	full  int
}

// admit remembers an assertion. It returns errInvalidClient for one that it knows, and errTooManyAssertions when there is
// no room: forgetting one that is good would make it good twice.
func (m *acceptedAssertions) admit(a assertion, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := [32]byte(a.hash)
	if until, ok := m.until[id]; ok && now.Before(until) {
		return errInvalidClient
	}
	if len(m.until) >= m.full {
		m.forget(now)
	}
	if len(m.until) >= maxAccepted {
		return errTooManyAssertions
	}
	if m.until == nil {
		m.until = make(map[[32]byte]time.Time)
	}
	m.until[id] = a.until
	return nil
}

// forget drops the assertions that have expired. The caller holds mu. It happens each time that their number has doubled,
// which costs each of them little.
func (m *acceptedAssertions) forget(now time.Time) {
	for id, until := range m.until {
		if !now.Before(until) {
			delete(m.until, id)
		}
	}
	m.full = min(max(1024, 2*len(m.until)), maxAccepted)
}
