package handler

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// What a cursor remembers for the next process is bounded. Beyond the bounds
// it says less of what was delivered, but nothing is delivered that was not,
// and nothing that waits is skipped.
func TestCursorLimitsInTheFile(t *testing.T) {
	const maxFailedSpans, maxEras = 1000, 32 // as the journal has them
	const events = 2*maxFailedSpans + 400
	synctest.Test(t, func(t *testing.T) {
		cfg := DiskConfig{Dir: t.TempDir(), Limits: MemoryConfig{MaxBuried: 1}}
		d := openDir(t, cfg)
		c := openCursor(t, d.Memory, "refusing")
		for i := range uint64(events) {
			mustAppend(t, d.Memory, user(i, ""))
		}
		for seq := uint64(1); seq <= events; seq++ {
			if _, err := c.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			if seq%2 == 0 {
				ack(t, c, seq)
			} else if err := c.Bury(seq, BuriedInfo{}); err != nil {
				t.Fatal(err)
			}
		}
		mustSync(t, d)
		if n := len(written(t, cfg.Dir, "refusing").refused); n > maxFailedSpans || n < maxFailedSpans/2 {
			t.Errorf("%d spans", n)
		}
		for i := range 2 * maxEras {
			c.Close()
			c = openCursor(t, d.Memory, "refusing", Filter{User, fmt.Sprint("name", i)})
			mustAppend(t, d.Memory, user(uint64(events+i), fmt.Sprint("name", i)))
			ready(t, c)
			ack(t, c, d.Head())
		}
		closeDisk(t, d)
		want(t, "filter epochs", len(written(t, cfg.Dir, "refusing").eras), maxEras)

		d = openDir(t, cfg)
		want(t, "under forgotten filters", d.Outcome("refusing", events+1), Outcome{})
		want(t, "under remembered ones", d.Outcome("refusing", events+maxEras+1), Outcome{State: OutcomeDelivered})
		closeDisk(t, d)
		c2, _, err := readFile(filepath.Join(cfg.Dir, journalFile))
		if err != nil {
			t.Fatal(err)
		}
		c2.targets["refusing"].cursor.eras[0] = era{from: 1} // to see what else is remembered
		j, _ := Restore(cfg.Limits, &c2.journalState, FileConfig{})
		for seq := uint64(1); seq <= events; seq++ {
			if o := j.Outcome("refusing", seq); seq%2 == 1 && o.State != OutcomeBuried {
				t.Fatalf("event %d was refused, and is %q", seq, o.State)
			}
		}
		want(t, "not all was forgotten", j.Outcome("refusing", events).State, OutcomeDelivered)
	})
}

// With more holes than are written, what is through may come again.
func TestCollapseWithManyHoles(t *testing.T) {
	const pairs = maxHoles + 200
	synctest.Test(t, func(t *testing.T) {
		cfg := DiskConfig{Dir: t.TempDir()}
		d := openDir(t, cfg)
		c := openCollapsing(t, d.Memory, "a")
		for i := range uint64(pairs) {
			mustAppend(t, d.Memory, update(2*i, 0), update(2*i+1, int(i+1)))
		}
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ack(t, c, 1)
		want(t, "waiting", []uint64{rec.Seq, uint64(c.Status().Waiting)}, []uint64{2, pairs})
		closeDisk(t, d)
		d = openDir(t, cfg)
		waiting := map[uint64]bool{}
		for _, seq := range pending(t, d.Memory, "a") {
			waiting[seq] = true
		}
		for seq := uint64(2); seq <= 2*pairs; seq += 2 {
			if !waiting[seq] {
				t.Fatalf("event %d was skipped", seq)
			}
		}
		s, _ := d.CursorStatus("a")
		want(t, "once more", s.Waiting, pairs+pairs-1-maxHoles)
	})
}

// written is what the file holds of a target's cursor.
func written(t testing.TB, dir, target string) *cursorState {
	t.Helper()
	c, _, err := readFile(filepath.Join(dir, journalFile))
	if err != nil || len(c.problems) > 0 {
		t.Fatal(c, err)
	}
	return c.targets[target].cursor
}
