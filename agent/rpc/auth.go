package rpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"agentctl/rpcclient/wire"
)

const (
	maxStrikes = 5                      // refused requests before auth, and wrong keys, of one connection
	maxGuesses = 16                     // auth requests that are looked at or delayed at a time
	guessDelay = 100 * time.Millisecond // before the answer to a wrong key
)

var (
	errWrongKey           = errors.New(wire.ErrInvalidAuthToken)
	errUnsupportedVersion = errors.New(wire.ErrUnsupportedVersion)
	errDuplicateHandshake = errors.New(wire.ErrDuplicateHandshake)
)

func (c *session) handshake(r request[wire.HandshakeRequest]) (none, error) {
	switch {
	case r.body.Version != wire.Version:
		return none{}, errUnsupportedVersion
	case c.handshaken:
		return none{}, errDuplicateHandshake
	}
	c.handshaken = true
	c.admit()
	return none{}, nil
}

// auth compares the client's key. Where none is set only the empty key fits,
// as with stock serf: a client that sends a key learns that it is not used.
//
// A wrong key holds its slot for a while, also when the client does not wait
// for the answer. So all clients together can try maxGuesses keys per
// guessDelay; a right key waits for a slot only while others guess.
func (c *session) auth(r request[wire.AuthRequest]) (none, error) {
	select {
	case c.guesses <- struct{}{}:
		defer func() { <-c.guesses }()
	case <-c.ctx.Done():
		return none{}, errWrongKey // nobody is there to read it
	}
	// Hashes have one length, so that the comparison does not tell the key's.
	got := sha256.Sum256([]byte(r.body.AuthKey))
	if subtle.ConstantTimeCompare(got[:], c.authKey[:]) == 1 {
		c.authed = true
		c.admit()
		return none{}, nil
	}
	c.reject(rejectAuth, c.name, errors.New("wrong auth key"))
	select {
	case <-time.After(guessDelay):
	case <-c.ctx.Done():
	}
	return none{}, errWrongKey
}

// admit lifts the limits on a client that has not proved itself, once it has.
func (c *session) admit() {
	if c.ready() {
		c.r.SetLimits(c.cfg.limits)
	}
}
