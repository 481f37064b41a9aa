//go:build unix

package agent

import "syscall"

// privateUmask makes what is created next the owner's alone, in the whole
// process, until restore is called.
func privateUmask() (restore func()) {
	old := syscall.Umask(0o077)
	return func() { syscall.Umask(old) }
}
