//go:build !linux

package socket

import (
	"net"
	"syscall"
)

// Conn is a connection of package net with reads and writes that cost less, on Linux.
type Conn struct {
	net.Conn
	raw syscall.RawConn // nil: it has no socket, or hides it
}

// New returns a Conn that does what c does.
func New(c net.Conn) *Conn {
	s := &Conn{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn() // its own methods tell what is wrong with it
	}
	return s
}

// Readable tells, without a wait, whether a read would return at once: with bytes, with
// the end of the connection, or with an error. If there is no socket, it tells that it
// would not.
func (c *Conn) Readable() bool { return c.raw != nil && readable(c.raw) }

// Packets is a UDP socket whose reads and writes of packets cost less, on Linux.
type Packets struct{ *net.UDPConn }

// NewPackets returns Packets on c.
func NewPackets(c *net.UDPConn) *Packets { return &Packets{c} }
