//go:build !race && !386 && !s390x

package socket

import (
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"
)

// The system calls. The runtime is not told of them. A signal does not end them.

func sysRead(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_READ, fd, p, 0)
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_WRITE, fd, p, 0)
}

// sysPeek reads a byte and leaves it where it is.
func sysPeek(fd uintptr) error {
	var b [1]byte
	_, err := call(syscall.SYS_RECVFROM, fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err
}

// call makes a system call with some bytes, of which there is at least one.
func call(number, fd uintptr, p []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, syscall.EAGAIN // without an allocation
		default:
			return 0, errno
		}
	}
}

// sysReceive reads a packet.
func sysReceive(fd uintptr, p []byte) (n int, from netip.AddrPort, err error) {
	var addr syscall.RawSockaddrInet6 // the longest
	size := uint32(unsafe.Sizeof(addr))
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0,
			uintptr(unsafe.Pointer(&addr)), uintptr(unsafe.Pointer(&size)))
		switch errno {
		case 0:
			return int(n), addrPort(&addr), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, from, syscall.EAGAIN
		default:
			return 0, from, errno
		}
	}
}

func addrPort(addr *syscall.RawSockaddrInet6) netip.AddrPort {
	ip := netip.AddrFrom16(addr.Addr).Unmap()
	switch {
	case addr.Family == syscall.AF_INET:
		ip = netip.AddrFrom4((*syscall.RawSockaddrInet4)(unsafe.Pointer(addr)).Addr)
	case addr.Scope_id != 0:
		ip = ip.WithZone(strconv.FormatUint(uint64(addr.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, swapped(addr.Port))
}

// swapped is a number of 16 bits in the order of the network, or back.
func swapped(n uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&n))
	return uint16(b[0])<<8 | uint16(b[1])
}

// sysSend writes a packet.
func sysSend(fd uintptr, p []byte, to netip.AddrPort, mapped bool) error {
	var addr syscall.RawSockaddrInet6
	size := unsafe.Sizeof(addr)
	if mapped {
		addr = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Port: swapped(to.Port()), Addr: to.Addr().As16()}
	} else {
		v4 := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&addr))
		*v4 = syscall.RawSockaddrInet4{Family: syscall.AF_INET, Port: swapped(to.Port()), Addr: to.Addr().Unmap().As4()}
		size = unsafe.Sizeof(*v4)
	}
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0,
			uintptr(unsafe.Pointer(&addr)), size)
		switch errno {
		case 0:
			return nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return syscall.EAGAIN
		default:
			return errno
		}
	}
}
