package memnet

import (
	"context"
	"net"
	"sync"
)

// listener takes the streams that come to an address.
type listener struct{ transport *Transport }

// Listen makes a listener at addr, an IP address with a port. It takes the place
// of an earlier one there. [Network.Dial] connects to it.
func (n *Network) Listen(addr string) net.Listener { return listener{n.Add(addr)} }

func (l listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.transport.streams:
		return conn, nil
	case <-l.transport.done:
		return nil, net.ErrClosed
	}
}

func (l listener) Close() error   { return l.transport.Shutdown() }
func (l listener) Addr() net.Addr { return l.transport.addr }

// client is the address of whoever dials from outside of the nodes. Nobody can
// reach it.
const client = "10.255.255.255:1"

// Dial connects to the listener at addr, and fails at once if there is none. Like
// [net.Dialer.DialContext] it waits until ctx ends if the listener does not accept.
func (n *Network) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	return n.transport(client).dial(ctx, addr)
}

// noListener is a listener that nobody connects to.
type noListener struct {
	once   sync.Once
	closed chan struct{}
}

// NoListener stands in for a port of this machine that is not wanted: waiting on
// one would hold up the clock of a bubble.
func NoListener() net.Listener { return &noListener{closed: make(chan struct{})} }

func (l *noListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l *noListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *noListener) Addr() net.Addr { return Addr("nowhere") }
