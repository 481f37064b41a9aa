package handler

import (
	"testing"
	"testing/synctest"
	"time"
)

// eachJournal runs a test once with each kind of journal, in a bubble.
func eachJournal(t *testing.T, test func(t *testing.T, newJournal func(MemoryConfig) *Memory)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(cfg MemoryConfig) *Memory { return NewMemory(cfg) })
		})
	})
	t.Run("disk", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(cfg MemoryConfig) *Memory {
				return openDir(t, DiskConfig{Dir: t.TempDir(), Limits: cfg, NoSync: true}).Memory
			})
		})
	})
}

// openDir opens a journal that is closed at the end of the test.
func openDir(t testing.TB, cfg DiskConfig) *Disk {
	t.Helper()
	cfg.CloseTimeout = 10 * time.Minute // a real disk may be slow
	d, err := OpenDisk(cfg)
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

func ack(t testing.TB, c *memoryCursor, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := c.Ack(seq, 200); err != nil {
			t.Fatal(err)
		}
	}
}

// pending gives what waits for a target, by sequence number, less what is joined
// to another event.
func pending(t testing.TB, j *Memory, target string) (seqs []uint64) {
	t.Helper()
	for rec, err := range j.Held(0) {
		if err != nil {
			t.Fatal(err)
		}
		if o := j.Outcome(target, rec.Seq); o.State == OutcomeWaiting && o.Into == 0 {
			seqs = append(seqs, rec.Seq)
		}
	}
	return seqs
}
