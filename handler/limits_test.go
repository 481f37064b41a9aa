package handler

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// What a cursor remembers for the next process is bounded. Beyond the bounds
// it says less of what was delivered, but nothing is delivered that was not,
// and nothing that waits is skipped.
func TestCursorLimitsInTheFile(t *testing.T) {
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
		if n := len(d.cursors["refusing"].refused); n > maxFailedSpans || n < maxFailedSpans/2 {
			t.Errorf("%d spans", n)
		}
		for i := range 2 * maxEras {
			c.Close()
			c = openCursor(t, d.Memory, "refusing", Filter{User, fmt.Sprint("name", i)})
			mustAppend(t, d.Memory, user(uint64(events+i), fmt.Sprint("name", i)))
			ready(t, c)
			ack(t, c, d.Head())
		}
		want(t, "eras", len(d.cursors["refusing"].eras), maxEras)
		closeDisk(t, d)

		d = openDir(t, cfg)
		want(t, "under forgotten filters", d.Outcome("refusing", events+1), Outcome{})
		want(t, "under remembered ones", d.Outcome("refusing", events+maxEras+1), Outcome{State: OutcomeDelivered})
		d.cursors["refusing"].eras[0] = era{from: 1} // to see what else is remembered
		for seq := uint64(1); seq <= events; seq++ {
			if o := d.Outcome("refusing", seq); seq%2 == 1 && o.State != OutcomeBuried {
				t.Fatalf("event %d was refused, and is %q", seq, o.State)
			}
		}
		want(t, "not all was forgotten", d.Outcome("refusing", events).State, OutcomeDelivered)
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
		for _, e := range d.cursors["a"].pending() {
			waiting[e.Seq] = true
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
