//go:build unix

package disk

import "os"

// openToOthers tells whether every user may make files in a directory. A group may: that
// is how volumes of containers are handed over.
func openToOthers(dir string) (bool, error) {
	info, err := os.Stat(dir)
	return err == nil && info.Mode()&0o002 != 0, err
}
