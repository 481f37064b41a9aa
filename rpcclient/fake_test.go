package rpcclient

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"agentctl/rpcclient/wire"
)

// peer is the agent's end of a connection, played by a test.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *wire.Reader
	w    *wire.Writer
}

// play runs an agent's part on the other end of an in-memory connection, on
// which a write blocks until it is read. The part is waited for at the end of
// the test, with its connection closed.
func play(t *testing.T, cfg Config, part func(p *peer)) *Client {
	t.Helper()
	near, far := net.Pipe()
	p := newPeer(t, far)
	done := make(chan struct{})
	go func() {
		defer close(done)
		part(p)
	}()
	cfg.Addr = "test:1"
	c := newClient(cfg.withDefaults(), near)
	t.Cleanup(func() {
		c.Close()
		far.Close()
		<-done
	})
	return c
}

// listen plays an agent's part for each TCP connection, one at a time, with n
// counting them from 0.
func listen(t *testing.T, part func(n int, p *peer)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			over := make(chan struct{})
			go func() { // of its own, since a peer that fails ends its goroutine
				defer close(over)
				defer conn.Close()
				part(n, newPeer(t, conn))
			}()
			<-over
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	return &peer{t, conn, wire.NewReader(conn, wire.DefaultLimits), wire.NewWriter(conn)}
}

// want reads a request of the given command, with its body unless body is nil,
// and returns its Seq.
func (p *peer) want(cmd wire.Command, body any) uint64 {
	p.t.Helper()
	var h wire.RequestHeader
	err := p.r.Read(&h)
	if err == nil && h.Command != cmd {
		p.t.Errorf("the agent got %q, want %q", h.Command, cmd)
		runtime.Goexit()
	}
	if err == nil && cmd.HasRequest() {
		err = p.r.Read(body)
	}
	if err != nil {
		p.t.Errorf("the agent wanted %q: %v", cmd, err)
		runtime.Goexit()
	}
	return h.Seq
}

// answer writes a response header and, unless nil, a body.
func (p *peer) answer(seq uint64, text string, body any) {
	p.t.Helper()
	if err := p.w.Write(wire.ResponseHeader{Seq: seq, Error: text}, body); err != nil {
		p.t.Errorf("the agent's answer: %v", err)
		runtime.Goexit()
	}
}

// greet answers a handshake.
func (p *peer) greet() { p.answer(p.want(wire.Handshake, nil), "", nil) }

// drain reads until the client closes.
func (p *peer) drain() { io.Copy(io.Discard, p.conn) }

// kind sums up an error in a word, for tables.
func kind(err error) string {
	remote, _ := errors.AsType[*RemoteError](err)
	switch {
	case err == nil:
		return "ok"
	case remote != nil:
		return "remote"
	case errors.Is(err, ErrNotSent) && errors.Is(err, ErrLostReply):
		return "contradiction"
	case errors.Is(err, ErrNotSent):
		return "not sent"
	case errors.Is(err, ErrLostReply):
		return "lost"
	}
	return "other"
}

func wantKind(t *testing.T, err error, want string, is ...error) {
	t.Helper()
	if got := kind(err); got != want {
		t.Errorf("error %v is %q, want %q", err, got, want)
	}
	for _, e := range is {
		if !errors.Is(err, e) {
			t.Errorf("error %v is not %v", err, e)
		}
	}
}

// event publishes a fixed event.
func event(ctx context.Context, c *Client) error {
	return c.Event(ctx, "name", []byte("payload"), false)
}

// waiting returns how many answers c waits for.
func waiting(c *Client) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
