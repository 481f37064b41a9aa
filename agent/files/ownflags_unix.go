//go:build unix

package files

import "syscall"

const ownFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
