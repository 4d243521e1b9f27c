package oauth

import (
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// proof is a client that has shown its secret, and until when that need not be checked again.
type proof struct {
	client *client
	until  time.Time
}

// newProof remembers the client for a while, and no longer than the secret before its last works: it may be that one.
func newProof(c *client, now time.Time) proof {
	until := now.Add(memory)
	if now.Before(c.previousUntil) {
		until = earlier(until, c.previousUntil)
	}
	return proof{c, until}
}

// proofKey is what a client that has shown its secret is remembered under. Who does not know the secret gets past the
// memory, so that a wrong one takes as long as it does for an unknown client. It is the same for the same id and secret,
// shown in the same way.
func proofKey(c *op.ClientCredentials, byHeader bool) string {
	sum := sha256.Sum256([]byte(strconv.FormatBool(byHeader) + strconv.Itoa(len(c.ClientID)) + " " + c.ClientID + c.ClientSecret))
	return string(sum[:])
}

// forgetClients takes clients out of memory, by their ids: what they registered, and that they have shown a secret. With
// them go the resources that they may be the servers of.
func (s *Server) forgetClients(condition func(id string) bool) {
	s.clients.purge(func(k knownClient) bool { return condition(k.client.id) })
	s.proofs.purge(func(p proof) bool { return condition(p.client.id) })
	s.forgetResources()
}
