package journal_test

import (
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/disks"
	"agentctl/scripts/testkit/journals"
)

func TestCollapse(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxPending: 10})
		c, plain := journals.OpenCollapsing(t, j, "a"), journals.OpenCursor(t, j, "b")
		for i := range 10_000 {
			journals.MustAppend(t, j, journals.Update(uint64(i), i%10))
		}
		s := c.Status()
		testkit.Want(t, "waiting, joined and lost", []uint64{uint64(s.Waiting), s.Collapsed, s.Lost}, []uint64{10_000, 9990, 0})
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		testkit.Want(t, "a target that did not ask for it", journals.Ready(t, plain), []uint64{9990, 9991, 9992, 9993, 9994, 9995, 9996, 9997, 9998, 9999})
		testkit.Want(t, "of one that waits with its leader", j.Outcome("a", 9993), journal.Outcome{State: journal.OutcomeWaiting, Into: 3})
		journals.Ack(t, c, 3)
		testkit.Want(t, "of one that was settled with it", j.Outcome("a", 9993),
			journal.Outcome{State: journal.OutcomeDelivered, Time: time.Now(), Status: 200, Into: 3})
		if err := c.Bury(4, journal.Burial{Status: 422}); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "of one that was refused with it", j.Outcome("a", 14),
			journal.Outcome{State: journal.OutcomeBuried, Time: time.Now(), Status: 422, Into: 4})
		testkit.Want(t, "buried", len(c.Buried()), 1)
		testkit.Want(t, "left", c.Status().Waiting, 8000)
		journals.MustAppend(t, j, journals.Update(20_000, 5))
		testkit.Want(t, "one whose equal was handed out waits itself", journals.Ready(t, c), []uint64{20_000})
	})
}

// Events that are not equal, or tell of members, are not joined.
func TestCollapseOnlyEqual(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		c := journals.OpenCollapsing(t, j, "a")
		now := time.Now()
		journals.MustAppend(t, j, handler.NewUser(1, "ab", []byte("c"), now), handler.NewUser(2, "a", []byte("bc"), now), handler.NewQuery(3, "ab", []byte("c"), now),
			handler.Event{Type: handler.MemberJoin, LTime: 4}, handler.Event{Type: handler.MemberJoin, LTime: 5}, handler.NewUser(6, "ab", []byte("c"), now))
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{1, 2, 3, 4, 5})
		testkit.Want(t, "joined", c.Status().Collapsed, 1)
	})
}

// A leader that is given up takes along what was joined to it.
func TestCollapseLoses(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxPending: 2, MaxEvents: 6})
		c := journals.OpenCollapsing(t, j, "a")
		journals.MustAppend(t, j, journals.Update(1, 1), journals.Update(2, 2), journals.Update(3, 1), journals.Update(4, 1), journals.Update(5, 3))
		s := c.Status()
		testkit.Want(t, "waiting and lost", []uint64{uint64(s.Waiting), s.Lost}, []uint64{2, 3})
		testkit.Want(t, "of one given up with its leader", j.Outcome("a", 4), journal.Outcome{State: journal.OutcomeLost, Time: time.Now(), Into: 1})
		journals.MustAppend(t, j, journals.Update(6, 2), journals.Update(7, 2), journals.Update(8, 4))
		testkit.Want(t, "which leads no more", journals.Ready(t, c), []uint64{5, 8})
		testkit.Want(t, "lost", c.Status().Lost, 6)
	})
}

// What the log lets go of does not wait any more: its leader stands for it.
func TestCollapseRetention(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxEvents: 4})
		c := journals.OpenCollapsing(t, j, "a")
		for i := range uint64(20) {
			journals.MustAppend(t, j, journals.Update(i, int(i%2)))
		}
		testkit.Want(t, "waiting", c.Status().Waiting, 6)
		testkit.Want(t, "let go of", j.Outcome("a", 16), journal.Outcome{})
		testkit.Want(t, "retained", j.Outcome("a", 17), journal.Outcome{State: journal.OutcomeWaiting, Into: 1})
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{0, 1})
		journals.Ack(t, c, 1, 2)
		testkit.Want(t, "and all is settled", c.Status().Waiting, 0)
		if err := c.Requeue(17, 19); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "requeued ones are not joined", journals.Ready(t, c), []uint64{16, 18})
	})
}

