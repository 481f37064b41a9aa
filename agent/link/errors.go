package link

import (
	"errors"
	"fmt"
)

var (
	// errNotRunning is returned before Run, and once its context has ended.
	errNotRunning = errors.New("link: not running")
	// errForgotten is returned by a request whose peer was forgotten meanwhile.
	errForgotten = errors.New("link: the peer was forgotten")
	// ErrUnknownKind is returned where the peer has no handler for a request:
	// most likely it is an older agentctl.
	ErrUnknownKind = errors.New("link: the peer does not know this kind of request")
	// ErrNotPeer is what an error is ([errors.Is]) that says of a node that it does not
	// speak this protocol.
	ErrNotPeer = errors.New("link: not a peer")
	// errBusy is returned where the peer handles as many requests as it may:
	// try again later, or ask another one.
	errBusy = errors.New("link: the peer is busy")
	// errTooLong is returned for a message, request or response over its limit.
	errTooLong = errors.New("link: longer than the limit")
)

var (
	errTooManyLinks = errors.New("all links are in use")
	errNoKeys       = errors.New("the keyring holds no keys; install one")
	errUnclosed     = errors.New("the peer does not close its streams; the link was closed")
	errProtocol     = errors.New("the peer breaks the protocol")
)

// notPeerError says that a node does not speak this protocol: it is a stock
// agent, or an older one. It is not asked again until notPeerRetry has passed
// or it is forgotten.
type notPeerError struct{ name, addr string }

func (e *notPeerError) Error() string {
	return fmt.Sprintf("link: node %q at %s does not speak agentctl's link protocol; gossip alone reaches it", e.name, e.addr)
}

func (e *notPeerError) Is(target error) bool { return target == ErrNotPeer }

// refusedError says that a peer refused the link, and why.
type refusedError struct {
	name, addr string
	reason     string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("link: node %q at %s refused: %s", e.name, e.addr, e.reason)
}

// wrongNodeError says that another node answers at a node's address, as after
// a restart under a new name.
type wrongNodeError struct{ name, addr, got string }

func (e *wrongNodeError) Error() string {
	return fmt.Sprintf("link: node %q answers at %s, where %q was; gossip will learn the new address", e.got, e.addr, e.name)
}

// remoteError is the text of the error with which a peer's handler failed.
type remoteError string

func (e remoteError) Error() string { return "link: the peer could not answer: " + string(e) }
