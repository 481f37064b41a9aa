package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// Conn is a connection of package net with reads and writes that cost less.
type Conn struct {
	net.Conn
	raw syscall.RawConn // nil: it has no socket, or hides it, and is left as it is

	in, out direction
	// What raw calls, made once: each would be an allocation for a call.
	read, write func(fd uintptr) (done bool)
	control     func(fd uintptr)
}

// direction is the state of one call of Read or Write.
type direction struct {
	sync.Mutex
	p   []byte // what is left to write; what to read into
	n   int    // bytes that were read
	err error  // of the system call
}

// New returns a Conn that does what c does.
func New(c net.Conn) *Conn {
	s := &Conn{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn() // its own methods tell what is wrong with it
	}
	s.read, s.write, s.control = s.readOnce, s.writeAll, s.look
	return s
}

func (c *Conn) Read(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.Conn.Read(p)
	}
	d := &c.in
	d.Lock()
	defer d.Unlock()
	d.p = p
	err := c.raw.Read(c.read)
	d.p = nil
	switch {
	case err != nil:
		return 0, named("read", err)
	case d.err != nil:
		return 0, c.failed("read", d.err)
	case d.n == 0:
		return 0, io.EOF
	}
	return d.n, nil
}

func (c *Conn) readOnce(fd uintptr) (done bool) {
	d := &c.in
	d.n, d.err = sysRead(fd, d.p)
	return d.err != syscall.EAGAIN
}

func (c *Conn) Write(p []byte) (int, error) {
	if c.raw == nil {
		return c.Conn.Write(p)
	}
	d := &c.out
	d.Lock()
	defer d.Unlock()
	d.p, d.err = p, nil
	err := c.raw.Write(c.write)
	n := len(p) - len(d.p)
	d.p = nil
	switch {
	case err != nil:
		return n, named("write", err)
	case d.err != nil:
		return n, c.failed("write", d.err)
	}
	return n, nil
}

func (c *Conn) writeAll(fd uintptr) (done bool) {
	d := &c.out
	for d.err = nil; len(d.p) > 0 && d.err == nil; {
		var n int
		n, d.err = sysWrite(fd, d.p)
		d.p = d.p[n:]
	}
	return d.err != syscall.EAGAIN
}

// Readable tells, without a wait, whether a read would return at once: with bytes, with
// the end of the connection, or with an error. If there is no socket, it tells that it
// would not.
func (c *Conn) Readable() bool {
	if c.raw == nil {
		return false
	}
	d := &c.in
	d.Lock()
	defer d.Unlock()
	err := c.raw.Control(c.control)
	return err != nil || d.err != syscall.EAGAIN
}

func (c *Conn) look(fd uintptr) { c.in.err = sysPeek(fd) }

// named gives an error the name that package net has for it.
func named(op string, err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		e.Op = op
	}
	return err
}

// failed is the error of a system call, as package net has it.
func (c *Conn) failed(op string, err error) error {
	local, remote := c.LocalAddr(), c.RemoteAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: remote, Err: os.NewSyscallError(op, err)}
}
