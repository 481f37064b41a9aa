//go:build unix

package files

import "os"

// SyncDir makes a rename in a directory last through a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
