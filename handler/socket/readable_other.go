//go:build !unix

package socket

import "syscall"

// readable cannot tell here. A connection that the server has closed shows with the next
// request, which is then sent again.
func readable(syscall.RawConn) bool { return false }
