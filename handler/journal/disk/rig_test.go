package disk

import (
	"testing"
	"time"
)

func mustSync(t testing.TB, d *Disk) {
	t.Helper()
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// openDir opens a journal that is closed at the end of the test.
func openDir(t testing.TB, cfg Config) *Disk {
	t.Helper()
	cfg.CloseTimeout = 10 * time.Minute // a real disk may be slow
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDisk(t, d) })
	return d
}

func closeDisk(t testing.TB, d *Disk) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
