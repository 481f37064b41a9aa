package rpc

import (
	"errors"
	"net"
	"testing"

	"agentctl/rpcclient/wire"
)

// client speaks the protocol message by message.
type client struct {
	t    testing.TB
	conn net.Conn
	w    *wire.Writer
	r    *wire.Reader
	seq  uint64
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, w: wire.NewWriter(conn), r: wire.NewReader(conn, wire.DefaultLimits)}
}

// send writes a request and returns its Seq.
func (c *client) send(cmd wire.Command, body any) uint64 {
	c.t.Helper()
	c.seq++
	if err := c.w.Write(wire.RequestHeader{Command: cmd, Seq: c.seq}, body); err != nil {
		c.t.Fatalf("sending %s: %v", cmd, err)
	}
	return c.seq
}

func (c *client) read(v any) {
	c.t.Helper()
	if err := c.r.Read(v); err != nil {
		c.t.Fatalf("reading %T: %v", v, err)
	}
}

// answer reads an answer's header, checks its Seq, and returns its error.
func (c *client) answer(seq uint64) string {
	c.t.Helper()
	var h wire.ResponseHeader
	c.read(&h)
	if h.Seq != seq {
		c.t.Fatalf("the answer is to Seq %d, not %d", h.Seq, seq)
	}
	return h.Error
}

// call makes a request and returns the error of its answer.
func (c *client) call(cmd wire.Command, req, resp any) string {
	c.t.Helper()
	text := c.answer(c.send(cmd, req))
	if resp != nil {
		c.read(resp)
	}
	return text
}

func (c *client) must(cmd wire.Command, req, resp any) {
	c.t.Helper()
	if text := c.call(cmd, req, resp); text != "" {
		c.t.Fatalf("%s: %s", cmd, text)
	}
}

func (c *client) handshake() *client {
	c.t.Helper()
	c.must(wire.Handshake, wire.HandshakeRequest{Version: 1}, nil)
	return c
}

// gone fails the test unless the server ends the connection with nothing more
// to read.
func (c *client) gone() {
	c.t.Helper()
	var h wire.ResponseHeader
	if err := c.r.Read(&h); err == nil {
		c.t.Fatalf("the connection goes on, with %+v", h)
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		c.t.Fatalf("the connection stays open: %v", err)
	}
}
