// Package files writes files that survive a power cut. [Replace] waits for the
// disk, and its file is whole at every moment: the old one or the new one. Calls
// for one path must not overlap. [SyncPath] does for a new directory what Replace does for
// a file.
//
// The files that the agent makes for itself are no symbolic links. Whoever may make names
// beside them could otherwise have the agent overwrite any file of its user's. [OpenOwn]
// and [ReadOwn] refuse links, and Replace writes through none.
package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Replace writes a file that only its owner can read, so that a reader finds the
// old text or the new one, also after a power cut.
func Replace(path string, data []byte) (err error) {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // follows no link
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
