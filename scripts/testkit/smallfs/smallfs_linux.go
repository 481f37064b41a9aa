package smallfs

import (
	"errors"
	"syscall"
)

func mount(dir, size string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size) }

func grow(dir, size string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size)
}

func unmount(dir string) error { return syscall.Unmount(dir, 0) }

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) }
