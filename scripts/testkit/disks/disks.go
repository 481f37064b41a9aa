// Package disks opens journals on disk for the tests of other packages. The
// internal tests of package disk cannot import it, so they have a copy.
package disks

import (
	"testing"
	"time"

	"agentctl/handler/journal/disk"
	"agentctl/scripts/testkit"
)

// Open opens a journal, and closes it at the end of the test.
func Open(t testing.TB, cfg disk.Config) *disk.Disk {
	t.Helper()
	cfg.CloseTimeout = 10 * time.Minute // a real disk may be slow
	d, err := disk.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { testkit.MustClose(t, d) })
	return d
}
