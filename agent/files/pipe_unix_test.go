//go:build unix

package files

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// To open a named pipe would wait for ever.
func TestNoPipeIsOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOwn(path, os.O_RDONLY, 0); err == nil {
		t.Error("it was opened")
	}
}
