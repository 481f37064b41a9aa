package disk

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// What a cursor remembers for the next process is bounded. Beyond the bounds
// it says less of what was delivered, but nothing is delivered that was not,
// and nothing that waits is skipped.
func TestCursorLimitsInTheFile(t *testing.T) {
	const maxFailedSpans, maxEras = 1000, 32 // as the journal has them
	const events = 2*maxFailedSpans + 400
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Dir: t.TempDir(), Limits: journal.Config{MaxBuried: 1}}
		d := openDir(t, cfg)
		c := journals.OpenCursor(t, d.Journal, "refusing")
		for i := range uint64(events) {
			journals.MustAppend(t, d.Journal, journals.User(i, ""))
		}
		for seq := uint64(1); seq <= events; seq++ {
			if _, err := c.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			if seq%2 == 0 {
				journals.Ack(t, c, seq)
			} else if err := c.Bury(seq, journal.Burial{}); err != nil {
				t.Fatal(err)
			}
		}
		testkit.MustSync(t, d)
		if n := len(written(t, cfg.Dir, "refusing").RefusedSpans); n > maxFailedSpans || n < maxFailedSpans/2 {
			t.Errorf("%d spans", n)
		}
		for i := range 2 * maxEras {
			c.Close()
			c = journals.OpenCursor(t, d.Journal, "refusing", handler.Filter{Type: handler.User, Name: fmt.Sprint("name", i)})
			journals.MustAppend(t, d.Journal, journals.User(uint64(events+i), fmt.Sprint("name", i)))
			journals.Ready(t, c)
			journals.Ack(t, c, d.Head())
		}
		testkit.MustClose(t, d)
		testkit.Want(t, "filter epochs", len(written(t, cfg.Dir, "refusing").Epochs), maxEras)

		d = openDir(t, cfg)
		testkit.Want(t, "under forgotten filters", d.Outcome("refusing", events+1), journal.Outcome{})
		testkit.Want(t, "under remembered ones", d.Outcome("refusing", events+maxEras+1), journal.Outcome{State: journal.OutcomeDelivered})
		testkit.MustClose(t, d)
		c2, _, err := readFile(filepath.Join(cfg.Dir, journalFile))
		if err != nil {
			t.Fatal(err)
		}
		c2.Targets["refusing"].Cursor.Epochs[0] = journal.FilterEpoch{From: 1} // to see what else is remembered
		j, _ := journal.Restore(cfg.Limits, &c2.State, journal.FileConfig{})
		for seq := uint64(1); seq <= events; seq++ {
			if o := j.Outcome("refusing", seq); seq%2 == 1 && o.State != journal.OutcomeBuried {
				t.Fatalf("event %d was refused, and is %q", seq, o.State)
			}
		}
		testkit.Want(t, "not all was forgotten", j.Outcome("refusing", events).State, journal.OutcomeDelivered)
	})
}

// With more settled exceptions than are written, settled events may come again.
func TestCollapseWithManyHoles(t *testing.T) {
	const pairs = journal.MaxSettledExceptions + 200
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Dir: t.TempDir()}
		d := openDir(t, cfg)
		c := journals.OpenCollapsing(t, d.Journal, "a")
		for i := range uint64(pairs) {
			journals.MustAppend(t, d.Journal, journals.Update(2*i, 0), journals.Update(2*i+1, int(i+1)))
		}
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		journals.Ack(t, c, 1)
		testkit.Want(t, "waiting", []uint64{rec.Seq, uint64(c.Status().Waiting)}, []uint64{2, pairs})
		testkit.MustClose(t, d)
		d = openDir(t, cfg)
		waiting := map[uint64]bool{}
		for _, seq := range journals.Pending(t, d.Journal, "a") {
			waiting[seq] = true
		}
		for seq := uint64(2); seq <= 2*pairs; seq += 2 {
			if !waiting[seq] {
				t.Fatalf("event %d was skipped", seq)
			}
		}
		s, _ := d.CursorStatus("a")
		testkit.Want(t, "once more", s.Waiting, pairs+pairs-1-journal.MaxSettledExceptions)
	})
}

// written is what the file holds of a target's cursor.
func written(t testing.TB, dir, target string) *journal.CursorState {
	t.Helper()
	c, _, err := readFile(filepath.Join(dir, journalFile))
	if err != nil || len(c.problems) > 0 {
		t.Fatal(c, err)
	}
	return c.Targets[target].Cursor
}

// The filters of before are known as long as one of their events is retained.
func TestOutcomesUnderEarlierFilters(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Limits: journal.Config{MaxEvents: 1}}
	d := openDir(t, cfg)
	c := journals.OpenCursor(t, d.Journal, "t", handler.Filter{Type: handler.User, Name: "a"})
	journals.MustAppend(t, d.Journal, journals.User(1, "a"))
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	journals.Ack(t, c, 1)
	c.Close()
	journals.OpenCursor(t, d.Journal, "t", handler.Filter{Type: handler.User, Name: "b"})
	testkit.MustClose(t, d)
	d = openDir(t, cfg)
	testkit.Want(t, "delivered under other filters", d.Outcome("t", 1), journal.Outcome{State: journal.OutcomeDelivered})
	journals.MustAppend(t, d.Journal, journals.User(2, "b"))
	testkit.MustClose(t, d)
	testkit.Want(t, "filter epochs", len(written(t, cfg.Dir, "t").Epochs), 1)
}
