package memnet

import (
	"net"
	"sync"
)

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
