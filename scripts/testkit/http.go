package testkit

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Pipes is a listener with connections in memory, for a synctest bubble: what
// net/http waits for in real time there takes none.
type Pipes chan net.Conn

func (p Pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p Pipes) Close() error {
	close(p)
	return nil
}

func (p Pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p Pipes) Dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p <- theirs
	return ours, nil
}

func Serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}
