//go:build race

package socket

import "syscall"

// The system calls by way of package syscall, which tells the race detector that what one
// goroutine writes to a socket is there before another one reads it.

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
