package disk

import (
	"testing"
	"time"

	"agentctl/scripts/testkit"
)

// openDir opens a journal, and closes it at the end of the test.
func openDir(t testing.TB, cfg Config) *Disk {
	t.Helper()
	cfg.CloseTimeout = 10 * time.Minute // a real disk may be slow
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { testkit.MustClose(t, d) })
	return d
}
