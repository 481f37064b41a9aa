//go:build race || 386 || s390x

package socket

import (
	"net/netip"
	"strconv"
	"syscall"
)

// The system calls by way of package syscall, which tells the race detector that what one
// goroutine writes to a socket is there before another one reads it. It also knows the
// systems that have one call for all that sockets do.

func sysRead(fd uintptr, p []byte) (int, error) { return again(syscall.Read, fd, p) }

func sysWrite(fd uintptr, p []byte) (int, error) { return again(syscall.Write, fd, p) }

// sysPeek reads a byte and leaves it where it is.
func sysPeek(fd uintptr) error {
	_, err := again(func(fd int, p []byte) (int, error) {
		n, _, err := syscall.Recvfrom(fd, p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n, err
	}, fd, make([]byte, 1))
	return err
}

func again(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		if n, err := call(int(fd), p); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// sysReceive reads a packet.
func sysReceive(fd uintptr, p []byte) (n int, from netip.AddrPort, err error) {
	n, err = again(func(fd int, p []byte) (n int, err error) {
		n, addr, err := syscall.Recvfrom(fd, p, 0)
		switch addr := addr.(type) {
		case *syscall.SockaddrInet4:
			from = netip.AddrPortFrom(netip.AddrFrom4(addr.Addr), uint16(addr.Port))
		case *syscall.SockaddrInet6:
			ip := netip.AddrFrom16(addr.Addr).Unmap()
			if addr.ZoneId != 0 {
				ip = ip.WithZone(strconv.FormatUint(uint64(addr.ZoneId), 10))
			}
			from = netip.AddrPortFrom(ip, uint16(addr.Port))
		}
		return n, err
	}, fd, p)
	return n, from, err
}

// sysSend writes a packet.
func sysSend(fd uintptr, p []byte, to netip.AddrPort, mapped bool) error {
	var addr syscall.Sockaddr = &syscall.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if !mapped {
		addr = &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}
	}
	_, err := again(func(fd int, p []byte) (int, error) { return 0, syscall.Sendto(fd, p, 0, addr) }, fd, p)
	return err
}
