package oauth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxJWKS   = 16 << 10 // bytes
	maxKeys   = 10       // in one set
	maxKeyID  = 255      // bytes
	minRSA    = 2048     // bits (RFC 7518, section 3.3); jose.MaxRSAModulusBits is the most
	usedToSig = "sig"
)

// signatureAlgorithms are those that a client may sign with. They need public keys, so that nothing kept here could be
// used to pose as a client; the ones with a shared secret and the one without any key are not among them.
func signatureAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.PS256, jose.EdDSA}
}

// publicKey is one key of a client, and what it may have signed with.
type publicKey struct {
	id         string // empty when it has none
	key        crypto.PublicKey
	algorithms []jose.SignatureAlgorithm
}

// parseKeys reads a set of public keys (RFC 7517, section 5). The error says what is wrong with it. It is read strictly:
// a set that has something else in it besides usable public keys is not what whoever made it thinks it is.
func parseKeys(text string) ([]publicKey, error) {
	if len(text) > maxJWKS {
		return nil, errors.New("the key set is larger than 16 KiB")
	}
	set, err := parseMembers([]byte(text))
	if err != nil {
		return nil, errors.New("the key set must be a JSON object with the member keys (RFC 7517, section 5)")
	}
	var items []json.RawMessage
	if err := json.Unmarshal(set["keys"], &items); err != nil || len(items) == 0 {
		return nil, errors.New("the key set must be a JSON object with the member keys (RFC 7517, section 5)")
	}
	if len(items) > maxKeys {
		return nil, errors.New("the key set has more than 10 keys")
	}
	var keys []publicKey
	for i, item := range items {
		k, err := parseKey(item)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if slices.ContainsFunc(keys, func(other publicKey) bool { return other.id == k.id }) {
			return nil, fmt.Errorf("key %d: each key needs a kid of its own", i+1)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// parseKey reads one public key.
func parseKey(item []byte) (publicKey, error) {
	members, err := parseMembers(item)
	if err != nil {
		return publicKey{}, errors.New("it is no JSON object with each member once")
	}
	if text(members["kty"]) == "oct" {
		return publicKey{}, errors.New("it is a shared secret: give the public part of an EC, RSA or Ed25519 key")
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := members[private]; ok {
			return publicKey{}, errors.New("it has private parts: give the public part only, and use another key if these have been seen by anyone")
		}
	}
	var parsed jose.JSONWebKey
	public := make(map[string]json.RawMessage)
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if raw, ok := members[name]; ok {
			public[name] = raw
		}
	}
	body, err := json.Marshal(public)
	if err != nil || json.Unmarshal(body, &parsed) != nil {
		return publicKey{}, errors.New("it is no EC key on P-256, P-384 or P-521, no RSA key of 2048 to 4096 bits and no Ed25519 key")
	}
	k := publicKey{id: text(members["kid"]), key: parsed.Key}
	if raw, ok := members["kid"]; ok && (k.id == "" || len(k.id) > maxKeyID) {
		return publicKey{}, fmt.Errorf("its kid %.40s is no string of 1 to 255 bytes", raw)
	}
	if _, ok := members["use"]; ok && text(members["use"]) != usedToSig {
		return publicKey{}, errors.New("its use must be sig")
	}
	if k.algorithms, err = algorithmsOf(k.key); err != nil {
		return publicKey{}, err
	}
	if _, ok := members["alg"]; ok {
		only := jose.SignatureAlgorithm(text(members["alg"]))
		if !slices.Contains(k.algorithms, only) {
			return publicKey{}, fmt.Errorf("its alg must be one of %v", k.algorithms)
		}
		k.algorithms = []jose.SignatureAlgorithm{only}
	}
	return k, nil
}

// text reads a JSON string; empty for anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// algorithmsOf says what a key may have signed with (RFC 7518, section 3.1; RFC 8037, section 3.1): the key decides, and
// not the one who shows a signature.
func algorithmsOf(key crypto.PublicKey) ([]jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}, nil
		}
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA {
			return nil, fmt.Errorf("it is an RSA key of %d bits: 2048 to 4096 are allowed", n)
		}
		if key.N.Bit(0) == 0 || key.E < 3 || key.E%2 == 0 {
			return nil, errors.New("it is no RSA key")
		}
		return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}, nil
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}, nil
	}
	return nil, errors.New("it is no EC key on P-256, P-384 or P-521, no RSA key of 2048 to 4096 bits and no Ed25519 key")
}

// formatKeys writes a set with nothing in it that is not needed.
func formatKeys(keys []publicKey) (string, error) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		item := jose.JSONWebKey{Key: k.key, KeyID: k.id, Use: usedToSig}
		if len(k.algorithms) == 1 {
			item.Algorithm = string(k.algorithms[0])
		}
		set.Keys = append(set.Keys, item)
	}
	body, err := json.Marshal(set)
	return string(body), err
}

// newDecoys makes a set with one key for each algorithm, to spend the same time on a client that is not there. Anyone can
// make up the private keys of them, so what they verify counts for nothing.
func newDecoys() (map[string]string, error) {
	modulus := new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, minRSA/8))
	keys := map[jose.SignatureAlgorithm]crypto.PublicKey{
		jose.RS256: &rsa.PublicKey{N: modulus, E: 65537},
		jose.PS256: &rsa.PublicKey{N: modulus, E: 65537},
		jose.EdDSA: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public(),
	}
	curves := map[jose.SignatureAlgorithm]elliptic.Curve{
		jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
	}
	for algorithm, curve := range curves {
		one := make([]byte, (curve.Params().BitSize+7)/8)
		one[len(one)-1] = 1
		private, err := ecdsa.ParseRawPrivateKey(curve, one)
		if err != nil {
			return nil, fmt.Errorf("make a key for %s: %w", algorithm, err)
		}
		keys[algorithm] = &private.PublicKey
	}
	decoys := make(map[string]string, len(keys))
	for algorithm, key := range keys {
		set, err := formatKeys([]publicKey{{key: key}})
		if err != nil {
			return nil, fmt.Errorf("make a key for %s: %w", algorithm, err)
		}
		decoys[string(algorithm)] = set
	}
	return decoys, nil
}
