package socket

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// Packets is a UDP socket whose reads and writes of packets cost less. It is safe for
// concurrent use.
type Packets struct {
	*net.UDPConn
	raw     syscall.RawConn
	mapped  bool // an IPv6 socket, to which IPv4 is a part of IPv6
	in, out packet
	// As those of a Conn.
	receive, send func(fd uintptr) (done bool)
}

// packet is the state of one call.
type packet struct {
	sync.Mutex
	p    []byte
	n    int
	addr netip.AddrPort
	err  error // of the system call
}

// NewPackets returns Packets on c.
func NewPackets(c *net.UDPConn) *Packets {
	s := &Packets{UDPConn: c}
	raw, err := c.SyscallConn()
	if err != nil {
		return s // its own methods tell why
	}
	if err := raw.Control(func(fd uintptr) {
		local, _ := syscall.Getsockname(int(fd))
		_, s.mapped = local.(*syscall.SockaddrInet6)
	}); err == nil {
		s.raw = raw
	}
	s.receive, s.send = s.receiveOnce, s.sendOnce
	return s
}

// ReadFromUDPAddrPort reads a packet. An IPv4 address is one, whatever the socket is. The
// zone of an IPv6 address is a number.
func (s *Packets) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	if s.raw == nil || len(p) == 0 {
		return s.UDPConn.ReadFromUDPAddrPort(p)
	}
	c := &s.in
	c.Lock()
	defer c.Unlock()
	c.p = p
	err := s.raw.Read(s.receive)
	c.p = nil
	switch {
	case err != nil:
		return 0, netip.AddrPort{}, named("read", err)
	case c.err != nil:
		return 0, netip.AddrPort{}, &net.OpError{Op: "read", Net: "udp", Source: s.LocalAddr(), Err: os.NewSyscallError("recvfrom", c.err)}
	}
	return c.n, c.addr, nil
}

func (s *Packets) receiveOnce(fd uintptr) (done bool) {
	s.in.n, s.in.addr, s.in.err = sysReceive(fd, s.in.p)
	return s.in.err != syscall.EAGAIN
}

// WriteToUDPAddrPort writes a packet.
func (s *Packets) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	ip := to.Addr()
	if s.raw == nil || len(p) == 0 || ip.Zone() != "" || !ip.IsValid() || !s.mapped && !ip.Unmap().Is4() {
		return s.UDPConn.WriteToUDPAddrPort(p, to)
	}
	c := &s.out
	c.Lock()
	defer c.Unlock()
	c.p, c.addr = p, to
	err := s.raw.Write(s.send)
	c.p = nil
	switch {
	case err != nil:
		return 0, named("write", err)
	case c.err != nil:
		return 0, &net.OpError{Op: "write", Net: "udp", Source: s.LocalAddr(), Addr: net.UDPAddrFromAddrPort(to), Err: os.NewSyscallError("sendto", c.err)}
	}
	return len(p), nil
}

func (s *Packets) sendOnce(fd uintptr) (done bool) {
	s.out.err = sysSend(fd, s.out.p, s.out.addr, s.mapped)
	return s.out.err != syscall.EAGAIN
}
