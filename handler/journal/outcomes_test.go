package journal_test

import (
	"errors"
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

func outcomesOf(j *journal.Journal, target string, n uint64) []journal.Outcome {
	var out []journal.Outcome
	for seq := range n {
		out = append(out, j.Outcome(target, seq+1))
	}
	return out
}

// What became of each event is told, and by the next process too, less the
// times and the answers.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := disk.Config{Dir: t.TempDir(), Limits: journal.Config{MaxPending: 4, MaxBuried: 1}}
		d := disks.Open(t, cfg)
		journals.MustAppend(t, d.Journal, journals.User(1, "a"))
		c := journals.OpenCursor(t, d.Journal, "t", handler.Filter{Type: handler.User, Name: "a"})
		for i := uint64(2); i <= 7; i++ { // 2 is lost
			journals.MustAppend(t, d.Journal, journals.User(i, map[bool]string{true: "a", false: "b"}[i != 4]))
		}
		journals.MustAppend(t, d.Journal, journals.User(8, "a"))
		lost := time.Now()
		journals.Ready(t, c)
		time.Sleep(time.Second)
		if err := c.Ack(5, 204); err != nil {
			t.Fatal(err)
		}
		acked := time.Now()
		if err := errors.Join(c.Bury(6, journal.Burial{Time: acked, Status: 404}), c.Bury(7, journal.Burial{Time: acked, Status: 410})); err != nil {
			t.Fatal(err)
		}
		wanted := []journal.Outcome{
			{}, {State: journal.OutcomeLost, Time: lost}, {State: journal.OutcomeLost, Time: lost}, {},
			{State: journal.OutcomeDelivered, Time: acked, Status: 204},
			{State: journal.OutcomeBuried, Time: acked, Status: 404}, {State: journal.OutcomeBuried, Time: acked, Status: 410},
			{State: journal.OutcomeWaiting}, {},
		}
		testkit.Want(t, "outcomes", outcomesOf(d.Journal, "t", 9), wanted)
		testkit.Want(t, "of no target", d.Outcome("u", 5), journal.Outcome{})
		c.Close()
		// Other filters change nothing for what came before.
		journals.OpenCursor(t, d.Journal, "t", handler.Filter{Type: handler.User, Name: "b"}).Close()
		journals.MustAppend(t, d.Journal, journals.User(9, "a"), journals.User(10, "b"))
		testkit.MustClose(t, d)

		d = disks.Open(t, cfg)
		wanted[1].Time, wanted[2].Time, wanted[4] = time.Time{}, time.Time{}, journal.Outcome{State: journal.OutcomeDelivered}
		wanted[5] = journal.Outcome{State: journal.OutcomeBuried} // its burial was one too many
		got := outcomesOf(d.Journal, "t", 9)
		testkit.Want(t, "time of the burial", got[6].Time.Equal(acked), true)
		got[6].Time = acked
		testkit.Want(t, "after a restart", got, wanted)
		testkit.Want(t, "under the new filters", d.Outcome("t", 10), journal.Outcome{State: journal.OutcomeWaiting})

		c = journals.OpenCursor(t, d.Journal, "t", handler.Filter{Type: handler.User, Name: "b"})
		if err := c.Requeue(2, 6); err != nil {
			t.Fatal(err)
		}
		journals.Ready(t, c)
		journals.Ack(t, c, 2, 6)
		testkit.MustClose(t, d)
		d = disks.Open(t, cfg)
		testkit.Want(t, "lost and delivered later", d.Outcome("t", 2), journal.Outcome{State: journal.OutcomeDelivered})
		testkit.Want(t, "lost for good", d.Outcome("t", 3), journal.Outcome{State: journal.OutcomeLost})
		testkit.Want(t, "refused and delivered later", d.Outcome("t", 6), journal.Outcome{State: journal.OutcomeDelivered})
		if s, ok := d.CursorStatus("t"); !ok || s.Lost != 2 || s.Waiting != 2 {
			t.Errorf("of a closed cursor: %+v, %v", s, ok)
		}
		if _, ok := d.CursorStatus("u"); ok {
			t.Error("a target that is not has a cursor")
		}
	})
}
