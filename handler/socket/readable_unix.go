//go:build unix && !linux

package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// readable tells, without a wait, whether a read of the socket would return at once: with
// bytes, with its end, or with an error.
func readable(raw syscall.RawConn) (ready bool) {
	err := raw.Control(func(fd uintptr) {
		var b [1]byte
		for {
			_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if err != unix.EINTR {
				ready = err != unix.EAGAIN
				return
			}
		}
	})
	return ready || err != nil
}
