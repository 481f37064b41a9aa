package link

import (
	"errors"
	"fmt"
)

var (
	// ErrNotRunning is returned before Run, and once its context has ended.
	ErrNotRunning = errors.New("link: not running")
	// ErrForgotten is returned by a request whose peer was forgotten meanwhile.
	ErrForgotten = errors.New("link: the peer was forgotten")
	// ErrUnknownKind is returned where the peer has no handler for a request:
	// most likely it is an older agentctl.
	ErrUnknownKind = errors.New("link: the peer does not know this kind of request")
	// ErrBusy is returned where the peer handles as many requests as it may:
	// try again later, or ask another one.
	ErrBusy = errors.New("link: the peer is busy")
	// ErrTooLong is returned for a message, request or response over its limit.
	ErrTooLong = errors.New("link: longer than the limit")
)

var (
	errTooManyLinks = errors.New("all links are in use; raise MaxLinks")
	errNoKeys       = errors.New("the keyring holds no keys; install one")
	errProtocol     = errors.New("the peer breaks the protocol")
)

// NotPeerError says that a node does not speak this protocol: it is a stock
// agent, or an older one. It is not asked again until NotPeerRetry has passed
// or it is forgotten.
type NotPeerError struct{ Name, Addr string }

func (e *NotPeerError) Error() string {
	return fmt.Sprintf("link: node %q at %s does not speak agentctl's link protocol; gossip alone reaches it", e.Name, e.Addr)
}

// RefusedError says that a peer refused the link, and why.
type RefusedError struct {
	Name, Addr string
	Reason     string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("link: node %q at %s refused: %s", e.Name, e.Addr, e.Reason)
}

// WrongNodeError says that another node answers at a node's address, as after
// a restart under a new name.
type WrongNodeError struct{ Name, Addr, Got string }

func (e *WrongNodeError) Error() string {
	return fmt.Sprintf("link: node %q answers at %s, where %q was; gossip will learn the new address", e.Got, e.Addr, e.Name)
}

// RemoteError is the text of the error with which a peer's handler failed.
type RemoteError string

func (e RemoteError) Error() string { return "link: the peer could not answer: " + string(e) }
