//go:build unix

package agent

import (
	"syscall"
	"testing"
)

// makePipe makes a named pipe, which nobody writes to.
func makePipe(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
