//go:build !race

package socket

import (
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
