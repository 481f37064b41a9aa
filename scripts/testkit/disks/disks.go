// Package disks opens journals on disk for tests.
package disks

import (
	"testing"
	"time"

	"agentctl/handler/journal/disk"
)

func MustSync(t testing.TB, d *disk.Disk) {
	t.Helper()
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// OpenDir opens a journal that is closed at the end of the test.
func OpenDir(t testing.TB, cfg disk.Config) *disk.Disk {
	t.Helper()
	cfg.CloseTimeout = 10 * time.Minute // a real disk may be slow
	d, err := disk.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { CloseDisk(t, d) })
	return d
}

func CloseDisk(t testing.TB, d *disk.Disk) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
