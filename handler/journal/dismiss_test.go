package journal_test

import (
	"errors"
	"testing"
	"time"

	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// Dismissed burials are gone, all of those named or none, and the target refuses only as
// long as one is left that it took nothing after.
func TestJournalDismiss(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		c := journals.OpenCursor(t, j, "a")
		journals.MustAppend(t, j, journals.User(1, ""), journals.User(2, ""), journals.User(3, ""), journals.User(4, ""))
		journals.Ready(t, c)
		began := time.Now()
		for seq := uint64(1); seq <= 4; seq++ {
			var err error
			if seq == 2 {
				err = c.Ack(seq, 200)
			} else {
				err = c.Bury(seq, journal.Burial{Time: began.Add(time.Duration(seq))})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		stands := func(what string, refusing time.Duration, buried ...uint64) {
			t.Helper()
			s := c.Status()
			var got []uint64
			for _, b := range c.Buried() {
				got = append(got, b.Seq)
			}
			testkit.Want(t, what+": buried", got, buried)
			testkit.Want(t, what+": counted", s.Buried, len(buried))
			want := time.Time{}
			if refusing > 0 {
				want = began.Add(refusing)
			}
			testkit.Want(t, what+": refusing since", s.RefusingSince.Equal(want), true)
		}
		stands("at first", 3, 1, 3, 4)
		if err, ok := errors.AsType[*journal.NotBuriedError](c.Dismiss(3, 2)); !ok || err.Seq != 2 {
			t.Errorf("one that was taken: %v", err)
		}
		stands("none or all", 3, 1, 3, 4)
		for _, step := range []struct {
			seq      uint64
			refusing time.Duration
			left     []uint64
		}{{3, 4, []uint64{1, 4}}, {4, 0, []uint64{1}}, {1, 0, nil}} {
			if err := c.Dismiss(step.seq); err != nil {
				t.Fatal(err)
			}
			stands("one less", step.refusing, step.left...)
		}
		testkit.Want(t, "it was never taken", j.Outcome("a", 3).State, journal.OutcomeBuried)
		if err := c.Requeue(3); err != nil {
			t.Errorf("it can be sent again: %v", err)
		}
		testkit.Want(t, "sent again", journals.Ready(t, c), []uint64{3})
		c.Close()
		if err := c.Dismiss(1); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}
