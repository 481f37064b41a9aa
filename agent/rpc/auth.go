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
	maxGuesses = 16                     // keys of one client that are looked at in guessDelay
	maxWrong   = 1024                   // wrong keys of all clients together in guessDelay
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
// A wrong key holds its slot for a while, also when its connection has ended. So a
// client can try maxGuesses keys per guessDelay, over however many connections. A
// right key waits for nobody but clients at the same address.
func (c *session) auth(r request[wire.AuthRequest]) (none, error) {
	leave, ok := c.guesses.enter(c.ctx, c.of.Client())
	if !ok {
		return none{}, errWrongKey // nobody is there to read it
	}
	// Hashes have one length, so that the comparison does not tell the key's.
	got := sha256.Sum256([]byte(r.body.AuthKey))
	if subtle.ConstantTimeCompare(got[:], c.authKey[:]) == 1 {
		leave()
		c.authed = true
		c.admit()
		return none{}, nil
	}
	c.reject(rejectAuth, c.name, errors.New("wrong auth key"))
	select {
	case c.wrong <- struct{}{}:
	case <-c.ctx.Done():
		leave()
		return none{}, errWrongKey
	}
	over := make(chan struct{})
	time.AfterFunc(guessDelay, func() {
		leave()
		<-c.wrong
		close(over)
	})
	select {
	case <-over:
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
