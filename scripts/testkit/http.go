package testkit

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Serve runs an HTTP server on a loopback port until the end of the test.
func Serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// ServeOn is Serve on a listener, such as one in memory.
func ServeOn(t *testing.T, ln net.Listener, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// Pipes is a listener with connections in memory, for a synctest bubble: there a
// wait on a real socket would keep the bubble's clock from going on.
type Pipes chan net.Conn

// Accept waits for the next Dial.
func (p Pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close ends Accept. Nobody may Dial afterwards.
func (p Pipes) Close() error {
	close(p)
	return nil
}

// Addr is an address of no meaning, for net.Listener.
func (p Pipes) Addr() net.Addr { return &net.UnixAddr{} }

// Dial connects to whoever accepts, whatever the address is. It has the form of
// http.Transport's DialContext.
func (p Pipes) Dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p <- theirs
	return ours, nil
}
