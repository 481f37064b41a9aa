// Package smallfs mounts small file systems in memory, for tests that need a full
// disk. It works on Linux, for a root user that may mount.
package smallfs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Sizes of a file system: as mounted, and once there is room.
const (
	small = "8m"
	large = "128m"
)

// FS is a small file system.
type FS struct {
	tb  testing.TB
	dir string
}

// Mount mounts a file system of 8 MB at dir, until the end of the test. It
// returns nil where that is not allowed or not known how.
func Mount(tb testing.TB, dir string) *FS {
	tb.Helper()
	if err := mount(dir, small); err != nil {
		tb.Logf("no file system can be mounted here: %v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := unmount(dir); err != nil {
			tb.Error(err)
		}
	})
	return &FS{tb, dir}
}

// Fill writes a file until nothing more fits.
func (fs *FS) Fill() {
	fs.tb.Helper()
	f, err := os.Create(filepath.Join(fs.dir, "filler"))
	if err != nil {
		fs.tb.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		if !full(err) {
			fs.tb.Fatal(fmt.Errorf("filling %s: %w", fs.dir, err))
		}
		err = nil
	}
}

// Grow makes room: 128 MB in all.
func (fs *FS) Grow() {
	fs.tb.Helper()
	if err := grow(fs.dir, large); err != nil {
		fs.tb.Error(err)
	}
}
