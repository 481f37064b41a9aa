// Package files writes files that survive a power cut. [Replace] waits for the
// disk, and its file is whole at every moment: the old one or the new one. Calls
// for one path must not overlap. [SyncPath] does for a new directory what Replace does for
// a file.
package files

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Replace writes a file that only its owner can read, so that a reader finds the
// old text or the new one, also after a power cut.
func Replace(path string, data []byte) (err error) {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync() // else the name may be on the disk before the text is
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncPath makes the names of a directory, and of all above it, last through a power cut.
// It leaves out directories that cannot be synced or that this process may not read:
// others made those.
func SyncPath(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for above := filepath.Dir(dir); above != dir; dir, above = above, filepath.Dir(above) {
		err := SyncDir(above)
		if err == nil || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EINVAL) ||
			errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EROFS) {
			continue
		}
		return err
	}
	return nil
}
