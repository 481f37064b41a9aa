// Package slowfs mounts file systems whose syncs take long, for tests of what a slow
// disk holds up. Like a disk, they let no process end in the middle of a sync. It works
// on Linux, for a root user that may mount.
package slowfs

import (
	"testing"
	"time"
)

// Mount mounts a file system at dir, which has to be empty, until the end of the test.
// Each sync of a file takes as long as given. The files themselves are kept in another
// folder. It returns false where that is not allowed or not known how.
func Mount(tb testing.TB, dir string, sync time.Duration) bool {
	tb.Helper()
	unmount, err := mount(dir, tb.TempDir(), sync)
	if err != nil {
		tb.Logf("no slow file system can be mounted here: %v", err)
		return false
	}
	tb.Cleanup(func() {
		if err := unmount(); err != nil {
			tb.Error(err)
		}
	})
	return true
}
