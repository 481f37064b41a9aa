package handler

import (
	"syscall"
	"testing"
)

const errFull = syscall.ENOSPC

// smallFS mounts a file system of 8 MB, and returns what makes it larger; nil
// where that is not allowed.
func smallFS(t *testing.T, dir string) (room func()) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		return nil
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=128m"); err != nil {
			t.Error(err)
		}
	}
}
