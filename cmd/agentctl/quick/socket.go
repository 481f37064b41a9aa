//go:build linux && (amd64 || arm64)

package quick

import "unsafe" // also for go:linkname

// Packages os and syscall have these for functions of their own. They come behind others
// in the order of initialisation, so they are not imported. Nothing of them has to be
// initialised for these. If they go with a later version of Go, the program does not build.

//go:linkname syscall6 syscall.Syscall6
func syscall6(number, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)

//go:linkname arguments os.runtime_args
func arguments() []string

//go:linkname variables syscall.runtime_envs
func variables() []string

// What Linux calls by these numbers.
const (
	eintr      = 4
	unix       = 1 // a family of addresses, as is
	inet       = 2
	stream     = 1
	closeExec  = 0x80000
	solSocket  = 1
	rcvTimeout = 20
	sndTimeout = 21
	peekFlag   = 2
)

// timeout is how long connecting, and each read and write, may take, in seconds.
// The ordinary command has more patience, and takes over then.
const timeout = 1

// socket is a file descriptor: a connected socket, or standard output.
type socket int

// sockaddr is the address of a socket. Those of unix sockets are the longest.
type sockaddr [2 + 108]byte

// inetBytes is the size of an IPv4 address.
const inetBytes = 16

// set tells how many bytes the address has. ok is false if it has none.
func (to *sockaddr) set(e *event) (size int, ok bool) {
	if e.socket == "" {
		to[0] = inet
		to[2], to[3] = byte(e.port>>8), byte(e.port)
		copy(to[4:], e.addr[:])
		return inetBytes, true
	}
	to[0] = unix
	size = 2 + copy(to[2:], e.socket) + 1 // a zero byte ends it
	return size, size <= len(to) && e.socket[0] != '@'
}

// dial connects to the agent.
func (e *event) dial() (fd socket, ok bool) {
	var to sockaddr
	size, ok := to.set(e)
	if !ok {
		return 0, false
	}
	n, _, errno := syscall6(sysSocket, uintptr(to[0]), stream|closeExec, 0, 0, 0, 0)
	if errno != 0 {
		return 0, false
	}
	fd = socket(n)
	limit := [2]int64{timeout} // seconds and microseconds
	for _, option := range [...]uintptr{sndTimeout, rcvTimeout} {
		if errno == 0 {
			_, _, errno = syscall6(sysSetsockopt, uintptr(fd), solSocket, option, uintptr(unsafe.Pointer(&limit)), unsafe.Sizeof(limit), 0)
		}
	}
	if errno == 0 {
		_, _, errno = syscall6(sysConnect, uintptr(fd), uintptr(unsafe.Pointer(&to)), uintptr(size), 0, 0, 0)
	}
	if errno != 0 {
		fd.close()
		return 0, false
	}
	return fd, true
}

func (fd socket) close() { syscall6(sysClose, uintptr(fd), 0, 0, 0, 0, 0) }

// write reports whether it wrote the whole of p.
func (fd socket) write(p []byte) bool {
	for len(p) > 0 {
		n, ok := fd.transfer(sysWrite, p, 0)
		if !ok {
			return false
		}
		p = p[n:]
	}
	return true
}

// read reports whether it read as much as p has room for, which is not nothing.
func (fd socket) read(p []byte) bool {
	for len(p) > 0 {
		n, ok := fd.transfer(sysRead, p, 0)
		if !ok || n == 0 {
			return false
		}
		p = p[n:]
	}
	return true
}

// peek tells what has come, and waits for the first of it. It leaves it there.
func (fd socket) peek(p []byte) (n int, ok bool) { return fd.transfer(sysRecvfrom, p, peekFlag) }

// transfer makes a system call with a buffer, which is not empty.
func (fd socket) transfer(number uintptr, p []byte, flags uintptr) (n int, ok bool) {
	for {
		r, _, errno := syscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
		if errno != eintr {
			return int(r), errno == 0
		}
	}
}

// exit ends the process, with success.
func exit() { syscall6(sysExitGroup, 0, 0, 0, 0, 0, 0) }
