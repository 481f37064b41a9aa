// Package socket reads and writes sockets at a lower price than package net does.
//
// The Go runtime treats each read and write of package net as a system call that may
// block. So it wakes a thread of its own, which watches the call, and which looks every
// 20 µs until the program is idle. A read or write of a socket does not block: Go's sockets
// say at once that they are not ready. For a program that handles a small message from
// time to time, the watching costs more than the message. This package makes the system
// calls of sockets without telling the runtime.
//
// It waits for sockets as package net does, and deadlines, closing and errors are the
// same. This holds on Linux. On other systems it leaves everything to package net.
//
// [Packets] does the same for UDP. A [Conn] is safe for concurrent use, as a [net.Conn] is.
package socket