// Opened anew what waits is joined; without Collapse what was joined stays so,
// and what comes is not.
func TestCollapseReopen(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		c := journals.OpenCollapsing(t, j, "a")
		journals.MustAppend(t, j, journals.Update(1, 1), journals.Update(2, 2))
		testkit.Want(t, "in hand", journals.Ready(t, c), []uint64{1, 2})
		journals.MustAppend(t, j, journals.Update(3, 1), journals.Update(4, 1))
		testkit.Want(t, "joined to what is not in hand", j.Outcome("a", 4).Into, 3)
		c.Close()
		journals.MustAppend(t, j, journals.Update(5, 2))
		testkit.Want(t, "joined while closed", []uint64{j.Outcome("a", 3).Into, j.Outcome("a", 4).Into, j.Outcome("a", 5).Into}, []uint64{1, 1, 2})

		c = journals.OpenCursor(t, j, "a")
		journals.MustAppend(t, j, journals.Update(6, 1), journals.Update(7, 1))
		testkit.Want(t, "status", c.Status().Waiting, 7)
		testkit.Want(t, "joined since", c.Status().Collapsed, 0)
		c.Close()
		c = journals.OpenCursor(t, j, "a")
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{1, 2, 6, 7})
		c.Close()
		c = journals.OpenCollapsing(t, j, "a")
		testkit.Want(t, "joined after the fact", journals.Ready(t, c), []uint64{1, 2})
		journals.Ack(t, c, 1, 2)
		testkit.Want(t, "settled", c.Status().Waiting, 0)
		c.Close()
		if err := j.Forget("a"); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "forgotten", j.Outcome("a", 6), journal.Outcome{})
	})
}

// The next process joins the same, delivers nothing twice that was settled
// with its leader, and takes nothing for delivered that was not.
func TestCollapseNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := disk.Config{Dir: t.TempDir(), Limits: journal.Config{MaxPending: 4}}
		d := disks.Open(t, cfg)
		c := journals.OpenCollapsing(t, d.Journal, "a")
		journals.MustAppend(t, d.Journal, journals.Update(1, 1), journals.Update(2, 2), journals.Update(3, 3), journals.Update(4, 4),
			journals.Update(5, 1), journals.Update(6, 2), journals.Update(7, 3), journals.Update(8, 4))
		if got := journals.Ready(t, c); len(got) != 4 {
			t.Fatal(got)
		}
		journals.Ack(t, c, 2)
		if err := c.Bury(3, journal.Burial{}); err != nil {
			t.Fatal(err)
		}
		testkit.MustClose(t, d)
		r, err := disk.Check(cfg.Dir)
		if err != nil || r.Targets[0].Waiting != 4 {
			t.Errorf("%+v, %v", r, err)
		}

		cfg.Limits.MaxPending = 2 // which counts leaders
		d = disks.Open(t, cfg)
		if s, _ := d.CursorStatus("a"); s.Waiting != 4 || s.Lost != 0 || s.Collapsed != 0 {
			t.Errorf("%+v", s)
		}
		got := outcomesOf(d.Journal, "a", 8)
		waiting, delivered, buried := journal.OutcomeWaiting, journal.OutcomeDelivered, journal.OutcomeBuried
		for i, o := range []journal.Outcome{{State: waiting}, {State: delivered}, {State: buried}, {State: waiting},
			{State: waiting, Into: 1}, {State: delivered}, {State: buried}, {State: waiting, Into: 4}} {
			if got[i].State != o.State || got[i].Into != o.Into {
				t.Errorf("event %d: %+v, want %+v", i+1, got[i], o)
			}
		}
		testkit.Want(t, "handed out", journals.Ready(t, journals.OpenCollapsing(t, d.Journal, "a")), []uint64{1, 4})
	})
}

// Beside what is joined the file's settled exceptions are narrow, and what the log let go
// of has its own: nothing is taken for delivered too soon, or comes again.
func TestCollapseExceptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := disk.Config{Dir: t.TempDir()}
		d := disks.Open(t, cfg)
		c := journals.OpenCollapsing(t, d.Journal, "a")
		journals.MustAppend(t, d.Journal, journals.Update(1, 1), journals.Update(2, 2))
		journals.Ready(t, c)
		journals.Ack(t, c, 1)
		if err := c.Requeue(1); err != nil {
			t.Fatal(err)
		}
		journals.MustAppend(t, d.Journal, journals.Update(3, 1))
		journals.Ack(t, c, 2)
		testkit.MustClose(t, d)
		d = disks.Open(t, cfg)
		testkit.Want(t, "joined to one that waits before a settled exception", d.Outcome("a", 3), journal.Outcome{State: journal.OutcomeWaiting, Into: 1})

		cfg = disk.Config{Dir: t.TempDir(), Limits: journal.Config{MaxEvents: 2}}
		d = disks.Open(t, cfg)
		c = journals.OpenCollapsing(t, d.Journal, "a")
		journals.OpenCursor(t, d.Journal, "b") // so all is in the file
		journals.MustAppend(t, d.Journal, journals.Update(1, 1), journals.Update(2, 2), journals.Update(3, 1), journals.Update(4, 4), journals.Update(5, 5))
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		journals.Ack(t, c, 1)
		testkit.MustClose(t, d)
		d = disks.Open(t, cfg)
		testkit.Want(t, "let go of, and settled with its leader", journals.Ready(t, journals.OpenCollapsing(t, d.Journal, "a")), []uint64{2, 4, 5})
	})
}
