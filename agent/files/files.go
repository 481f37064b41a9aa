// Package files writes the small files that the agent keeps beside its journal.
package files

import (
	"errors"
	"os"
	"path/filepath"

	"agentctl/handler/journal/disk"
)

// Replace writes a file that only its owner can read. A reader finds the old text
// or the new one, also after a power cut. The folder has to exist.
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
	return disk.SyncDir(filepath.Dir(path))
}
